#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# What becomes of the interface while a stack is on it: deleted and made again, moved away and back,
# renamed, down and up. It is said once and the interface is used again; connections wait meanwhile,
# as they do over the kernel.

load lib/common

setup() {
	[[ -z $plain ]] || skip "plain run: the kernel's own interface is no test of melin"
	common_setup
}

make_again() {
	connect_hosts near veth0 far veth0
	address near veth0 "$near_kernel/24"
	address far veth0 "$far_kernel/24" "$far_kernel6/64"
}

# How often melin's log of the server has said it: said TEXT
said() {
	grep -c "$1" "$BATS_TEST_TMPDIR/server.melin" || true
}

start_server() {
	start_melin server near python3 "$programs/echo_server.py" epoll-edge 7000
	answers far "$near_stack" 7000
}

made_again() {
	start_server
	start client far python3 "$programs/asks_on.py" "$near_stack" 7000 5
	printed client connected
	ip -n "$(host near)" link delete veth0
	wait_until 60 grep -q 'interface veth0 is gone' "$BATS_TEST_TMPDIR/server.melin"
	make_again
	wait_until 60 grep -q 'interface veth0 is there again' "$BATS_TEST_TMPDIR/server.melin"
	answers far "$near_stack" 7000
	finished client
	printed client answered
	[ "$(said 'is gone')" -eq 1 ]
	[ "$(said 'is there again')" -eq 1 ]
	stop server
}

@test "AF_XDP: the interface is deleted and made again" {
	made_again
}

@test "packet sockets: the interface is deleted and made again" {
	TESTS_DEVICE=packet:veth0 made_again
}

@test "the interface goes to another network namespace and comes back" {
	local away
	start_server
	away=$(host away)
	make_host away
	ip -n "$(host near)" link set veth0 netns "$away"
	wait_until 60 grep -q 'interface veth0 is gone' "$BATS_TEST_TMPDIR/server.melin"
	ip -n "$away" link set veth0 netns "$(host near)"
	ip -n "$(host near)" link set veth0 up
	answers far "$near_stack" 7000
	stop server
	ip netns delete "$away"
}

@test "the interface goes down and up, and gets another name" {
	start_server
	start client far python3 "$programs/asks_on.py" "$near_stack" 7000 3
	printed client connected
	ip -n "$(host near)" link set veth0 down
	wait_until 60 grep -q 'interface veth0 is down' "$BATS_TEST_TMPDIR/server.melin"
	ip -n "$(host near)" link set veth0 name other
	ip -n "$(host near)" link set other up
	wait_until 60 grep -q 'veth0 is called other now' "$BATS_TEST_TMPDIR/server.melin"
	answers far "$near_stack" 7000
	finished client
	printed client answered
	[ "$(said 'is down')" -eq 1 ]
	stop server
}
