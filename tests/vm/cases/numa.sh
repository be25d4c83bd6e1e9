#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 90
#
# On a host with two nodes frames come from the one that was asked for, or from those that
# the container's cpuset allows; where that one has nothing left the policy is told, and the
# programs go on with what there is.
. "${VMTEST:?}/lib.sh"

echo +cpuset >/sys/fs/cgroup/cgroup.subtree_control
cgroup=$(cgroup_make numa)
echo +cpuset >"$CGROUPS/cgroup.subtree_control"
number() { awk -v name="$1" '$1 == name { print $2 }' stat; }
on_node() { sed -n "${2:-1}s/.*[ ,]\([0-9]*\)\( pages\)* on node $1.*/\1/p" said; }

# run OPTION... -- COMMAND... - under a raw instance
run() {
	"$PROGRAMS/miniinst" --cgroup "$cgroup" --ceiling-mib 128 --order 4 --grow-mib 4 --leakcheck \
		--deadline-ms 10000 "$@" >said 2>stat || fail "exit $?: $(cat said stat)"
	echo "$*: $(cat said)"
}

# Somebody lives there, so that a bind finds whose cpuset it is.
cgroup_spawn "$cgroup" sleep 600
# shellcheck disable=SC2154
sleeper=$spawned
wait_for 10 grep -q nanosleep "/proc/$sleeper/wchan"
FIRST=512	# what a bind takes, before anybody is asked

for node in 0 1; do
	run --node $node -- "$PROGRAMS/nodeof" --mib 24
	assert_ge "pages on node $node, asked for" "$(on_node $node)" $((24 * 256 - FIRST))
done

# Which nodes may be used is the container's, not the worker's that allocates.
for node in 0 1; do
	echo $node >"$cgroup/cpuset.mems"
	wait_for 5 grep -q "^Mems_allowed_list:.$node\$" "/proc/$sleeper/status"
	run -- "$PROGRAMS/nodeof" --mib 24
	assert_eq "pages on node $node, the only one allowed" "$(on_node $node)" $((24 * 256))
	# In fallback nobody asks for anything.
	run --no-arm -- "$PROGRAMS/nodeof" --mib 8
	assert_eq "pages on node $node in fallback" "$(on_node $node)" $((8 * 256))
done

# The other node is asked for, and is not the container's.
run --node 0 -- "$PROGRAMS/nodeof" --mib 8
assert_ge 'growth that was refused' "$(number limits)" 1
assert_eq 'pages on node 1, the only one allowed' "$(on_node 1)" $((8 * 256))

# It is changed under way: what is free of the old node goes back, new memory is of the new.
run -- "$PROGRAMS/nodeof" --mib 16 --then "$PWD/changed" &
runner=$!
wait_for 20 grep -q nodeof: said
echo 0 >"$cgroup/cpuset.mems"
wait_for 5 grep -q '^Mems_allowed_list:.0$' "/proc/$sleeper/status"
# What a growth found out is good for a second.
sleep 1.5
: >changed
wait $runner || fail "exit $?: $(cat said stat)"
assert_eq 'pages on node 1 before' "$(on_node 1 1)" $((16 * 256))
# What was free or supplied until the next growth: a step of it and a block.
assert_ge 'pages on node 0 afterwards' "$(on_node 0 2)" $(((16 - 6) * 256))

# A node that is full. What is left of it when it cannot give one huge page more goes on in
# smaller pieces, and for what is missing then the other node serves.
echo 0-1 >"$cgroup/cpuset.mems"
huge=/sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages
trap 'echo 0 >$huge' EXIT
echo 1000 >$huge
echo "huge pages of node 1: $(cat $huge)"
run --node 1 -- "$PROGRAMS/nodeof" --mib 100
assert_ge 'times that growth found nothing' "$(number limits)" 1
assert_ge 'pages on node 0, of a full node 1' "$(on_node 0)" $((20 * 256))
pass
