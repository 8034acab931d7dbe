#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# memcached with four worker threads: libevent's epoll, connections handed between threads.

load lib/common

@test "memcached -t 4 under melin serves 50 clients" {
	start_melin server near memcached -u root -U 0 -t 4 -p 11211 -m 64
	answers far "$near_stack" 11211
	mark_kernel near
	[ "$(on far "$python" "$programs/memcached_clients.py" "$near_stack" 11211 50 200)" = \
		"50 clients, 10000 sets, 10000 gets" ]
	kernel_still near
	end server
	took server taken_accept -ge 51
}

@test "a memcached client under melin, a kernel memcached" {
	start server far memcached -u root -U 0 -t 4 -p 11211 -m 64
	listens far 11211
	mark_kernel near
	[ "$(melin near "$python" "$programs/memcached_clients.py" "$far_kernel" 11211 20 100)" = \
		"20 clients, 2000 sets, 2000 gets" ]
	kernel_still near
	took client taken_connect -eq 20
}
