#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# icount: yes
# cpus: 8
# timeout: 300
#
# What a page costs the machine when 1, 2, 4 or 8 CPUs touch memory at once, without USM
# and with the fault orders 0 and 4.
. "${VMTEST:?}/lib.sh"

wait_for 30 usm_ready
systemctl stop usmd.service
for run in stock 0 4; do
	cgroup=$(cgroup_make scaling-$run)
	assert_ok "$PROGRAMS/bench-scaling" "$cgroup" $run >result
	sed "s/^/bench scaling-$run /" result
done
pass
