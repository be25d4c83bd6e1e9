#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 300
#
# Cgroups as different runtimes make them: which one is bound, with which limit, and
# what people call the container. With the hook of the package, and without one.
. "${VMTEST:?}/lib.sh"

wait_for 30 usm_ready

bound() { usm_show "$1" .cgroup; }
is_armed() { usm_is "$1" .state armed; }
is_unmanaged() { ! usmctl show "$1" >/dev/null 2>&1; }

# ------------------------------------------------- crun with systemd: a nested cgroup
bundle=$(container_make c2 --memory 256M --annotation 'usm.policy=firstfit' \
	--annotation usm.policy.required=true -- /programs/fillmem --mib 16)
sed -i 's,"/vmtest/c2","system.slice:usm:c2",' "$bundle/config.json"
assert_ok crun --systemd-cgroup run --detach --bundle "$bundle" c2 </dev/null >log 2>&1
wait_for 20 usm_is c2 .state armed
assert_match 'cgroup' "$(bound c2)" '^/system.slice/usm-c2.scope(/container)?$'
# 256M less a sixteenth, whichever of the two cgroups carries the limit.
assert_eq 'ceiling' "$(usm_show c2 .ceiling)" $((240 * 256))
assert_ok crun delete --force c2
wait_for 10 is_unmanaged c2

# Found late, by the name of the scope around it.
sed -i '/"hooks": /d' "$bundle/config.json"
assert_ok crun --systemd-cgroup run --detach --bundle "$bundle" c2 </dev/null >log 2>&1
wait_for 20 is_armed c2
assert_match 'cgroup' "$(bound c2)" '^/system.slice/usm-c2.scope(/container)?$'
assert_eq 'late' "$(usm_show c2 .late)" true
assert_ok crun delete --force c2
wait_for 10 is_unmanaged c2

# ---------------------------------------------------------------- podman, by hooks.d
podman_run() {
	podman run --detach --network none --memory 256m --cgroups enabled "$@" --rootfs \
		"$bundle/rootfs" /programs/fillmem --mib 16 2>&1
}
mounts="--volume /usr:/usr:ro --volume /etc:/etc:ro --volume $PROGRAMS:/programs:ro"
# shellcheck disable=SC2086 # words
assert_ok podman_run $mounts --name web \
	--annotation 'usm.policy=firstfit memory=64M'
id=$(podman inspect --format '{{.Id}}' web)
wait_for 10 is_armed "$id"
assert_match 'cgroup' "$(bound "$id")" "libpod-$id"
assert_eq 'late' "$(usm_show "$id" .late)" false
assert_eq 'by a prefix' "$(usm_show "$(printf %.12s "$id")" .container)" "$id"
assert_eq 'by its name' "$(usm_show web .container)" "$id"
assert_ok podman rm --force --time 0 web >/dev/null
wait_for 10 is_unmanaged "$id"
pass
