#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# Connections that the stack borrows from the kernel, without libmelin.so: tests/link/borrow_echo.c
# on near is a server of the kernel's with melin-stack.so and a lender beside it.

load lib/common

setup() {
	common_setup
	[[ -n $plain ]] && skip "there is no stack without melin-stack.so"
	return 0
}

# The server: serve ADDRESS [OPTION...]
serve() {
	start server near "$build/tests/link/borrow_echo" "$module" "$1" 7000 "${@:2}"
	printed server "ready|no lender"
	if grep -q "no lender" "$BATS_TEST_TMPDIR/server.out"; then
		skip "$(grep "no lender" "$BATS_TEST_TMPDIR/server.out")"
	fi
}

ask() {
	on far "$python" "$programs/last_words.py" "$1" 7000 "$2"
}

# A client that has been borrowed and waits: wait_at ADDRESS
wait_at() {
	start client far "$python" "$programs/last_words.py" "$1" 7000 wait
	printed client waiting
	printed server "borrowed"
}

# That client says more, and gets it back: the first time, the second...
asks() {
	kill -USR1 "$(pid_of client)"
	printed client "asked $1"
}

# Nothing of the lender's is left, and no reset was sent.
cleared() {
	stop server
	[ -z "$(on near ss -0Hn)" ]
	[ "$(on near nstat -asz TcpOutRsts | awk '/^Tcp/ { print $2 }')" -eq 0 ]
}

# What the server has counted: counted "frames: .* dropped" ...
counted() {
	grep -qE -- "$1" "$BATS_TEST_TMPDIR/server.out" || fail "$(output_of server)"
}

@test "a borrowed connection's end is the kernel's" {
	serve "$near_kernel"
	ask "$near_kernel" fin
	printed server "0 ended: closed"
	wait_until 60 waits_out far
	cleared
	counted "^0 borrowed"
	counted "^0 returned: end, closed, 0 unread, 0 unsent"
	counted "accepted 1, borrowed 1 .*returned 1 "
	# A frame that comes during an attempt that fails (something is not acknowledged) reaches
	# both, the kernel and the stack, which has no connection for it: it drops that one.
	counted ", [0-9] dropped; 0 retransmissions"
}

waits_out() {
	on "$1" ss -Htan state time-wait | grep -q :7000
}

@test "data with a FIN, and what is answered to it" {
	serve "$near_kernel"
	[ "$(ask "$near_kernel" words)" = "got last words" ]
	printed server "0 ended: closed"
	cleared
	counted "^0 returned: end, closed, "
}

@test "a reset of the peer's" {
	serve "$near_kernel"
	ask "$near_kernel" reset
	printed server "0 ended: Connection reset by peer"
	cleared
	counted "^0 returned: reset, reset, 0 unread"
}

@test "over IPv6, the server sleeping" {
	serve "$near_kernel6" --block
	[ "$(ask "$near_kernel6" words)" = "got last words" ]
	printed server "0 ended: closed"
	cleared
	counted "^0 borrowed"
}

# 16 connections at a time, all kinds of sizes, each echo compared: crowd ADDRESS MESSAGES
crowd() {
	on far "$python" "$programs/echo_clients.py" "$1" 7000 16 "$2"
}

@test "there and back all the time, under traffic" {
	serve "$near_kernel" --turns 2
	crowd "$near_kernel" 300
	cleared
	counted "accepted 16, borrowed [1-9][0-9]{2,}"
}

@test "there and back all the time, over IPv6" {
	serve "$near_kernel6" --turns 2
	crowd "$near_kernel6" 300
	cleared
	counted "accepted 16, borrowed [1-9][0-9]{2,}"
}

@test "there and back, and a cable with loss, copies and disorder" {
	imperfect_cable loss=1 duplicate=1 disorder=3
	serve "$near_kernel" --turns 5 --keep
	crowd "$near_kernel" 40
	stop server # resets answer what comes once more after the end
	counted "accepted 16, borrowed [1-9][0-9]"
}

