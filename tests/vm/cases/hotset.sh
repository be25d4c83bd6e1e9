#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 180
#
# What is in use stays in memory: a program reads a quarter of its memory again and again
# and writes four times as much as it may have once. With sampling, hardly a page that is
# in use is evicted; without, all are, time after time.
. "${VMTEST:?}/lib.sh"

wait_for 30 usm_ready

# hotset NAME RATE - how often a page in use was away, at this rate of sampling
hotset() {
	_bundle=$(container_make "$1" --memory 64M --annotation usm.policy.required=true \
		--annotation "usm.policy=clock memory=8M fault.order=4 deadline=2000 \
			store.quota=64M parameters.sample=$2" \
		-- sh -c 'until [ -e /data/go ]; do sleep 0.1; done
			/programs/hotset --hot-mib 2 --once-mib 32
			: >/data/done; until [ -e /data/end ]; do sleep 0.1; done')
	container_run "$_bundle" >"$1.said" &
	_run=$!
	wait_for 30 usm_is "$1" .state armed
	: >"$_bundle/data/go"
	wait_for 120 test -e "$_bundle/data/done"
	for _name in evictions refaults sampled sampled_young fallbacks corrupt sigbus; do
		echo "$_name $(usm_count "$1" $_name)"
	done >"$1.stat"
	: >"$_bundle/data/end"
	wait $_run || fail "exit $? of $1: $(cat "$1.said")"
	assert_match 'what it said' "$(cat "$1.said")" \
		'^hotset: [0-9]+ pages had to come back, 0 errors$'
	wait_for 20 usm_ended "$1"
	echo "$1: $(cat "$1.said"); $(tr '\n' ' ' <"$1.stat")"
	for _name in fallbacks corrupt sigbus; do
		assert_eq "$_name of $1" "$(number "$1" $_name)" 0
	done
	# All of the rest of what it wrote does not fit.
	assert_ge "evictions of $1" "$(number "$1" evictions)" 6000
}
number() { awk -v name="$2" '$1 == name { print $2 }' "$1.stat"; }
back() { awk '{ print $2 }' "$1.said"; }

hotset without 0
hotset with 65536
assert_eq 'sampled without' "$(number without sampled)" 0
assert_ge 'sampled with' "$(number with sampled)" 16384
assert_ge 'came back without' "$(back without)" 128
assert_le 'came back with' "$(back with)" $(($(back without) / 4))
pass
