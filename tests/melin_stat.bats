#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# melin stat and melin top: what they say of running processes is so. A redis-server's connections
# are held by a client in another namespace, so that nothing changes while they are looked at.

load lib/common
load lib/host
load lib/status

LEVEL=debug
DEFAULT_BORROW=always

@test "borrowed connections, with what ss(8) would tell of them" {
	start_redis
	hold 3 10
	all_borrowed 3
	bytes=$(($(grep -c ready "$BATS_TEST_TMPDIR/client.out") * 10 * 6))
	run "$melin" stat "$(pid_of redis)"
	[[ ${lines[0]} == "redis-server pid=$(pid_of redis) "* ]]
	[[ ${lines[0]} == *"host mode, stack runs: 3 borrowed, 0 the kernel's"* ]]
	ends="$near_kernel:7379 +$far_kernel:[0-9]+"
	users="users:\(\(\"redis-server\",pid=$(pid_of redis),fd=[0-9]+\)\)"
	[[ $(grep -cE "^ESTAB +0 +0 +$ends  $users  borrowed$" <<<"$output") -eq 3 ]]
	info="rtt:[0-9].* mss:1448 cwnd:[1-9].*bytes_received:$bytes "
	[[ $(grep -cE "$info" <<<"$output") -eq 3 ]]
	[[ $(grep -cE " retrans:0 loans:1 age:[0-9]+(ms|s)" <<<"$output") -eq 3 ]]
	grep -q 'ss(8) shows of a borrowed connection is its twin' <<<"$output"
	# They are what the kernel's list has, by their ends.
	diff <(on near ss -Htn state established sport = :7379 | awk '{ print $4 }' | sort) \
		<(of redis '.connections[].peer' | sort)
}

@test "bytes are counted over all loans" {
	BORROW=random start_redis
	hold 1 1
	wait_until 60 borrowed_often
	bytes=$(($(grep -c ready "$BATS_TEST_TMPDIR/client.out") * 6))
	[[ $(of redis '.connections[0].bytes_received') -eq $bytes ]]
	[[ $(of redis '.connections[0].loans') -eq $(of redis .counters.borrowed) ]]
}

borrowed_often() {
	more 10
	(($(of redis .counters.returned_chance) >= 5))
}

@test "the kernel's connections say why: no rule, few messages, given back, an option" {
	FLOWS='connect:*:1' start_redis
	hold 1 5
	[[ $(of redis '.connections[0].why') == 'no rule takes it' ]]
	[[ $(of redis .counters.kept_rule) -eq 1 && $(of redis .stack) == none ]]
	stop client KILL || true
	stop redis
	rm "$BATS_TEST_TMPDIR/more"
	BORROW='' start_redis
	hold 1 1
	[[ $(of redis '.connections[0].carrier') == kernel ]]
	[[ $(of redis '.connections[0].why') == 'few messages so far' ]]
	"$melin" stat "$(pid_of redis)" | grep -q 'kernel: few messages so far$'
}

@test "the peer is this host: said so" {
	start_redis
	HOST=near hold 1 10
	wait_until 60 local_is_known
}

# Until the stack runs there is nobody who could look.
local_is_known() {
	more 1
	[[ $(of redis '.connections[0].why') == "the peer is this host" ]]
}

@test "counters: the summary's, and what is added in a watch" {
	start_redis
	hold 2 10
	all_borrowed 2
	[[ $(of redis .counters.borrowed) -eq 2 ]]
	frames=$(of redis .counters.rx_frames)
	more 1
	(($(of redis .counters.rx_frames) >= frames + 20))
	# It had nothing to do before the last requests came.
	(($(of redis '.counters | .waits_polled + .waits_slept') >= 1))
	# How many are borrowed has not been asked.
	[[ $("$melin" stat --counters "$(pid_of redis)" | head -n 1) == \
		"redis-server pid=$(pid_of redis) melin "*' host mode, stack runs' ]]
	start watch near "$melin" stat --counters --watch 0.2 "$(pid_of redis)"
	wait_until 60 more_and_matches 'rx_payload +[0-9]+ +\+[1-9][0-9]* +[0-9]+/s'
	end watch
	stop redis
	took redis borrowed -eq 2
}

more_and_matches() {
	more 1
	grep -qE "$1" "$BATS_TEST_TMPDIR/watch.out"
}

@test "Prometheus's format: each metric once, with a type, and samples together" {
	start_redis
	hold 1 10
	all_borrowed 1
	"$melin" stat --prometheus >"$BATS_TEST_TMPDIR/metrics"
	labels="pid=\"$(pid_of redis)\",program=\"redis-server\",carrier=\"borrowed\""
	grep -q "^melin_connections{$labels} 1$" \
		"$BATS_TEST_TMPDIR/metrics"
	"$python" "$programs/exposition.py" "$BATS_TEST_TMPDIR/metrics"
	if command -v promtool; then
		[[ -z $(promtool check metrics <"$BATS_TEST_TMPDIR/metrics" 2>&1) ]]
	fi
}

