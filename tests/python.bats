#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# python: asyncio (epoll) server and clients, 200 at a time; threads; select and poll.

load lib/common

# clients on HOST, or clients melin HOST; to $address
clients() {
	"$@" "$python" "$programs/echo_clients.py" "$address" 7000 200 20
}

@test "an asyncio echo server under melin serves 200 clients" {
	start_melin server near "$python" "$programs/echo_server.py" asyncio 7000
	answers far "$near_stack" 7000
	address=$near_stack
	mark_kernel near
	[ "$(clients on far)" = "200 clients, 4000 echoes" ]
	kernel_still near
	stop server
	took server taken_accept -ge 201
}

@test "200 asyncio clients under melin talk to a kernel server" {
	start server far "$python" "$programs/echo_server.py" asyncio 7000
	listens far 7000
	address=$far_kernel
	mark_kernel near
	[ "$(clients melin near)" = "200 clients, 4000 echoes" ]
	kernel_still near
	took client taken_connect -eq 200
}

serve() {
	start_melin server near "$python" "$programs/echo_server.py" "$1" 7000
	answers far "$near_stack" 7000
	address=$near_stack
	mark_kernel near
	[ "$(clients on far)" = "200 clients, 4000 echoes" ]
	kernel_still near
	stop server
	took server taken_accept -ge 201
}

@test "a python server with a thread for each client under melin" {
	serve threads
}

@test "a python server with select() under melin" {
	serve select
}

@test "a python server with poll() under melin" {
	serve poll
}

@test "a python server with edge-triggered epoll under melin" {
	serve epoll-edge
}

# both_wait start|start_melin SERVER-HOST on|melin CLIENT-HOST ADDRESS
both_wait() {
	"$1" server "$2" "$python" "$programs/both_wait.py" server "$5" 7000
	printed server ready # it takes one connection only
	[[ $1 == start ]] || wait_until 60 on "$4" ping -q -c 1 -W 1 "$5" >/dev/null
	amount=$("$3" "$4" "$python" "$programs/both_wait.py" client "$5" 7000)
	finished server
	[ "${amount#sent}" = "$(sed -n 's/^received//p' "$BATS_TEST_TMPDIR/server.out")" ]
}

@test "two ends that both wait for room go on when one of them reads" {
	both_wait start far melin near "$far_kernel"
	both_wait start_melin near on far "$near_stack"
}
