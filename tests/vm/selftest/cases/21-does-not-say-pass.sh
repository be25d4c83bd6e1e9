#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# kernels: 6.12
. "${VMTEST:?}/lib.sh"

exit 0
