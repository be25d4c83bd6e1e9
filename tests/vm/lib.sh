# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# What the cases share. A case begins with `. "${VMTEST:?}/lib.sh"` and ends with
# `pass`; without that it has failed, whatever its exit status. It runs as root
# in an empty directory of its own ($VMTEST_TMP). Containers, processes
# and cgroups below /sys/fs/cgroup/vmtest are removed after it.
#
#   $VMTEST      the harness in the guest    $PROGRAMS    the test programs
#   $VMTEST_FULL not empty: take all the time that is asked for
#   $VMTEST_SLOWER how many times longer all takes with this kernel
set -eu

CGROUPS=/sys/fs/cgroup/vmtest

# ---------------------------------------------------------------------- verdicts

pass() { : >"$VMTEST_TOKEN"; exit 0; }

fail() { echo "FAIL: $*" >&2; exit 1; }

# skip REASON: what it needs is not there, and is not its to provide
skip() { echo "$*" >"$VMTEST_TMP/skipped"; exit 77; }

# -------------------------------------------------------------------- assertions
# Each names what it looked at first, so that a failure can be read without the case.

# assert_eq WHAT GOT WANTED
assert_eq() { [ "$2" = "$3" ] || fail "$1 is '$2', wanted '$3'"; }

# assert_ge WHAT GOT LEAST - integers
assert_ge() { [ "$2" -ge "$3" ] || fail "$1 is $2, wanted at least $3"; }

# assert_le WHAT GOT MOST
assert_le() { [ "$2" -le "$3" ] || fail "$1 is $2, wanted at most $3"; }

# assert_match WHAT GOT EXPRESSION - extended, anywhere in it
assert_match() { printf '%s\n' "$2" | grep -Eq -e "$3" || fail "$1 is '$2', wanted a match of '$3'"; }

# assert_close WHAT GOT WANTED PERCENT
assert_close() {
	[ $((($2 > $3 ? $2 - $3 : $3 - $2) * 100)) -le $(($3 * $4)) ] ||
		fail "$1 is $2, wanted $3 within $4 %"
}

# assert_ok COMMAND... and assert_fails COMMAND...
assert_ok() { "$@" || fail "exit $? of: $*"; }
assert_fails() { ! "$@" || fail "succeeded, but must not: $*"; }

# Hundredths of a second since boot, without a process for it.
uptime_cs() {
	read -r _now _ </proc/uptime
	echo "${_now%.*}${_now#*.}"
}

# wait_for SECONDS COMMAND... - until it succeeds; its output is not shown. The seconds
# are those of a plain kernel. What takes longer is asked for less often: asking costs
# a guest more than it tells.
wait_for() {
	_seconds=$(($1 * ${VMTEST_SLOWER:-1})) _pause=0.1
	_end=$(($(uptime_cs) + _seconds * 100))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$(uptime_cs)" -lt "$_end" ] || fail "not within $_seconds s: $*"
		sleep "$_pause"
		[ "$(uptime_cs)" -lt $((_end - _seconds * 100 + 200)) ] || _pause=0.7
	done
}

# gone PID - a condition for wait_for; a zombie is gone
gone() { ! grep -qs '^State:[[:space:]]*[^ZX]' "/proc/$1/status"; }

# ----------------------------------------------------------------------- cgroups

# cgroup_make NAME [FILE=VALUE]... - prints its directory
cgroup_make() {
	_cgroup=$CGROUPS/$1
	shift
	mkdir -p "$CGROUPS"
	echo +memory +pids +cpu >/sys/fs/cgroup/cgroup.subtree_control
	echo +memory +pids +cpu >"$CGROUPS/cgroup.subtree_control"
	mkdir -p "$_cgroup"
	for _setting; do
		echo "${_setting#*=}" >"$_cgroup/${_setting%%=*}"
	done
	echo "$_cgroup"
}

# cgroup_run DIRECTORY COMMAND... - COMMAND begins its life in the cgroup
cgroup_run() {
	# shellcheck disable=SC2016 # $$ is the new shell's
	sh -c 'echo $$ >"$1/cgroup.procs" && shift && exec "$@"' sh "$@"
}

# cgroup_spawn DIRECTORY COMMAND... - the same in the background; $spawned is its
# pid, which $! after `cgroup_run &` is not
cgroup_spawn() {
	# shellcheck disable=SC2016
	sh -c 'echo $$ >"$1/cgroup.procs" && shift && exec "$@"' sh "$@" &
	# shellcheck disable=SC2034 # the caller's
	spawned=$!
}

# memory_stat DIRECTORY KEY - bytes
memory_stat() { awk -v key="$2" '$1 == key { print $2 }' "$1/memory.stat"; }

