#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 300
# kmsg-allow: oom-kill|Memory cgroup out of memory|invoked oom-killer|Call Trace|Out of memory
#
# Limits reached by frames, page cache and forks, and a host that runs short: no
# wrong byte, nobody outside the container hurt, and the journal says what happened.
. "${VMTEST:?}/lib.sh"

wait_for 30 usm_ready
# A witness beside them: its memory must be whole at the end.
container_start "$(container_make witness --memory 128M \
	--annotation usm.policy=firstfit -- /programs/fillmem --mib 32)"
wait_for 10 usm_is witness .state armed

events() { awk -v key="$2" '$1 == key { print $2 }' "$(container_cgroup "$1")/memory.events"; }
domain_kernel_log() { dmesg | grep -c "usm: .*$1.*: all .* frames are in use: killing"; }

# held NAME SIZE ANNOTATION - a container that only waits, to run programs in
held() {
	name=$1 size=$2
	shift 2
	container_start "$(container_make "$name" --memory "$size" \
		--annotation usm.policy.required=true --annotation "usm.policy=$1" -- sleep 3600)"
}
in_container() {
	name=$1
	shift
	crun exec "$name" "$@" </dev/null
}

# The ceiling below the limit: the largest process is killed, and no other.
held ceiling 256M 'firstfit memory=64M'
assert_match 'at the ceiling' "$(in_container ceiling /programs/oomcheck --mib 160 2>&1)" \
	'ended by signal 9'
assert_ge 'OOM kills' "$(usm_show ceiling .stat.oom_kills)" 1
assert_eq 'OOM kills of the cgroup' "$(events ceiling oom_kill)" 0
assert_ge 'said in the kernel log' "$(domain_kernel_log ceiling)" 1
wait_for 10 sh -c "journalctl -q -o cat USM_CONTAINER=ceiling | grep -qi 'kill'"
# ... and what it had serves the next.
assert_ok in_container ceiling /programs/fillmem --mib 40 --no-wait >/dev/null
container_delete ceiling

# No ceiling of its own: the container's OOM killer, at memory.max.
held frames 128M 'firstfit memory=128M reserve=0'
assert_match 'at memory.max' "$(in_container frames /programs/oomcheck --mib 300 2>&1)" \
	'ended by signal 9'
assert_ge 'kills' "$(($(events frames oom_kill) + $(usm_show frames .stat.oom_kills)))" 1
assert_ok in_container frames /programs/fillmem --mib 64 --no-wait >/dev/null

# Page cache fills what frames leave, and gives way. Not in the container's /data,
# which is memory.
assert_match 'page cache' "$(cgroup_run "$(container_cgroup frames)" "$PROGRAMS/cachefill" \
	--mib 150 --rounds 1 --file /var/tmp/cachefill)" ', 0 wrong$'
assert_ok in_container frames /programs/fillmem --mib 80 --no-wait >/dev/null
container_delete frames

# Forks that copy beyond the limit.
held forks 128M firstfit
in_container forks timeout 60 /programs/forkload --mib 24 --write-mib 12 --forks 16 --at-once 6 \
	--allow-kills >forks.out 2>&1 || fail "forkload: $(cat forks.out)"
assert_match 'forks' "$(tail -n 1 forks.out)" ', 0 wrong$'
container_delete forks

# Free frames go back when the cgroup is asked for memory.
held idle 256M 'firstfit memory=128M'
assert_ok in_container idle /programs/fillmem --mib 80 --no-wait >/dev/null
cgroup=$(container_cgroup idle)
before=$(cat "$cgroup/memory.current")
echo 64M >"$cgroup/memory.reclaim" || :
assert_le 'memory after memory.reclaim' "$(cat "$cgroup/memory.current")" $((before - (32 << 20)))
assert_ge 'frames given back' "$(usm_show idle .stat.shrunk)" 8192
container_delete idle

# The host short of memory: more than it has, in a container that may. Half of it is
# taken first, in one go.
trap 'echo 0 >/proc/sys/vm/nr_hugepages' EXIT
awk '$1 == "MemFree:" { print int($2 / 2 / 2048) }' /proc/meminfo >/proc/sys/vm/nr_hugepages
held host 4G 'firstfit memory=3G'
assert_match 'a short host' "$(in_container host /programs/oomcheck --mib 3000 2>&1)" \
	'ended by signal 9'
container_delete host

# Nobody else was hurt, and what the witness wrote is there.
assert_eq 'the witness' "$(crun state witness | "$PROGRAMS/member" .status)" running
pid=$(container_pid witness)
assert_ok kill -TERM "$pid"
wait_for 30 gone "$pid"
assert_match 'the witness' "$(cat "$VMTEST_TMP/witness/log")" 'verified|ok|ready'
assert_eq 'kills in the witness' "$(events witness oom_kill)" 0
assert_eq 'usmd' "$(systemctl is-active usmd.service)" active
pass
