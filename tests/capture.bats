#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# What others see of borrowed connections: tcpdump at the interface sees them as any other, from the
# kernel's handshake by the borrowed data to the kernel's goodbye, in both directions.

bats_require_minimum_version 1.5.0
load lib/common
load lib/host

LEVEL=debug
DEFAULT_BORROW=always

# capture NAME HOST: into NAME.pcap. The frames are short; there is room for 16,000 of them, so that
# a busy machine loses none.
capture() {
	start "$1" "$2" tcpdump -i veth0 -s 300 -B 8192 -U --immediate-mode \
		-w "$BATS_TEST_TMPDIR/$1.pcap" tcp port 7000
	printed "$1" 'listening on'
}

frames() {
	frames_of "$BATS_TEST_TMPDIR/$1.pcap"
}

both_ended() {
	both_ended_in "$BATS_TEST_TMPDIR/$1.pcap"
}

borrowed() {
	grep -c 'descriptor [0-9]*: borrowed' "$BATS_TEST_TMPDIR/server.melin" || true
}

# Whether a connection with 300 messages each way has been borrowed.
borrows_another() {
	local before
	before=$(borrowed)
	on far "$python" "$programs/round_trips.py" "$near_kernel" 7000 1 300
	[ "$(borrowed)" -gt "$before" ]
}

# Frames of a connection whose data is the stack's: they are borrowed behind the handshake.
captured_all() {
	local before
	before=$(borrowed)
	on far "$python" "$programs/round_trips.py" "$near_kernel" 7000 1 300
	[ "$(borrowed)" -gt "$before" ]
	[ "$(frames_of "$1" | grep -cE "$near_kernel\.7000 > .*length [1-9]")" -ge 200 ]
	[ "$(frames_of "$1" | grep -cE "> $near_kernel\.7000: .*length [1-9]")" -ge 200 ]
}

@test "melin pcap sees what is borrowed, both directions, and nothing of others" {
	local file=$BATS_TEST_TMPDIR/stack.pcapng
	start_melin server near "$python" "$programs/echo_server.py" epoll-edge 7000
	listens near 7000
	run -1 "$build/melin" pcap "$(pid_of server)" -w /dev/null
	[[ $output == *': it has no stack yet: no connection has needed one' ]]
	wait_until 60 borrows_another
	start stack near "$build/melin" pcap "$(pid_of server)" -w "$file"
	printed stack 'capturing frames'
	wait_until 60 captured_all "$file" || fail "$(frames_of "$file" | tail)"
	# What others have is the kernel's alone.
	on far ping -c 1 -W 10 "$near_kernel" >/dev/null
	wait_until 60 captured_all "$file"
	stop stack INT
	grep -qE '^[0-9]+ frames captured, [0-9]+ written, [0-9]+ lost$' \
		"$BATS_TEST_TMPDIR/stack.out"
	not grep -v "$near_kernel\.7000" <(frames_of "$file" | grep -E ' > ')
	not grep 'cksum .*incorrect' <(frames_of "$file")
}

@test "tcpdump sees a borrowed connection whole, at both ends" {
	# Else the kernel's own checksums are not computed where they are captured.
	for side in near far; do
		on "$side" ethtool -K veth0 tx off >/dev/null
	done
	start_melin server near "$python" "$programs/echo_server.py" epoll-edge 7000
	listens near 7000
	# The stack starts beside the first connection.
	wait_until 60 borrows_another
	capture here near
	capture there far
	wait_until 60 borrows_another
	for side in here there; do
		wait_until 60 both_ended "$side" || fail "$(frames "$side" | tail)"
		end "$side" INT
		# The handshake, which is the kernel's, and 300 messages each way, which are not.
		[ "$(frames "$side" | grep -c 'Flags \[S\]')" -ge 1 ]
		[ "$(frames "$side" | grep -c 'Flags \[S\.\]')" -ge 1 ]
		[ "$(frames "$side" | grep -cE "$near_kernel\.7000 > .*length [1-9]")" -ge 300 ]
		[ "$(frames "$side" | grep -cE "> $near_kernel\.7000: .*length [1-9]")" -ge 300 ]
		not grep 'cksum .*incorrect' <(frames "$side")
	done
}
