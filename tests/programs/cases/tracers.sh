#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 400
#
# perf, trace-cmd and bpftrace read the tracepoints of usm by name, with their fields, all
# at once: of the faults of one program in a container under the real policy they tell the
# same, to the page.
. "${VMTEST:?}/lib.sh"

# What they say of themselves, where the case fails.
trap '[ -e "$VMTEST_TOKEN" ] || tail -n 20 ./*.log bpftrace.out >&2' EXIT
wait_for 30 usm_ready
mountpoint -q /sys/kernel/debug || mount -t debugfs nodev /sys/kernel/debug
mountpoint -q /sys/kernel/tracing || mount -t tracefs nodev /sys/kernel/tracing

# Each of them knows all that there are.
(cd /sys/kernel/tracing/events/usm && printf '%s\n' usm_*) >there
perf list 'usm:*' 2>/dev/null | sed -n 's/.*usm:\(usm_[a-z_]*\).*/\1/p' | sort -u >perf.list
trace-cmd list -e '^usm:' | sed -n 's/^usm:\(usm_[a-z_]*\)$/\1/p' | sort -u >trace-cmd.list
bpftrace -l 'tracepoint:usm:*' | sed -n 's/^tracepoint:usm:\(usm_[a-z_]*\)$/\1/p' |
	sort -u >bpftrace.list
for tool in perf trace-cmd bpftrace; do
	diff -U 0 there $tool.list || fail "$tool does not know the same tracepoints"
done

container_make traced --memory 256M --annotation usm.policy.required=true --annotation \
	'usm.policy={"policy":"firstfit","memory":"128M","fault":{"order":4}}' \
	-- sh -c 'until [ -e /data/go ]; do sleep 0.1; done
		/programs/faultcount --pages 8192 >/data/said 2>&1; echo $? >/data/status
		mv /data/status /data/done; until [ -e /data/end ]; do sleep 0.1; done' >/dev/null
container_start "$VMTEST_TMP/traced" || fail 'it did not start'
wait_for 30 usm_is traced .state armed
domain=$(stat -c %i "$(container_cgroup traced)")
counts() { usm_show traced .stat.faults .stat.fault_pages; }

# The expression of usm(4), and one with fields of two events.
cat >script <<-END2
	tracepoint:usm:usm_fault / args->domain == $domain && comm == "faultcount" / {
		@faults = count(); @pages = sum(args->count); @by_count[args->count] = count();
	}
	tracepoint:usm:usm_freed / args->domain == $domain / { @freed = sum(args->count); }
END2
# It runs a command without a shell between, once it has attached.
echo 'touch bpftrace.on; until [ -e off ]; do sleep 0.1; done' >hold
bpftrace -o bpftrace.out -c "/bin/sh $PWD/hold" script >bpftrace.log 2>&1 &
bpftrace=$!
perf record -q -a -e 'usm:*' --filter "domain == $domain" -o perf.data 2>perf.log -- \
	sh -c 'touch perf.on; until [ -e off ]; do sleep 0.1; done' &
perf=$!
trace-cmd record -q -e usm -f "domain == $domain" -o trace.dat >trace-cmd.log 2>&1 \
	sh -c 'touch trace-cmd.on; until [ -e off ]; do sleep 0.1; done' &
trace_cmd=$!
wait_for 120 test -e bpftrace.on
wait_for 60 test -e perf.on
wait_for 60 test -e trace-cmd.on

# shellcheck disable=SC2046 # words
set -- $(counts)
: >traced/data/go
wait_for 60 test -e traced/data/done
# shellcheck disable=SC2046
set -- "$1" "$2" $(counts)
assert_eq "exit ($(cat traced/data/said))" "$(cat traced/data/done)" 0
: >off
assert_ok wait $perf
assert_ok wait $trace_cmd
assert_ok wait $bpftrace
: >traced/data/end
faults=$(($3 - $1)) pages=$(($4 - $2))
assert_ge 'pages of faults' $pages 8192

# What the container's shell does besides is told at other times, and is not this program's.
# told TOOL FAULTS PAGES
told() {
	echo "$1: $2 faults, $3 pages; of the container: $faults, $pages"
	assert_ge "pages by $1" "$3" 8192
	assert_le "pages by $1" "$3" $pages
	assert_eq "faults by $1" "$2" "${same_faults:=$2}"
	assert_eq "pages by $1" "$3" "${same_pages:=$3}"
}
sums() {
	awk '/faultcount.*usm_fault: .* count=/ { sub(/.* count=/, ""); pages += $1; faults++ }
		END { print faults + 0, pages + 0 }'
}
# shellcheck disable=SC2046
told perf $(perf script -i perf.data -F comm,event,trace 2>>perf.log | sums)
# shellcheck disable=SC2046
told trace-cmd $(trace-cmd report -i trace.dat 2>>trace-cmd.log | sums)
# shellcheck disable=SC2046
told bpftrace $(sed -n 's/^@\(faults\|pages\): //p' bpftrace.out)
assert_match 'the map' "$(cat bpftrace.out)" '^@by_count\[16\]: [0-9]{3}'
assert_ge 'freed, by bpftrace' "$(sed -n 's/^@freed: //p' bpftrace.out)" 8192

container_delete traced
wait_for 20 usm_ended traced
pass
