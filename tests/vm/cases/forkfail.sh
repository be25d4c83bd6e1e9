#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 180
#
# Memory runs out in the middle of fork and of copy-on-write: a child that lacks a
# page gets SIGBUS, never a wrong byte, and its parent loses nothing.
. "${VMTEST:?}/lib.sh"

wait_for 30 usm_ready
inject=/usr/lib/vmtest/kmod/$(uname -r)/inject.ko

container_start "$(container_make fork --memory 512M --annotation usm.policy.required=true \
	--annotation 'usm.policy=firstfit memory=256M fault.order=4' -- sleep 3600)"

# load WORD... - forks with the failures that the arguments of inject say
load() {
	assert_ok insmod "$inject" "$@"
	crun exec fork /programs/forkload --mib 4 --write-mib 2 --forks 24 --at-once 4 \
		--allow-kills --allow-sigbus </dev/null >load.out 2>&1 || fail "forkload under $*: $(cat load.out)"
	assert_match "forks under $*" "$(tail -n 1 load.out)" ', 0 wrong$'
	injected=$(cat /sys/module/inject/parameters/injected)
	assert_ge "failures of $*" "$injected" 3
	assert_ok rmmod inject
}

symbol() { for _s; do grep -qw "$_s" /proc/kallsyms && { echo "$_s"; return; }; done; fail "none of $*"; }

# The child's record of its pages, and its page tables.
load functions=usm_space_bucket_make within=usm_fork_vma every=2
assert_ge 'broken children' "$(usm_show fork .stat.broken)" 1
assert_match 'how they ended' "$(cat load.out)" '[1-9][0-9]* killed'
load functions=usm_table_lock_alloc within=usm_fork_vma every=5
# Not even a space for it.
load "functions=$(symbol __kmalloc_cache_noprof kmalloc_trace kmem_cache_alloc_trace)" \
	within=usm_fork_vma every=3
# A frame to copy into: the fault goes on trying.
load functions=usm_frame_get_now every=7

# Nothing is left behind, and the container works.
wait_for 15 usm_is fork .stat.frames_held 0
wait_for 15 usm_is fork .stat.frames_shared 0
assert_ok crun exec fork /programs/stress.static --only fork-tree,held-fork --dir /data </dev/null
container_delete fork
pass
