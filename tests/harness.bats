#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# The harness itself, without melin: an assertion that cannot fail proves nothing.

load lib/common

@test "harness: near and far reach each other, IPv4 and IPv6" {
	on near ping -c 1 -W 20 "$far_kernel"
	on far ping -6 -c 1 -W 20 "$near_kernel6"
}

@test "harness: a kernel connection moves the kernel's counters" {
	plain=
	nginx=$(nginx_configuration "$far_kernel:80")
	start nginx far nginx -c "$nginx" -p "$BATS_TEST_TMPDIR"
	listens far 80
	mark_kernel near
	[ "$(on near curl -sS "http://$far_kernel/hello")" = "hello from nginx" ]
	kernel_moved near 3
	[ "$(kernel_growth near TcpActiveOpens)" -eq 1 ]
	not kernel_still near
	not kernel_moved near 1000
}

@test "harness: no connection leaves them where they were" {
	plain=
	mark_kernel near
	on near ping -c 1 -W 20 "$far_kernel"
	kernel_still near
	not kernel_moved near 1
}

@test "harness: the summary is added up over processes, and its lack is seen" {
	plain=
	not took nothing rx_frames -ge 0
	echo "melin: info: started" >"$BATS_TEST_TMPDIR/some.melin"
	not took some rx_frames -ge 0
	echo "melin: summary: taken_connect=2 rx_frames=7" >>"$BATS_TEST_TMPDIR/some.melin"
	echo "melin: summary: taken_connect=1 rx_frames=0" >>"$BATS_TEST_TMPDIR/some.melin"
	took some taken_connect -eq 3
	took some rx_frames -eq 7
	not took some rx_frames -eq 8
	not took some tx_frames -eq 0
}

@test "harness: programs end with their exit status, in time" {
	start sleeper near sleep 100
	alive sleeper
	status=0
	stop sleeper || status=$?
	[ "$status" -eq 143 ]
	start seven near bash -c 'exit 7'
	status=0
	finished seven || status=$?
	[ "$status" -eq 7 ]
	limit=1
	status=0
	on near sleep 30 || status=$?
	[ "$status" -eq 124 ]
}

# What tests/run would build and what it runs, of two unit tests and a .bats file made here.
@test "harness: a choice of tests by file and title, and the programs that it needs" {
	local folder=$BATS_TEST_TMPDIR/tests
	mkdir -p "$folder"
	printf '#!/bin/sh\n' | tee "$folder/test_one" >"$folder/test_stack_two"
	chmod 755 "$folder"/*
	printf '%s\n' '# $build/tests/programs/cable, differential/compare' \
		'@test "some: poll" {' true '}' '@test "some: connect" {' false '}' \
		>"$folder/some.bats"
	run_tests() {
		TESTS_BUILD=$folder "$BATS_TEST_DIRNAME/run" "$@" "$folder"/test_one \
			"$folder"/test_stack_two "$folder/some.bats"
	}
	[ "$(run_tests | tail -n 1)" = "3 passed, 1 failed" ]
	[ "$(run_tests --only=test_ | tail -n 1)" = "2 passed, 0 failed" ]
	[ "$(run_tests --only=test_two | tail -n 1)" = "1 passed, 0 failed" ]
	[ "$(run_tests --only=some.bats:poll --only=test_one | tail -n 1)" = "2 passed, 0 failed" ]
	[ "$(run_tests --only='*.bats:poll|connect' | tail -n 1)" = "1 passed, 1 failed" ]
	[ "$(run_tests --only=some.bats:nothing | tail -n 1)" = "0 passed, 1 failed" ]
	local needs='tests/programs/cable tests/differential/poll tests/differential/connect'
	needs+=' tests/differential/socket_server tests/other'
	[ "$(run_tests --needs="$needs" --only='some.bats:: poll$')" = \
		"$(printf 'tests/%s\n' differential/poll differential/socket_server programs/cable)" ]
	[ "$(run_tests --needs="$needs" --only=test_two)" = "$folder/test_stack_two" ]
}

@test "harness: the source folder is not taken for the build folder" {
	local status=0
	touch "$BATS_TEST_TMPDIR/configure.ac"
	output=$(cd "$BATS_TEST_TMPDIR" && env -u TESTS_BUILD "$BATS_TEST_DIRNAME/run" 2>&1) ||
		status=$?
	[ "$status" -eq 2 ]
	[[ $output == *"set TESTS_BUILD to the build folder" ]]
	not test -e "$BATS_TEST_TMPDIR/tests.ran"
}
