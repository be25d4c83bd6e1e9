#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 120
#
# The module keeps the contract of <linux/usm.h>: every ioctl with each of its
# errors, garbage in the rings, deadlines, the death of an instance; for programs
# of 64 and of 32 bits.
. "${VMTEST:?}/lib.sh"

cgroup=$(cgroup_make uapi)
echo +memory >"$cgroup/cgroup.subtree_control"

assert_ok "$PROGRAMS/uapitest" "$cgroup"
assert_ok "$PROGRAMS/uapitest.32" "$cgroup"
pass
