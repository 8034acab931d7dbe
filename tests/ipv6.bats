#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# IPv6, and IPv4 through dual-stack sockets.

load lib/common

@test "IPv6: curl under melin fetches 100 MB from nginx" {
	file=$(big_file 100)
	start nginx far nginx -c "$(nginx_configuration "[::]:80")" -p "$BATS_TEST_TMPDIR"
	listens far 80
	mark_kernel near
	melin near curl -sS -g -o "$BATS_TEST_TMPDIR/got" "http://[$far_kernel6]/big.100"
	kernel_still near
	cmp "$BATS_TEST_TMPDIR/got" "$file"
	took client taken_connect -eq 1
	took client rx_bytes -ge 104857600
}

@test "IPv6: nginx under melin serves 100 MB" {
	file=$(big_file 100)
	start_melin nginx near nginx -c "$(nginx_configuration "[::]:80")" -p "$BATS_TEST_TMPDIR"
	answers far "$near_stack6" 80
	mark_kernel near
	on far curl -sS -g -o "$BATS_TEST_TMPDIR/got" "http://[$near_stack6]/big.100"
	kernel_still near
	cmp "$BATS_TEST_TMPDIR/got" "$file"
	end nginx
	took nginx taken_accept -ge 2
}

@test "IPv6: redis-server under melin" {
	start_melin server near redis-server --bind '*' '-::*' --protected-mode no --save ''
	printed server 'eady to accept connections'
	answers far "$near_stack6" 6379
	mark_kernel near
	[ "$(on far redis-cli -h "$near_stack6" set greeting hello)" = OK ]
	[ "$(on far redis-cli -h "$near_stack" get greeting)" = hello ]
	on far redis-benchmark -h "$near_stack6" -c 50 -n 20000 -t set,get -q
	kernel_still near
	stop server
}

@test "IPv6: iperf3 server under melin, both directions" {
	start_melin server near iperf3 -s -6 --forceflush
	printed server 'Server listening'
	answers_ping
	mark_kernel near
	wait_until 60 on far iperf3 -6 -c "$near_stack6" -t 1
	on far iperf3 -6 -c "$near_stack6" -t 1 -R
	kernel_still near
	end server
}

answers_ping() {
	wait_until 60 on far ping -6 -q -c 1 -W 1 "$near_stack6" >/dev/null
}

@test "IPv6: nc under melin, refused and served" {
	start server far socat TCP6-LISTEN:5000,reuseaddr,fork EXEC:cat
	listens far 5000
	mark_kernel near
	[ "$(echo hello | melin near nc -N "$far_kernel6" 5000)" = hello ]
	not melin near nc -z "$far_kernel6" 5001
	kernel_still near
}

@test "a dual-stack socket serves IPv4 clients as mapped addresses" {
	start_melin server near "$python" "$programs/who.py" 5000
	answers far "$near_stack" 5000
	mark_kernel near
	[ "$(on far nc -w 30 "$near_stack" 5000)" = "::ffff:$far_kernel" ]
	[ "$(on far nc -w 30 "$near_stack6" 5000)" = "$far_kernel6" ]
	kernel_still near
	stop server
	took server taken_accept -ge 3
}
