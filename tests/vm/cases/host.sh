#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 240
# kmsg-allow: oom-kill|Out of memory|invoked oom-killer|Call Trace|sysrq
#
# What a host does to containers while one under a policy is busy: its cgroup is frozen, all
# are for the host's sleep, both with faults that wait for an instance that is stopped; memory.high
# comes down on it; the OOM killer passes the instance by, and is sent to it; the cgroup
# goes. The program goes on, and finds no wrong byte.
. "${VMTEST:?}/lib.sh"

SCENARIOS=patterns,first-touch,heap,thread-storm,fork-tree,fork-both,dontneed,munmap,map-churn,\
mremap-grow,direct

count() { usm_count load "$1"; }
count_above() { [ "$(count "$1")" -gt "$2" ]; }
instance() { usm_show load .instance_pid; }
instance_other_than() { pid=$(instance) && [ "$pid" -gt 0 ] && [ "$pid" != "$1" ]; }
is_armed() { usm_is load .state armed; }
events() { awk -v key="$1" '$1 == key { print $2 }' "$cgroup/memory.events"; }
event_above() { [ "$(events "$1")" -gt "$2" ]; }
frozen() { grep -q "^frozen $1\$" "$cgroup/cgroup.events"; }
goes_on() { wait_for 30 count_above faults $(($(count faults) + 200)); }

# A stop that lasts is the watchdog's, which the case kill is about.
trap '[ ! -e "$CGROUPS/load" ] || echo 0 >"$CGROUPS/load/cgroup.freeze"; systemctl service-watchdogs yes' EXIT
systemctl service-watchdogs no
wait_for 30 usm_ready
container_start "$(stress_make load dynamic 4 'deadline=3000' --only "$SCENARIOS" --seconds 1000)"
stress_go load
loader=$(container_pid load)
cgroup=$(container_cgroup load)
wait_for 20 is_armed
wait_for 20 count_above faults 500

# stopped - the instance is stopped, and faults wait for it
stopped() {
	instance=$(instance)
	waits=$(count waits)
	kill -STOP "$instance"
	wait_for 20 count_above waits "$waits"
}
# resumed - as before, whether it missed the deadline meanwhile or not
resumed() {
	kill -CONT "$instance"
	wait_for 20 is_armed
	assert_eq 'the instance' "$(instance)" "$instance"
	goes_on
}

# ------------------------------------------------------------------- cgroup freezer
echo 1 >"$cgroup/cgroup.freeze"
wait_for 10 frozen 1
faults=$(count faults)
sleep 0.5
assert_eq 'faults while it is frozen' "$(count faults)" "$faults"
assert_eq 'state while it is frozen' "$(usm_show load .state)" armed
echo 0 >"$cgroup/cgroup.freeze"
wait_for 10 frozen 0
goes_on

# A fault that waits is frozen when its wait is over, at the deadline: not for ever, and
# nobody waits for it.
stopped
echo 1 >"$cgroup/cgroup.freeze"
wait_for 10 frozen 1
echo 0 >"$cgroup/cgroup.freeze"
wait_for 10 frozen 0
resumed

# ------------------------------------------------------------------------- sleep
# As far as this guest gets, which no alarm wakes: all tasks are frozen, and stay so until a
# device refuses after two seconds. One that cannot be frozen is said so, and nobody waits.
assert_ok insmod "/usr/lib/vmtest/kmod/$(uname -r)/nosleep.ko"
slept() { cat /sys/module/nosleep/parameters/refused; }
sleep_once() {
	before=$(slept)
	! echo freeze >/sys/power/state 2>/dev/null || fail 'it slept'
	assert_eq 'times that all were frozen' "$(slept)" $((before + 1))
}
sleep_once
goes_on
# Whom a fault waits for does not keep the host awake.
stopped
sleep_once
resumed
assert_ok rmmod nosleep
assert_eq 'tasks that refused to freeze' "$(dmesg | grep -c 'refusing to freeze' || :)" 0

# --------------------------------------------------------------------- memory.high
# Growth ends there, and what is free goes back; what the container uses beyond slows it down,
# as any other, and kills nobody.
limits=$(count limits)
high=$(events high)
echo $(($(cat "$cgroup/memory.current") - (8 << 20))) >"$cgroup/memory.high"
# The load may get by with what it has: so something else of it grows.
cgroup_run "$cgroup" dd if=/dev/zero of="$VMTEST_TMP/cache" bs=1M count=16 2>/dev/null &
filler=$!
wait_for 30 event_above high "$high"
faults=$(count faults)
wait_for 30 count_above faults $((faults + 20))
echo "memory.high: $(events high) events, $(count limits) limits ($limits before)"
echo max >"$cgroup/memory.high"
assert_ok wait $filler
rm "$VMTEST_TMP/cache"
goes_on
assert_eq 'OOM kills of the container' "$(events oom_kill)" 0

# ----------------------------------------------------------------------- OOM killer
# It goes for whom it likes most, and cannot have the instance.
kills() { awk '$1 == "oom_kill" { print $2 }' /proc/vmstat; }
killed_more_than() { [ "$(kills)" -gt "$1" ]; }
instance=$(instance)
assert_eq 'the OOM score of the instance' "$(cat "/proc/$instance/oom_score")" 0
sh -c 'echo 1000 >/proc/self/oom_score_adj; exec "$1" --mib 64' sh "$PROGRAMS/fillmem" >filled &
victim=$!
wait_for 10 grep -q ready filled
before=$(kills)
echo f >/proc/sysrq-trigger
wait_for 10 killed_more_than "$before"
! wait $victim || fail 'the OOM killer spared its victim'
assert_eq 'the instance' "$(instance)" "$instance"
assert_eq 'state' "$(usm_show load .state)" armed

# And where it has it after all, that is one more death of an instance.
fallbacks=$(count fallbacks)
echo 1000 >"/proc/$instance/oom_score_adj"
before=$(kills)
echo f >/proc/sysrq-trigger
wait_for 10 killed_more_than "$before"
wait_for 30 instance_other_than "$instance"
wait_for 20 is_armed
assert_eq 'fallbacks' "$(count fallbacks)" $((fallbacks + 1))
goes_on

# ------------------------------------------------------------- the end, and its cgroup
kill -TERM "$loader"
wait_for 60 gone "$loader"
stress_verify load/log
assert_eq 'wrong contents' "$(count corrupt)" 0
domain=$(stat -c %i "$cgroup")
container_delete load
wait_for 20 usm_ended load
[ ! -e "$cgroup" ] || fail "$cgroup is still there"
wait_for 20 sh -c "dmesg | grep -q 'domain $domain .*: ended'"
pass
