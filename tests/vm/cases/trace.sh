#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 180
# kmsg-allow: Hardware Error|mce: |Memory failure|has bad memory and is given up|hwpoison
#
# The tracepoints tell what the counters count: each event of the system usm appears,
# and what its fields say adds up to what the module counted, to the page.
. "${VMTEST:?}/lib.sh"

tracing=/sys/kernel/tracing/instances/vmtest
cgroup=$(cgroup_make trace)
domain=$(stat -c %i "$cgroup")
inject=/usr/lib/vmtest/kmod/$(uname -r)/inject.ko

# Switched on while nothing runs: an emulator may go on with code it has translated.
[ -d /sys/kernel/tracing/events ] || mount -t tracefs nodev /sys/kernel/tracing
mkdir "$tracing"
echo 16384 >"$tracing/buffer_size_kb"
events=$(cd "$tracing/events/usm" && echo usm_*)
# As the manual page has it.
echo "domain == $domain" >"$tracing/events/usm/filter"
echo 1 >"$tracing/events/usm/enable"
echo 'hist:keys=domain,count' >"$tracing/events/usm/usm_fault/trigger"

# The manual page tells of each with its fields, in their order, and of no other.
for event in $events; do
	echo "$event" "$(sed -n 's/.*field:.* \([a-z_]*\)\(\[.*\]\)\{0,1\};.*/\1/p' \
		"$tracing/events/usm/$event/format" | grep -v '^common_' | paste -s -d ' ')"
done | sort >there
sed -n 's/^\*\(usm_[a-z_]*\)\* (\(.*\))$/\1 \2/p' "$PROGRAMS/usm.4.scd" | tr -d , | sort >page
diff -U 0 page there || fail 'usm(4) has other tracepoints than the module'

# named_counters FILE - it tells of each counter of `stat`, too
named_counters() {
	awk '
	FILENAME == "stat" { sub(/_[0-9]+$/, "", $1); names[$1]; next }
	/^\*/ { for (name in names) if (index($0, "*" name "*")) delete names[name] }
	END { for (name in names) { print "FAIL: usm(4) does not say what it counts: " name; wrong = 1 }; exit wrong }
	' stat "$1" || fail 'usm(4) has not all counters'
}

# What was traced since the last time, to the file `trace`: "EVENT FIELD=VALUE...".
trace_take() {
	for _cpu in "$tracing"/per_cpu/cpu*; do
		assert_eq "overrun of $_cpu" "$(awk '/^overrun:/ { print $2 }' "$_cpu/stats")" 0
	done
	sed -n 's/.* \(usm_[a-z_]*\): /\1 /p' "$tracing/trace" >trace
	: >"$tracing/trace"
	assert_eq 'lines of other domains' "$(grep -vc " domain=$domain\b" trace)" 0
	cat trace >>all
}

number() { awk -v name="$1" '$1 == name { print $2 }' stat; }

# compare - what the events tell, how many and the sums of fields, with the counters
compare() {
	awk '
	FILENAME == "stat" { number[$1] = $2; next }
	{
		told[$1]++
		for (i = 2; i <= NF; i++) {
			at = index($i, "=")
			sum[$1 "." substr($i, 1, at - 1)] += substr($i, at + 1)
			told[$1 " " $i]++
		}
	}
	function check(what, got, wanted) {
		if (got + 0 == wanted + 0)
			return
		print "FAIL: " what " is " got + 0 " as told, and " wanted + 0 " as counted"
		wrong = 1
	}
	function counted(name, got) { check(name, got, number[name]) }
	END {
		counted("faults", told["usm_fault"])
		counted("fault_pages", sum["usm_fault.count"])
		counted("mappings", told["usm_adopt"])
		counted("waits", told["usm_wait why=supply"] + told["usm_wait why=upcall"])
		counted("upcalls", told["usm_upcall"])
		counted("deadlines", told["usm_deadline"])
		counted("deadlines", told["usm_fallback why=deadline"])
		counted("arms", told["usm_arm"])
		counted("forks", told["usm_space_fork"])
		counted("broken", told["usm_space_broken"])
		counted("sigbus", told["usm_sigbus"])
		counted("cow_copied", told["usm_cow_copy"])
		counted("cow_reused", told["usm_cow_reuse"])
		counted("shrunk", sum["usm_shrink.count"])
		counted("limits", told["usm_limit"])
		counted("oom_kills", told["usm_oom_kill"])
		counted("evictions", sum["usm_evict.evicted"])
		counted("refaults", told["usm_refault"])
		counted("unshared", told["usm_space_plain"])
		counted("sampled", sum["usm_sample.sampled"])
		counted("sampled_young", sum["usm_sample.young"])
		# One step of growth may still be under way when miniinst looks.
		if (sum["usm_grow.count"] > number["grown"] + 4096 ||
		    sum["usm_grow.count"] < number["grown"])
			counted("grown", sum["usm_grow.count"])
		check("waits that ended", told["usm_wake"], told["usm_wait"])
		check("spaces", told["usm_space_exit"], told["usm_space_new"] + told["usm_space_fork"])
		# All that got a frame gave it back.
		check("frames freed", sum["usm_freed.count"],
		      number["fault_pages"] + number["cow_copied"] + number["refaults"])
		exit wrong
	}' stat trace || fail "what is traced is not what is counted: $*"
}