# -------------------------------------------------------------------- containers

# json_strings STRING... - as JSON writes them, with commas between. Not by jq, which
# takes a guest a fifth of a second to start.
json_strings() {
	awk 'BEGIN {
		for (i = 1; i < ARGC; i++) {
			gsub(/["\\]/, "\\\\&", ARGV[i])
			gsub(/\n/, "\\n", ARGV[i])
			gsub(/\t/, "\\t", ARGV[i])
			printf "%s\"%s\"", (i > 1 ? ", " : ""), ARGV[i]
		}
	}' "$@"
}

# json_bind FROM TO MODE - a bind mount
json_bind() {
	printf '{"destination": "%s", "type": "bind", "source": "%s", "options": ["rbind", "%s"]}' \
		"$2" "$1" "$3"
}

# container_make ID [--memory SIZE] [--annotation KEY=VALUE]... [--env NAME=VALUE]...
#                [--no-hook] -- COMMAND...
#
# An OCI bundle, printed. The container sees the guest's /usr and /etc read-only,
# the programs in /programs, and ./ID/data as /data. A container with an annotation
# of ours gets the OCI hook, as a runtime with our hooks.d file gives it, unless --no-hook.
container_make() {
	_id=$1 _resources='' _annotations='' _hooks='' _hook=yes
	_env='"PATH=/usr/sbin:/usr/bin:/sbin:/bin"'
	shift
	while [ "$1" != -- ]; do
		case $1 in
		--memory)
			_resources="\"memory\": {\"limit\": $(numfmt --from=iec "$2")}" ;;
		--annotation)
			_annotations="${_annotations:+$_annotations, }$(json_strings "${2%%=*}"): \
				$(json_strings "${2#*=}")"
			case $2 in usm.*)
				_hooks='"createRuntime": [{"path": "/usr/lib/usm/usm-oci-hook"}]' ;;
			esac ;;
		--env)
			_env="$_env, $(json_strings "$2")" ;;
		--no-hook)
			_hook=''
			shift
			continue ;;
		*)
			fail "container_make: what is $1?" ;;
		esac
		shift 2
	done
	shift
	[ -n "$_hook" ] || _hooks=''

	_bundle=$VMTEST_TMP/$_id
	_capabilities='["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_KILL", "CAP_SETGID",
		"CAP_SETUID", "CAP_NET_BIND_SERVICE"]'
	mkdir -p "$_bundle/data" "$_bundle/rootfs"
	(cd "$_bundle/rootfs" && mkdir dev etc programs proc run sys tmp usr var data &&
		ln -s usr/bin usr/sbin usr/lib usr/lib32 usr/lib64 .)
	cat >"$_bundle/config.json" <<-END
	{
		"ociVersion": "1.0.2",
		"process": {
			"args": [$(json_strings "$@")],
			"env": [$_env],
			"cwd": "/data",
			"user": {"uid": 0, "gid": 0},
			"noNewPrivileges": true,
			"capabilities": {"bounding": $_capabilities, "effective": $_capabilities,
				"permitted": $_capabilities}
		},
		"root": {"path": "rootfs"},
		"hostname": "$_id",
		"annotations": {$_annotations},
		"hooks": {$_hooks},
		"mounts": [
			{"destination": "/proc", "type": "proc", "source": "proc"},
			{"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
			 "options": ["nosuid", "mode=755", "size=64k"]},
			{"destination": "/tmp", "type": "tmpfs", "source": "tmpfs",
			 "options": ["nosuid", "nodev"]},
			$(json_bind /usr /usr ro), $(json_bind /etc /etc ro),
			$(json_bind "$PROGRAMS" /programs ro), $(json_bind "$_bundle/data" /data rw)
		],
		"linux": {
			"cgroupsPath": "/vmtest/$_id",
			"namespaces": [{"type": "pid"}, {"type": "mount"}, {"type": "ipc"}, {"type": "uts"}],
			"personality": {"domain": "LINUX"},
			"resources": {$_resources}
		}
	}
	END
	echo "$_bundle"
}

# container_start BUNDLE - in the background, named as its directory; output in BUNDLE/log
container_start() {
	mkdir -p "$CGROUPS"
	crun run --detach --bundle "$1" "$(basename "$1")" </dev/null >"$1/log" 2>&1 || {
		cat "$1/log" >&2
		return 1
	}
}

# container_run BUNDLE - to its end, with its exit status
container_run() {
	mkdir -p "$CGROUPS"
	crun run --bundle "$1" "$(basename "$1")" </dev/null
}

