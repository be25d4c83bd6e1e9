#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 120
#
# What an order saves in faults, counted, also where small mappings have one of their own,
# and the start of an old static program, whose first sbrk() nobody checks; not one frame
# is missing afterwards.
. "${VMTEST:?}/lib.sh"

cgroup=$(cgroup_make orders)

small=
# run ORDER COMMAND... - under a raw instance, with options of its in $small; what it
# counted is in the file `stat`
run() {
	_order=$1
	shift
	# shellcheck disable=SC2086 # words are meant
	"$PROGRAMS/miniinst" --cgroup "$cgroup" --ceiling-mib 768 --order "$_order" $small --leakcheck \
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

# 4 pages a fault in mappings below 4 MiB, 512 in larger ones.
small='--small-order 2 --small-pages 1024'
faults_of() { sed 's/.*pages, \([0-9]*\) faults/\1/' said; }
run 9 "$PROGRAMS/faultcount" --pages 512
assert_ge 'faults of 512 pages in a small mapping' "$(faults_of)" 128
assert_le 'faults of 512 pages in a small mapping' "$(faults_of)" 192
run 9 "$PROGRAMS/faultcount" --pages 16384
assert_le 'faults of 16384 pages in a large mapping' "$(faults_of)" 96
assert_ok "$PROGRAMS/leakcheck" compare before
pass
