#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# icount: yes
# timeout: 600
# memory: 1792
#
# What the module keeps about frames and evicted pages, in bytes of memory.
. "${VMTEST:?}/lib.sh"

wait_for 30 usm_ready
# Who watches cgroups would have something to remember of each.
systemctl stop usmd.service
for mib in 1024 128; do
	cgroup_make metadata >/dev/null
	assert_ok "$PROGRAMS/bench-metadata" "$CGROUPS" $mib >result
	sed 's/^/bench metadata /' result
done
pass
