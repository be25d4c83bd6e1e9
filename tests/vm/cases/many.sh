#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 240
# full-timeout: 900
#
# Two hundred domains at once, and a thousand processes in one, with FULL=1 more: nobody
# waits for another's instance, and all that was taken for them is given back.
. "${VMTEST:?}/lib.sh"

wait_for 30 usm_ready
# Who watches cgroups would bind some, and remember things about each.
systemctl stop usmd.service
trap 'systemctl start usmd.service' EXIT
domains=200 spaces=1000
[ -z "$VMTEST_FULL" ] || domains=400 spaces=4000

# What the module's own caches have in use, without what CPUs keep at hand.
objects() {
	for _cache in usm_domain usm_bucket; do
		echo 1 >/sys/kernel/slab/$_cache/shrink
		echo $_cache "$(cut -d' ' -f1 /sys/kernel/slab/$_cache/objects)"
	done
}
# What the cgroups that are gone were charged is their parent's now.
charged() { cat "$1/memory.current"; }

cgroup=$(cgroup_make many)
echo +memory >"$cgroup/cgroup.subtree_control"
objects >objects.before
before=$(charged "$cgroup")
assert_ok timeout 200 "$PROGRAMS/many" domains "$cgroup" $domains >said
cat said
assert_match 'domains' "$(cat said)" "^$domains domains"
given_back() { objects >objects.after && cmp -s objects.before objects.after; }
wait_for 10 given_back
# Less than a page for each domain; a CPU keeps some pages of charge for later.
assert_le 'bytes still charged' "$(charged "$cgroup")" $((before + (1 << 20)))
cat objects.after

cgroup=$(cgroup_make many-spaces)
assert_ok timeout 600 "$PROGRAMS/many" spaces "$cgroup" $spaces >said
cat said
wait_for 10 given_back
assert_le 'bytes still charged' "$(charged "$cgroup")" $((1 << 20))
pass
