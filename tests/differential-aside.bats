#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# Every socket call as Linux does it: the programs of tests/differential/ run over the kernel and
# over melin, and must print the same. Here: no rule selects the flows, and nothing may change.
# DIFFERENTIAL=full runs each as client and as server, over IPv4 and IPv6; else one of them.

setup() {
	cd "${TESTS_BUILD:-$PWD}" || return 1
	compare=$BATS_TEST_DIRNAME/differential/compare
}

same() {
	local ends=("client 4") end status=0
	[[ ${DIFFERENTIAL-} == full ]] && ends+=("server 6")
	for end in "${ends[@]}"; do
		echo "## aside $end $1"
		# shellcheck disable=SC2086 # two words
		"$compare" aside $end "$1" || status=1
	done
	return $status
}

@test "differential, aside: accept" {
	same accept
}

@test "differential, aside: asynchronous" {
	same asynchronous
}

@test "differential, aside: bind" {
	same bind
}

@test "differential, aside: blocking" {
	same blocking
}

@test "differential, aside: close" {
	same close
}

@test "differential, aside: connect" {
	same connect
}

@test "differential, aside: duplicate" {
	same duplicate
}

@test "differential, aside: epoll" {
	same epoll
}

@test "differential, aside: epoll_wait" {
	same epoll_wait
}

@test "differential, aside: exit" {
	same exit
}

@test "differential, aside: faults" {
	same faults
}

@test "differential, aside: fork" {
	same fork
}

@test "differential, aside: ioctl" {
	same ioctl
}

@test "differential, aside: leave" {
	same leave
}

@test "differential, aside: options" {
	same options
}

@test "differential, aside: poll" {
	same poll
}

@test "differential, aside: receive" {
	same receive
}

@test "differential, aside: send" {
	same send
}

@test "differential, aside: shutdown" {
	same shutdown
}

@test "differential, aside: signals" {
	same signals
}

@test "differential, aside: small_stacks" {
	same small_stacks
}

@test "differential, aside: surface" {
	same surface
}

@test "differential, aside: threads" {
	same threads
}

@test "differential, aside: urgent" {
	same urgent
}