# run OPTION... -- COMMAND... - under a raw instance, traced
run() {
	"$PROGRAMS/miniinst" --cgroup "$cgroup" --leakcheck "$@" >said 2>stat ||
		fail "exit $? of $*: $(cat said stat)"
	trace_take
	compare "$@"
}

# One program, one area: who it is, and a fault for every 16 pages of it. Where it
# has a neighbour, the first and the last may map pages of either.
run --ceiling-mib 64 --order 4 -- "$PROGRAMS/faultcount" --pages 4096
named_counters "$PROGRAMS/usm.4.scd"
space=$(sed -n 's/^usm_space_new .* space=\([0-9]*\) .* comm=faultcount$/\1/p' trace)
[ -n "$space" ] || fail "no space of faultcount: $(grep usm_space_new trace)"
first=$(($(sed 's/.* at \(0x[0-9a-f]*\) .*/\1/' said) / 4096))
grep "^usm_fault .* space=$space " trace >faults
pages=0
while read -r _ _ _ page frame count order; do
	page=$((${page#page=})) count=${count#count=}
	assert_le 'the frame' $((${frame#frame=} + count)) 16384
	assert_eq 'the order' "${order#order=}" 4
	[ $page -lt $first ] || [ $page -ge $((first + 4096)) ] || pages=$((pages + count))
done <faults
assert_close 'pages of the area' "$pages" 4096 1
assert_match 'the histogram' "$(cat "$tracing/events/usm/usm_fault/hist")" \
	"domain: *$domain, count: *16 \} hitcount: *2[0-9][0-9]$"
echo '!hist:keys=domain,count' >"$tracing/events/usm/usm_fault/trigger"
assert_match 'the domain' "$(grep usm_domain_new trace)" ' ceiling=16384 label=miniinst$'

# Forks and evictions; an instance that stalls; a ceiling; reclaim; no memory in fork.
run --ceiling-mib 512 --order 4 --evict 2000 -- "$PROGRAMS/stress.dynamic" --quick \
	--only patterns,fork-tree,fork-reuse,direct-fork,dontneed
assert_ge 'pages evicted' "$(number evictions)" 100
run --ceiling-mib 64 --order 0 --deadline-ms 50 --stall 20 --no-rearm -- \
	"$PROGRAMS/faultcount" --pages 8192
assert_eq 'deadlines missed' "$(number deadlines)" 1
run --ceiling-mib 16 --order 4 -- "$PROGRAMS/oomcheck" --mib 32
assert_eq 'the killed' "$(sed -n 's/^usm_oom_kill .* ceiling=4096 .* comm=//p' trace)" oomcheck
# shellcheck disable=SC2016
run --ceiling-mib 64 --order 4 -- sh -c \
	'"$1" --pages 2048 && { echo 8M >"$2/memory.reclaim" || :; }' sh \
	"$PROGRAMS/faultcount" "$cgroup"
assert_match 'shrinking' "$(grep ^usm_shrink trace)" ' count=512 why=pressure$'
assert_ok insmod "$inject" functions=usm_space_bucket_make within=usm_fork_vma every=2
run --ceiling-mib 64 --order 4 -- "$PROGRAMS/forkload" --mib 4 --write-mib 2 --forks 8 \
	--at-once 2 --allow-kills --allow-sigbus
assert_ok rmmod inject
assert_ge 'broken spaces' "$(number broken)" 1

# What only the tests of the contract do: wrong contents, and commands to shrink.
echo 0 >"$tracing/events/usm/filter"
cgroup=$(cgroup_make uapi)
echo +memory >"$cgroup/cgroup.subtree_control"
"$PROGRAMS/uapitest" "$cgroup" port command evict sample upcall >said 2>&1 ||
	fail "exit $? of uapitest: $(grep -v ' 0 errors' said | tail -n 20)"
sed -n 's/.* \(usm_[a-z_]*\): /\1 /p' "$tracing/trace" >>all
assert_match 'restores' "$(grep ^usm_restore all)" ' key=0x[0-9a-f]{9,} result=-74$'
assert_match 'shrinking' "$(grep ^usm_shrink all)" ' why=command$'

# Memory errors, where the kernel decodes them.
if modprobe mce-inject 2>/dev/null; then
	[ -d /sys/kernel/debug/mce-inject ] || mount -t debugfs debugfs /sys/kernel/debug
	: >"$tracing/trace"
	cgroup=$(cgroup_make memerror)
	"$PROGRAMS/miniinst" --cgroup "$cgroup" --ceiling-mib 64 --leakcheck --deadline-ms 10000 -- \
		"$PROGRAMS/memerror" >said 2>stat || fail "exit $?: $(cat said stat)"
	sed -n 's/.* \(usm_[a-z_]*\): /\1 /p' "$tracing/trace" >trace
	cat trace >>all
	assert_ge 'pages lost' "$(grep -c '^usm_memory_error .* key=0x[0-9a-f]\{9,\}$' trace)" 4
	assert_eq 'frames lost' "$(grep -c '^usm_memory_error .* key=0x0$' trace)" "$(number frames_bad)"
	rmmod mce-inject
else
	events=$(echo "$events" | sed 's/ *usm_memory_error//')
fi

for event in $events; do
	grep -q "^$event domain=" all || fail "$event never appeared"
done

# They do not keep the module, and the module does not mind them.
systemctl stop usmd.service
assert_ok modprobe -r usm
rmdir "$tracing"
assert_ok modprobe usm
wait_for 20 usm_ready
pass
