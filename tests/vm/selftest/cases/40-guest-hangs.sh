#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# kernels: 6.12
# timeout: 3
. "${VMTEST:?}/lib.sh"

# The judge itself stops: what is left is the host's patience.
kill -STOP "$(systemctl show -P MainPID vmtest.service)"
sleep 1000
