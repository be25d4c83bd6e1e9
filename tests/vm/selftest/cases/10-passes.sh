#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# kernels: 6.12
. "${VMTEST:?}/lib.sh"

bundle=$(container_make hello --memory 64M --annotation 'some.key={"a":1,"b":"c d"}' -- \
	/bin/sh -c 'echo "from $(hostname)" >/data/out; cat /proc/self/cgroup >>/data/out')
assert_ok container_run "$bundle"
assert_match 'output of the container' "$(cat "$bundle/data/out")" 'from hello'
assert_match 'its cgroup' "$(cat "$bundle/data/out")" '/vmtest/hello'
assert_eq 'annotation' "$(jq -r '.annotations["some.key"]' "$bundle/config.json")" '{"a":1,"b":"c d"}'

sleeper=$(container_make sleeper -- /bin/sleep 1000)
assert_ok container_start "$sleeper"
assert_eq 'its command' "$(cat "/proc/$(container_pid sleeper)/comm")" sleep

group=$(cgroup_make small memory.max=64M)
cgroup_spawn "$group" sleep 1000
# shellcheck disable=SC2154 # set by cgroup_spawn
wait_for 5 grep -q "^$spawned\$" "$group/cgroup.procs"
assert_eq 'the process in the cgroup' "$(cgroup_run "$group" cat /proc/self/cgroup)" 0::/vmtest/small
assert_eq 'memory.max' "$(cat "$group/memory.max")" $((64 << 20))
pass
