#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# Every socket call as Linux does it: the programs of tests/differential/ run over the kernel and
# over melin, and must print the same. Here: the peer is a kernel socket of another namespace.
# DIFFERENTIAL=full runs each as client and as server, over IPv4 and IPv6; else two of the four.

setup() {
	cd "${TESTS_BUILD:-$PWD}" || return 1
	compare=$BATS_TEST_DIRNAME/differential/compare
	[[ $EUID -eq 0 ]] || skip "needs root to make network namespaces"
}

same() {
	local ends=("client 4" "server 6") end status=0
	[[ ${DIFFERENTIAL-} == full ]] && ends+=("client 6" "server 4")
	for end in "${ends[@]}"; do
		echo "## veth $end $1"
		# shellcheck disable=SC2086 # two words
		"$compare" veth $end "$1" || status=1
	done
	return $status
}

@test "differential, veth: accept" {
	same accept
}

@test "differential, veth: ancillary" {
	same ancillary
}

@test "differential, veth: asynchronous" {
	same asynchronous
}

@test "differential, veth: bind" {
	same bind
}

@test "differential, veth: blocking" {
	same blocking
}

@test "differential, veth: close" {
	same close
}

@test "differential, veth: connect" {
	same connect
}

@test "differential, veth: duplicate" {
	same duplicate
}

@test "differential, veth: epoll" {
	same epoll
}

@test "differential, veth: epoll_wait" {
	same epoll_wait
}

@test "differential, veth: exit" {
	same exit
}

@test "differential, veth: faults" {
	same faults
}

@test "differential, veth: fork" {
	same fork
}

@test "differential, veth: hold" {
	same hold
}

@test "differential, veth: ioctl" {
	same ioctl
}

@test "differential, veth: leave" {
	same leave
}

@test "differential, veth: options" {
	same options
}

@test "differential, veth: poll" {
	same poll
}

@test "differential, veth: promise" {
	same promise
}

@test "differential, veth: receive" {
	same receive
}

@test "differential, veth: send" {
	same send
}

@test "differential, veth: shutdown" {
	same shutdown
}

@test "differential, veth: signals" {
	same signals
}

@test "differential, veth: small_stacks" {
	same small_stacks
}

@test "differential, veth: surface" {
	same surface
}

@test "differential, veth: threads" {
	same threads
}

@test "differential, veth: urgent" {
	same urgent
}
