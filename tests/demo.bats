#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# The demo shows what it promises, and leaves nothing behind however it ends.

load lib/common

setup() {
	[[ $EUID -eq 0 ]] || skip "needs root to make network namespaces"
	demo=${TESTS_SOURCE:-$BATS_TEST_DIRNAME/..}/tools/demo
	mkdir "$BATS_TEST_TMPDIR/tmp"
}

teardown() {
	[[ -n ${BATS_TEST_COMPLETED:-} ]] || show_logs
	if [[ -f $BATS_TEST_TMPDIR/demo.pid ]]; then
		kill_group "$(<"$BATS_TEST_TMPDIR/demo.pid")"
	fi
}

start_demo() {
	TMPDIR=$BATS_TEST_TMPDIR/tmp setsid env --default-signal=INT "$demo" "$build" \
		>"$BATS_TEST_TMPDIR/demo.out" 2>&1 </dev/null 3>&- &
	echo $! >"$BATS_TEST_TMPDIR/demo.pid"
}

# No namespace, no process, no file of the demo with this process number is left.
nothing_left() {
	[ "$(ip netns list | grep -c "melin-demo-$1-")" -eq 0 ]
	# shellcheck disable=SC2009 # pgrep would count zombies, too
	[ "$(ps -o stat= -g "$1" | grep -cv '^Z')" -eq 0 ]
	[ -z "$(ls "$BATS_TEST_TMPDIR/tmp")" ]
}

@test "the demo: redis without a single TCP segment in the kernel" {
	start_demo
	pid=$(pid_of demo)
	finished demo 250
	output=$(output_of demo)
	[[ $output == *"The kernel has not seen a single TCP segment of it."* ]]
	[[ $output == *"hello from melin"*"hello from the kernel"* ]]
	[[ $output == *"taken_accept="* ]]
	grep -qE 'melin, its own address +[1-9][0-9]* +0$' <<<"$output"
	grep -qE "melin, the host's address +[1-9][0-9]* +[1-9][0-9]{0,4}\$" <<<"$output"
	[[ $output == *"borrowed="*"borrowed="* ]]
	grep -qE 'redis-server without +[1-9][0-9]* +[1-9][0-9]*$' <<<"$output"
	grep -qiE 'hugepages' <<<"$output"
	nothing_left "$pid"
}

interrupted() { # SIGNAL STATUS WHEN
	start_demo
	pid=$(pid_of demo)
	printed demo "$3" 60
	status=0
	stop demo "$1" || status=$?
	[ "$status" -eq "$2" ] || fail "ended with $status"
	nothing_left "$pid"
}

@test "the demo cleans up after Ctrl-C in the middle of the benchmark" {
	interrupted INT 130 'redis-benchmark -h 198.18.0.10'
}

@test "the demo cleans up after SIGTERM while redis runs" {
	interrupted TERM 143 'redis-cli -h 198.18.0.10'
}

@test "the demo cleans up when something fails" {
	mkdir "$BATS_TEST_TMPDIR/bin"
	printf '#!/bin/sh\necho "no redis today"\nexit 1\n' >"$BATS_TEST_TMPDIR/bin/redis-server"
	chmod +x "$BATS_TEST_TMPDIR/bin/redis-server"
	PATH=$BATS_TEST_TMPDIR/bin:$PATH start_demo
	pid=$(pid_of demo)
	status=0
	finished demo || status=$?
	[ "$status" -eq 1 ]
	grep -q 'no redis today' "$BATS_TEST_TMPDIR/demo.out"
	nothing_left "$pid"
}
