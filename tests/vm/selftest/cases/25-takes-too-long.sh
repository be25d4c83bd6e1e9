#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# kernels: 6.12
# timeout: 3
. "${VMTEST:?}/lib.sh"

sleep 1000
pass
