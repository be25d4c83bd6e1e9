#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# icount: yes
# timeout: 300
#
# What USM costs those who do not use it: a program in a cgroup six levels deep, without
# the module and with a hundred domains.
. "${VMTEST:?}/lib.sh"

wait_for 30 usm_ready
cgroup=$(cgroup_make 1/2/3/4/5/6)

bench() {
	cgroup_run "$cgroup" "$PROGRAMS/bench-memory" >result
	sed "s/^/bench $1 /" result
}

systemctl stop usmd.service
assert_ok modprobe -r usm
bench unloaded
assert_ok modprobe usm
wait_for 10 test -c /dev/usm
assert_ok "$PROGRAMS/bench-domains" "$CGROUPS" 100
bench loaded
pass
