#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# cpus: 2
#
# Two threads of a process that touch memory in different 2 MiB ranges, each on a CPU:
# which locks the module takes for that, from where, and on which CPU. None of them is
# taken by both, but when a range is touched for the first time.
. "${VMTEST:?}/lib.sh"

wait_for 30 usm_ready
tracing=/sys/kernel/tracing
[ -d $tracing/events ] || mount -t tracefs tracefs $tracing
grep -q 'hist:' $tracing/README || skip "a kernel without hist triggers"
pages=2048	# that each thread touches while we look

event=$tracing/events/kprobes/usm_lock
forget() {
	[ -d $event ] || return 0
	echo '!hist:keys=lock,caller.sym,common_cpu' >$event/trigger 2>/dev/null || :
	echo '-:usm_lock' >>$tracing/kprobe_events
}
trap forget EXIT

# locks FILE ORDER UNTIL - who took which lock, while memory is touched or all the time
locks() {
	forget
	# shellcheck disable=SC2016 # the kernel's
	echo 'p:usm_lock _raw_spin_lock lock=$arg1 caller=+0(%sp):x64' >>$tracing/kprobe_events
	cgroup=$(cgroup_make "locks-$1")
	end=true
	[ "$3" != touched ] || end="cat $event/hist >$VMTEST_TMP/$1"
	assert_ok "$PROGRAMS/bench-scaling" "$cgroup" "$2" 2 \
		"echo 'hist:keys=lock,caller.sym,common_cpu:size=16384' >$event/trigger" "$end" >/dev/null
	[ "$3" = touched ] || cat $event/hist >"$1"
	assert_match "what was seen" "$(cat "$1")" 'Dropped: 0'
	sed -n 's/.*lock: *\([0-9]*\), caller: *[^ ]* \([a-z_0-9]*\).*\[usm\].*cpu: *\([0-9]*\).*count: *\([0-9]*\)/\1 \2 \3 \4/p' \
		"$1" >"$1.usm"
	echo "$1: times each lock was taken, where, on which CPU"
	awk '{ n[$2 " on CPU " $3, $1] += $4 }
		END { for (i in n) { split(i, who, SUBSEP); print n[i], who[1] } }' "$1.usm" | sort -rn
}

# both FILE TIMES - places where a lock is taken that each CPU took so often
both() {
	awk -v times="$2" '{ n[$1, $3] += $4; where[$1] = where[$1] " " $2; cpu[$3] }
		END { for (lock in where) {
			many = 0
			for (c in cpu) many += n[lock, c] >= times
			if (many > 1) print where[lock]
		} }' "$1.usm"
}

# took FILE WHERE - times
took() { awk -v where="$2" 'index($2, where) { n += $4 } END { print n + 0 }' "$1.usm"; }

locks order-0 0 touched
assert_ge 'frames taken from the supply' "$(took order-0 usm_supply_take)" $((2 * pages))
assert_ge 'page tables locked' "$(took order-0 usm_table_lock)" $((2 * pages * 99 / 100))
assert_eq 'locks that both take' "$(both order-0 $((pages / 64)))" ''

# A fault of 16 pages takes as many locks as one of one.
locks order-4 4 touched
assert_ge 'frames taken from the supply' "$(took order-4 usm_supply_take)" $((2 * pages / 16))
assert_eq 'locks that both take' "$(both order-4 $((pages / 16 / 16)))" ''

# That it would be seen: giving memory back, which tells the space.
locks all 0 ended
assert_match 'locks that both take' "$(both all 4)" usm_
pass
