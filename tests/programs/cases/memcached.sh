#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 400
# full-timeout: 1200
#
# memcached with its threads under random eviction: large enough to keep all, it has to
# have every value as it was put there.
. "${VMTEST:?}/lib.sh"
. "$PROGRAMS/under-eviction.sh"

both 6000 <<'END'
memcached -u nobody -m 128 -t 4 -l 127.0.0.1 -p 7002 2>/data/memcached.log &
server=$!
until python3 -c 'import socket; socket.create_connection(("127.0.0.1", 7002))'; do
	sleep 0.5
done 2>/dev/null
python3 -P /programs/memcached-load.py 7002
kill $server
wait $server || :
END
pass
