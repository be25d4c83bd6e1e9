#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 120
#
# What an order saves in faults, counted, and the start of an old static program, whose
# first sbrk() nobody checks; not one frame is missing afterwards.
. "${VMTEST:?}/lib.sh"

cgroup=$(cgroup_make orders)

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

"$PROGRAMS/leakcheck" save before

for order in 0 4 9; do
	run $order "$PROGRAMS/faultcount" --pages 16384
	faults=$(sed 's/.*pages, \([0-9]*\) faults/\1/' said)
	assert_le "faults of 16384 pages at order $order" "$faults" $(((16384 >> order) + 64))
	run $order "$PROGRAMS/brkprobe"
	run $order "$PROGRAMS/brkprobe.32"
done
assert_ok "$PROGRAMS/leakcheck" compare before
pass
