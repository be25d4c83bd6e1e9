#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 420
#
# usmd on a live system: containers found by the hook, late, and by an attribute;
# bad requests; usmd and instances killed and restarted; ends and leftovers.
. "${VMTEST:?}/lib.sh"

wait_for 30 usm_ready

POLICY='firstfit memory=128M'

# journal MESSAGE_ID CONTAINER - its messages of one kind
journal() { journalctl -q -o cat MESSAGE_ID="$1" USM_CONTAINER="$2" --output-fields=MESSAGE; }
told() { [ -n "$(journal "$1" "$2")" ]; }
BOUND=0b993407bed14d949d3a1b52be9eb306
UNMANAGED=014b872e926d469c9f7721793201b2db
REFUSED=ebae9578ad234be9829a2e15055c219e
STARTED=3cf00ad6757e483980c85f4aa04e3db7
LOST=bad0ca284ced4c8b8c1f25c0d0a8d2a8
FALLBACK=e3dfd29e6f4242b3b272115548ee8b01
GAVE_UP=5654bcb1ae964f6eafd6f2a084a5d84e
ENDED=97da43c8dcb64daf94e74eee0b664cd2

domain() { usm_show "$1" .domain; }
unit() { echo "usm-instance@$(domain "$1").service"; }
property() { systemctl show -P "$2" "$1"; }
usmd_pid() { property usmd.service MainPID; }
is_managed() { usmctl show "$1" >/dev/null 2>&1; }
is_unmanaged() { ! is_managed "$1"; }
unit_is_gone() { ! systemctl -q is-active "$1"; }

# Mapped after exec, so that it shows whose its memory is.
sleeper() {
	name=$1
	shift
	container_make "$name" --memory 256M "$@" -- /programs/fillmem --mib 32
}

# -------------------------------------------------------------------------- service
assert_eq 'usmd.service' "$(property usmd.service ActiveState)" active
has_status() { property usmd.service StatusText | grep -q '^0 containers, 0 frames'; }
wait_for 10 has_status
assert_ok systemd-analyze -q security --no-pager --threshold=30 usmd.service >/dev/null
assert_eq '/run/usm/control' "$(stat -c '%a %U:%G' /run/usm/control)" '660 root:usm'

# Members of the group may ask and not change; nobody else may even connect.
assert_ok setpriv --reuid nobody --regid usm --clear-groups usmctl status >/dev/null
assert_fails setpriv --reuid nobody --regid nogroup --clear-groups usmctl status
said=$(echo '{"ociVersion":"1.0.2","status":"created","bundle":"/","id":"x","pid":1,
	"annotations":{"usm.policy":"firstfit"}}' |
	setpriv --reuid nobody --regid usm --clear-groups /usr/lib/usm/usm-oci-hook 2>&1)
assert_match 'the hook run by others' "$said" 'only root may call org.usm.Bind'

# ------------------------------------------------------------------------- the hook
container_start "$(sleeper hooked --annotation "usm.policy=$POLICY" \
	--annotation usm.policy.required=true)"
# Answered when the policy was there, or after 5 s, which a slow machine may need.
wait_for 20 usm_is hooked .state armed
assert_eq 'policy' "$(usm_show hooked .policy)" firstfit
assert_eq 'ceiling' "$(usm_show hooked .ceiling)" 32768
assert_eq 'late' "$(usm_show hooked .late)" false
assert_eq 'domain' "$(domain hooked)" "$(stat -c %i "$(container_cgroup hooked)")"
unit=$(unit hooked)
assert_eq 'slice' "$(property "$unit" Slice)" usm.slice
wait_for 5 usm_is hooked .instance_pid "$(property "$unit" MainPID)"
assert_ok systemd-analyze -q security --no-pager --threshold=20 "$unit" >/dev/null
wait_for 20 usm_reaches hooked .resident_adopted 8192
assert_le 'memory of the kernel, KiB' "$(usm_show hooked .resident_other_kib)" 1024
assert_eq 'processes' "$(usm_show hooked .processes)" 1
wait_for 5 told $BOUND hooked
wait_for 5 told $STARTED hooked
assert_eq 'policy in the journal' "$(journalctl -q -o cat MESSAGE_ID=$BOUND \
	USM_CONTAINER=hooked --output-fields=USM_POLICY)" firstfit
assert_match 'the catalog' "$(journalctl -q -x MESSAGE_ID=$BOUND)" 'Container hooked is under policy firstfit'

# ------------------------------------------------------------------ found without it
container_start "$(sleeper late --no-hook --annotation "usm.policy=$POLICY")"
wait_for 15 usm_is late .state armed
assert_eq 'late' "$(usm_show late .late)" true
assert_eq 'runtime' "$(usm_show late .runtime)" crun
assert_match 'journal' "$(journal $BOUND late)" 'memory that it mapped before stays with the kernel'

# A plain cgroup, by an attribute that only root can set.
cgroup=$(cgroup_make plain memory.max=256M)
assert_ok setfattr -n trusted.usm.policy -v "$POLICY" "$cgroup"
wait_for 15 usm_is plain .state armed
assert_eq 'late' "$(usm_show plain .late)" false
assert_ok cgroup_run "$cgroup" "$PROGRAMS/fillmem" --mib 32 --no-wait
assert_ge 'faults' "$(usm_show plain .faults)" 1
rmdir "$cgroup"
wait_for 10 is_unmanaged plain
wait_for 10 told $ENDED plain

