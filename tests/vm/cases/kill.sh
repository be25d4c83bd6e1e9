#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 300
#
# Instance and usmd are killed, stopped and restarted while the stress program
# faults in a container: it finds no error, a stopped instance costs it one deadline
# and hides its processes from nobody, and each time the policy is back by itself.
. "${VMTEST:?}/lib.sh"

# Those that fault most, alone and with threads, forks, exec, I/O and the kernel's hand.
SCENARIOS=patterns,first-touch,heap,thread-storm,recursion,fork-tree,fork-both,exec,dontneed,\
dontneed-race,munmap,map-churn,map-fresh,mremap-grow,mremap-realloc,direct,pipe-fresh,process-vm
# Long enough to look at the processes while they wait.
DEADLINE=4000

# journal MESSAGE_ID [MATCH]... - how often it was told of the container
journal() {
	_message_id=$1
	shift
	journalctl -q -o cat "MESSAGE_ID=$_message_id" USM_CONTAINER=load "$@" \
		--output-fields=MESSAGE | wc -l
}
# Of usmd, and of the instance.
STARTED=3cf00ad6757e483980c85f4aa04e3db7
ARMED=adf16c11830b4453bd72bd4ea2f21b59
LOST=bad0ca284ced4c8b8c1f25c0d0a8d2a8
FALLBACK=e3dfd29e6f4242b3b272115548ee8b01
DEADLINE_MISSED=cc281df0d8ca410a8cf41ac9f87ad457
DAEMON_LOST=20134090336f4424af2d81aee3d8374b

# told MESSAGE_ID TIMES - a condition for wait_for
told() { [ "$(journal "$1")" -ge "$2" ]; }
count() { usm_count load "$1"; }
count_above() { [ "$(count "$1")" -gt "$2" ]; }
instance() { usm_show load .instance_pid; }
instance_other_than() { pid=$(instance) && [ "$pid" -gt 0 ] && [ "$pid" != "$1" ]; }
is_armed() { usm_is load .state armed; }
usmd_pid() { systemctl show -P MainPID usmd.service; }
usmd_other_than() { pid=$(usmd_pid) && [ "$pid" != 0 ] && [ "$pid" != "$1" ]; }
# Without usmd only the processes can be asked whether they go on.
minor_faults() { sed 's/.*) //' "/proc/$loader/stat" | cut -d' ' -f9; }
faulted_since() { [ "$(minor_faults)" -gt $(($1 + 2000)) ]; }

# answers COMMAND... - within a second more than it takes when nothing is stopped: that
# a busy machine is slow is not what is asked
usual=2000
answers() {
	_start=$(uptime_cs)
	timeout 30 "$@" >answer || return
	_took=$((($(uptime_cs) - _start) * 10))
	assert_le "ms that it took: $*" $_took $((usual + 1000))
	[ -n "${stopped:-}" ] || [ "$_took" -le "${slowest:-0}" ] || slowest=$_took
}

# All processes of the container; one may end meanwhile.
look_at_all() {
	chrt -f -p 1 $$
	answers ps -eo pid,stat,rss,vsz,args
	assert_match 'ps' "$(cat answer)" '/programs/stress\.dynamic'
	while read -r pid; do
		answers cat "/proc/$pid/smaps" 2>/dev/null || gone "$pid" ||
			fail "cannot read the smaps of $pid"
	done <"$(container_cgroup load)/cgroup.procs"
	chrt -o -p 0 $$
}

# The watchdog of systemd, which has its turn below, is not to end the stop before that.
# The unit has 10 s.
drop_in=/run/systemd/system/usm-instance@.service.d
trap 'rm -rf "$drop_in"; systemctl service-watchdogs yes; systemctl daemon-reload' EXIT
mkdir "$drop_in"
printf '[Service]\nWatchdogSec=3\n' >"$drop_in/vmtest.conf"
systemctl daemon-reload
systemctl service-watchdogs no

wait_for 30 usm_ready
container_start "$(stress_make load dynamic 4 "deadline=$DEADLINE" --only "$SCENARIOS" \
	--seconds 1000)"
