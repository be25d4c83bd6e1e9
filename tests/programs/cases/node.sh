#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 400
# full-timeout: 1200
#
# A server and its clients in Node.js under random eviction: V8's collector moves objects
# between spaces that it maps and unmaps, and threads of its own work on them meanwhile.
# Every answer is compared with what was sent.
. "${VMTEST:?}/lib.sh"
. "$PROGRAMS/under-eviction.sh"

both 6000 <<'END'
node /programs/node-server.js 300
END
pass
