#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# A router between the hosts: what is not on-link goes through MELIN_GATEWAY.
#
#     near veth0 198.18.1.1/24 ---- router ---- 198.18.2.1/24 veth0 far
#          stack 198.18.1.10

load lib/common

setup() {
	common_setup
	local name
	for name in near far; do
		ip -n "$(host "$name")" link delete dev veth0 2>/dev/null || true
	done
	make_host router
	connect_hosts near veth0 router near
	connect_hosts far veth0 router far
	on router sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
	address near veth0 198.18.1.1/24 fd00:1::1/64
	address far veth0 198.18.2.1/24 fd00:2::1/64
	address router near 198.18.1.254/24 fd00:1::fe/64
	address router far 198.18.2.254/24 fd00:2::fe/64
	ip -n "$(host near)" route add default via 198.18.1.254
	ip -n "$(host near)" -6 route add default via fd00:1::fe
	ip -n "$(host far)" route add default via 198.18.2.254
	ip -n "$(host far)" -6 route add default via fd00:2::fe
	if [[ -n $plain ]]; then
		address near veth0 198.18.1.10/24 fd00:1::10/64
	fi
	ADDR=198.18.1.10/24,fd00:1::10/64
	gateway=MELIN_GATEWAY=198.18.1.254,fd00:1::fe
}

@test "a client under melin reaches a server behind the gateway, IPv4 and IPv6" {
	file=$(big_file 20)
	start web far nginx -c "$(nginx_configuration '80; listen [::]:80')" -p "$BATS_TEST_TMPDIR"
	listens far 80
	mark_kernel near
	melin near "$gateway" curl -sS -o "$BATS_TEST_TMPDIR/got" http://198.18.2.1/big.20
	cmp "$BATS_TEST_TMPDIR/got" "$file"
	melin near "$gateway" curl -sS -g -o "$BATS_TEST_TMPDIR/got6" 'http://[fd00:2::1]/big.20'
	cmp "$BATS_TEST_TMPDIR/got6" "$file"
	kernel_still near
	took client taken_connect -eq 2
}

@test "a server under melin answers clients behind the gateway, IPv4 and IPv6" {
	start_melin server near "$gateway" redis-server --bind '*' '-::*' --protected-mode no \
		--save ''
	answers far 198.18.1.10 6379
	mark_kernel near
	[ "$(on far redis-cli -h 198.18.1.10 set greeting hello)" = OK ]
	[ "$(on far redis-cli -h fd00:1::10 get greeting)" = hello ]
	on far redis-benchmark -h 198.18.1.10 -c 20 -n 10000 -t set,get -q
	kernel_still near
	[ "$(on far redis-cli -h 198.18.1.1 get greeting)" = hello ]
	stop server
}

@test "without a gateway, what is not on-link stays with libc" {
	start web far nginx -c "$(nginx_configuration 80)" -p "$BATS_TEST_TMPDIR"
	listens far 80
	mark_kernel near
	[ "$(melin near curl -sS http://198.18.2.1/hello)" = "hello from nginx" ]
	kernel_moved near 3
	took client taken_connect -eq 0
}

@test "a gateway that does not answer: the connection fails in time, nothing hangs" {
	[[ -z $plain ]] || skip "plain run"
	mark_kernel near
	status=0
	said=$(melin near MELIN_GATEWAY=198.18.1.77 curl -sS --connect-timeout 15 \
		http://198.18.2.1/hello 2>&1) || status=$?
	[[ $status -eq 7 || $status -eq 28 ]] || fail "curl ended with $status: $said"
	kernel_still near
}

@test "a neighbour that does not answer: no route to host" {
	[[ -z $plain ]] || skip "plain run"
	mark_kernel near
	status=0
	said=$(melin near nc -v -w 20 198.18.1.99 80 2>&1 </dev/null) || status=$?
	[ "$status" -eq 1 ]
	[[ $said == *"No route to host"* || $said == *"timed out"* ]] || fail "$said"
	kernel_still near
}

@test "a path with a smaller MTU than both ends have, IPv4 and IPv6" {
	file=$(big_file 5)
	# The interfaces of near and far stay as they are, so both announce full segments.
	ip -n "$(host router)" link set far mtu 1300
	start_melin web near "$gateway" nginx -c "$(nginx_configuration '80; listen [::]:80')" \
		-p "$BATS_TEST_TMPDIR"
	answers far 198.18.1.10 80
	on far curl -sS --max-time 90 -o "$BATS_TEST_TMPDIR/got" http://198.18.1.10/big.5
	cmp "$BATS_TEST_TMPDIR/got" "$file"
	on far curl -sS --max-time 90 -g -o "$BATS_TEST_TMPDIR/got6" 'http://[fd00:1::10]/big.5'
	cmp "$BATS_TEST_TMPDIR/got6" "$file"
	end web
}

@test "a router that refuses to forward ends connect() at once with its reason" {
	ip -n "$(host router)" route add unreachable 198.18.3.0/24
	ip -n "$(host router)" route add prohibit 198.18.4.0/24
	ip -n "$(host router)" -6 route add unreachable fd00:3::/64
	ip -n "$(host router)" -6 route add prohibit fd00:4::/64
	on router sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0
	mark_kernel near
	run melin near "$gateway" "$python" "$programs/refused.py" \
		198.18.3.1 198.18.4.1 fd00:3::1 fd00:4::1
	[ "${output//$'\n'/ }" = "EHOSTUNREACH EHOSTUNREACH ENETUNREACH EACCES" ] || fail "$output"
	kernel_still near
}

# What a router says of a borrowed connection's segment comes to the kernel, whose socket has not
# sent it: the stack has to hear it.
@test "host mode: a path with a smaller MTU is followed by the stack, IPv4 and IPv6" {
	[[ -z $plain ]] || skip "nothing is borrowed without melin"
	# Not the link's: the answers come in by it, and a veth drops longer ones without a word.
	ip -n "$(host router)" route add 198.18.2.1 dev far mtu 1300
	ip -n "$(host router)" route add fd00:2::1 dev far mtu 1300
	start echo far "$python" "$programs/echo_server.py" threads 7000 ::
	listens far 7000
	on near env "LD_PRELOAD=$library" "MELIN_FLOWS=connect:*:7000" MELIN_BORROW=always \
		MELIN_REQUIRED=1 "MELIN_LOG=info:$BATS_TEST_TMPDIR/client.melin" \
		"$python" -c 'import socket
for host in "198.18.2.1", "fd00:2::1":
    connection = socket.create_connection((host, 7000))
    for size in [4] * 300 + [3000] * 20:
        connection.sendall(bytes(size))
        assert connection.recv(size, socket.MSG_WAITALL) == bytes(size)'
	# The router has said so for both.
	[ "$(on near nstat -asz Icmp6InPktTooBigs IcmpInDestUnreachs |
		awk '/^Icmp/ { sum += $2 } END { print sum }')" -ge 2 ]
	took client borrowed -eq 2
	took client returned_loss -eq 0
}
