#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 300
#
# With fault.mode=upcall the policy decides each fault of the stress program, which finds
# no error: not while the instance is killed in the middle of it, nor while it is stopped
# beyond the deadline. A policy that cannot do that is refused with a sentence.
. "${VMTEST:?}/lib.sh"

# Those that fault most, alone and with threads, forks, exec, I/O and the kernel's hand.
SCENARIOS=patterns,first-touch,heap,thread-storm,recursion,fork-tree,fork-both,exec,dontneed,\
dontneed-race,munmap,map-churn,map-fresh,mremap-grow,mremap-realloc,direct,pipe-fresh,process-vm

count() { usm_count load "$1"; }
count_above() { [ "$(count "$1")" -gt "$2" ]; }
instance() { usm_show load .instance_pid; }
instance_other_than() { pid=$(instance) && [ "$pid" -gt 0 ] && [ "$pid" != "$1" ]; }
is_armed() { usm_is load .state armed; }
# asks - again, and is answered: many faults since
asks() {
	wait_for 20 is_armed
	wait_for 30 count_above resolved $(($(count resolved) + 2000))
}

wait_for 30 usm_ready

# ------------------------------------------------------------------ who cannot do it
container_start "$(container_make mute --memory 64M \
	--annotation 'usm.policy=clock memory=16M fault.mode=upcall' -- sleep 3600)"
says() { usm_show mute .instance_message | grep -q "$1"; }
wait_for 30 says 'policy clock has no fault(): it cannot serve with fault.mode=upcall'
container_delete mute

# ------------------------------------------------------------------------- who can
container_start "$(stress_make load dynamic 4 "fault.mode=upcall deadline=2000" \
	--only "$SCENARIOS" --seconds 1000)"
stress_go load
loader=$(container_pid load)
# It would take all CPUs from what asks and answers here.
echo 10 >"$(container_cgroup load)/cpu.weight"
echo 50000 100000 >"$(container_cgroup load)/cpu.max"
asks
assert_match 'show' "$(usmctl show load)" 'fault mode +upcall$'
assert_eq 'frames of the supply rings' "$(count supplied)" 0
assert_eq 'fallbacks at first' "$(count fallbacks)" 0
assert_ge 'frames an answer' $(($(count resolved) / $(count upcalls))) 1

# ------------------------------------------------------------- killed in the middle
for killed in 1 2; do
	old=$(instance)
	kill -9 "$old"
	wait_for 20 instance_other_than "$old"
	asks
	assert_eq 'fallbacks' "$(count fallbacks)" $killed
done
assert_eq 'deadlines' "$(count deadlines)" 0

# --------------------------------------------------------------------- stopped, once
old=$(instance)
kill -STOP "$old"
wait_for 20 usm_is load .state fallback
assert_eq 'deadlines' "$(count deadlines)" 1
served=$(count fallback_pages)
wait_for 20 count_above fallback_pages $((served + 1000))
kill -CONT "$old"
asks
assert_eq 'instance' "$(instance)" "$old"
assert_eq 'deadlines' "$(count deadlines)" 1
assert_eq 'policy: wrong answers' "$(systemctl status "usm-instance@*" |
	grep -c ' [1-9][0-9]* wrong answers')" 0
usm_show load .stat.upcalls .stat.resolved .stat.declined .stat.picked_pages .stat.waits

# ------------------------------------------------------------------ not a byte wrong
kill -TERM "$loader"
wait_for 60 gone "$loader"
stress_verify load/log
container_delete load
wait_for 20 usm_ended load
pass
