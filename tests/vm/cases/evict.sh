#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 180
# full-timeout: 900
#
# Pages are evicted at random, thousands a second, and brought back when they are
# touched, and others are looked at for whether they are in use: the stress program
# finds no error, and nothing of it is left afterwards.
. "${VMTEST:?}/lib.sh"

# Those that look at content, from every side that may have to wait for it.
SCENARIOS=patterns,heap,thread-storm,robust,fork-tree,fork-both,exec,dontneed,dontneed-race,\
munmap,map-churn,mprotect-cow,mremap-grow,mremap-realloc,mremap-fork,direct,process-vm,ptrace,\
proc-mem,core,wipeonfork,guard-region,guard-random,guard-fork,guard-race

cgroup=$(cgroup_make evict)
number() { awk -v name="$1" '$1 == name { print $2 }' stat; }

# evicting_once ORDER OPTION... - of the stress program. After a missed deadline nobody
# has what was evicted; how soon a busy machine lets the instance run is not asked.
evicting_once() {
	_order=$1
	shift
	"$PROGRAMS/miniinst" --cgroup "$cgroup" --ceiling-mib 512 --order "$_order" --leakcheck \
		--evict 6000 --deadline-ms 10000 -- "$PROGRAMS/stress.dynamic" --quick "$@" >said 2>stat ||
		fail "exit $?: $(grep FAIL said; cat stat)"
	assert_match 'the last line' "$(tail -n 1 said)" '^stress: [1-9][0-9]{4,} checks, 0 errors$'
	echo "order $_order: $(tail -n 1 said); $(grep 'brought back' stat)"
	assert_eq 'wrong contents' "$(number corrupt)" 0
	assert_eq 'evicted afterwards' "$(number evicted)" 0
	assert_ge 'looked at' "$(number sampled)" 1000
	assert_ge 'found in use' "$(number sampled_young)" 100
	evictions=$((evictions + $(number evictions))) refaults=$((refaults + $(number refaults)))
}

# The same until enough was evicted: by the clock, so that a run on a busy machine, which
# gets less done in a second, may be too short for it.
evicting() {
	evictions=0 refaults=0 _round=0
	until [ $evictions -ge 5000 ] && [ $refaults -ge 2000 ] || [ $_round = 6 ]; do
		evicting_once "$@"
		_round=$((_round + 1))
	done
	assert_ge 'evictions' $evictions 5000
	assert_ge 'refaults' $refaults 2000
}

"$PROGRAMS/leakcheck" save before
if [ -n "${VMTEST_FULL:-}" ]; then
	# What is evicted is not resident: that alone is not asked.
	for order in 0 4 9; do
		evicting $order --except populate,resident
	done
else
	evicting 4 --only "$SCENARIOS"
fi
assert_ok "$PROGRAMS/leakcheck" compare before
pass