# In place of the direct cable one that is not perfect (tests/programs/cable.c).
imperfect_cable() {
	ip -n "$(host near)" link delete dev veth0
	make_host middle
	connect_hosts near veth0 middle near
	connect_hosts far veth0 middle far
	address near veth0 "$near_kernel/24" "$near_kernel6/64"
	address far veth0 "$far_kernel/24" "$far_kernel6/64"
	on near ethtool -K veth0 tx off tso off gso off >/dev/null
	on far ethtool -K veth0 tx off tso off gso off >/dev/null
	start cable middle "$build/tests/programs/cable" near far "$@"
	printed cable ready
}

@test "losses, and a connection goes back" {
	imperfect_cable loss=3
	serve "$near_kernel"
	crowd "$near_kernel" 10
	stop server
	counted "returned: loss"
}

# What becomes of the path while a connection is borrowed: it goes back, and the kernel goes on.
path_changes() {
	serve "$near_kernel" --first 3
	wait_at "$near_kernel"
	"$@"
	printed server "0 returned: path"
	asks 1
}

@test "the interface's MTU changes" {
	path_changes ip -n "$(host near)" link set veth0 mtu 1400
}

@test "a route is added" {
	path_changes ip -n "$(host near)" route add 198.18.0.0/30 dev veth0
}

@test "a rule is added" {
	path_changes ip -n "$(host near)" rule add from 198.18.9.9 table 7
}

@test "a rule of nft(8) is added" {
	path_changes on near nft add table inet guard
}

peer_moves() {
	ip -n "$(host far)" link set veth0 address 02:00:00:00:77:77
	ip -n "$(host near)" neighbour replace "$far_kernel" dev veth0 lladdr 02:00:00:00:77:77
}

@test "the neighbour has another MAC address" {
	path_changes peer_moves
}

own_mac() {
	ip -n "$(host near)" link set veth0 address 02:00:00:00:88:88
	ip -n "$(host far)" neighbour flush dev veth0
}

@test "the interface has another MAC address" {
	path_changes own_mac
}

@test "the link is down for a while" {
	serve "$near_kernel" --keep # what cannot leave is soon taken for lost
	wait_at "$near_kernel"
	ip -n "$(host near)" link set veth0 down
	sleep 0.3
	not grep returned "$BATS_TEST_TMPDIR/server.out" # there would be no way for the kernel
	ip -n "$(host near)" link set veth0 up
	printed server "0 returned: path"
	asks 1
}

@test "the address is gone for a while" {
	serve "$near_kernel" --keep # what cannot leave is soon taken for lost
	wait_at "$near_kernel"
	ip -n "$(host near)" address delete "$near_kernel/24" dev veth0
	sleep 0.3
	not grep returned "$BATS_TEST_TMPDIR/server.out"
	address near veth0 "$near_kernel/24"
	printed server "0 returned: path"
	asks 1
}

@test "the interface is deleted" {
	serve "$near_kernel"
	wait_at "$near_kernel"
	ip -n "$(host near)" link delete veth0
	sleep 0.3
	stop server
	counted "^0 returned" # the kernel's own would live on, too, and time out
}

@test "two interfaces at the same time" {
	connect_hosts near veth1 far veth1
	address near veth1 198.18.1.1/24
	address far veth1 198.18.1.2/24
	serve 0.0.0.0
	start one far "$python" "$programs/echo_clients.py" "$near_kernel" 7000 8 200
	start two far "$python" "$programs/echo_clients.py" 198.18.1.1 7000 8 200
	finished one
	finished two
	cleared
	counted "accepted 16, borrowed 16 "
}

@test "the server is killed: the peer learns it with its next segment" {
	serve "$near_kernel"
	wait_at "$near_kernel"
	end server KILL
	kill -USR1 "$(pid_of client)"
	printed client "ConnectionResetError"
	[ -z "$(on near ss -0Hn)" ]
}
