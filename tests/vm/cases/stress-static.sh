#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 180
# full-timeout: 600
#
# In a container under a policy, memory is what it is elsewhere: the stress program,
# linked statically, finds no error, and all is given back afterwards.
. "${VMTEST:?}/lib.sh"

stress_orders static 9
pass
