#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 240
# full-timeout: 3600
# cpus: 2
#
# The module is loaded and removed again and again while processes map, touch, fork and
# unmap memory: in a cgroup that never had a domain, and in one that had and will have one.
# As long as anything is adopted it cannot be removed; then it goes at once, and leaves
# nothing. With FULL=1 a hundred times.
. "${VMTEST:?}/lib.sh"

RELOADS=${VMTEST_FULL:+100}
RELOADS=${RELOADS:-4}
CHURN=map-churn,map-fresh,heap,fork-tree,dontneed,mremap-realloc

trap 'systemctl unmask --runtime usmd.service; modprobe usm; systemctl start usmd.service' EXIT
# udev would start it with the device, of which it would then be a user.
systemctl mask --runtime usmd.service
systemctl stop usmd.service
wait_for 10 test -c /dev/usm
untagged=$(cgroup_make untagged)
tagged=$(cgroup_make tagged)
is_loaded() { [ -d /sys/module/usm ]; }
# rounds FILE - of churn that have ended
rounds() { grep -c '^stress: .* 0 errors$' "$1" || :; }
more_rounds() { [ "$(rounds "$1")" -gt "$2" ]; }
# What is left of a module that is gone.
traces() {
	grep -E '^usm_' /proc/slabinfo
	grep -F '[usm]' /proc/vmallocinfo
	grep -F '[usm]' /sys/kernel/debug/kprobes/list /sys/kernel/tracing/enabled_functions
	grep -E ' usm_.*\[usm\]' /proc/kallsyms
}
[ -d /sys/kernel/tracing/events ] || mount -t tracefs nodev /sys/kernel/tracing
mountpoint -q /sys/kernel/debug || mount -t debugfs nodev /sys/kernel/debug
modprobe -r usm
assert_eq 'traces at first' "$(traces || :)" ''

"$PROGRAMS/leakcheck" save before
# Its processes are short, since those that were adopted keep the module.
churn() {
	until [ -e end ]; do
		cgroup_run "$1" "$PROGRAMS/stress.dynamic" --quick --threads 2 --only $CHURN
	done >"$2" 2>&1
}
churn "$untagged" untagged.said &
churning=$!
churn "$tagged" tagged.said &
churning="$churning $!"

refused=0 words=0
for reload in $(seq "$RELOADS"); do
	assert_ok modprobe usm
	wait_for 20 test -c /dev/usm
	"$PROGRAMS/miniinst" --cgroup "$tagged" --ceiling-mib 96 --order 4 --evict 1000 \
		--deadline-ms 30000 -- "$PROGRAMS/wordcheck" --state words --processes 1 --mib 2 \
		--until until >checked 2>stat &
	instance=$!
	wait_for 30 test -s words
	"$PROGRAMS/wordcheck" --await words --seconds $((60 * VMTEST_SLOWER)) >/dev/null ||
		fail "$(cat checked stat)"
	# A domain, and memory of its processes.
	! rmmod usm 2>why || fail 'it was removed from under a domain'
	assert_match 'why it stays' "$(cat why)" 'in use'
	: >until
	wait $instance || fail "exit $? of miniinst: $(cat checked stat)"
	assert_match 'what was checked' "$(cat checked)" ', 0 wrong$'
	words=$((words + $(sed 's/wordcheck: \([0-9]*\) .*/\1/' checked)))
	assert_ge 'refaults' "$(awk '$1 == "refaults" { print $2 }' stat)" 1
	assert_ge 'mappings' "$(awk '$1 == "mappings" { print $2 }' stat)" 1
	rm until words

	# Released, but those who were adopted still run: it goes with the last of them.
	tries=0
	until rmmod usm 2>why; do
		assert_match 'why it stays' "$(cat why)" 'in use'
		refused=$((refused + 1)) tries=$((tries + 1))
		[ $tries -lt $((600 * VMTEST_SLOWER)) ] || fail "removing was refused $tries times"
		sleep 0.1
	done
	assert_fails is_loaded
	assert_eq 'traces of the module' "$(traces || :)" ''
	echo "reload $reload: refused $tries times after its domain was released, then gone"
	# Whoever was in a hook, or came from a domain, goes on without.
	before=$(rounds tagged.said)
	[ $((reload % 10)) != 1 ] || wait_for 60 more_rounds tagged.said "$before"
done
: >end
# shellcheck disable=SC2086 # two numbers
wait $churning
for file in untagged.said tagged.said; do
	assert_eq "failures in $file" "$(grep -E '^(FAIL|stress: .* [1-9][0-9]* errors)' $file || :)" ''
	assert_eq "ends in $file" "$(grep -c '^stress: ' $file)" "$(rounds $file)"
	assert_ge "rounds in $file" "$(rounds $file)" 3
done
checks=$(awk '/^stress: / { sum += $2 } END { print sum }' untagged.said tagged.said)
echo "$RELOADS reloads; removing was refused $refused times while something was adopted;" \
	"$words words right in domains, $checks checks in $(cat untagged.said tagged.said |
	grep -c '^stress: ') rounds beside"
assert_ok "$PROGRAMS/leakcheck" compare before
pass