# A container of the same name that root's runtime knows nothing of.
mkdir -p "$CGROUPS/stranger/hooked"
sleep 2
assert_eq 'containers' "$(usmctl status --json | jq '.containers | length')" 2
rmdir "$CGROUPS/stranger/hooked" "$CGROUPS/stranger"

# ---------------------------------------------------------------------- bad requests
container_start "$(sleeper bad --annotation 'usm.policy={"policy":"firstfit","fault":{"order":10}}')"
wait_for 5 told $UNMANAGED bad
assert_match 'why' "$(journal $UNMANAGED bad)" '/fault/order at byte [0-9]+ must be an integer from 0 to 9'
assert_ok is_unmanaged bad
container_start "$(sleeper large --annotation 'usm.policy=firstfit memory=1G')"
wait_for 5 told $UNMANAGED large
assert_match 'why' "$(journal $UNMANAGED large)" 'memory of 1G is above the container.s memory.max of 256M'
container_start "$(sleeper unknown --annotation 'usm.policy=nosuchpolicy')"
wait_for 5 told $UNMANAGED unknown
assert_match 'why' "$(journal $UNMANAGED unknown)" 'there is no policy nosuchpolicy'
assert_fails container_start "$(sleeper strict --annotation 'usm.policy=nosuchpolicy' \
	--annotation usm.policy.required=true)"
wait_for 5 told $REFUSED strict
container_start "$(sleeper refused --annotation 'usm.policy=firstfit no.such=1')"
# Said once each: the watcher found them as well.
sleep 2
for name in bad large unknown refused; do
	assert_eq "messages about $name" "$(journal $UNMANAGED $name | wc -l)" 1
	container_delete $name
done

# ------------------------------------------------------------- usmd killed, restarted
before=$(usm_show hooked .instance_pid)
old=$(usmd_pid)
kill -9 "$old"
wait_for 10 sh -c "[ \"\$(systemctl show -P MainPID usmd.service)\" != $old ]"
wait_for 20 usm_ready
wait_for 10 usm_is hooked .state armed
wait_for 10 usm_is hooked .instance_connected true
assert_eq 'instance' "$(usm_show hooked .instance_pid)" "$before"
assert_eq 'fallbacks' "$(usm_show hooked .fallbacks)" 0
assert_eq 'annotation' "$(usm_show hooked .annotation)" "$POLICY"

# Stopped for longer, while a container ends and something is left behind.
ended=$(domain late)
late_unit=$(unit late)
systemctl stop usmd.service
assert_eq 'instance while usmd is stopped' "$(property "$unit" MainPID)" "$before"
container_delete late
echo '{}' >/run/usm/containers/1234567.json
systemctl start usmd.service
wait_for 20 usm_ready
assert_ok is_unmanaged late
wait_for 10 unit_is_gone "$late_unit"
assert_fails test -e "/run/usm/containers/$ended.json"
assert_fails test -e /run/usm/containers/1234567.json
wait_for 10 usm_is hooked .instance_connected true
assert_eq 'instance' "$(usm_show hooked .instance_pid)" "$before"

# A record that was lost: the runtime still knows what the container asked for.
systemctl stop usmd.service
rm "/run/usm/containers/$(stat -c %i "$(container_cgroup hooked)").json"
systemctl start usmd.service
wait_for 20 usm_ready
wait_for 15 usm_is hooked .policy firstfit
wait_for 10 usm_is hooked .state armed

# ----------------------------------------------------------------- an instance killed
kill -9 "$(usm_show hooked .instance_pid)"
wait_for 20 told $LOST hooked
wait_for 20 usm_is hooked .instance_restarts 1
wait_for 20 usm_is hooked .state armed
assert_ge 'fallbacks' "$(usm_show hooked .fallbacks)" 1
wait_for 5 told $FALLBACK hooked
assert_fails told $GAVE_UP hooked
kill -USR1 "$(container_pid hooked)"
wait_for 10 grep -q 'verified' hooked/log

# One that cannot run: said once, not tried for ever, and the container goes on.
printf 'not an object' >/usr/lib/usm/policies/broken.so
container_start "$(sleeper broken --annotation 'usm.policy=broken')"
wait_for 20 told $GAVE_UP broken
assert_eq 'unit' "$(property "$(unit broken)" ActiveState)" failed
assert_match 'message' "$(usm_show broken .instance_message)" broken
wait_for 20 usm_reaches broken .resident_adopted 8192
container_delete broken
wait_for 10 is_unmanaged broken
rm /usr/lib/usm/policies/broken.so

# ------------------------------------------------------------------------------- ends
container_delete hooked
wait_for 10 is_unmanaged hooked
wait_for 10 unit_is_gone "$unit"
wait_for 5 told $ENDED hooked
assert_eq 'records' "$(ls -A /run/usm/containers)" ''
assert_match 'status' "$(usmctl status)" 'no container runs under a policy'

# Without the module: one sentence, and no restart loop.
systemctl stop usmd.service
assert_ok modprobe -r usm
systemctl start usmd.service 2>/dev/null || :
assert_eq 'exit status' "$(property usmd.service ExecMainStatus)" 69
assert_eq 'restarts' "$(property usmd.service NRestarts)" 0
wait_for 5 sh -c "journalctl -q -u usmd.service -n 20 -o cat | grep 'is the module usm loaded'"
systemctl reset-failed usmd.service
assert_ok modprobe usm
wait_for 20 usm_ready
pass
