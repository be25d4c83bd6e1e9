#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 420
# cpus: 1
#
# A container that uses half as much again as it may have in memory: its policy evicts
# to compressed memory. Instances are killed and usmd is away meanwhile; no byte is
# wrong, and at the end nothing of it is left. On one CPU, since most of it is handing
# over from one process to another: two emulated ones wait for each other to be emulated.
. "${VMTEST:?}/lib.sh"

wait_for 30 usm_ready
"$PROGRAMS/leakcheck" save before
# Of this boot, of which other cases may have had their part.
complaints() { journalctl -q -b -o cat | grep -Ec \
	'wrong answer, which|found damaged|page is lost|cannot be used|cannot make a store' || :; }
complained=$(complaints)

# How often it may be killed while it serves.
KILLS=${VMTEST_FULL:+20}
KILLS=${KILLS:-3}

refaults() { usm_count over refaults; }
refaults_reach() { [ "$(refaults)" -ge "$1" ]; }

bundle=$(container_make over --memory 96M --annotation usm.policy.required=true \
	--annotation 'usm.policy=clock memory=40M fault.order=4 deadline=2000 store.quota=64M' \
	-- sh -c 'until [ -e /data/go ]; do sleep 0.1; done
		exec /programs/overfill --mib 60 --until /data/end')
container_run "$bundle" >said &
run=$!
wait_for 30 usm_is over .state armed
# It would take the CPU from what asks and answers here.
echo 10 >"$(container_cgroup over)/cpu.weight"
: >"$bundle/data/go"
wait_for 120 grep -q filled said
assert_ge 'evictions while it was filled' "$(usm_count over evictions)" 4096
wait_for 60 refaults_reach 500

# ------------------------------------------------------------------- what is shown
wait_for 10 usm_reaches over .store.pages 4096
assert_eq 'quota' "$(usm_show over .store.quota)" $((64 << 20))
assert_le 'memory of the store' "$(usm_show over .store.used)" $((48 << 20))
assert_match 'what usmctl says' "$(usmctl show over)" 'compressed +[1-9][0-9.]* to 1'
assert_le 'frames' "$(usm_show over .frames)" 10240

# ------------------------------------------------------- instances killed, usmd away
for i in $(seq "$KILLS"); do
	pid=$(usm_show over .instance_pid) before=$(usm_count over arms)
	[ "$i" != 2 ] || systemctl stop usmd.service
	kill -9 "$pid"
	if [ "$i" = 2 ]; then
		sleep 1
		systemctl start usmd.service
		wait_for 20 usm_ready
	fi
	wait_for 30 usm_reaches over .stat.arms $((before + 1))
	wait_for 60 refaults_reach $(($(refaults) + 200))
done

# ------------------------------------------------------------------------- the end
for name in evictions refaults corrupt sigbus oom_kills broken fallbacks; do
	echo "$name $(usm_count over $name)"
done >counts
: >"$bundle/data/end"
wait $run || fail "exit $? of overfill: $(tail said)"
assert_match 'the last line' "$(tail -n 1 said)" '^overfill: [1-9][0-9]{4,} checks, 0 errors$'
echo "$(tail -n 1 said); $(tr '\n' ' ' <counts)"
number() { awk -v name="$1" '$1 == name { print $2 }' counts; }
assert_ge evictions "$(number evictions)" 6000
assert_ge refaults "$(number refaults)" 1100
for name in corrupt sigbus oom_kills broken; do
	assert_eq $name "$(number $name)" 0
done

wait_for 20 usm_ended over

# ------------------------------------------------ the limit of the cgroup, not its own
# Its ceiling is never reached: memory.max less the reserve is what there is.
bundle=$(container_make tight --memory 64M --annotation usm.policy.required=true \
	--annotation 'usm.policy=clock memory=64M reserve=24M fault.order=4 deadline=2000' \
	-- sh -c 'until [ -e /data/go ]; do sleep 0.1; done
		exec /programs/overfill --mib 56 --until /data/end')
container_run "$bundle" >said &
run=$!
wait_for 30 usm_is tight .state armed
echo 10 >"$(container_cgroup tight)/cpu.weight"
: >"$bundle/data/go"
wait_for 120 grep -q filled said
wait_for 60 usm_reaches tight .stat.refaults 500
assert_ge 'limits' "$(usm_count tight limits)" 1
assert_le 'frames' "$(usm_show tight .frames)" $((40 << 8))
for name in corrupt sigbus oom_kills fallbacks; do
	assert_eq $name "$(usm_count tight $name)" 0
done
assert_eq 'kills by the kernel' \
	"$(awk '$1 == "oom_kill" { print $2 }' "$(container_cgroup tight)/memory.events")" 0
: >"$bundle/data/end"
wait $run || fail "exit $? of overfill: $(tail said)"
assert_match 'the last line' "$(tail -n 1 said)" '^overfill: [1-9][0-9]{4,} checks, 0 errors$'
wait_for 20 usm_ended tight

# ---------------------------------------------------------------- nothing left behind
assert_eq 'complaints' "$(complaints)" "$complained"
assert_eq 'containers' "$(usmctl status --json | "$PROGRAMS/member" .containers)" '[]'
# The store was the domain's, and went with it.
wait_for 10 sh -c '[ "$(awk "\$1 == \"Shmem:\" { print \$2 }" /proc/meminfo)" -lt 16384 ]'
assert_ok "$PROGRAMS/leakcheck" compare before
pass
