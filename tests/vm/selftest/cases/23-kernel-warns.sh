#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# kernels: 6.12
. "${VMTEST:?}/lib.sh"

echo 'WARNING: CPU: 0 PID: 1 at mm/self/test.c:1 nothing+0x1/0x2' >/dev/kmsg
pass
