#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 60
#
# A second MMU (KVM, a GPU) that writes to adopted memory: after a fork it writes to the
# parent's pages only, whichever kind of notifier it has, and whoever came first.
. "${VMTEST:?}/lib.sh"

shadow=/usr/lib/vmtest/kmod/$(uname -r)/shadow.ko
cgroup=$(cgroup_make shadow)
outside=$(cgroup_make outside)

# forks COMMAND... - under a policy
forks() {
	"$PROGRAMS/miniinst" --cgroup "$cgroup" --ceiling-mib 64 --order 4 --leakcheck \
		--deadline-ms 10000 -- "$@" >said 2>stat || fail "exit $?: $(cat said stat)"
	assert_match "$*" "$(cat said)" '^shadowfork: [1-9][0-9]{4,} words, 0 wrong$'
	assert_ge 'pages copied' "$(awk '$1 == "cow_copied" { print $2 }' stat)" 1000
}

for interval in 0 1; do
	assert_ok insmod "$shadow" interval=$interval
	forks "$PROGRAMS/shadowfork"
	# shellcheck disable=SC2016 # the new shell's
	forks sh -c 'echo $$ >"$1/cgroup.procs"; exec "$3" --join "$2"' sh "$outside" "$cgroup" \
		"$PROGRAMS/shadowfork"
	assert_ok rmmod shadow
done
pass
