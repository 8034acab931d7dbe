#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# Flows within one process: no device, no kernel.

load lib/common

@test "loop: server and client threads of one process" {
	mark_kernel near
	FLOWS='any:127.0.0.0/8:*' melin near MELIN_DEV=loop MELIN_ADDR= "$python" \
		"$programs/loop.py" 127.0.0.1 20 200 | tee "$BATS_TEST_TMPDIR/said.out"
	[ "$(tail -1 "$BATS_TEST_TMPDIR/said.out")" = "20 clients, 4000 echoes" ]
	kernel_still near
	took client taken_connect -eq 20
	took client taken_accept -eq 20
	took client rx_frames -eq 0
	took client tx_frames -eq 0
}

@test "loop: IPv6" {
	mark_kernel near
	FLOWS='any:[::1]:*' melin near MELIN_DEV=loop MELIN_ADDR= "$python" \
		"$programs/loop.py" ::1 5 200 | tee "$BATS_TEST_TMPDIR/said.out"
	[ "$(tail -1 "$BATS_TEST_TMPDIR/said.out")" = "5 clients, 1000 echoes" ]
	kernel_still near
	took client taken_connect -eq 5
}

@test "loop: the stack's own address, with a device too" {
	mark_kernel near
	melin near "$python" "$programs/loop.py" "$near_stack" 5 100 |
		tee "$BATS_TEST_TMPDIR/said.out"
	[ "$(tail -1 "$BATS_TEST_TMPDIR/said.out")" = "5 clients, 500 echoes" ]
	kernel_still near
	took client taken_connect -eq 5
}

@test "loop: what no listener of the process takes goes to the kernel's loopback" {
	start server near socat TCP-LISTEN:5000,bind=127.0.0.1,reuseaddr,fork EXEC:cat
	listens near 5000
	mark_kernel near
	[ "$(echo hello | FLOWS='any:127.0.0.0/8:*' melin near MELIN_DEV=loop MELIN_ADDR= \
		nc -N 127.0.0.1 5000)" = hello ]
	kernel_moved near 3
}

@test "loopback stays with libc unless a rule names it" {
	start server near socat TCP-LISTEN:5000,bind=127.0.0.1,reuseaddr,fork EXEC:cat
	listens near 5000
	mark_kernel near
	[ "$(echo hello | FLOWS='any:*:*' melin near nc -N 127.0.0.1 5000)" = hello ]
	kernel_moved near 3
}

@test "loop: a forked child is told why its parent's connection fails there" {
	FLOWS='any:127.0.0.0/8:*' melin near MELIN_DEV=loop MELIN_ADDR= "$python" \
		"$programs/inherited.py" | tee "$BATS_TEST_TMPDIR/said.out"
	[ "$(head -1 "$BATS_TEST_TMPDIR/said.out")" = "child: Transport endpoint is not connected" ]
	[ "$(tail -1 "$BATS_TEST_TMPDIR/said.out")" = "parent: x" ]
	[ "$(grep -c "cannot use its parent's connection" "$BATS_TEST_TMPDIR/client.melin")" -eq 1 ]
}

@test "loop: a thread that does not poll is told of the kernel's events at once, too" {
	[ "$(FLOWS='any:127.0.0.0/8:*' melin near MELIN_DEV=loop MELIN_ADDR= MELIN_SPIN_US=0 \
		"$python" "$programs/poll_at_once.py")" = "named in 1000 calls" ]
	took client taken_accept -eq 1
}
