#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# How a process ends while it has flows, where more than one program is needed to tell it. (What
# arrives after each way to end a process: tests/differential/exit.c.)

bats_require_minimum_version 1.5.0

load lib/common

@test "main returns while other threads connect: none fails, none goes through the kernel" {
	start web far nginx -c "$(nginx_configuration 80)" -p "$BATS_TEST_TMPDIR"
	listens far 80
	for _ in 1 2 3; do
		melin near "$build/tests/programs/connecting" "$far_kernel" 80 "$near_stack"
	done
	took client taken_connect -ge 3
}

@test "faketime's library in front of melin's and behind it" {
	start web far nginx -c "$(nginx_configuration 80)" -p "$BATS_TEST_TMPDIR"
	listens far 80
	url=http://$far_kernel/hello
	[[ $(melin near faketime -f +400d curl -sS "$url") = "hello from nginx" ]]
	both=$(faketime -f +400d printenv LD_PRELOAD)
	[[ -n $plain ]] || both=$both:$library
	for _ in 1 2 3; do
		[[ $(melin near env FAKETIME=+400d "LD_PRELOAD=$both" curl -sS "$url") = \
			"hello from nginx" ]]
	done
	took client taken_connect -eq 4
}

# The peer of a program that waits hears of its end at once: ended_by SIGNAL STATUS WAY [NAME=VALUE]
ended_by() {
	local status=0
	start peer far timeout 20 nc -l -d "$far_kernel" 7000
	listens far 7000
	start_melin waiting near env "${@:4}" "$python" "$programs/waiting.py" "$far_kernel" 7000 \
		"$3"
	printed waiting '^ready'
	printed peer '^hello'
	stop waiting "$1" || status=$?
	[ "$status" -eq "$2" ] || fail "$1, $3: status $status"
	finished peer 5 || fail "$1, $3: the peer has heard nothing"
}

@test "a program that waits is ended by a signal: its status says so, its peer hears of it" {
	for way in recv poll epoll threads sleep; do
		ended_by TERM 143 "$way"
	done
	ended_by HUP 129 recv
	ended_by USR1 138 poll
	ended_by ABRT 134 epoll
	ended_by TERM 143 recv MELIN_SPIN_US=max
	took waiting taken_connect -eq 9
}

@test "a peer that is gone does not keep a program from its end by a signal" {
	start peer far timeout 20 nc -l -d "$far_kernel" 7000
	listens far 7000
	start_melin waiting near "$python" -c 'import socket, sys, time
s = socket.create_connection((sys.argv[1], 7000))
print("ready", flush=True)
sys.stdin = open("/dev/null")
time.sleep(1)
s.sendall(b"nobody takes this")
print("sent", flush=True)
time.sleep(1000)' "$far_kernel"
	printed waiting '^ready'
	on far ip link set dev veth0 down
	printed waiting '^sent'
	before=$EPOCHSECONDS
	status=0
	stop waiting TERM || status=$?
	[ "$status" -eq 143 ]
	[ $((EPOCHSECONDS - before)) -le 6 ]
}
