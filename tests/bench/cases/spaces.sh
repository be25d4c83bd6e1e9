#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# icount: yes
# timeout: 300
#
# What it costs that a thousand processes of one family are in a domain, or ten.
. "${VMTEST:?}/lib.sh"

wait_for 30 usm_ready
for n in 10 1000; do
	cgroup=$(cgroup_make spaces-$n)
	assert_ok "$PROGRAMS/bench-spaces" "$cgroup" $n >result
	sed "s/^/bench spaces-$n /" result
done
pass
