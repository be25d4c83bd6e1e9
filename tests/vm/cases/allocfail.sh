#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 300
# full-timeout: 900
# kmsg-allow: Huh VM_FAULT_OOM leaked|segfault at .* in ld-linux
#
# Each call of the module that may find no memory fails in turn, while self-checking
# programs run: the module does not load, the instance is told ENOMEM, a process is, a child
# gets SIGBUS, or nobody notices, as is said below for each; never a wrong byte, and nothing
# leaks. A call that the list does not know, or that was never reached, fails the case.
. "${VMTEST:?}/lib.sh"

[ -n "${VMTEST_FULL:-}" ] || skip 'takes minutes: with FULL=1'

# What may fail, under its name of one kernel or another, and what it returns then.
FAILING='
__alloc_pages __alloc_pages_noprof __get_free_pages get_free_pages_noprof get_zeroed_page
get_zeroed_page_noprof __alloc_percpu pcpu_alloc_noprof kmalloc_trace __kmalloc_cache_noprof
vzalloc vzalloc_noprof __kmalloc __kmalloc_noprof kmem_cache_alloc kmem_cache_alloc_noprof kmem_cache_alloc_trace
kmem_cache_alloc_lru kmem_cache_alloc_lru_noprof kvmalloc_node __kvmalloc_node_noprof
bitmap_zalloc vmalloc_user vmalloc_user_noprof alloc_workqueue alloc_workqueue_noprof
kmem_cache_create __kmem_cache_create_args shrinker_alloc init_pseudo
__list_lru_init:-12 register_shrinker:-12 __mmu_notifier_register:-12 apply_to_page_range:-12
ftrace_set_filter:-12 register_ftrace_function:-12 ida_alloc_range:-12 get_unused_fd_flags:-12
misc_register:-12 tracepoint_probe_register:-12 remap_vmalloc_range:-12 alloc_anon_inode:-12
alloc_file_pseudo:-12 anon_inode_getfile:-12 kern_mount:-12
__xa_cmpxchg:-46 __xa_alloc_cyclic:-12 __xa_insert:-12
vmf_insert_pfn:1'
# What sounds like it, and is none: what frees, what the tracing macros make, which lose an
# event then, what was allocated already, and storing where an entry is reserved.
HARMLESS='^(kmalloc_caches|xa_store|vmalloc_to_pfn|put_unused_fd|shrinker_register|.*unregister.*|misc_deregister|perf_trace_.*|'\
'trace_event_.*|__tracepoint_.*|mce_register_decode_chain|__mmap_lock_do_.*|mmu_notifier_(put|synchronize))$'

# of FUNCTION - what becomes of it when a call in that function fails:
#	load		the module does not load
#	instance	whoever asked is told: the bind, the descriptor, a mapping of it
#	call		the same, of a call that only trycalls makes
#	process		mmap, fork or mremap say ENOMEM, or the child that was made lacks pages
#	nobody		it is done again, or done otherwise, and no program notices
#	nofail		cannot fail: __GFP_NOFAIL
#	jump		cannot be told from calls by others here, since it is the last thing that
#			a function does which the kernel calls: page tables of the instance's
#			mappings, and a fault there is tried again
of() {
	case $1 in
	usm_domain_init|usm_space_init|usm_inode_new|usm_file_new|usm_hooks_arm|usm_shrink_init|\
	usm_shrinker_register|usm_fs_init_context|usm_dev_init) echo load ;;
	usm_domain_bind|usm_domain_new|usm_shrink_alloc|usm_events_init|usm_frames_init|\
	usm_supply_init|usm_vault_init|usm_port_open|usm_staging) echo instance ;;
	usm_domain_list|usm_store_get) echo call ;;
	usm_space_new|usm_space_number|usm_space_register|usm_family_new|usm_family_found|usm_space_bucket_make|\
	usm_table_lock_alloc) echo process ;;
	usm_grow_by|usm_node_alloc|usm_grow_place|usm_block_split_up|usm_block_make|usm_evict|usm_eviction|\
	usm_evict_staged|usm_evicted_reserve|usm_evicted_block_make) echo nobody ;;
	usm_adopt_uninit|usm_adopt_drain) echo nofail ;;
	usm_port_mmap|usm_table_fault|usm_evicted_table_fault) echo jump ;;
	*) fail "say in this case what becomes of it when an allocation in $1 fails" ;;
	esac
}

