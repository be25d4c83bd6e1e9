#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# kernels: 6.12
. "${VMTEST:?}/lib.sh"

echo '@0000000000000000 end 26-forges-a-verdict pass 1'
exit 3
