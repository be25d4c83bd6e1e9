#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 300
# full-timeout: 1800
# cpus: 2
#
# In a container under a policy, memory is what it is elsewhere: the stress program, of
# 32 bits, linked dynamically and statically, finds no error, and all is given back.
. "${VMTEST:?}/lib.sh"

stress_builds 32:0 dynamic:4 static:9
pass
