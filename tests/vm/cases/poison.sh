#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 60
# kmsg-allow: Memory failure|Injecting memory failure|has bad memory and is given up|hwpoison
#
# Memory that went bad is lost to who has it and to the children, and to nobody else.
. "${VMTEST:?}/lib.sh"

cgroup=$(cgroup_make poison)
"$PROGRAMS/miniinst" --cgroup "$cgroup" --ceiling-mib 64 --order 4 --deadline-ms 10000 -- \
	"$PROGRAMS/poison" >said 2>stat || {
	status=$?
	[ $status != 3 ] || skip 'this kernel handles no memory errors'
	fail "exit $status: $(cat said stat)"
}
cat said
assert_match 'the last line' "$(tail -n 1 said)" '^poison: [1-9][0-9]{1,} checks, 0 wrong$'
pass
