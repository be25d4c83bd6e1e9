#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# icount: yes
# timeout: 120
#
# What a page costs, in guest instructions: without USM, and under firstfit with
# the fault orders 0, 4 and 9.
. "${VMTEST:?}/lib.sh"

wait_for 30 usm_ready

bench() {
	assert_ok container_run "$1" >"$1/result"
	container_delete "$(basename "$1")" 2>/dev/null || :
}

bench "$(container_make stock --memory 256M -- /programs/bench-memory)"
for order in 0 4 9; do
	bench "$(container_make "order$order" --memory 256M --annotation usm.policy.required=true \
		--annotation "usm.policy={\"policy\":\"firstfit\",\"memory\":\"128M\",\"fault\":{\"order\":$order}}" \
		-- /programs/bench-memory)"
done

echo
echo "Instructions a page (a call for mmap+munmap): the program's own, and all on one CPU"
printf '  %-16s%18s%18s%18s%18s\n' '' stock 'order 0' 'order 4' 'order 9'
for row in first-touch dontneed fork copy-on-write mmap+munmap; do
	printf '  %-16s' "$row"
	for column in stock order0 order4 order9; do
		printf '%18s' "$(awk -v row="$row" '$1 == row { print $2 " / " $3 }' "$VMTEST_TMP/$column/result")"
	done
	echo
done
pass
