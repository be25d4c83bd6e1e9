#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 500
# full-timeout: 1200
#
# Threads that allocate and free without rest, by glibc's malloc() and by those that people
# put in its place, under random eviction: whichever it is, they read what they wrote.
. "${VMTEST:?}/lib.sh"
. "$PROGRAMS/under-eviction.sh"

both 10000 <<'END'
run() { LD_PRELOAD=$1 /programs/allocload 4 120000; }
lib=/usr/lib/x86_64-linux-gnu
run ''
run $lib/libjemalloc.so.2
run $lib/libmimalloc.so.2.0
run $lib/libtcmalloc_minimal.so.4
END

# Each was who it should be, and they agree.
assert_eq 'allocators' "$(sed 's/:.*//' stock.result | tr '\n' ' ')" 'glibc jemalloc mimalloc tcmalloc '
assert_eq 'results' "$(sed 's/.*: //' stock.result | sort -u | wc -l)" 1
pass
