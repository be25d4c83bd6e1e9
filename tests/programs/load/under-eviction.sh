# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# What the cases of check-programs share: a program in a container of its own on stock
# memory, the same under a policy that evicts its pages at random all the time, and that
# both say the same. A case sources lib.sh first, then this from $PROGRAMS.

# Evicted a second of what is resident at that time, per cent: what a case must reach and
# what the policy is told, which loses some of it to pages that are in use. With FULL=1 all
# that a guest of two CPUs can bear, or nearly.
LEAST_PERCENT=10
PERCENT=${VMTEST_FULL:+40}
PERCENT=${PERCENT:-14}

# work_make ID OPTION... <SCRIPT - a container that runs SCRIPT as /data/work; its files
# come from $PROGRAMS and go to /data. What the script prints is its result.
work_make() {
	_work=$(cat)
	_id=$1
	shift
	container_make "$_id" --memory 768M --env LC_ALL=C.UTF-8 "$@" >/dev/null
	printf '%s\n' 'set -eu' "$_work" >"$VMTEST_TMP/$_id/data/work"
}

# The counters that count, as they are now.
sample() {
	# shellcheck disable=SC2046 # words
	set -- $(usm_show managed .stat.frames_mapped .stat.evictions .stat.refaults \
		.stat.evicted .resident_other_kib)
	at=$(uptime_cs)
	mapped=$1 evictions=$2 refaults=$3 evicted=$4 other=$5
}

# watch_until FILE - until it is there; resident pages times hundredths of a second are in
# $page_cs, the most of each kind in $most_* and the rest of what was counted in $evictions
# and $refaults.
watch_until() {
	sample
	_evictions=$evictions _refaults=$refaults began=$at
	page_cs=0 most_mapped=0 most_evicted=0 most_other=0
	until [ -e "$1" ]; do
		was=$at were=$mapped
		sleep 1
		sample
		page_cs=$((page_cs + (were + mapped) * (at - was) / 2))
		[ "$mapped" -le "$most_mapped" ] || most_mapped=$mapped most_other=$other
		[ "$evicted" -le "$most_evicted" ] || most_evicted=$evicted
		# What ends without a word must not wait for its case's end.
		crun list -q | grep -qx managed || fail "it ended before its end: $(tail managed/log)"
	done
	evictions=$((evictions - _evictions)) refaults=$((refaults - _refaults))
}

# both PAGES [OPTION]... <SCRIPT - run it twice and compare. PAGES of the program at least
# must be the policy's at one time, resident or evicted.
both() {
	_pages=$1
	shift
	cat >script
	install -m 644 "$PROGRAMS/random.so" /usr/lib/usm/policies/random.so
	wait_for 30 usm_ready

	_began=$(uptime_cs)
	work_make stock "$@" -- sh /data/work <script
	container_run stock >stock.result 2>stock.log ||
		fail "exit $? on stock memory: $(tail stock.result stock.log)"
	echo "on stock memory: $((($(uptime_cs) - _began) / 100)) s"
	[ -s stock.result ] || fail "no result on stock memory: $(tail stock.log)"

	_began=$(uptime_cs)
	# One that ends is not asked any more: so it waits until it was.
	work_make managed "$@" --annotation usm.policy.required=true --annotation \
		"usm.policy={\"policy\":\"random\",\"memory\":\"512M\",\"fault\":{\"order\":4},
		 \"deadline\":10000,\"store\":{\"quota\":\"384M\"},
		 \"parameters\":{\"percent\":$PERCENT}}" \
		-- sh -c 'until [ -e /data/go ]; do sleep 0.1; done
			sh /data/work >/data/result 2>/data/log; echo $? >/data/status
			mv /data/status /data/done
			until [ -e /data/end ]; do sleep 0.1; done' <script
	container_start "$VMTEST_TMP/managed" || fail 'it did not start'
	wait_for 30 usm_is managed .state armed
	: >managed/data/go
	watch_until managed/data/done
	for _name in corrupt sigbus broken oom_kills fallbacks; do
		assert_eq "$_name" "$(usm_count managed $_name)" 0
	done
	: >managed/data/end

	# One that was killed says it here.
	assert_eq "exit ($(tail managed/data/result managed/data/log))" "$(cat managed/data/done)" 0
	percent=$((evictions * 10000 / (page_cs + 1)))
	echo "under eviction: $(((at - began) / 100)) s, $evictions evictions, $refaults refaults," \
		"$percent % of the resident pages a second; at most $most_mapped pages resident" \
		"($most_other KiB besides) and $most_evicted evicted"
	cmp stock.result managed/data/result || {
		diff stock.result managed/data/result | head -n 20
		fail 'the results differ'
	}
	assert_ge 'evicted a second, per cent of what is resident' "$percent" "$LEAST_PERCENT"
	assert_ge refaults "$refaults" $((evictions / 50 + 1))
	assert_ge 'pages of the policy' $((most_mapped + most_evicted)) "$_pages"
	container_delete managed
	wait_for 20 usm_ended managed
}
