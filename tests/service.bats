#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# The broker as a service of the host's, and programs that never had a right: confined as Debian's
# unit of redis does it, they have connections borrowed by the service's group alone. Without
# systemd: tests/programs/as_unit.py does with a process what a unit says.

bats_require_minimum_version 1.5.0
load lib/common

redis_unit=/lib/systemd/system/redis-server.service
unit=$build/broker/service/melin-broker.service
# The group's number; no name is added to the machine's.
group=64124
# What a loan has the program say, and nothing else.
borrowed='descriptor [0-9]*: borrowed'

setup() {
	[[ -z $plain ]] || skip "there is no host mode without libmelin.so"
	[[ -f $redis_unit ]] || fail "there is no $redis_unit"
	common_setup
	run_folder=$BATS_TEST_TMPDIR/run
	install -d -m 755 "$run_folder" "$run_folder/melin"
	install -d -o redis -g redis "$run_folder/redis"
}

# Where the service's socket is: a /run of the test's own for a program, started in it.
own_run() {
	# shellcheck disable=SC2016
	wrapped=(unshare --mount bash -c 'mount --bind "$0" /run && exec "$@"' "$run_folder")
}

# serve_host [NAME=VALUE...]: the broker, by its units.
serve_host() {
	local socket=${unit%service}socket wrapped arguments
	own_run
	read -ra arguments < <(sed -n 's/^ExecStart=[^ ]*//p' "$unit")
	start broker near "${wrapped[@]}" systemd-socket-activate --seqpacket \
		--listen="$(sed -n 's/^ListenSequentialPacket=//p' "$socket")" \
		"$python" "$programs/as_unit.py" "$unit" "BindReadOnlyPaths=$build" "$@" -- \
		"$build/melin-broker" "${arguments[@]}"
	wait_until 60 test -S "$run_folder/melin/broker.sock" || fail "$(output_of broker)"
	chgrp "$group" "$run_folder/melin/broker.sock"
	chmod "$(sed -n 's/^SocketMode=//p' "$socket")" "$run_folder/melin/broker.sock"
}

# It is not started before somebody asks, which takes as_unit.py a while.
broker_runs() {
	local wrapped
	own_run
	wait_until 60 eval 'on near "${wrapped[@]}" "$build/tests/programs/broker_clients" 1 \
		</dev/null | grep -q "^1 of 1"' || fail "$(output_of broker)"
}

# confined NAME [NAME=VALUE...] -- PROGRAM...: by the unit of redis, under melin
confined() {
	local name=$1 wrapped settings=()
	shift
	while [[ $1 != -- ]]; do
		settings+=("$1")
		shift
	done
	own_run
	start "$name" near "${wrapped[@]}" "$python" "$programs/as_unit.py" "$redis_unit" \
		"BindReadOnlyPaths=$build" "ExecPaths=$build /usr/bin/env" "${settings[@]}" -- \
		/usr/bin/env "LD_PRELOAD=$library" 'MELIN_FLOWS=listen:*:*' MELIN_LOG=debug \
		MELIN_BORROW=always "${@:2}"
}

redis=(/usr/bin/redis-server --bind "$near_kernel" --port 7000 --protected-mode no --save ''
	--dir /run/redis)

@test "the broker's unit is hardened: systemd-analyze says how much" {
	run -0 systemd-analyze security --offline=true --no-pager --threshold=20 "$unit"
	echo "$output"
	[[ ${lines[-1]} == *'Overall exposure level for melin-broker.service: 1.'* ]]
}

@test "Debian's hardened redis borrows by its group, whatever another of the group does" {
	serve_host
	broker_runs
	confined redis "SupplementaryGroups=$group" -- "${redis[@]}"
	answers far "$near_kernel" 7000
	grep -qE '^CapBnd:\s*0{16}$' "/proc/$(pid_of redis)/status"
	grep -qE '^Seccomp:\s*2$' "/proc/$(pid_of redis)/status"
	# Another user's program takes all that it can get, and is killed.
	confined crowd "SupplementaryGroups=$group" User=nobody -- \
		"$build/tests/programs/broker_clients" 400 keep
	printed crowd ' of 400$'
	wait_until 60 eval 'on far redis-benchmark -h "$near_kernel" -p 7000 -c 4 -n 4000 -q \
		-t get >"$BATS_TEST_TMPDIR/benchmark.out" &&
		[ "$(grep -c "$borrowed" "$BATS_TEST_TMPDIR/redis.out")" -ge 4 ]' ||
		fail "not borrowed"
	end crowd KILL
	[ "$(on far redis-cli -h "$near_kernel" -p 7000 bgsave)" = 'Background saving started' ]
	wait_until 60 test -s "$run_folder/redis/dump.rdb"
	[ "$(on far redis-cli -h "$near_kernel" -p 7000 ping)" = PONG ]
	stop redis
	grep -qE 'summary: .* returned_lost=0 ' "$BATS_TEST_TMPDIR/redis.out"
	stop broker
}

