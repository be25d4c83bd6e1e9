#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# kernels: 6.12
. "${VMTEST:?}/lib.sh"

assert_eq 'what the case before left' "$(crun list -q; pgrep -x sleep; ls -d "$CGROUPS" 2>/dev/null)" ''
pass
