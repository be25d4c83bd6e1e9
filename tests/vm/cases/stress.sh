#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 600
#
# Adopted memory behaves as anonymous memory: the stress program finds no error, at
# fault orders 0, 4 and 9, dynamic, static and of 32 bits, and not one frame is
# missing afterwards. Also the start of an old static program, and what an order
# saves in faults.
. "${VMTEST:?}/lib.sh"

# Direct I/O needs a disk below it; the case's own directory is in memory.
disk=$(mktemp -d /var/tmp/stress.XXXXXX)
trap 'rm -rf "$disk"' EXIT
cgroup=$(cgroup_make stress)

# run ORDER COMMAND... - under a raw instance; what it counted is in the file `stat`
run() {
	_order=$1
	shift
	"$PROGRAMS/miniinst" --cgroup "$cgroup" --ceiling-mib 768 --order "$_order" --leakcheck \
		-- "$@" >said 2>stat && return
	_status=$?
	cat said stat >&2
	fail "exit $_status at order $_order: $*"
}
number() { awk -v name="$1" '$1 == name { print $2 }' stat; }

stress() {
	run "$1" "$PROGRAMS/stress.$2" --dir "$disk"
	assert_match 'the last line' "$(tail -n 1 said)" '^stress: [1-9][0-9]{6,} checks, 0 errors$'
	# It was adopted memory that was under stress, and an instance that served it.
	assert_ge 'adopted mappings' "$(number mappings)" 500
	assert_ge 'pages copied on write' "$(number cow_copied)" 1000
	assert_ge 'frames supplied' "$(number supplied)" 50000
	assert_eq 'direct I/O that was skipped' "$(grep -c '^skip direct' said)" 0
	assert_eq 'core dumps that were skipped' "$(grep -c '^skip core' said)" 0
	for count in broken sigbus oom_kills; do
		assert_eq "$count" "$(number $count)" 0
	done
	grep '^skip' said || :
}

"$PROGRAMS/leakcheck" save before
stress 0 dynamic
stress 9 static
stress 4 32

for order in 0 4 9; do
	run $order "$PROGRAMS/faultcount" --pages 16384
	faults=$(sed 's/.*pages, \([0-9]*\) faults/\1/' said)
	assert_le "faults of 16384 pages at order $order" "$faults" $(((16384 >> order) + 64))
	run $order "$PROGRAMS/brkprobe"
	run $order "$PROGRAMS/brkprobe.32"
done
assert_ok "$PROGRAMS/leakcheck" compare before
pass
