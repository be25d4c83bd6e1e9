#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 120
# cpus: 2
#
# The module keeps the contract of <linux/usm.h>: every ioctl with each of its
# errors, garbage in the rings, deadlines, the death of an instance; for programs
# of 64 and of 32 bits.
. "${VMTEST:?}/lib.sh"

# Side by side, since both do little but wait; each with a domain of its own.
for bits in '' .32; do
	cgroup=$(cgroup_make "uapi$bits")
	echo +memory >"$cgroup/cgroup.subtree_control"
	"$PROGRAMS/uapitest$bits" "$cgroup" >"said$bits" 2>&1 &
	eval "run${bits#.}=$!"
done
failed=0
# shellcheck disable=SC2154 # set above
for bits in '' .32; do
	eval "wait \$run${bits#.}" || failed=1
	cat "said$bits"
done
assert_eq 'failed' $failed 0
pass
