#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# Programs that send messages on: mosquitto (MQTT), redis with publish and subscribe, and redis
# that saves to disk in a child (BGSAVE and BGREWRITEAOF fork) while clients go on.

load lib/common

start_redis() { # HOST, more options...
	local host=$1
	shift
	mkdir -p "$BATS_TEST_TMPDIR/data"
	start_melin server "$host" redis-server --port 6379 --bind '*' --protected-mode no \
		--dir "$BATS_TEST_TMPDIR/data" --enable-debug-command yes "$@"
	answers far "$near_stack" 6379
}

@test "redis under melin saves in a child while 50 clients write, and starts from the file" {
	start_redis near --save '' --appendonly yes --appendfsync everysec
	mark_kernel near
	on far redis-cli -h "$near_stack" debug populate 100000 key 100
	(on far redis-benchmark -h "$near_stack" -c 50 -n 40000 -r 1000 -t set -q \
		>"$BATS_TEST_TMPDIR/benchmark.out" 2>&1) &
	writer=$!
	for _ in 1 2 3; do
		on far redis-cli -h "$near_stack" bgsave | grep -q 'Background saving'
		wait_until 60 saved
	done
	on far redis-cli -h "$near_stack" bgrewriteaof
	wait_until 60 rewritten
	wait "$writer"
	grep -q 'requests per second' "$BATS_TEST_TMPDIR/benchmark.out"
	size=$(on far redis-cli -h "$near_stack" dbsize)
	kernel_still near
	on far redis-cli -h "$near_stack" shutdown >/dev/null || true
	finished server
	took server taken_accept -ge 50
	start_redis near --save '' --appendonly yes
	wait_until 60 loaded "$size"
	end server
}

persistence() {
	on far redis-cli -h "$near_stack" info persistence | tr -d '\r' | grep -qx "$1"
}

saved() {
	persistence rdb_bgsave_in_progress:0 && persistence rdb_last_bgsave_status:ok
}

rewritten() {
	persistence aof_rewrite_in_progress:0 && persistence aof_last_bgrewrite_status:ok
}

loaded() {
	[ "$(on far redis-cli -h "$near_stack" dbsize)" = "$1" ]
}

@test "redis under melin: 5 subscribers get 1,000 messages, their redis-cli under the kernel" {
	start_redis near --save ''
	mark_kernel near
	for i in 1 2 3 4 5; do
		start "subscriber$i" far redis-cli -h "$near_stack" subscribe news
	done
	wait_until 60 subscribers 5
	for i in {1..1000}; do
		echo "publish news message-$i"
	done | on far redis-cli -h "$near_stack" | sort -u >"$BATS_TEST_TMPDIR/published"
	[ "$(tr -d '\r' <"$BATS_TEST_TMPDIR/published")" = 5 ]
	for i in 1 2 3 4 5; do
		printed "subscriber$i" '^message-1000$'
		[ "$(grep -c '^message-' "$BATS_TEST_TMPDIR/subscriber$i.out")" -eq 1000 ]
	done
	kernel_still near
}

subscribers() {
	on far redis-cli -h "$near_stack" pubsub numsub news | grep -qx "$1"
}

@test "a redis subscriber under melin gets what others publish" {
	start server far redis-server --port 6379 --bind '*' --protected-mode no --save ''
	listens far 6379
	mark_kernel near
	start_melin subscriber near redis-cli -h "$far_kernel" subscribe news
	printed subscriber '^1$'
	for i in {1..100}; do
		echo "publish news message-$i"
	done | on far redis-cli >/dev/null
	printed subscriber '^message-100$'
	[ "$(grep -c '^message-' "$BATS_TEST_TMPDIR/subscriber.out")" -eq 100 ]
	kernel_still near
	end subscriber INT
}

start_mosquitto() { # HOW HOST
	printf 'listener 1883\nallow_anonymous true\nuser root\nmax_queued_messages 0\n' \
		>"$BATS_TEST_TMPDIR/mosquitto.conf"
	"$1" mosquitto "$2" mosquitto -v -c "$BATS_TEST_TMPDIR/mosquitto.conf"
}

subscriptions() {
	[ "$(grep -c 'Sending SUBACK' "$BATS_TEST_TMPDIR/mosquitto.out")" -eq "$1" ]
}

@test "mosquitto under melin carries messages to three subscribers, and 1 MB by checksum" {
	file=$(big_file 1)
	start_mosquitto start_melin near
	answers far "$near_stack" 1883
	mark_kernel near
	exchange "$near_stack" on far
	kernel_still near
	stop mosquitto
	took mosquitto taken_accept -ge 6
}

# 200 lines to three subscribers on far and $file to one: exchange ADDRESS RUNNER...
# (the runner is that of the publishers: on far, or melin near)
exchange() {
	local address=$1 i
	shift
	for i in 1 2 3; do
		start "listener$i" far mosquitto_sub -h "$address" -t lines -q 1 -C 200 -W 90
	done
	start big far bash -c 'exec mosquitto_sub -h "$1" -t big -q 2 -C 1 -N -W 90 >"$2"' sub \
		"$address" "$BATS_TEST_TMPDIR/got"
	wait_until 60 subscriptions 4
	seq 1 200 | "$@" mosquitto_pub -h "$address" -t lines -q 1 -l
	"$@" mosquitto_pub -h "$address" -t big -q 2 -f "$file"
	for i in 1 2 3; do
		finished "listener$i"
		[ "$(wc -l <"$BATS_TEST_TMPDIR/listener$i.out")" -eq 200 ]
		[ "$(sort -nu "$BATS_TEST_TMPDIR/listener$i.out" | tail -1)" -eq 200 ]
	done
	finished big
	cmp "$file" "$BATS_TEST_TMPDIR/got"
}

@test "mosquitto_pub and mosquitto_sub under melin" {
	file=$(big_file 1)
	start_mosquitto start far
	listens far 1883
	mark_kernel near
	exchange "$far_kernel" melin near
	start_melin last near mosquitto_sub -h "$far_kernel" -t lines -C 50 -W 90
	wait_until 60 subscriptions 5
	seq 1 50 | on far mosquitto_pub -h "$far_kernel" -t lines -l
	finished last
	[ "$(tr '\n' ' ' <"$BATS_TEST_TMPDIR/last.out")" = "$(seq -s ' ' 1 50) " ]
	kernel_still near
	took client taken_connect -eq 2
	took last taken_connect -eq 1
}
