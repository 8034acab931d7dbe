#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# socat and nc: streams through pipes, half-close, refusal.

load lib/common

@test "nc under melin sends a file to a kernel nc" {
	file=$(big_file 20)
	start sink far bash -c "nc -l -N 5000 | sha256sum"
	listens far 5000
	mark_kernel near
	melin near nc -N "$far_kernel" 5000 <"$file"
	finished sink
	[ "$(output_of sink | cut -d' ' -f1)" = "$(sha256 "$file")" ]
	kernel_still near
	took client taken_connect -eq 1
	took client tx_bytes -ge 20971520
}

@test "nc -l under melin receives a file from a kernel nc" {
	file=$(big_file 20)
	start_melin sink near bash -c "nc -l 5000 | sha256sum"
	mark_kernel near
	wait_until 60 send_to_near "$file" || fail "nc could not connect"
	finished sink
	[ "$(output_of sink | cut -d' ' -f1)" = "$(sha256 "$file")" ]
	kernel_still near
	took sink taken_accept -eq 1
	took sink rx_bytes -ge 20971520
}

send_to_near() {
	on far nc -N "$near_stack" 5000 <"$1"
}

@test "nc under melin: what comes after the half-close still arrives" {
	start server far socat -t 30 TCP-LISTEN:5000,reuseaddr 'SYSTEM:sha256sum'
	listens far 5000
	mark_kernel near
	got=$(echo hello | melin near nc -N "$far_kernel" 5000 | cut -d' ' -f1)
	[ "$got" = "$(echo hello | sha256)" ]
	kernel_still near
}

@test "socat under melin: an echo server, one client after the other" {
	for number in {1..5}; do
		start_melin server near socat -t 30 TCP-LISTEN:5000,reuseaddr EXEC:cat
		mark_kernel near
		wait_until 60 echoes "line $number" || fail "no echo of line $number"
		finished server
		kernel_still near
	done
	took server taken_accept -eq 5
}

echoes() {
	[ "$(echo "$1" | on far socat -t 30 - "TCP:$near_stack:5000" 2>/dev/null)" = "$1" ]
}

@test "socat under melin as a client, both directions at the same time" {
	file=$(big_file 20)
	start server far socat -b 65536 TCP-LISTEN:5000,reuseaddr EXEC:cat
	listens far 5000
	mark_kernel near
	got=$(melin near socat -t 30 -b 65536 - "TCP:$far_kernel:5000" <"$file" | sha256)
	[ "$got" = "$(sha256 "$file")" ]
	kernel_still near
	took client tx_bytes -ge 20971520
	took client rx_bytes -ge 20971520
}

@test "a port where nobody listens is refused, with libc's words" {
	mark_kernel near
	status=0
	said=$(melin near nc -v "$far_kernel" 5999 2>&1 </dev/null) || status=$?
	[ "$status" -eq 1 ]
	[[ $said == *"Connection refused"* ]] || fail "$said"
	kernel_still near
	took client taken_connect -le 1
}

@test "nc -z under melin scans ports: one open, the rest refused" {
	start server far socat TCP-LISTEN:5003,reuseaddr,fork EXEC:cat
	listens far 5003
	mark_kernel near
	said=$(melin near nc -vz "$far_kernel" 5000-5005 2>&1) || true
	[ "$(grep -c succeeded <<<"$said")" -eq 1 ]
	[ "$(grep -c refused <<<"$said")" -eq 5 ]
	[[ $said == *"5003"*"succeeded"* ]]
	kernel_still near
}

@test "a connection to a port of the stack where nobody listens is refused" {
	start_melin server near socat TCP-LISTEN:5000,reuseaddr,fork EXEC:cat
	answers far "$near_stack" 5000
	[[ -z $plain ]] || skip "plain run"
	mark_kernel near
	said=$(on far nc -v -w 30 "$near_stack" 5001 2>&1 </dev/null) && fail "5001 was open"
	[[ $said == *refused* ]] || fail "$said"
	kernel_still near
	end server
}
