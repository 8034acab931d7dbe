#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# Databases: MariaDB (a thread for each connection), and PostgreSQL (a process for each: its
# clients under melin, and the defined end of a connection that a server's child cannot have).

load lib/common

setup_file() {
	# both take seconds to make: once for all tests
	export PGDATA=$BATS_FILE_TMPDIR/postgres BATS_FILE_MYSQL=$BATS_FILE_TMPDIR/mariadb
	pgbin=$(printf '%s\n' /usr/lib/postgresql/*/bin | tail -n 1)
	export pgbin
	chmod 755 "$BATS_RUN_TMPDIR" "$BATS_FILE_TMPDIR"
	install -d -o postgres -m 700 "$PGDATA"
	(cd / && setpriv --reuid=postgres --regid=postgres --clear-groups "$pgbin/initdb" \
		-N -A trust -D "$PGDATA" >"$BATS_FILE_TMPDIR/initdb.out" 2>&1)
	echo 'host all all 198.18.0.0/15 trust' >>"$PGDATA/pg_hba.conf"
	mkdir "$BATS_FILE_MYSQL"
	mariadb-install-db --no-defaults --user=root --datadir="$BATS_FILE_MYSQL" --skip-test-db \
		--auth-root-authentication-method=normal >"$BATS_FILE_TMPDIR/mariadb.out" 2>&1
}

# start_postgres HOW HOST
start_postgres() {
	install -d -o postgres "$BATS_TEST_TMPDIR/sockets"
	chmod 755 "$BATS_TEST_TMPDIR"
	# what melin needs, and postgres does not run as root
	install -o postgres -m 644 /dev/null "$BATS_TEST_TMPDIR/postgres.melin"
	local caps=+net_raw,+net_admin,+bpf,+sys_admin,+ipc_lock
	cd /
	"$1" postgres "$2" setpriv --reuid=postgres --regid=postgres --clear-groups \
		--inh-caps="$caps" --ambient-caps="$caps" "$pgbin/postgres" -D "$PGDATA" -p 5432 \
		-c listen_addresses='*' -c unix_socket_directories="$BATS_TEST_TMPDIR/sockets" \
		-c fsync=off
}

stop_postgres() {
	stop postgres INT
}

@test "psql and pgbench under melin, 10 connections of a kernel PostgreSQL" {
	start_postgres start far
	listens far 5432
	mark_kernel near
	[ "$(melin near psql -h "$far_kernel" -U postgres -Atc 'select 6 * 7')" = 42 ]
	# 200,000 rows come back in one answer
	got=$(melin near psql -h "$far_kernel" -U postgres -Atc \
		'select md5(i::text) from generate_series(1, 200000) i' | sha256)
	[ "$got" = "$(on far psql -h "$far_kernel" -U postgres -Atc \
		'select md5(i::text) from generate_series(1, 200000) i' | sha256)" ]
	melin near pgbench -q -i -s 1 -h "$far_kernel" -U postgres postgres
	melin near pgbench -n -c 10 -j 2 -t 50 -h "$far_kernel" -U postgres postgres \
		>"$BATS_TEST_TMPDIR/pgbench.out"
	grep -q 'number of transactions actually processed: 500/500' "$BATS_TEST_TMPDIR/pgbench.out"
	melin near pgbench -n -S -C -c 5 -t 20 -h "$far_kernel" -U postgres postgres \
		>"$BATS_TEST_TMPDIR/pgbench.out"
	grep -q 'number of transactions actually processed: 100/100' "$BATS_TEST_TMPDIR/pgbench.out"
	kernel_still near
	stop_postgres
	took client taken_connect -ge 113
}

@test "PostgreSQL under melin: the kernel's connections are served, the stack's end at once" {
	start_postgres start_melin near
	answers far "$near_kernel" 5432
	[ "$(on far psql -h "$near_kernel" -U postgres -Atc 'select 6 * 7')" = 42 ]
	if [[ -z $plain ]]; then
		status=0
		on far timeout 60 psql -h "$near_stack" -U postgres -Atc 'select 1' \
			>"$BATS_TEST_TMPDIR/psql.out" 2>&1 || status=$?
		[ "$status" -eq 2 ]
	fi
	[ "$(on far psql -h "$near_kernel" -U postgres -Atc 'select 6 * 7')" = 42 ]
	stop_postgres
}

# start_mariadb HOW HOST
start_mariadb() {
	"$1" mariadb "$2" mariadbd --no-defaults --user=root --datadir="$BATS_FILE_MYSQL" \
		--port=3306 --bind-address='*' --socket="$BATS_TEST_TMPDIR/socket" \
		--skip-name-resolve --innodb-flush-log-at-trx-commit=0 \
		--pid-file="$BATS_TEST_TMPDIR/process"
	wait_until 60 test -S "$BATS_TEST_TMPDIR/socket"
	mariadb --no-defaults -S "$BATS_TEST_TMPDIR/socket" -u root -e "
		create database if not exists t;
		create user if not exists 'u'@'%' identified by 'p'; grant all on t.* to 'u'@'%'"
}

# A conversation with the server: questions ADDRESS RUNNER... (on far, melin near)
questions() {
	local client=(mariadb --no-defaults -u u -pp -h "$1" t -N) i pids=()
	shift
	[ "$("$@" "${client[@]}" -e 'select 6 * 7')" = 42 ]
	"$@" "${client[@]}" -e 'create or replace table words (id int primary key, word text);
		insert into words select seq, md5(seq) from seq_1_to_50000'
	for i in 1 2 3 4 5; do
		"$@" "${client[@]}" -e 'select word from words order by id' \
			>"$BATS_TEST_TMPDIR/rows.$i" &
		pids+=($!)
		# one process at a time has the device
		[[ $1 == on ]] || wait $!
	done
	for i in "${pids[@]}"; do
		wait "$i"
	done
	for i in 1 2 3 4 5; do
		[ "$(wc -l <"$BATS_TEST_TMPDIR/rows.$i")" -eq 50000 ]
		[ "$(tail -n 1 "$BATS_TEST_TMPDIR/rows.$i")" = \
			"$(echo -n 50000 | md5sum | cut -d' ' -f1)" ]
	done
	[ "$(sha256sum "$BATS_TEST_TMPDIR"/rows.* | cut -d' ' -f1 | sort -u | wc -l)" -eq 1 ]
}

@test "mariadbd under melin" {
	start_mariadb start_melin near
	answers far "$near_stack" 3306
	mark_kernel near
	questions "$near_stack" on far
	kernel_still near
	stop mariadb
	took mariadb taken_accept -ge 7
}

@test "mariadb under melin" {
	start_mariadb start far
	listens far 3306
	mark_kernel near
	questions "$far_kernel" melin near
	kernel_still near
	stop mariadb
	took client taken_connect -eq 7
}
