#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 500
# full-timeout: 1200
#
# PostgreSQL and pgbench under random eviction: after transactions of several clients, a
# server that was killed and came back, and sorts and hashes in memory of their own, all
# sums agree with each other and all rows with those on stock memory.
. "${VMTEST:?}/lib.sh"
. "$PROGRAMS/under-eviction.sh"

# Once and on stock memory, since it takes as long as all that follows.
install -d -o postgres -m 700 pg
setpriv --reuid postgres --regid postgres --clear-groups /usr/lib/postgresql/15/bin/initdb \
	-D "$PWD/pg" --no-sync --locale=C --auth=trust >initdb.log 2>&1 || fail "$(cat initdb.log)"
mkdir -p stock/data managed/data
cp -a pg stock/data
mv pg managed/data

# What processes of the server share is not private memory, and so not the policy's.
both 3000 <<'END'
cd /data
export PATH=/usr/lib/postgresql/15/bin:$PATH PGHOST=/data PGDATABASE=postgres PGUSER=postgres
chmod 777 /data
as() { setpriv --reuid postgres --regid postgres --clear-groups --inh-caps=-all "$@"; }
start() {
	as postgres -D /data/pg -c listen_addresses= -c unix_socket_directories=/data \
		-c dynamic_shared_memory_type=mmap -c shared_buffers=16MB -c work_mem=16MB \
		-c jit=off -c autovacuum=off -c fsync=off >>pg.log 2>&1 &
	server=$!
	until as pg_isready -q; do sleep 0.3; done
}
sql() { as psql -qAtX -v ON_ERROR_STOP=1 -c "$1"; }
# The four tables tell the same of the transactions, whatever their order was.
consistent() {
	sql "select sum(abalance) = (select sum(bbalance) from pgbench_branches) and
		sum(abalance) = (select sum(tbalance) from pgbench_tellers) and
		sum(abalance) = (select sum(delta) from pgbench_history) from pgbench_accounts"
	sql 'select count(*), sum(delta) from pgbench_history'
	sql "select md5(string_agg(aid || ' ' || abalance, ',' order by aid))
		from pgbench_accounts where abalance <> 0"
}

start
as pgbench -i -q -s 1 2>/dev/null
as pgbench -n -c 4 -j 1 -t 60 --random-seed=1 >bench
grep -o 'number of transactions actually processed.*\|number of failed.*' bench
consistent
# In memory of the backend: a sort, a hash join and an aggregate that do not spill.
sql "set enable_mergejoin = off; set enable_nestloop = off;
	select count(*), sum(a.aid * b.n) from pgbench_accounts a join
	(select aid, row_number() over (order by md5(aid::text)) n from pgbench_accounts) b
	using (aid)"
sql "select md5(string_agg(x, '' order by x)) from
	(select md5(i::text) x from generate_series(1, 80000) i) t"
# Killed: it recovers from its log.
kill -9 "$(head -n 1 pg/postmaster.pid)"
wait $server || :
while pgrep -x postgres >/dev/null; do sleep 0.2; done
start
consistent
as pgbench -n -c 2 -t 20 --random-seed=2 -S >bench
consistent
kill -INT "$(head -n 1 pg/postmaster.pid)"
wait $server
END
pass
