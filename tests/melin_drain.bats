#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# melin drain: a running process gives all its connections back to the kernel, no byte is lost, and
# it borrows none until it is told to resume. So melin itself can be replaced meanwhile.

load lib/common
load lib/host
load lib/status

LEVEL=debug
DEFAULT_BORROW=always

drained() {
	[[ $(carried_by redis borrowed) -eq 0 ]] && [[ $(of redis .drained) == true ]]
}

some_are_borrowed() {
	wait_until 60 carries redis borrowed -ge "${1:-1}"
}

@test "under load: no byte is lost, none stays borrowed, and resume borrows again" {
	start_redis
	start client far "$python" "$programs/echoing_connections.py" "$near_kernel" 7379 8 \
		"$BATS_TEST_TMPDIR/stop"
	printed client ready
	for turn in 1 2 3 4 5; do
		some_are_borrowed 6 # two of which may be the kernel's for a moment
		"$melin" drain "$(pid_of redis)"
		drained
		before=$(of redis '[.connections[].bytes_received] | add')
		wait_until 60 carries_more_than "$before"
		drained
		"$melin" drain --resume "$(pid_of redis)"
	done
	some_are_borrowed 4
	touch "$BATS_TEST_TMPDIR/stop"
	finished client
	grep 'all is well' "$BATS_TEST_TMPDIR/client.out"
	stop redis
	took redis returned_drained -ge 20
	took redis returned_lost -eq 0
}

carries_more_than() {
	(($(of redis '[.connections[].bytes_received] | add') > $1 + 100000))
}

@test "what is made while drained is the kernel's, and says so" {
	start_redis
	"$melin" drain "$(pid_of redis)" >"$BATS_TEST_TMPDIR/drain.out"
	grep -q ': 0 given back; none is borrowed until "melin drain --resume' \
		"$BATS_TEST_TMPDIR/drain.out"
	hold 2 50
	[[ $(of redis '[.connections[].why] | unique | .[]') == drained ]]
	[[ $(of redis .counters.borrowed) -eq 0 ]]
	[[ $(of redis .stack) == none ]]
	"$melin" drain --resume "$(pid_of redis)" | grep -q 'borrows again'
	all_borrowed 2
	"$melin" drain --resume "$(pid_of redis)" | grep -q 'was not drained'
}

@test "libmelin.so and melin-stack.so are replaced while a process is drained" {
	mkdir "$BATS_TEST_TMPDIR/installed"
	cp "$library" "$module" "$BATS_TEST_TMPDIR/installed"
	library=$BATS_TEST_TMPDIR/installed/libmelin.so
	start_redis
	hold 2 10
	all_borrowed 2
	"$melin" drain "$(pid_of redis)"
	for file in libmelin.so melin-stack.so; do
		cp "$BATS_TEST_TMPDIR/installed/$file" "$BATS_TEST_TMPDIR/installed/$file.new"
		mv "$BATS_TEST_TMPDIR/installed/$file.new" "$BATS_TEST_TMPDIR/installed/$file"
	done
	more 2 # the old one serves on
	"$melin" drain --resume "$(pid_of redis)"
	all_borrowed 2
	PORT=7380 start_redis second
	grep -q "installed/libmelin.so (deleted)" "/proc/$(pid_of redis)/maps"
	grep -q "installed/libmelin.so$" "/proc/$(pid_of second)/maps"
	! grep -q "installed/.*deleted" "/proc/$(pid_of second)/maps" || false
	stop redis
	took redis returned_drained -eq 2
	took redis returned_lost -eq 0
}

# --all is all: so this is done in a PID namespace, in which there are no other processes.
boxed() {
	nsenter -t "$(cat "$BATS_TEST_TMPDIR/box.init")" -p -m "$@"
}

@test "--all: each process that has connections, as numbered in a PID namespace" {
	start box near unshare -p -f --mount-proc bash -c 'echo ready; sleep 1000'
	printed box ready
	pgrep -P "$(pid_of box)" >"$BATS_TEST_TMPDIR/box.init"
	for port in 7379 7380; do
		melin_environment near "$BATS_TEST_TMPDIR/redis.melin"
		start "redis$port" near nsenter -t "$(cat "$BATS_TEST_TMPDIR/box.init")" -p -m \
			env "${environment[@]}" redis-server --port "$port" --bind '*' \
			--protected-mode no --save '' --dir "$BATS_TEST_TMPDIR"
		printed "redis$port" 'eady to accept connections'
	done
	[[ $(boxed "$melin" stat --json | jq '.processes | length') -eq 2 ]]
	boxed "$melin" drain --all >"$BATS_TEST_TMPDIR/drain.out"
	[[ $(grep -c ': 0 given back' "$BATS_TEST_TMPDIR/drain.out") -eq 2 ]]
	[[ $(boxed "$melin" stat --json | jq -c '[.processes[].drained]') == '[true,true]' ]]
	boxed "$melin" drain --all --resume | grep -q 'borrows again'
	[[ $(boxed "$melin" stat --json | jq -c '[.processes[].drained]') == '[false,false]' ]]
}

@test "a stack of its own cannot be given back; wrong usage" {
	start own near env LD_PRELOAD="$library" MELIN_FLOWS='listen:*:7000' MELIN_DEV=loop \
		MELIN_ADDR="$near_stack/24" sleep 60
	wait_until 60 has_page own
	run "$melin" drain "$(pid_of own)"
	[[ $status -eq 1 && $output == *"own mode"* ]]
	for wrong in '' '--all 1' 'x' '--timeout 0 1' '--bogus' '0'; do
		# shellcheck disable=SC2086 # words
		run "$melin" drain $wrong
		[[ $status -eq 2 && $output == *"usage: melin drain"* ]]
	done
	run "$melin" drain 999999999
	[[ $status -eq 1 && $output == *"no such process"* ]]
}
