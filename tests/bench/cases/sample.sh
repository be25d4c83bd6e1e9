#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# icount: yes
# timeout: 120
#
# What it costs to find out whether a page is in use, in guest instructions.
. "${VMTEST:?}/lib.sh"

wait_for 30 usm_ready
cgroup=$(cgroup_make sample)
assert_ok "$PROGRAMS/bench-sample" "$cgroup" >result
sed 's/^/bench sample /' result
pass