symbol_there() { grep -qw "$1" symbols; }

# sites - a line for each: NUMBER FUNCTION CALLS REACHED FAILED
sites() { grep -v '^strays' /proc/allocfail; }
site() { sites | awk -v n="$1" -v field="$2" '$1 == n { print $field }'; }
failed() { site "$1" 5; }
# let_fail LIST FIRST EVERY
let_fail() { echo "$*" >/proc/allocfail; }
let_all_work() { echo ' 1 0' >/proc/allocfail; }

unused() { [ "$(cat /sys/module/usm/refcnt)" = 0 ]; }

# ------------------------------------------------------------------------- all of them

# The device starts it.
systemctl mask --runtime --now usmd.service 2>/dev/null
modprobe -r usm
trap 'modprobe -r usm; rmmod allocfail || :; modprobe usm; systemctl unmask --runtime usmd.service
	systemctl start usmd.service' EXIT

file=$(modinfo -n usm)
case $file in
*.xz) xz -dc "$file" >usm.ko && file=usm.ko ;;
esac
nm -u "$file" | awk '{ print $2 }' >symbols
functions='' known=' '
for word in $FAILING; do
	known="$known${word%:*} "
	! symbol_there "${word%:*}" || functions="$functions${functions:+,}$word"
done
grep -E 'alloc|_new|create|register|get_free|get_zeroed|mount|init_pseudo|apply_to|'\
'^_*xa_(cmpxchg|store|insert|alloc|reserve)|^_*idr|insert|remap|dup|kthread|set_filter|charge|lru_init|getfile|'\
'unused_fd|kstr|preload|prealloc|inode|fault_in|populate' symbols |
	grep -Ev "$HARMLESS|free|^kern_unmount$" >suspects
while read -r symbol; do
	case $known in
	*" $symbol "*) ;;
	*) fail "say in this case what $symbol returns where memory has run out" ;;
	esac
done <suspects
assert_ok insmod "/usr/lib/vmtest/kmod/$(uname -r)/allocfail.ko" module=usm \
	functions="$functions"

# ------------------------------------------------------------------------ while it loads

assert_ok modprobe usm
sites >loaded
assert_ge 'calls found' "$(wc -l <loaded)" 40
while read -r number function calls reached _; do
	kind=$(of "$function")
	# Of what a mount and a space have in common some were for the mount.
	[ "$kind" = load ] || continue
	assert_ge "$function: times that it called $calls while it loaded" "$reached" 1
	tries=1
	[ "$reached" = 1 ] || tries="1 $reached"
	[ -z "${VMTEST_FULL:-}" ] || tries=$(seq "$reached")
	for try in $tries; do
		[ ! -e /sys/module/usm ] || assert_ok rmmod usm
		let_fail "$number" "$try" 0
		! modprobe usm 2>/dev/null || fail "it is loaded, without $calls of $function"
		let_all_work
	done
	assert_eq "failures of $calls in $function" "$(failed "$number")" "$(echo "$tries" | wc -w)"
done <loaded
assert_ok modprobe usm

# ---------------------------------------------------------------- while it is at work

cgroup=$(cgroup_make allocfail)
evict=4000

# run COMMAND... - under a raw instance; its exit status in $status
run() {
	status=0
	"$PROGRAMS/miniinst" --cgroup "$cgroup" --ceiling-mib 64 --order 4 --grow-mib 4 --evict $evict \
		--deadline-ms 10000 -- "$@" >said 2>stat || status=$?
	# An instance that could not go on leaves its program, and the domain to the next.
	echo 1 >"$cgroup/cgroup.kill"
	wait_for 10 grep -q '^populated 0' "$cgroup/cgroup.events"
	[ $status != 125 ] || { rmdir "$cgroup" && mkdir "$cgroup"; }
	wait_for 10 unused
}
said() { fail "site $number, $calls in $function, $order: exit $status: $(cat said stat)"; }

# A run that must go well, or where a process may be told.
went_well() {
	grep -Eq '^allocload: [1-9][0-9]{3,} checks, [0-9]+ refused, [0-9]+ broken, 0 wrong$' said
}
went_unnoticed() { grep -Eq ' checks, 0 refused, 0 broken, 0 wrong$' said; }
was_told() { grep -Eq 'Cannot allocate memory|error while loading shared libraries' stat said; }
# Its loader is not good at telling that there is no memory.
did_not_start() { [ "$kind" = process ] && ! grep -q allocload said; }
count() { awk -v name="$1" '$1 == name { print $2 }' stat; }

