#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Something outside of the case's cgroups, which nobody removes: found at the end.
. "${VMTEST:?}/lib.sh"

wait_for 10 test -c /dev/usm
assert_ok systemd-run -q sh -c 'exec sleep 1000 </dev/usm'
sleep 1
pass
