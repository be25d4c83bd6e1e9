#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 180
# full-timeout: 7200
# cpus: 2
#
# Instances that mean harm: whatever they do at random to their domain, its rings and its
# pages, no program in it reads a wrong byte, none beside it notices, the kernel does not
# complain and everything is given back. For an hour, with FULL=1 only.
. "${VMTEST:?}/lib.sh"

[ -n "${VMTEST_FULL:-}" ] || skip 'takes an hour: with FULL=1'
SECONDS_LONG=3600
seed=$(date +%s)

"$PROGRAMS/leakcheck" save before
parent=$(cgroup_make hostile)
beside=$(cgroup_make beside)
echo +memory >"$parent/cgroup.subtree_control"

# Beside: an honest instance that evicts, and programs that must not see anything at all.
beside_once() {
	"$PROGRAMS/miniinst" --cgroup "$beside" --ceiling-mib 96 --order 4 --evict 2000 \
		--leakcheck --deadline-ms 30000 -- "$@" >>beside.said 2>>beside.stat ||
		echo "exit $? of $*" >>beside.failed
}
beside_runs() {
	until [ -e end ]; do
		beside_once "$PROGRAMS/wordcheck" --state words.beside --processes 2 --mib 2 \
			--until "$1"
		[ -e end ] || beside_once "$PROGRAMS/stress.dynamic" --quick --timeout 3600 --only \
			patterns,heap,fork-tree,fork-both,dontneed,map-churn,mremap-realloc,direct
	done
}
: >beside.failed
half=half
beside_runs $half &
beside_pid=$!

"$PROGRAMS/hostile" --cgroup "$parent" --seconds "$SECONDS_LONG" --seed "$seed" \
	--life $((SECONDS_LONG / 4 > 20 ? 20 : SECONDS_LONG / 4)) -- "$PROGRAMS/wordcheck" \
	--state words --processes 3 --mib 2 --allow-sigbus --allow-kills >said 2>&1 &
hostile_pid=$!
# The first program beside for half of the time, then others in turn with it.
sleep $((SECONDS_LONG / 2))
: >half
failed=0
wait $hostile_pid || failed=$?
: >end
wait $beside_pid

grep -v '^wordcheck: ' said
words=$(awk '/^wordcheck: / { words += $2; lost += $7 } END { print words, lost }' said)
beside_words=$(awk '/^wordcheck: / { words += $2 } END { print words + 0 }' beside.said)
checks=$(awk '/^stress: / { checks += $2 } END { print checks + 0 }' beside.said)
number() { awk -v name="$1" '$1 == name { sum += $2 } END { print sum + 0 }' "$2"; }
echo "in the domain: ${words% *} words verified, ${words#* } pages lost; beside it:" \
	"$beside_words words and $checks checks, $(number evictions beside.stat) evictions," \
	"$(number refaults beside.stat) refaults"
assert_eq 'exit of hostile' "$failed" 0
assert_eq 'failures beside' "$(cat beside.failed; grep FAIL beside.said || :)" ''
for name in corrupt sigbus oom_kills broken; do
	assert_eq "$name beside" "$(number $name beside.stat)" 0
done
assert_ge 'words' "${words% *}" 10000
assert_ge 'words beside' "$beside_words" 100000
assert_ge 'refaults beside' "$(number refaults beside.stat)" 100
# It was no idle quarrel: things were evicted, came back, and came back wrong.
assert_ge evictions "$(number evictions said)" 100
assert_ge refaults "$(number refaults said)" 10
assert_ge corrupt "$(number corrupt said)" 1
assert_ok "$PROGRAMS/leakcheck" compare before
pass