container_pid() { crun state "$1" | "$PROGRAMS/member" .pid; }
container_cgroup() { echo "$CGROUPS/$1"; }
container_delete() { crun delete --force "$1"; }

# ----------------------------------------------------------------------- the daemon

# usm_show CONTAINER .MEMBER... - numbers or words out of `usmctl show`
usm_show() {
	_shown=$1
	shift
	usmctl show --json "$_shown" | "$PROGRAMS/member" "$@"
}

# usm_is CONTAINER .MEMBER VALUE and usm_reaches CONTAINER .MEMBER LEAST - conditions
# for wait_for
usm_is() { [ "$(usm_show "$1" "$2")" = "$3" ]; }
usm_reaches() { [ "$(usm_show "$1" "$2")" -ge "$3" ]; }

# usm_count CONTAINER NAME - of struct usm_stat
usm_count() { usm_show "$1" ".stat.$2"; }

# usm_ended CONTAINER - a condition for wait_for: its domain is no more
usm_ended() { [ -n "$(usm_end_told "$1")" ]; }
usm_end_told() {
	journalctl -q -o cat MESSAGE_ID=97da43c8dcb64daf94e74eee0b664cd2 "USM_CONTAINER=$1" \
		--output-fields=MESSAGE
}

# usm_ready - the module is there and the daemon answers
usm_ready() { [ -c /dev/usm ] && usmctl status --json; }

# --------------------------------------------------------------------------- stress

# stress_make ID BUILD ORDER ANNOTATION [OPTION]... - the stress program in a container
# that starts with its policy or not at all; ANNOTATION: more of it, compact
stress_make() {
	_name=$1 _program=/programs/stress.$2 _policy="firstfit memory=256M fault.order=$3 $4"
	shift 4
	container_make "$_name" --memory 512M --annotation usm.policy.required=true \
		--annotation "usm.policy=${_policy% }" -- sh -c \
		'until [ -e /data/go ]; do sleep 0.1; done; exec "$@"' sh "$_program" --dir /data "$@"
}

# stress_go ID - it begins when the policy serves: what is mapped before is another test's
stress_go() {
	wait_for 30 usm_is "$1" .state armed
	: >"$VMTEST_TMP/$1/data/go"
}

# stress_verify FILE - what it said: that nothing was wrong, and nothing left out
stress_verify() {
	assert_match 'the last line' "$(tail -n 1 "$1")" '^stress: [1-9][0-9]{5,} checks, 0 errors$'
	assert_eq 'scenarios that were skipped and must not be' \
		"$(grep -E '^skip (direct|core|process-vm|ptrace)' "$1" || :)" ''
}

# stress_once BUILD ORDER OPTION... - one run in a container of its own
stress_once() {
	_build=$1 _order=$2 _container=$1-$2
	shift 2
	_bundle=$(stress_make "$_container" "$_build" "$_order" '' "$@")
	container_run "$_bundle" >said &
	stress_go "$_container"
	wait $! || fail "exit $? of stress.$_build: $(tail said)"
	stress_verify said
	# It was adopted memory, mapped in runs of the order that was asked for.
	wait_for 20 usm_ended "$_container"
	_told=$(usm_end_told "$_container")
	_faults=$(echo "$_told" | sed 's/.* after \([0-9]*\) faults .*/\1/')
	_pages=$(echo "$_told" | sed 's/.* for \([0-9]*\) pages.*/\1/')
	echo "$_build, order $_order: $_faults faults for $_pages pages; $(tail -n 1 said)"
	assert_ge 'pages' "$_pages" 50000
	assert_le "faults for $_pages pages" "$_faults" $((_pages / (_order + 1)))
	[ "$_order" != 0 ] || assert_eq 'faults for single pages' "$_faults" "$_pages"
}

# stress_builds BUILD:ORDER... - what the cases stress* are: one fault order for a build and
# fewer repetitions, or with VMTEST_FULL all orders and all of it
stress_builds() {
	wait_for 30 usm_ready
	"$PROGRAMS/leakcheck" save before
	for _run; do
		if [ -n "${VMTEST_FULL:-}" ]; then
			for _every in 0 4 9; do
				stress_once "${_run%:*}" $_every --verbose
			done
		else
			stress_once "${_run%:*}" "${_run#*:}" --quick
		fi
	done

	# All is back: no domain, no frame.
	assert_eq 'containers' "$(usmctl status --json | "$PROGRAMS/member" .containers)" '[]'
	assert_ok "$PROGRAMS/leakcheck" compare before
}

# ---------------------------------------------------------------------------- redis

# redis_up PORT - a condition for wait_for
redis_up() { [ "$(redis-cli -p "$1" ping)" = PONG ]; }
