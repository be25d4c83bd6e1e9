#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 120
# kmsg-allow: Hardware Error|mce: |Memory failure|has bad memory and is given up|hwpoison|Machine check|memory failure error
#
# The kernel hears of memory errors, and tells those who listen: a frame of ours is lost to
# who has it and to the children, whatever is going on with it, and never used again.
. "${VMTEST:?}/lib.sh"

modprobe mce-inject 2>/dev/null || skip 'this kernel decodes no machine checks'
trap 'rmmod mce-inject' EXIT
[ -d /sys/kernel/debug/mce-inject ] || mount -t debugfs debugfs /sys/kernel/debug

cgroup=$(cgroup_make memerror)
number() { awk -v name="$1" '$1 == name { print $2 }' stat; }
said() { sed "s/^memerror: .* \([0-9]*\) $1.*/\1/" said; }

# run EVICT - the program, and how many frames were given up
run() {
	"$PROGRAMS/miniinst" --cgroup "$cgroup" --ceiling-mib 64 --order 4 --evict "$1" --leakcheck \
		--deadline-ms 10000 -- "$PROGRAMS/memerror" >said 2>stat || fail "exit $?: $(cat said stat)"
	cat said
	assert_match 'the last line' "$(tail -n 1 said)" '^memerror: [1-9][0-9]{3,} checks, .* 0 wrong$'
	bad=$(number frames_bad)
	assert_ge 'frames given up' "$bad" $(($(said errors) * 9 / 10))
	assert_le 'frames given up' "$bad" "$(said errors)"
	assert_ge 'SIGBUS' "$(number sigbus)" 5
	assert_eq 'wrong contents' "$(number corrupt)" 0
}

# Where nothing moves each error costs its frame.
run 0
assert_eq 'frames given up' "$bad" "$(said errors)"
run 4000
assert_ge 'evictions' "$(number evictions)" 500
pass