# The bytes that are charged now that nobody is there: by the container's own kinds.
charged() { awk '/^(percpu|vmalloc|pagetables|shmem|anon) / { print }' "$cgroup/memory.stat"; }
slab() { memory_stat "$cgroup" slab_unreclaimable; }

"$PROGRAMS/leakcheck" save before
order='nothing fails'
number=- calls=- function=-
run "$PROGRAMS/allocload"
if [ "$status" != 0 ] || ! went_well || ! went_unnoticed; then said; fi
assert_ge 'evictions' "$(count evictions)" 100
charged >charged.before
slab_before=$(slab)

# once FIRST EVERY
once() {
	order="$1 $2"
	# A block in pieces is what is had where there is no whole one.
	case $function,$calls in
	usm_block_split_up,*|usm_grow_by,*|usm_grow_place,*) let_fail "$number,$pages" "$1" "$2" ;;
	*)	let_fail "$number" "$1" "$2" ;;
	esac
	before=$(failed "$number")
	case $kind in
	call)
		status=0
		"$PROGRAMS/trycalls" "$cgroup" >said 2>stat || status=$?
		wait_for 10 unused ;;
	*)	run "$PROGRAMS/allocload" ;;
	esac
	let_all_work
	times=$(($(failed "$number") - before))
	case $status in
	0)	[ "$kind" = call ] || went_well || said
		[ "$kind" != nobody ] || went_unnoticed || said
		# Who was told once does not go on.
		case $kind in
		call|instance) [ $times = 0 ] || said ;;
		esac ;;
	1|125|127) if [ "$kind" = nobody ] || [ $times = 0 ] || ! was_told; then said; fi ;;
	139)	if [ $times = 0 ] || ! did_not_start; then said; fi ;;
	*)	said ;;
	esac
	echo "$function: $calls, order $order: failed $times times, exit $status, $(tail -n 1 said)"
}

pages=$(sites | awk '$3 ~ /^__alloc_pages/ { print $1 }' | paste -sd,)
sites >list
while read -r number function calls _; do
	kind=$(of "$function")
	case $kind in
	load|nofail|jump) continue ;;
	esac
	once 1 0
	case $kind in
	call) ;;
	*)	once 2 3
		[ -z "${VMTEST_FULL:-}" ] || { once 3 1000; once 4 2; once 7 7; } ;;
	esac
done <list

# Not one frame for a bind.
let_fail "$pages" 1 1
assert_fails "$PROGRAMS/trycalls" "$cgroup" 2>stat
let_all_work
assert_match 'a bind without memory' "$(cat stat)" '^trycalls: bind: Cannot allocate memory$'
wait_for 10 unused

# ------------------------------------------------------------------------- all at once

# What is done again is done again for the kernel's other programs too.
numbers=$(sites | while read -r number function _; do
	[ "$(of "$function")" != nobody ] || echo "$number"
done | paste -sd,)
# Not the first: one try of a bind after the other would find nothing.
let_fail "$numbers" 3 5
run "$PROGRAMS/stress.dynamic" --quick --only patterns,heap,fork-tree,fork-both,dontneed,munmap,\
map-churn,mremap-grow,direct,process-vm
let_all_work
assert_eq 'exit of the stress program' "$status" 0
assert_match 'the stress program' "$(tail -n 1 said)" '^stress: [1-9][0-9]{3,} checks, 0 errors$'

# --------------------------------------------------------------------------- the end

while read -r number function calls reached failed; do
	case $(of "$function") in
	nofail|jump) continue ;;
	esac
	assert_ge "times that $calls failed in $function, of $reached" "$failed" 1
done <<END_OF_SITES
$(sites)
END_OF_SITES
assert_eq 'calls that belong to no site' "$(grep '^strays' /proc/allocfail)" 'strays 0'

# Nothing is left of it all: no domain, no ring, no table, no frame, and no charge.
assert_eq 'vmalloc areas' "$(grep '\[usm\]' /proc/vmallocinfo || :)" ''
charged >charged.now
assert_eq 'charged to the container' "$(cat charged.now)" "$(cat charged.before)"
assert_le 'slab of the container' "$(slab)" $((slab_before + 65536))
assert_ok "$PROGRAMS/leakcheck" compare before
pass
