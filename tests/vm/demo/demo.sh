#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 300
#
# The same redis twice, side by side: in a plain container, and in one that says
# by an annotation that its memory is to be managed by the policy firstfit.
. "${VMTEST:?}/lib.sh"

PLAIN=7001 LABELLED=7002
ANNOTATION='{"policy":"firstfit","memory":"256M","fault":{"order":4}}'

wait_for 30 usm_ready

redis() {
	name=$1 port=$2
	shift 2
	container_start "$(container_make "$name" --memory 512M "$@" -- redis-server --port "$port" \
		--bind 127.0.0.1 --save '' --enable-debug-command local)"
	wait_for 30 redis_up "$port"
}

load() {
	echo "-- redis-benchmark against $1"
	redis-benchmark -p "$2" -t set,get,lpush -n 20000 -r 20000 -d 512 -c 8 -q >/dev/null
	redis-cli -p "$2" bgsave >/dev/null
	wait_for 60 sh -c "redis-cli -p $2 info persistence | grep -q 'rdb_bgsave_in_progress:0'"
}

commands() {
	redis-cli -p "$1" info stats | tr -d '\r' | sed -n 's/^total_commands_processed://p'
}
rss() { awk -v key="$2:" '$1 == key { print $2 }' "/proc/$(container_pid "$1")/status"; }
minor_faults() { sed 's/.*) //' "/proc/$(container_pid "$1")/stat" | cut -d' ' -f8; }
mib() { awk -v kib="$1" 'BEGIN { printf "%.1f MiB", kib / 1024 }'; }
number() { usm_show labelled ".$1"; }
row() { printf '  %-46s%18s%22s\n' "$@"; }

echo "-- a container without annotation, and one with usm.policy=$ANNOTATION"
redis plain $PLAIN
redis labelled $LABELLED --annotation usm.policy.required=true --annotation "usm.policy=$ANNOTATION"
load plain $PLAIN
load labelled $LABELLED

echo
usmctl status
unit=/sys/fs/cgroup$(cut -d: -f3 "/proc/$(number instance_pid)/cgroup")
adopted=$(($(number resident_adopted) * 4))
other=$(number resident_other_kib)
faults=$(number faults)

echo
row 'redis-server of Debian, in a container' 'without USM' 'under firstfit'
row '  commands that it answered' "$(commands $PLAIN)" "$(commands $LABELLED)"
row '  page faults of the server' "$(minor_faults plain)" "$(minor_faults labelled)"
row 'Whose is its anonymous memory?'
row '  served by the kernel' "$(mib "$(rss plain RssAnon)")" "$(mib "$other")"
row '  served by the policy' '-' "$(mib "$adopted")"
row '  the share of the policy' '-' "$((adopted * 100 / (adopted + other))) %"
row 'What did mapping 16 pages at a time save?'
row '  faults that the policy answered' '-' "$faults"
row '  faults that 4 KiB pages would have cost' '-' "$(number fault_pages)"
row '  faults saved' '-' "$(number faults_saved)"
row 'What did it cost?'
row '  memory of the process that hosts the policy' '-' "$(mib $(($(cat "$unit/memory.current") / 1024)))"
row '  its CPU time' '-' "$(awk '$1 == "usage_usec" { printf "%.2f s", $2 / 1e6 }' "$unit/cpu.stat")"
row '  frames held ready and free' '-' "$(mib $(($(number frames_free) * 4)))"
row '  times that the kernel had to help out' '-' "$(number fallbacks)"
echo
pass
