#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 240
#
# An instance by itself on the real module, without usmd: it keeps ahead of faults,
# lives on through a stop, gives idle frames back, and a
# policy that means harm costs its container no byte.
. "${VMTEST:?}/lib.sh"

policies=$VMTEST_TMP/policies
mkdir -m 755 "$policies"
install -m 644 /usr/lib/usm/policies/*.so "$PROGRAMS"/*.so "$policies"
cgroup=$(cgroup_make instance memory.max=512M)

# serve POLICY PARAMETERS - in the background; what it says is in the file `said`
serve() {
	: >said
	"$PROGRAMS/usher" serve "$cgroup" "$PWD/socket" \
		"{\"container\":\"c\",\"policy\":\"$1\",\"memory\":268435456,\"fault_order\":4,\"parameters\":$2}" \
		/usr/lib/usm/usm-instance --socket="$PWD/socket" --policy-dir="$policies" \
		>said 2>log &
	usher=$!
}
said() { awk -v name="$1" '$1 == name { print $2; exit }' said; }
armed() { grep -q "\"state\":\"armed\",\"epoch\":$1}" said; }
number() { "$PROGRAMS/usher" stat "$domain" | awk -v name="$1" '$1 == name { print $2 }'; }
number_is() { test "$(number "$1")" "$2" "$3"; }

# fill MIB - in the cgroup, until stopped; its pid is in $fill
fill() {
	cgroup_run "$cgroup" "$PROGRAMS/fillmem" --mib "$1" --no-wait >"fill.$1" 2>&1 &
	fill=$!
}
filled() { wait "$fill" || fail "fillmem: exit $?: $(cat fill.*)"; }

serve firstfit '{}'
wait_for 20 armed 1
domain=$(said domain)
instance=$(said pid)

# -------------------------------------------------------------------- it keeps ahead
# From nothing: growth is what it takes. Every page comes from the supply.
fill 64
filled
assert_ge 'pages by faults' "$(number fault_pages)" 16384
assert_eq 'supplied' "$(number supplied)" "$(number fault_pages)"
assert_eq 'zeroed in faults' "$(number zeroed_in_fault)" 0
assert_eq 'frames mapped after the end' "$(number frames_mapped)" 0
assert_eq fallbacks "$(number fallbacks)" 0
assert_eq deadlines "$(number deadlines)" 0

# The same again comes from frames that were used before and zeroed since.
faults=$(number faults) pages=$(number fault_pages)
fill 64
filled
assert_ge 'pages of ten faults' \
	$((($(number fault_pages) - pages) * 10 / ($(number faults) - faults))) 120
assert_ge 'zeroed ahead' "$(number zeroed_ahead)" 5000
# A frame that came back from a fault may be offered twice, and is refused then.
assert_le refused "$(number refused)" $(($(number supplied) / 100))
assert_eq fallbacks "$(number fallbacks)" 0

# ------------------------------------------------- stopped: one deadline, then back
kill -STOP "$instance"
fill 64
filled
wait_for 5 number_is fallbacks -eq 1
assert_eq deadlines "$(number deadlines)" 1
kill -CONT "$instance"
wait_for 10 armed 2
wait_for 5 number_is state -eq 0

# --------------------------------------------------------------- policies to refuse
refused() {
	serve "$1" "$2"
	wait "$usher" && fail "$1 was taken"
	assert_eq "status of $1" "$(said status)" "$3"
	assert_match "what is said of $1" "$(cat said log)" "$4"
	"$PROGRAMS/usher" release "$(said domain)"
}

# Two more beside what follows, since all of them mostly wait. Each has a directory
# and a cgroup of its own.
elsewhere() {
	mkdir "$1"
	cd "$1" || exit
	cgroup=$(cgroup_make "$1" memory.max=512M)
}

harm() {
	elsewhere harm
	refused crash '{}' 5 'crashed in its rehearsal \(SIGSEGV\)'
	refused liar '{"lie":"used"}' 5 'is not free'
	refused absent '{}' 4 'there is no policy absent.so'
	refused firstfit '{"whole":true}' 5 'knows no parameter'

	# ----------------------------------------------------------------- liar in service
	# It is honest for a second, and then costs its container some deadlines.
	serve liar '{"lie":"twice","after":1000}'
	wait_for 20 armed 1
	domain=$(said domain)
	sleep 1
	fill 64
	filled
	assert_ge 'fallbacks under a liar' "$(number fallbacks)" 1
	wait_for 5 sh -c "journalctl -b -o cat | grep 'policy liar gave a wrong answer, which'"
	kill -TERM "$(said pid)"
	wait "$usher" || fail "status $? of the liar"
	"$PROGRAMS/usher" release "$domain"

	# ------------------------------------------------------------------ hands in a box
	serve nosy '{}'
	wait_for 20 armed 1
	wait_for 10 sh -c "grep -h 'file EPERM, inet EPERM, code EPERM, child EPERM' log ||
		journalctl -b -o cat | grep 'file EPERM, inet EPERM, code EPERM, child EPERM'"
	kill -TERM "$(said pid)"
	wait "$usher" || fail "status $? of the nosy one"
	"$PROGRAMS/usher" release "$(said domain)"
}
harm &
policies_that_harm=$!

# --------------------------------------------------------------------- nobody there
deserted() {
	elsewhere deserted
	serve firstfit '{}'
	wait_for 20 armed 1
	domain=$(said domain)
	fill 16
	filled
	assert_ge 'frames before' "$(number frames)" 4096

	# Nothing is kept, and nothing asked for.
	wait_for 30 number_is frames -eq 0
	grown=$(number grown)
	sleep 3
	assert_eq 'grown for nobody' "$(number grown)" "$grown"
	fill 16
	filled
	kill -TERM "$(said pid)"
	wait "$usher" || fail "status $? of the deserted one"
	"$PROGRAMS/usher" release "$domain"
}
deserted &
nobody_there=$!

# ------------------------------------------------------------- idle frames go back
# To a container that lives: without a process the module takes all of them.
cgroup_run "$cgroup" "$PROGRAMS/fillmem" --mib 16 >resident 2>&1 &
shell=$!
wait_for 10 grep -q ready resident
assert_ge 'frames before' "$(number frames)" 16384
# What is resident, three times the goal at this ceiling, and two blocks.
wait_for 60 number_is frames -le $((4096 + 6144 + 1024))
assert_ge 'frames kept' "$(number frames)" $((4096 + 512))
kill -TERM "$(cat "$cgroup/cgroup.procs")"
wait "$shell" || fail "wrong bytes: $(cat resident)"

# ----------------------------------------------------------------- SIGTERM and kill
kill -TERM "$instance"
wait "$usher" || fail "status $? after SIGTERM: $(cat log)"
assert_eq 'state: disarmed' "$(number state)" 4
"$PROGRAMS/usher" release "$domain"

wait "$policies_that_harm" || fail 'policies that harm: see above'
wait "$nobody_there" || fail 'nobody there: see above'
pass
