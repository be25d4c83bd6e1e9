#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 240
#
# Debian's redis-server in a container that carries the annotation, and the same
# beside it without. It loses no byte, under load, over a BGSAVE while it writes, and
# over a restart; its memory is the policy's, and the numbers agree with the kernel's.
. "${VMTEST:?}/lib.sh"

PLAIN=7001 MANAGED=7002
COMMANDS=4000

wait_for 30 usm_ready

cli() { redis-cli -p "$@"; }
digest() { cli "$1" debug digest; }
info() { cli "$1" info "$2" | tr -d '\r' | sed -n "s/^$3://p"; }
saved() { [ "$(info "$1" persistence rdb_bgsave_in_progress)" = 0 ]; }

redis_make() {
	name=$1 port=$2
	shift 2
	container_make "$name" --memory 512M "$@" -- redis-server --port "$port" \
		--bind 127.0.0.1 --save '' --enable-debug-command local
}

# redis_begin BUNDLE PORT
redis_begin() {
	container_start "$1"
	wait_for 30 redis_up "$2"
}

# redis_end NAME PORT - without saving, and until nothing of it is left
redis_end() {
	pid=$(container_pid "$1")
	cli "$2" shutdown nosave
	wait_for 10 gone "$pid"
	container_delete "$1"
}

# Keys of all types, grown, shrunk and removed, and the same ones each time.
commands() {
	awk -v commands="$COMMANDS" -v seed="$1" '
	function below(limit) { seed = (seed * 69069 + 1) % 4294967296; return int(seed / 65536) % limit }
	BEGIN {
		for (text = "x"; length(text) < 4096;) text = text text
		for (i = 0; i < commands; i++) {
			key = below(4000); value = i substr(text, 1, below(4000))
			what = below(16)
			if (what < 7) print "SET s" key " " value
			else if (what < 9) print "APPEND s" key " " value
			else if (what < 11) print "HSET h" key % 200 " f" below(200) " " value
			else if (what < 13) print "RPUSH l" key % 100 " " value
			else if (what < 14) print "LPOP l" key % 100
			else if (what < 15) print "ZADD z" key % 50 " " below(1000) " m" below(500)
			else print "DEL s" key
		}
	}'
}

# feed PORT FILE
feed() {
	cli "$1" --pipe <"$2" >"fed.$1"
	assert_match "replies on port $1" "$(cat "fed.$1")" "errors: 0, replies: $COMMANDS\$"
}

benchmark() { redis-benchmark -p "$1" -t set,get,lpush,hset -n 1000 -r 1000 -d 800 -c 8 --csv >benchmark.csv; }

plain=$(redis_make plain $PLAIN)
managed=$(redis_make managed $MANAGED --annotation usm.policy.required=true \
	--annotation 'usm.policy={"policy":"firstfit","memory":"256M","fault":{"order":4}}')
redis_begin "$plain" $PLAIN
redis_begin "$managed" $MANAGED
wait_for 20 usm_is managed .state armed
assert_eq 'late' "$(usm_show managed .late)" false

# ------------------------------------------------------------- side by side, alike
commands 1 >first
feed $PLAIN first &
feeder=$!
feed $MANAGED first
wait $feeder
assert_eq 'digest' "$(digest $MANAGED)" "$(digest $PLAIN)"

# Untouched: none of its memory is ours, and no domain is bound to it.
pssum() { "$PROGRAMS/pssum" "$(container_cgroup "$1")" | awk -v name="$2" '$1 == name { print $2 }'; }
assert_eq 'adopted VMAs of the plain one' "$(pssum plain vmas)" 0
assert_ge 'its memory of the kernel, KiB' "$(pssum plain other_anon_kib)" 8192
assert_eq 'containers' "$(usmctl status --json | jq -c '[.containers[].container]')" '["managed"]'

# -------------------------------------------------------------------- load, BGSAVE
benchmark $MANAGED

# What is saved is what was there at the fork, whatever is written meanwhile. The
# delay, microseconds a key, gives the writer time: pages that it writes are copied.
commands 2 >second
before=$(digest $MANAGED)
copied=$(usm_show managed .stat.cow_copied)
cli $MANAGED config set rdb-key-save-delay 1000 >/dev/null
cli $MANAGED bgsave >/dev/null
feed $MANAGED second
wait_for 60 saved $MANAGED
assert_eq 'BGSAVE' "$(info $MANAGED persistence rdb_last_bgsave_status)" ok
[ "$(digest $MANAGED)" != "$before" ] || fail 'the writes during BGSAVE changed nothing'
assert_ge 'pages copied on write' $(($(usm_show managed .stat.cow_copied) - copied)) 500
assert_eq 'broken forks' "$(usm_show managed .stat.broken)" 0

# ------------------------------------------------------------------------ the books
# Redis and the policy's reserve settle: numbers are compared when they were the
# same before and after.
numbers() { usm_show managed .resident_adopted .resident_other_kib .frames .faults; }
settled() {
	was=$(numbers)
	pss=$(pssum managed pss_kib)
	stat=$(cat "$(container_cgroup managed)/memory.stat")
	if [ "$(numbers)" = "$was" ] && [ "$was" = "$last" ]; then
		return 0
	fi
	last=$was
	return 1
}
last=
wait_for 60 settled
read -r adopted other frames _ <<END
$was
END
assert_eq 'sum of Pss of the adopted VMAs, pages' $((pss / 4)).$((pss % 4)) "$adopted.0"
assert_ge 'adopted, per cent of anonymous memory' \
	$((adopted * 4 * 100 / (adopted * 4 + other))) 90
kernel=$(printf '%s\n' "$stat" | awk '
	$1 == "kernel" { sum += $2 }
	$1 ~ /^(kernel_stack|pagetables|percpu|vmalloc|slab)$/ { sum -= $2 }
	END { print sum }')
assert_close 'memory.stat, kernel beyond the rest, bytes' "$kernel" $((frames * 4096)) 2
assert_ge 'faults saved' "$(usm_show managed .faults_saved)" "$(usm_show managed .faults)"
assert_eq 'fallbacks' "$(usm_show managed .fallbacks)" 0

# -------------------------------------------------------------------------- restart
redis_end managed $MANAGED
redis_end plain $PLAIN
# Both from the one dump: what adopted memory wrote, stock memory has to read.
cp managed/data/dump.rdb plain/data/dump.rdb
redis_begin "$plain" $PLAIN
redis_begin "$managed" $MANAGED
assert_eq 'digest after the restart' "$(digest $MANAGED)" "$before"
assert_eq 'digest of the dump in the plain one' "$(digest $PLAIN)" "$before"
wait_for 20 usm_is managed .state armed
assert_ge 'resident, pages' "$(usm_show managed .resident_adopted)" 2048

# And on from there, alike.
feed $PLAIN first
feed $MANAGED first
assert_eq 'digest' "$(digest $MANAGED)" "$(digest $PLAIN)"
pass
