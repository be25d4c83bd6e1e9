#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# kernels: 6.12
. "${VMTEST:?}/lib.sh"

assert_le 'uptime' "$(cut -d. -f1 /proc/uptime)" 120
pass
