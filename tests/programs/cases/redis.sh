#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 400
# full-timeout: 1200
#
# redis under random eviction, with an append-only file: every answer and every value in
# the end are compared with a model; what BGSAVE and BGREWRITEAOF write while it goes on is
# read back, and what the append-only file brings back after a restart is the same.
. "${VMTEST:?}/lib.sh"
. "$PROGRAMS/under-eviction.sh"

both 4000 <<'END'
cd /data
cli() { redis-cli -p 7001 "$@"; }
start() {
	redis-server --port 7001 --bind 127.0.0.1 --save '' --appendonly yes \
		--aof-use-rdb-preamble no --auto-aof-rewrite-percentage 0 \
		--enable-debug-command local >>redis.log 2>&1 &
	redis=$!
	until [ "$(cli ping)" = PONG ]; do sleep 0.3; done 2>/dev/null
}
field() { cli info persistence | tr -d '\r' | sed -n "s/^$1://p"; }
idle() {
	until [ "$(field rdb_bgsave_in_progress)$(field aof_rewrite_in_progress)" = 00 ]; do
		sleep 0.5
	done
}
load() { python3 -P /programs/redis-load.py 7001 "$@"; }
stop() { cli shutdown nosave 2>/dev/null || :; wait $redis || :; }

start
cli debug populate 30000 filler 200
load 1 1500
before=$(cli debug digest)
echo "before BGSAVE $before"
# Microseconds a key: so long that what is written meanwhile has to be copied.
cli config set rdb-key-save-delay 50
cli bgsave >/dev/null
load 2 1000
idle
field rdb_last_bgsave_status
redis-check-rdb dump.rdb | grep -v '^\[offset\|^\[additional info\|ctime\|used-mem'
cli config set rdb-key-save-delay 0
cli bgrewriteaof >/dev/null
load 3 500 check
idle
field aof_last_bgrewrite_status
after=$(cli debug digest)
echo "after $after"
stop

# From the append-only file.
start
[ "$(cli debug digest)" = "$after" ]
load 4 200 check
stop

# What BGSAVE wrote is what was there when it began.
rm -r appendonlydir
redis-server --port 7001 --bind 127.0.0.1 --save '' --enable-debug-command local >>redis.log 2>&1 &
redis=$!
until [ "$(cli ping 2>/dev/null)" = PONG ]; do sleep 0.3; done
[ "$(cli debug digest)" = "$before" ]
echo "restored $(cli dbsize)"
stop
END
pass
