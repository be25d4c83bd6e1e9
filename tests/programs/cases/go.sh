#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 400
# full-timeout: 1200
#
# A server and its clients in Go under random eviction: a static program whose runtime
# asks the kernel for memory itself and collects garbage beside what runs. Every answer is
# compared with what was sent.
. "${VMTEST:?}/lib.sh"
. "$PROGRAMS/under-eviction.sh"

both 5000 <<'END'
/programs/goserver 2400
END
pass
