#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# icount: yes
# timeout: 300
#
# What a page costs, in guest instructions: without USM, with pages of 4 KiB, with the huge
# pages of the kernel and with userfaultfd; and under firstfit with the fault orders 0, 4
# and 9, and with order 0 where each fault asks the policy.
. "${VMTEST:?}/lib.sh"

wait_for 30 usm_ready
thp=/sys/kernel/mm/transparent_hugepage

# bench NAME [OPTION]... -- PROGRAM...
bench() {
	name=$1
	shift
	bundle=$(container_make "$name" --memory 256M "$@")
	assert_ok container_run "$bundle" >"$name.result"
	sed "s/^/bench $name /" "$name.result"
	container_delete "$name" 2>/dev/null || :
}

bench stock -- /programs/bench-memory
echo madvise >$thp/enabled
bench thp2m -- /programs/bench-memory --huge --first-touch
if [ -e $thp/hugepages-64kB ]; then
	echo never >$thp/hugepages-2048kB/enabled
	echo madvise >$thp/hugepages-64kB/enabled
	bench mthp64k -- /programs/bench-memory --huge --first-touch
fi
bench uffd -- /programs/bench-memory --userfaultfd
bench upcall0 --annotation usm.policy.required=true --annotation \
	"usm.policy=firstfit memory=128M fault.order=0 fault.mode=upcall" -- \
	/programs/bench-memory --first-touch
for order in 0 4 9; do
	bench order$order --annotation usm.policy.required=true --annotation \
		"usm.policy=firstfit memory=128M fault.order=$order" -- /programs/bench-memory
done
pass
