#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 240
# full-timeout: 3600
#
# Instance and usmd are killed in turn, again and again, at random moments and while pages
# are on their way out and back, of processes whose pages are evicted at random all the
# time: after each kill every word of them is right. With FULL=1 two hundred times.
. "${VMTEST:?}/lib.sh"

KILLS=${VMTEST_FULL:+200}
KILLS=${KILLS:-3}
# Little enough that most of the time goes into the kills; with FULL=1 more than an instance
# brings back in one go.
PROCESSES=3
MIB=${VMTEST_FULL:+2}
MIB=${MIB:-1}
seed=$(date +%s)
echo "seed $seed"

drop_in=/run/systemd/system/usmd.service.d
trap 'rm -rf "$drop_in" /usr/lib/usm/policies/random.so; systemctl daemon-reload' EXIT
mkdir "$drop_in"
# Killed as often as this, it would be given up.
printf '[Unit]\nStartLimitIntervalSec=0\n' >"$drop_in/vmtest.conf"
systemctl daemon-reload
install -m 644 "$PROGRAMS/random.so" /usr/lib/usm/policies/random.so
wait_for 30 usm_ready
"$PROGRAMS/leakcheck" save before

# random LIMIT - the next number below it, in $rolled: a minimal standard generator (Park and
# Miller, Communications of the ACM 31(10), 1988)
state=$((seed % 2147483646 + 1))
random() {
	state=$((state * 48271 % 2147483647))
	rolled=$((state / 16 % $1))
}
# first_of UNIT - the process of a unit that is there the longest, in $pid. Out of the cgroup,
# since asking systemd or usmd costs a guest more than the kill.
first_of() { read -r pid <"/sys/fs/cgroup/$1/cgroup.procs" && [ -n "$pid" ]; } 2>/dev/null
# next_of UNIT PID - another one than PID
next_of() { first_of "$1" && [ "$pid" != "$2" ]; }

bundle=$(container_make loop --memory 96M --annotation usm.policy.required=true --annotation \
	"usm.policy={\"policy\":\"random\",\"memory\":\"48M\",\"fault\":{\"order\":4},
	 \"deadline\":20000,\"store\":{\"quota\":\"64M\"},
	 \"parameters\":{\"percent\":100,\"seed\":$((seed % 1000000))}}" \
	-- sh -c 'until [ -e /data/go ]; do sleep 0.1; done
		exec /programs/wordcheck --state /data/words --processes '"$PROCESSES"' --mib '"$MIB"' \
			--rest-ms 200 --until /data/end')
container_run "$bundle" >said 2>&1 &
run=$!
wait_for 30 usm_is loop .state armed
domain=$(stat -c %i "$(container_cgroup loop)")
# It would take all CPUs from what asks and answers here.
echo 20 >"$(container_cgroup loop)/cpu.weight"
: >"$bundle/data/go"
wait_for 60 usm_reaches loop .stat.refaults 200

instance_unit=usm.slice/usm-instance@$domain.service usmd_unit=system.slice/usmd.service
arms=$(usm_count loop arms)
instances=0 daemons=0 staged=0 waiting=0 least=0
for kill in $(seq "$KILLS"); do
	wait_for 30 next_of "$usmd_unit" "${usmd:-0}"
	usmd=$pid
	wait_for 30 next_of "$instance_unit" "${instance:-0}"
	instance=$pid
	random 300000
	delay=$rolled
	random 5
	case $rolled in
	0|1) when=evicting ;;
	2) when=restoring ;;
	*) when=any ;;
	esac
	# In turn, and now and then both.
	what=instance pid=$instance
	[ $((kill % 2)) = 1 ] || what=usmd pid=$usmd
	[ $((kill % 10)) != 9 ] || { what=both; kill -9 "$usmd"; }
	"$PROGRAMS/strike" --domain "$domain" --pid "$pid" --delay-us "$delay" --when $when >struck ||
		fail "kill $kill of $what: $(cat struck)"
	# What is away comes back by the next instance alone.
	"$PROGRAMS/wordcheck" --await "$bundle/data/words" --seconds $((120 * VMTEST_SLOWER)) \
		>words || fail "after kill $kill, of $what: $(cat words said)"
	read -r since all <words
	struck=$(cat struck)
	echo "kill $kill: $what, $struck; $since words verified since, $all in all"
	[ "$least" != 0 ] && [ "$least" -le "$since" ] || least=$since
	[ $what = instance ] || daemons=$((daemons + 1))
	# Who was not killed is there again.
	if [ $what = usmd ]; then
		instance=0
		continue
	fi
	[ $what = both ] || usmd=0
	instances=$((instances + 1))
	case $struck in *': 0 pages only'*) ;; *) staged=$((staged + 1)) ;; esac
	case $struck in *' 0 wanted, 0 coming') ;; *) waiting=$((waiting + 1)) ;; esac
done
wait_for 30 usm_ready
all_armed() { [ "$(usm_count loop arms)" -ge $((arms + instances)) ]; }
wait_for 30 all_armed

for name in evictions refaults corrupt sigbus oom_kills broken fallbacks deadlines forks cow_copied; do
	echo "$name $(usm_count loop $name)"
done >counts
: >"$bundle/data/end"
wait $run || fail "exit $? of wordcheck: $(tail said)"
tail -n 1 said
echo "$instances instances and $daemons daemons killed, $staged with pages only in staging," \
	"$waiting with somebody waiting; at least $least words after each; $(tr '\n' ' ' <counts)"
number() { awk -v name="$1" '$1 == name { print $2 }' counts; }
# Each word of all pages at least once.
assert_ge 'words after each kill' "$least" $((PROCESSES * MIB * 131072))
assert_ge 'kills with pages only in staging' $staged $((KILLS / 10))
assert_ge 'kills with somebody waiting' $waiting $((KILLS / 10))
assert_ge evictions "$(number evictions)" $((KILLS * 100))
assert_ge refaults "$(number refaults)" $((KILLS * 100))
for name in corrupt sigbus oom_kills broken deadlines; do
	assert_eq $name "$(number $name)" 0
done
wait_for 20 usm_ended loop
rm /usr/lib/usm/policies/random.so
assert_ok "$PROGRAMS/leakcheck" compare before
pass