@test "nginx confined like that, with a master and a worker" {
	local conf
	serve_host
	broker_runs
	conf=$(nginx_configuration 7080 on)
	install -d -o www-data "$run_folder/nginx"
	sed -e "s|$BATS_TEST_TMPDIR|/run/nginx|" -e '/^ *user /d' "$conf" \
		>"$run_folder/nginx/nginx.conf"
	confined nginx "SupplementaryGroups=$group" User=www-data Group=www-data \
		'ExecPaths=/usr/sbin/nginx' 'ReadWritePaths=/run/nginx' -- \
		/usr/sbin/nginx -p /run/nginx -c /run/nginx/nginx.conf
	answers far "$near_kernel" 7080
	wait_until 60 eval 'on far ab -q -k -c 4 -n 4000 "http://$near_kernel:7080/hello" \
		>"$BATS_TEST_TMPDIR/ab.out" &&
		[ "$(grep -c "$borrowed" "$BATS_TEST_TMPDIR/nginx.out")" -ge 4 ]' ||
		fail "not borrowed"
	grep -q 'Failed requests: *0$' "$BATS_TEST_TMPDIR/ab.out"
	stop nginx QUIT
	stop broker
}

@test "who is not in the group gets nothing: its connections are the kernel's" {
	serve_host
	confined redis -- "${redis[@]}"
	answers far "$near_kernel" 7000
	on far redis-benchmark -h "$near_kernel" -p 7000 -c 4 -n 4000 -q -t get
	stop redis
	not grep -q "$borrowed" "$BATS_TEST_TMPDIR/redis.out"
	grep -q 'CAP_NET_ADMIN' "$BATS_TEST_TMPDIR/redis.out"
	# Nobody has asked anything of it yet.
	not grep -q Execing "$BATS_TEST_TMPDIR/broker.out"
}

@test "a user has a quarter of the clients, and others the rest" {
	local user
	# 16 clients.
	serve_host LimitNOFILE=288
	broker_runs
	for user in nobody www-data redis; do
		confined "$user" "SupplementaryGroups=$group" "User=$user" -- \
			"$build/tests/programs/broker_clients" 6 keep
		printed "$user" '^4 of 6$' 60
	done
	end nobody
	wait_until 60 nobody_gets_one || fail "$(output_of nobody)"
}

# The broker may be about to hear that others have gone.
nobody_gets_one() {
	confined nobody "SupplementaryGroups=$group" User=nobody -- \
		"$build/tests/programs/broker_clients" 1
	printed nobody '^[01] of 1$'
	grep -qx '1 of 1' "$BATS_TEST_TMPDIR/nobody.out"
}

# As pg_ctlcluster does it: another user's before its program is executed, and without any right.
@test "postgres, whose user is changed before it is executed, with pgbench -c 8" {
	local pgbin wrapped log=$BATS_TEST_TMPDIR/postgres.out data=$BATS_TEST_TMPDIR/data
	local user=(setpriv --reuid=postgres --regid=postgres "--groups=$group")
	pgbin=$(printf '%s\n' /usr/lib/postgresql/*/bin | tail -n 1)
	chmod 755 "$BATS_RUN_TMPDIR" "$BATS_FILE_TMPDIR" "$BATS_TEST_TMPDIR"
	install -d -o postgres -m 700 "$data"
	(cd / && "${user[@]}" "$pgbin/initdb" -N -A trust -D "$data" \
		>"$BATS_TEST_TMPDIR/initdb.out" 2>&1)
	echo 'host all all 198.18.0.0/15 trust' >>"$data/pg_hba.conf"
	serve_host
	broker_runs
	own_run
	cd /
	start postgres near "${wrapped[@]}" env "LD_PRELOAD=$library" MELIN_FLOWS=listen:*:5432 \
		MELIN_LOG=debug MELIN_BORROW=always "${user[@]}" "$pgbin/postgres" -D "$data" \
		-c listen_addresses='*' -c unix_socket_directories= -c fsync=off
	answers far "$near_kernel" 5432
	on far pgbench -q -i -s 1 -h "$near_kernel" -U postgres postgres
	# Each of its processes has a stack of its own, which starts while the kernel serves.
	wait_until 100 eval 'on far pgbench -n -S -c 8 -t 400 -h "$near_kernel" -U postgres \
		postgres >"$BATS_TEST_TMPDIR/pgbench.out" &&
		[ "$(grep -o ": borrowed \[postgres [0-9]*" "$log" | sort -u | wc -l)" -ge 8 ]' ||
		fail "not borrowed"
	grep -q 'number of transactions actually processed: 3200/3200' \
		"$BATS_TEST_TMPDIR/pgbench.out"
	stop postgres INT
	not grep -q 'returned_lost=[1-9]' "$log"
	stop broker
}
