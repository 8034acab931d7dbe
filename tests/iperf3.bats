#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# iperf3 and iperf 2, both roles, both directions, one stream and several.

load lib/common

# The receiver's figure must be there and not zero; the figure goes to the log.
carried() {
	local bits
	bits=$("$python" -c '
import json, sys
print(int(json.load(open(sys.argv[1]))["end"]["sum_received"]["bits_per_second"]))' "$1")
	echo "# $BATS_TEST_DESCRIPTION: $((bits / 1000000)) Mbit/s" >&3
	[ "$bits" -ge 50000000 ] || fail "only $bits bit/s"
}

client_under_melin() {
	start server far iperf3 -s --forceflush
	printed server 'Server listening'
	mark_kernel near
	melin near iperf3 -c "$far_kernel" -t 2 -J "$@" >"$BATS_TEST_TMPDIR/result.out"
	kernel_still near
	carried "$BATS_TEST_TMPDIR/result.out"
	took client taken_connect -ge 2
	end server
}

server_under_melin() {
	start_melin server near iperf3 -s -1 --forceflush
	printed server 'Server listening'
	mark_kernel near
	wait_until 60 measure "$@" || fail "$(cat "$BATS_TEST_TMPDIR/result.out")"
	kernel_still near
	carried "$BATS_TEST_TMPDIR/result.out"
	finished server
	took server taken_accept -ge 2
}

# fails at once while nobody listens yet
measure() {
	on far iperf3 -c "$near_stack" -t 2 -J "$@" >"$BATS_TEST_TMPDIR/result.out"
}

@test "iperf3 client under melin sends" {
	client_under_melin
}

@test "iperf3 client under melin receives" {
	client_under_melin -R
}

@test "iperf3 client under melin sends 8 streams" {
	client_under_melin -P 8
}

@test "iperf3 client under melin receives 8 streams" {
	client_under_melin -P 8 -R
}

@test "iperf3 server under melin receives" {
	server_under_melin
}

@test "iperf3 server under melin sends" {
	server_under_melin -R
}

@test "iperf3 server under melin receives 8 streams" {
	server_under_melin -P 8
}

@test "iperf3 server under melin sends 8 streams" {
	server_under_melin -P 8 -R
}

@test "iperf3 under melin in both directions at once" {
	client_under_melin --bidir
}

# iperf 2 has a thread for each stream and for each direction; the two programs share only the name.
@test "iperf (2) under melin, server and client, 4 streams" {
	start_melin server near iperf -s
	printed server 'Server listening'
	mark_kernel near
	answers far "$near_stack" 5001
	on far iperf -c "$near_stack" -t 2 -P 4 -f m >"$BATS_TEST_TMPDIR/to.out"
	kernel_still near
	end server
	took server taken_accept -ge 4
	start server far iperf -s
	listens far 5001
	melin near iperf -c "$far_kernel" -t 2 -P 4 -f m >"$BATS_TEST_TMPDIR/from.out"
	took client taken_connect -ge 4
	for direction in to from; do
		speed=$(awk '$1 == "[SUM]" && $NF == "Mbits/sec" { print int($(NF - 1)) }' \
			"$BATS_TEST_TMPDIR/$direction.out" | tail -n 1)
		[ "${speed:-0}" -ge 50 ] || fail "$direction: only ${speed:-0} Mbit/s"
	done
}
