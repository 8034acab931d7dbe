#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# Every socket call as Linux does it, in host mode: the programs of tests/differential/ run over the
# kernel and with connections that are borrowed as soon as that can be done (host), and with such
# that are borrowed and given back at random moments between calls (random; "blocking", which
# compares how long calls wait, is left out there).
# Left out: what transfers too little for anything to be borrowed (accept, bind, connect, close).

setup() {
	cd "${TESTS_BUILD:-$PWD}" || return 1
	compare=$BATS_TEST_DIRNAME/differential/compare
	[[ $EUID -eq 0 ]] || skip "needs root to make network namespaces"
}

# same WAY END FAMILY PROGRAM...
same() {
	local way=$1 end=$2 family=$3 status=0 program
	shift 3
	for program; do
		echo "## $way $end $family $program"
		"$compare" "$way" "$end" "$family" "$program" || status=1
	done
	return $status
}

@test "differential, host: bytes" {
	same host client 4 receive send ancillary faults urgent
	same host server 6 receive send ancillary faults urgent
}

@test "differential, host: waiting" {
	same host client 4 poll epoll epoll_wait hold blocking
	same host server 6 poll epoll blocking
}

@test "differential, host: signals, threads, descriptors" {
	same host client 4 signals threads surface ioctl duplicate leave promise
	same host server 6 signals threads surface ioctl duplicate
}

@test "differential, host: options" {
	same host client 4 options
	same host server 6 options
}

@test "differential, host and random: what is in use" {
	same host client 4 in_use
	same random server 6 in_use
}

@test "differential, host and random: sequences" {
	same host client 4 sequences
	same random server 6 sequences
}

@test "differential, host: fork" {
	same host client 4 fork
	same host server 6 fork
}

@test "differential, random: bytes, waiting, signals, threads, descriptors, options" {
	same random client 4 receive send poll ancillary signals threads surface ioctl duplicate
	same random server 6 options
}
