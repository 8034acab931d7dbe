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
	start peer far timeout 90 nc -l -d "$far_kernel" 7000
	listens far 7000
	start_melin waiting near env "${@:4}" "$python" "$programs/waiting.py" "$far_kernel" 7000 \
		"$3"
	printed waiting '^ready'
	printed peer '^hello'
	stop waiting "$1" || status=$?
	[ "$status" -eq "$2" ] || fail "$1, $3: status $status"
	finished peer || fail "$1, $3: the peer has heard nothing"
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
	start peer far timeout 90 nc -l -d "$far_kernel" 7000
	listens far 7000
	start_melin waiting near "$python" -c 'import os, socket, sys, time
s = socket.create_connection((sys.argv[1], 7000))
print("ready", flush=True)
while not os.path.exists(sys.argv[2]):
    time.sleep(0.01)
s.sendall(b"nobody takes this")
print("sent", flush=True)
time.sleep(1000)' "$far_kernel" "$BATS_TEST_TMPDIR/down"
	printed waiting '^ready'
	on far ip link set dev veth0 down
	touch "$BATS_TEST_TMPDIR/down"
	printed waiting '^sent'
	before=$EPOCHSECONDS
	status=0
	stop waiting TERM || status=$?
	[ "$status" -eq 143 ]
	[ $((EPOCHSECONDS - before)) -le 20 ] # which the stack's own retransmissions exceed by far
}

# A reset right behind the data would make it poll(2) an error before it has read.
@test "a peer that is slow to read finds all that was sent before the end, and no error" {
	start_melin server near MELIN_LINGER_MS=600000 "$python" -c 'import socket
listener = socket.create_server(("", 7000))
print("ready", flush=True)
listener.accept()[0].sendall(b"hello")'
	printed server '^ready'
	[ "$(on far "$python" -c 'import select, socket, sys, time
s = socket.create_connection((sys.argv[1], 7000))
poll = select.poll()
poll.register(s, select.POLLRDHUP)
events = set()
for _ in range(20):
    events.add(poll.poll()[0][1])
    time.sleep(0.01)
print(events == {select.POLLRDHUP}, s.recv(100), s.recv(100))' "$near_stack")" = \
		"True b'hello' b''" ]
	finished server
	took server taken_accept -eq 1
}
