#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 180
# full-timeout: 600
# cpus: 2
#
# As the case stress, linked with the C library of Debian 11 (glibc 2.31): what its
# start-up code and its threads map, they map in other ways.
. "${VMTEST:?}/lib.sh"

[ -s "$PROGRAMS/stress.old" ] || skip 'the C library of Debian 11 was not to be had'
stress_builds old:0
pass