@test "a program whose name has quotes, a backslash and what terminals obey in it" {
	odd=$'a"b\\c\e[m'
	cp /bin/sleep "$BATS_TEST_TMPDIR/$odd"
	start odd near env "LD_PRELOAD=$library" MELIN_FLOWS='listen:*:7000' \
		"$BATS_TEST_TMPDIR/$odd" 60
	wait_until 60 named odd "$odd"
	wait_until 60 has_page odd
	[[ $(of odd .program) == 'a"b\c?[m' ]]
	"$melin" stat "$(pid_of odd)" | grep -qF 'a"b\c?[m pid='
	"$melin" stat --prometheus >"$BATS_TEST_TMPDIR/metrics"
	grep -qF 'program="a\"b\\c?[m"' "$BATS_TEST_TMPDIR/metrics"
	"$python" "$programs/exposition.py" "$BATS_TEST_TMPDIR/metrics"
}

named() {
	[[ $(<"/proc/$(pid_of "$1")/comm") == "$2" ]]
}

@test "who may look: root and its user, and nobody else; the page is 0600 and goes with it" {
	start_redis
	process=$(pid_of redis)
	page=$(find "/proc/$process/fd" -lname '/memfd:melin-status*')
	[[ $(stat -L -c '%a %u' "$page") == '600 0' ]]
	run setpriv --reuid=65534 --regid=65534 --clear-groups "$melin" stat "$process"
	[[ $status -eq 1 && $output == *"$process: permission denied"* && $output != *ESTAB* ]]
	run setpriv --reuid=65534 --regid=65534 --clear-groups "$melin" drain "$process"
	[[ $status -eq 1 && $output == *"permission denied"* ]]
	[[ $(of redis .drained) == false ]]
	start own near setpriv --reuid=65534 --regid=65534 --clear-groups \
		env LD_PRELOAD="$library" MELIN_FLOWS='listen:*:7000' sleep 60
	wait_until 60 has_page own
	setpriv --reuid=65534 --regid=65534 --clear-groups "$melin" stat "$(pid_of own)" |
		grep -q "^sleep pid=$(pid_of own) "
	kill -KILL "$process"
	wait_until 60 gone "$process"
	run "$melin" stat "$process"
	[[ $status -eq 1 && $output == *"$process: "* ]]
	rm "$BATS_TEST_TMPDIR/redis.pid"
}

@test "a child of fork has a page of its own, a program without rules none" {
	start parent near env LD_PRELOAD="$library" MELIN_FLOWS='listen:*:7000' "$python" -c '
import os, time
child = os.fork()
if child:
    print("child", child, flush=True)
time.sleep(60)'
	printed parent 'child [0-9]+'
	child=$(awk '/^child/ { print $2 }' "$BATS_TEST_TMPDIR/parent.out")
	# The parent may be faster.
	wait_until 60 eval '"$melin" stat "$child" >/dev/null 2>&1'
	[[ $("$melin" stat --json "$child" | jq .processes[0].pid) -eq $child ]]
	"$melin" drain "$child" >/dev/null
	[[ $("$melin" stat --json "$child" | jq .processes[0].drained) == true ]]
	[[ $(of parent .drained) == false ]]
	start plain near sleep 60
	run "$melin" stat "$(pid_of plain)"
	[[ $status -eq 1 && $output == *"melin is not in it"* ]]
}

@test "a stack of its own: its connections are in no list of the kernel's" {
	start server near env LD_PRELOAD="$library" MELIN_FLOWS='any:*:7000' MELIN_DEV=loop \
		MELIN_ADDR="$near_stack/24" "$python" -c '
import socket, time
listener = socket.create_server(("'"$near_stack"'", 7000))
client = socket.create_connection(("'"$near_stack"'", 7000))
server, _ = listener.accept()
client.sendall(b"x" * 1000)
server.recv(10)
print("ready", flush=True)
time.sleep(60)'
	printed server ready
	[[ $(carried_by server stack) -eq 2 ]]
	[[ $(of server .mode) == own ]]
	[[ $(of server '[.connections[].recv_q] | max') -eq 990 ]]
	[[ $(of server .counters.loop_segments) -ge 4 ]]
}

@test "a process that never takes a connection makes no thread, and few system calls" {
	strace -f -qq -o "$BATS_TEST_TMPDIR/calls" env -i LD_PRELOAD="$library" \
		MELIN_FLOWS='listen:*:7000' /bin/true
	strace -f -qq -o "$BATS_TEST_TMPDIR/calls.without" env -i LD_PRELOAD="$library" /bin/true
	! grep -qE 'clone|clone3' "$BATS_TEST_TMPDIR/calls" || false
	added=$(($(wc -l <"$BATS_TEST_TMPDIR/calls") - $(wc -l <"$BATS_TEST_TMPDIR/calls.without")))
	echo "$added more system calls with rules than without"
	((added <= 40))
}

@test "melin top: in a terminal, another size, q" {
	start_redis
	hold 1 10
	all_borrowed 1
	"$python" "$programs/terminal.py" "$melin" top --delay 0.2 "$(pid_of redis)"
	run "$melin" top
	[[ $status -eq 1 && $output == *"this is no terminal"* ]]
}

@test "wrong usage: a usage line and status 2" {
	for wrong in 'x' '0' '-1' '--watch' '--watch 0' '--watch x' '--json --prometheus' \
		'--bogus' '99999999999999'; do
		# shellcheck disable=SC2086 # words
		run "$melin" stat $wrong
		[[ $status -eq 2 && $output == *"usage: melin stat"* ]]
	done
	run "$melin" top --delay 0
	[[ $status -eq 2 && $output == *"usage: melin top"* ]]
	run "$melin" stat --counters
	[[ $status -eq 0 ]]
	not "$melin" stat --json >/dev/full
}
