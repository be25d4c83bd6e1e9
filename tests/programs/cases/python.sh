#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 400
# full-timeout: 1200
#
# Python's multiprocessing under random eviction: forked processes that count references
# in what they share, write it that way, and send each other what they made.
. "${VMTEST:?}/lib.sh"
. "$PROGRAMS/under-eviction.sh"

both 8000 <<'END'
# Its semaphores are files there.
mkdir -p /dev/shm
PYTHONHASHSEED=1 python3 -P /programs/pool.py
END
pass