stress_go load
loader=$(container_pid load)
# It would take all CPUs from what asks and answers here.
echo 10 >"$(container_cgroup load)/cpu.weight"
echo 30000 100000 >"$(container_cgroup load)/cpu.max"
wait_for 20 is_armed
wait_for 20 count_above faults 100
assert_eq 'fallbacks at first' "$(count fallbacks)" 0

look_at_all
usual=$slowest stopped=yes

# ------------------------------------------------------------------ instance killed
# killed TIMES - once more
killed() {
	old=$(instance)
	fallbacks=$(count fallbacks)
	kill -9 "$old"
	wait_for 20 instance_other_than "$old"
	wait_for 20 is_armed
	assert_eq 'fallbacks' "$(count fallbacks)" $((fallbacks + 1))
	assert_eq 'restarts' "$(usm_show load .instance_restarts)" "$1"
}
killed 1
killed 2
assert_eq 'deadlines' "$(count deadlines)" 0
wait_for 5 told $LOST 2
wait_for 5 told $STARTED 3
wait_for 5 told $ARMED 3
wait_for 5 told $FALLBACK 2

# -------------------------------------------------------------------- stopped, once
waits=$(count waits)
old=$(instance)
kill -STOP "$old"
wait_for 20 count_above waits "$waits"
assert_eq 'state while a fault waits' "$(usm_show load .state)" armed
look_at_all
assert_eq 'deadlines while it was looked at' "$(count deadlines)" 0

# One deadline, and from then on the module serves: nobody waits any more.
wait_for 20 usm_is load .state fallback
served=$(count fallback_pages)
wait_for 20 count_above fallback_pages $((served + 5000))
look_at_all
assert_eq 'deadlines' "$(count deadlines)" 1
assert_eq 'fallbacks' "$(count fallbacks)" 3
assert_match 'reason' "$(usm_show load .fallback_reason)" deadline
assert_match 'show' "$(usmctl show load)" 'fallbacks +3$'
wait_for 5 told $DEADLINE_MISSED 1
kill -CONT "$old"
wait_for 20 is_armed
assert_eq 'instance' "$(instance)" "$old"

# ----------------------------------------- stopped for good: the watchdog replaces it
systemctl service-watchdogs yes
killed 3
old=$(instance)
kill -STOP "$old"
wait_for 60 instance_other_than "$old"
wait_for 20 is_armed
assert_le 'deadlines' "$(count deadlines)" 2
wait_for 10 told $LOST 4

# -------------------------------------------------------------------- usmd killed
serving=$(instance)
fallbacks=$(count fallbacks)
old=$(usmd_pid)
kill -9 "$old"
wait_for 20 usmd_other_than "$old"
wait_for 20 usm_ready
wait_for 20 usm_is load .instance_connected true
assert_eq 'instance' "$(instance)" "$serving"
assert_eq 'fallbacks' "$(count fallbacks)" "$fallbacks"

# ------------------------------------------------------- usmd stopped and started
before=$(count faults)
systemctl stop usmd.service
faults=$(minor_faults)
wait_for 20 faulted_since "$faults"
systemctl start usmd.service
wait_for 20 usm_ready
wait_for 20 usm_is load .instance_connected true
assert_eq 'instance' "$(instance)" "$serving"
assert_ge 'faults' "$(count faults)" $((before + 100))
assert_eq 'fallbacks' "$(count fallbacks)" "$fallbacks"
wait_for 5 told $DAEMON_LOST 2

# ------------------------------------------- both: the instance waits for its usmd
systemctl stop usmd.service
kill -9 "$serving"
faults=$(minor_faults)
wait_for 20 faulted_since "$faults"
systemctl start usmd.service
wait_for 20 usm_ready
wait_for 30 instance_other_than "$serving"
wait_for 20 is_armed
assert_eq 'fallbacks' "$(count fallbacks)" $((fallbacks + 1))
assert_match 'status' "$(usmctl status)" "^load .* $((fallbacks + 1))( |\$)"

# ------------------------------------------------------------------ not a byte wrong
kill -TERM "$loader"
wait_for 60 gone "$loader"
stress_verify load/log
container_delete load
wait_for 20 usm_ended load
pass
