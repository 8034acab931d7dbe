#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# Flows that are the kernel's although a rule selects them: sockets that it has connected or
# accepted already, and the host's own addresses.

bats_require_minimum_version 1.5.0

load lib/common

# A server in far that takes whatever comes.
start_sink() {
	start sink far socat TCP-LISTEN:5000,fork,reuseaddr EXEC:cat
	listens far 5000
}

@test "connect(), bind() and listen() again on connections of the kernel" {
	start_sink
	run -0 melin near "$python" "$programs/kernel_sockets.py" again "$far_kernel" 5000
	echo "$output"
	grep -qx "accepted connect EISCONN EISCONN bind EINVAL listen EINVAL whole" <<<"$output"
	grep -qx "executed EISCONN EISCONN" <<<"$output"
	grep -qx "connected connect EISCONN EISCONN bind EINVAL listen EINVAL whole" <<<"$output"
	grep -qx "not blocking 0 EISCONN EISCONN" <<<"$output"
	grep -qx "dissolved 0 EINPROGRESS" <<<"$output"
	grep -qx "pair E[A-Z]* whole" <<<"$output"
	took client taken_connect -eq 1
}

@test "the host's own addresses, of any interface and as they come" {
	address near veth0 198.18.0.3/24 fd00::3/64 # a secondary one
	ip -n "$(host near)" address add 198.18.7.7/32 dev lo
	run -0 melin near "$python" "$programs/kernel_sockets.py" own 7000 "$near_kernel" \
		198.18.0.3 198.18.7.7 127.0.0.1 0.0.0.0 "$near_kernel6" fd00::3 ::1 :: \
		"::ffff:$near_kernel" "::ffff:198.18.0.3"
	echo "$output"
	[ "$(grep -c ' hello$' <<<"$output")" -eq 11 ]
	took client taken_connect -eq 0
}

@test "an address that becomes the host's while the program runs" {
	start_melin client near "$python" -c "
import socket, subprocess, sys
print(socket.socket().connect_ex(('198.18.0.9', 7001)), flush=True)
subprocess.run('ip address add 198.18.0.9/24 dev veth0', shell=True, check=True)
print(socket.socket().connect_ex(('198.18.0.9', 7001)), flush=True)"
	finished client
	# EHOSTUNREACH, then the kernel's ECONNREFUSED
	[ "$(output_of client)" = $'113\n111' ] || fail "$(output_of client)"
}

@test "the host's own addresses under MELIN_REQUIRED: ENETDOWN" {
	[[ -z $plain ]] || skip "plain run"
	[ "$(melin near MELIN_REQUIRED=1 "$python" -c "
import socket
print(socket.socket().connect_ex(('$near_kernel', 7000)))")" = 100 ]
}

@test "broadcast and multicast addresses are refused at once" {
	run -0 melin near MELIN_FLOWS='any:*:*' "$python" -c "
import errno, socket
for address in '198.18.0.255', '255.255.255.255', '224.0.0.1', '127.255.255.255':
    print(address, errno.errorcode[socket.socket().connect_ex((address, 7000))])
for address in 'ff02::1', 'ff0e::7', '::ffff:224.0.0.1':
    print(address, errno.errorcode[socket.socket(socket.AF_INET6).connect_ex((address, 7000))])"
	echo "$output"
	[ "$(grep -c ENETUNREACH <<<"$output")" -eq 7 ]
}
