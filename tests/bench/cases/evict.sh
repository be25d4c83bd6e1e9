#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# icount: yes
# timeout: 600
#
# What it costs, in guest instructions of whoever executes them, that a page leaves memory
# and comes back: to and from the store of an instance, and swap on zram, both with lz4.
# The kernel does so at the limit of the cgroup, and when it is asked for by memory.reclaim.
. "${VMTEST:?}/lib.sh"

wait_for 30 usm_ready

# bench NAME COMMAND...
bench() {
	name=$1
	shift
	assert_ok "$@" >"$name.result"
	sed "s/^/bench $name /" "$name.result"
}

for kind in zero mixed random; do
	bundle=$(container_make "evict-$kind" --memory 96M --annotation usm.policy.required=true \
		--annotation 'usm.policy=clock memory=16M fault.order=4 store.quota=64M' \
		-- /programs/bench-evict "$kind")
	bench usm container_run "$bundle"
	container_delete "evict-$kind" 2>/dev/null || :
done

assert_ok modprobe zram
echo lz4 >/sys/block/zram0/comp_algorithm
echo 256M >/sys/block/zram0/disksize
assert_ok mkswap -q /dev/zram0
assert_ok swapon /dev/zram0
for kind in zero mixed random; do
	cgroup=$(cgroup_make "limit-$kind" memory.max=17M)
	bench zram-limit cgroup_run "$cgroup" "$PROGRAMS/bench-evict" "$kind"
	cgroup=$(cgroup_make "reclaim-$kind")
	bench zram-reclaim cgroup_run "$cgroup" "$PROGRAMS/bench-evict" "$kind" "$cgroup"
done
assert_match 'zram' "$(cat /sys/block/zram0/comp_algorithm)" '\[lz4\]'
swapoff /dev/zram0
pass
