#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# Every socket call as Linux does it: the programs of tests/differential/ run over the kernel and
# over melin, and must print the same. Here: client and server in one process, over loopback and
# MELIN_DEV=loop.
# DIFFERENTIAL=full runs each as client and as server, over IPv4 and IPv6; else two of the four.

setup() {
	cd "${TESTS_BUILD:-$PWD}" || return 1
	compare=$BATS_TEST_DIRNAME/differential/compare
}

same() {
	local ends=("client 4" "server 6") end status=0
	[[ ${DIFFERENTIAL-} == full ]] && ends+=("client 6" "server 4")
	for end in "${ends[@]}"; do
		echo "## loop $end $1"
		# shellcheck disable=SC2086 # two words
		"$compare" loop $end "$1" || status=1
	done
	return $status
}

@test "differential, loop: accept" {
	same accept
}

@test "differential, loop: ancillary" {
	same ancillary
}

@test "differential, loop: asynchronous" {
	same asynchronous
}

@test "differential, loop: bind" {
	same bind
}

@test "differential, loop: blocking" {
	same blocking
}

@test "differential, loop: close" {
	same close
}

@test "differential, loop: connect" {
	same connect
}

@test "differential, loop: duplicate" {
	same duplicate
}

@test "differential, loop: epoll" {
	same epoll
}

@test "differential, loop: epoll_wait" {
	same epoll_wait
}

@test "differential, loop: exit" {
	same exit
}

@test "differential, loop: faults" {
	same faults
}

@test "differential, loop: fork" {
	same fork
}

@test "differential, loop: hold" {
	same hold
}

@test "differential, loop: ioctl" {
	same ioctl
}

@test "differential, loop: leave" {
	same leave
}

@test "differential, loop: options" {
	same options
}

@test "differential, loop: poll" {
	same poll
}

@test "differential, loop: promise" {
	same promise
}

@test "differential, loop: receive" {
	same receive
}

@test "differential, loop: send" {
	same send
}

@test "differential, loop: sequences" {
	same sequences
}

@test "differential, loop: shutdown" {
	same shutdown
}

@test "differential, loop: signals" {
	same signals
}

@test "differential, loop: small_stacks" {
	same small_stacks
}

@test "differential, loop: surface" {
	same surface
}

@test "differential, loop: threads" {
	same threads
}

@test "differential, loop: urgent" {
	same urgent
}
