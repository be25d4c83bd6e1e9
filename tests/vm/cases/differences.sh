#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 120
#
# What usm(4) says about adopted memory is what is there: all that its tables name is
# tried, on stock memory and on adopted memory, by programs of 64 and of 32 bits.
. "${VMTEST:?}/lib.sh"

# Rows of the page's tables: what, on stock memory, on adopted memory (one outcome: it
# is the same). "A; 6.1: B" is B on 6.1.
page_rows() {
	awk -v "kernel=$(uname -r | cut -d. -f1,2)" '
	function outcome(text,   parts, n, i) {
		n = split(text, parts, "; ")
		for (i = 2; i <= n; i++)
			if (index(parts[i], kernel ": ") == 1)
				return substr(parts[i], length(kernel) + 3)
		return parts[1]
	}
	/^:  / { cell[++cells] = substr($0, 4); next }
	what != "" && cells { print what "\t" outcome(cell[1]) "\t" outcome(cell[cells]) }
	{ what = /^\|  / ? substr($0, 4) : ""; cells = 0 }' "$1"
}

stock=$(cgroup_make stock)
adopted=$(cgroup_make adopted)
for cgroup in "$stock" "$adopted"; do
	echo +memory >"$cgroup/cgroup.subtree_control"
	mkdir "$cgroup/leaf"
done
# Where stock memory goes that is paged out.
dd if=/dev/zero of=swap bs=1M count=16 status=none
chmod 600 swap
mkswap swap >/dev/null
swapon swap

"$PROGRAMS/leakcheck" save before
page_rows "$PROGRAMS/usm.4.scd" | sort >page
assert_ge 'rows of the page' "$(wc -l <page)" 60
for bits in dynamic 32; do
	"$PROGRAMS/miniinst" --cgroup "$adopted" --ceiling-mib 256 --leakcheck \
		--unmanaged-move-self -- "$PROGRAMS/differences.$bits" "$stock" "$adopted" \
		>found 2>stat || fail "exit $? of differences.$bits: $(cat stat found)"
	sort <found >sorted
	diff -U 0 page sorted || fail "what differences.$bits finds is not what usm(4) says"
done
assert_ok "$PROGRAMS/leakcheck" compare before
swapoff swap
pass
