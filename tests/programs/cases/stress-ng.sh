#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 400
# full-timeout: 1200
#
# stress-ng's stressors of memory with --verify under random eviction: each does its number
# of operations and finds no wrong byte. Not the one of brk(), which is refused: usm(4).
. "${VMTEST:?}/lib.sh"
. "$PROGRAMS/under-eviction.sh"

both 6000 <<'END'
cd /tmp
# Times and rates are told besides what it found.
stress() {
	echo "$*"
	stress-ng --verify --no-rand-seed --temp-path /tmp "$@" >/data/said 2>&1 ||
		{ cat /data/said >&2; exit 1; }
	if grep -i fail /data/said | grep -v 'failed: 0' >&2; then
		exit 1
	fi
	grep -o 'unsuccessful.*\|successful run completed' /data/said
}
stress --vm 2 --vm-bytes 24M --vm-method all --vm-ops 60000
stress --vm 1 --vm-bytes 16M --vm-keep --vm-method flip --vm-ops 30000
stress --mmap 1 --mmap-bytes 8M --mmap-ops 10
stress --mremap 1 --mremap-bytes 8M --mremap-ops 10
stress --malloc 2 --malloc-bytes 4M --malloc-max 2000 --malloc-ops 10000
stress --memcpy 1 --memcpy-ops 20
stress --madvise 1 --madvise-ops 10
stress --vm-splice 1 --vm-splice-ops 200
stress --mincore 1 --mincore-ops 300
END
pass
