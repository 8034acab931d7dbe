#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# tools/gdb/melin-gdb.py: gdb, attached to a server under melin, shows its descriptors, sockets,
# connections, epoll instance, waiting threads, locks and device. Not for gdb itself.

load lib/common

setup() {
	[[ -z $plain ]] || skip "plain run: there is nothing of melin's to show"
	common_setup
}

# What gdb prints for commands on the started program NAME: show NAME COMMAND...
show() {
	local name=$1 words=() each
	shift
	for each; do
		words+=(-ex "$each")
	done
	# Debian's servers for separate debugging information are not asked.
	DEBUGINFOD_URLS='' timeout 100 gdb -nx -batch -ex 'set pagination off' \
		-ex "source $BATS_TEST_DIRNAME/../tools/gdb/melin-gdb.py" -p "$(pid_of "$name")" \
		"${words[@]}" 2>&1 </dev/null | tee -a "$BATS_TEST_TMPDIR/gdb.out"
}

has() {
	grep -qE -- "$2" <<<"$1" || fail "no line matches \"$2\" in:" "$1"
}

at_rest() {
	shown=$(show server 'melin descriptors' 'melin connections' 'melin waiters' \
		'melin locks' 'melin link')
	[ "$(grep -cE 'OBJECT_SOCKET +SOCKET_CONNECTION ' <<<"$shown")" -eq 1 ] &&
		grep -q 'SOCKET_CONNECTED.ESTABLISHED' <<<"$shown" &&
		grep -qE '^[01] threads sleep$' <<<"$shown"
}

@test "gdb shows a listener, a connection and what waits for them" {
	local shown listener connection epoll
	start_melin server near "$python" "$programs/echo_server.py" epoll-edge 7000
	answers far "$near_stack" 7000
	start client far nc "$near_stack" 7000
	# The connection of answers() has gone, that of nc stays and has been accepted.
	wait_until 100 at_rest || fail "$shown"
	listener=$(sed -nE 's/^ *([0-9]+) OBJECT_SOCKET +SOCKET_LISTENER .*/\1/p' <<<"$shown")
	connection=$(sed -nE 's/^ *([0-9]+) OBJECT_SOCKET +SOCKET_CONNECTION .*/\1/p' <<<"$shown")
	epoll=$(sed -nE 's/^ *([0-9]+) OBJECT_EPOLL .*/\1/p' <<<"$shown")
	echo "listener $listener, connection $connection, epoll $epoll"
	# one: that of DPDK is none of the program's
	[ "$(wc -l <<<"$epoll")" -eq 1 ]
	[ -n "$listener" ] && [ -n "$connection" ] && [ -n "$epoll" ]
	has "$shown" "SOCKET_LISTENING .* 0.0.0.0:7000 -> "
	has "$shown" "SOCKET_CONNECTED ESTABLISHED .* $near_stack:7000 -> $far_kernel:[0-9]+$"
	has "$shown" '^[01] threads sleep$'
	has "$shown" '^wait_lock: '
	has "$shown" '^stack->lock: '
	has "$shown" '^device veth0, driver net_af_xdp, MTU 1500, descriptor to sleep on [0-9]+$'
	has "$shown" 'counters: rx_frames [1-9]'

	shown=$(show server "melin socket $listener" "melin socket $connection" \
		"melin epoll $epoll")
	has "$shown" 'backlog [0-9]+, accept queue 0, embryos 0'
	has "$shown" 'sending: next [0-9]+, acknowledged [0-9]+ \(0 in flight\), window [1-9]'
	has "$shown" 'receiving: next [0-9]+, window [1-9]'
	has "$shown" "descriptor $connection: FORM_STACK, wants in"
	alive server
}

@test "gdb says what a process without melin lacks, and what is not a socket" {
	start sleeper far sleep 60
	has "$(show sleeper 'melin connections')" 'no stack runs in this process'
	has "$(show sleeper 'melin descriptors')" 'there is no descriptor_table here'
	start_melin server near "$python" "$programs/echo_server.py" epoll-edge 7000
	answers far "$near_stack" 7000
	has "$(show server 'melin socket 0')" 'descriptor 0 is not known to melin'
}
