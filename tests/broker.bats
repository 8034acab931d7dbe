#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# Host mode in servers whose workers have given up their rights: connections are borrowed all the
# same, through melin-broker. How that is asked is tested in tests/unit/broker.

bats_require_minimum_version 1.5.0

load lib/common

setup() {
	common_setup
	[[ -n $plain ]] && skip "there is no host mode without libmelin.so"
	[[ -x $build/melin-broker ]] || fail "melin-broker has not been built"
}

teardown() {
	rmdir /tmp/melin-jail.?????? 2>/dev/null || true
	common_teardown
}

# serve ADDRESS PORT COUNT [late]
serve() {
	start server near env "LD_PRELOAD=$library" MELIN_FLOWS="listen:*:*" \
		"MELIN_LOG=debug:$BATS_TEST_TMPDIR/server.melin" \
		"MELIN_BORROW=${BORROW:-auto}" \
		"$python" "$programs/workers.py" "$@"
	printed server ready
}

log_has() {
	grep -qE -- "$1" "$BATS_TEST_TMPDIR/server.melin"
}

# A client that goes on until it is told to pause: talks ADDRESS PORT CONNECTIONS TRIPS
talks() {
	pause=$BATS_TEST_TMPDIR/pause
	start client far "$python" "$programs/round_trips.py" "$@" "$pause"
}

pauses() {
	touch "$pause"
	printed client half
}

# A client with a pause in the middle, which begins when a line that matches has been logged so many
# times: pauses_after TIMES PATTERN ADDRESS PORT CONNECTIONS TRIPS
pauses_after() {
	talks "${@:3}"
	wait_until 100 logged "$1" "$2" || fail "$(cat "$BATS_TEST_TMPDIR/server.melin")"
	pauses
}

logged() {
	[ "$(grep -cE -- "$2" "$BATS_TEST_TMPDIR/server.melin")" -ge "$1" ]
}

# So many processes have borrowed: borrowed_by NUMBER
borrowed_by() {
	[ "$(grep -o 'descriptor [0-9]*: borrowed \[.*' "$BATS_TEST_TMPDIR/server.melin" |
		sed 's/.*: //' | sort -u | wc -l)" -ge "$1" ]
}

# It goes on to its end: goes_on TRIPS
goes_on() {
	rm "$pause"
	printed client "$1 round trips"
}

# The brokers on near.
brokers() {
	named near melin-broker
}

no_brokers() {
	[[ -z $(brokers) ]]
}

# All is over, and the server knows of its workers only.
ended() {
	finished server
	grep -q "^$1 workers have ended, 0 others" "$BATS_TEST_TMPDIR/server.out" ||
		fail "$(output_of server)"
	wait_until 60 no_brokers || fail "a broker is left"
	[ -z "$(on near ss -0Hn)" ] || fail "a tap is left"
}

@test "workers that become nobody after the fork borrow through brokers" {
	BORROW=always serve "$near_kernel" 80 3
	talks "$near_kernel" 80 3 300
	wait_until 100 borrowed_by 3 || fail "$(cat "$BATS_TEST_TMPDIR/server.melin")"
	pauses
	goes_on 300
	ended 3
}

@test "workers of a server that has become nobody before have one broker" {
	BORROW=always serve "$near_kernel6" 7000 3 late
	talks "$near_kernel6" 7000 3 400
	wait_until 100 borrowed_by 3 || fail "$(cat "$BATS_TEST_TMPDIR/server.melin")"
	pauses
	[ "$(brokers | wc -l)" -eq 1 ]
	goes_on 400
	ended 3
}

@test "a broker is killed: what it has lent goes on to its end, others are the kernel's" {
	BORROW=always serve "$near_kernel" 7000 2 late
	talks "$near_kernel" 7000 1 2000
	wait_until 60 log_has 'descriptor [0-9]*: borrowed' || fail "not borrowed"
	kill -KILL "$(brokers)"
	pauses
	goes_on 2000
	[ "$(on far "$python" "$programs/round_trips.py" "$near_kernel" 7000 1 300)" = \
		"300 round trips" ]
	ended 2
	grep -q aborted "$BATS_TEST_TMPDIR/server.out" || fail "$(output_of server)"
}

# A client that asks until it has SIGUSR1, and then only waits: it has no segment to send that would
# be answered. It closes its end if it is told so: waits [end]
waits() {
	start client far "$python" "$programs/only_waits.py" "$near_kernel" 7000 "$@"
	wait_until 60 log_has 'descriptor [0-9]*: borrowed' || fail "not borrowed"
}

@test "a broker is killed: a peer that waits hears of the end of what was lent" {
	BORROW=always serve "$near_kernel" 7000 1
	waits end
	kill -KILL "$(brokers)"
	kill -USR1 "$(pid_of client)"
	printed client 'heard of a reset'
	ended 1
}

# The kernel's socket goes without a word; its broker has the peer ask.
@test "a worker is killed: a peer that waits hears of it" {
	BORROW=always serve "$near_kernel" 7000 1
	waits
	kill -USR1 "$(pid_of client)"
	printed client waits
	kill -KILL "$(pgrep -P "$(pid_of server)")"
	printed client 'heard of'
	finished server
	wait_until 60 no_brokers || fail "a broker is left"
}

# Something has been sent to it that it has not read.
stopped_broker_is_asked() {
	on near ss -xHnp | awk '/"melin-broker"/ && $3 > 0 { found = 1 } END { exit !found }'
}

# The broker need not hurry with what is closed, but where another thread has the socket still.
@test "a thread closes a socket that others have in another table: they go on" {
	start server near env "LD_PRELOAD=$library" 'MELIN_FLOWS=listen:*:*' MELIN_BORROW=always \
		"MELIN_LOG=debug:$BATS_TEST_TMPDIR/server.melin" "$python" -c '
import ctypes, os, signal, socket, sys, threading
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
os.setuid(65534)
connection = socket.create_server((sys.argv[1], 7000)).accept()[0]
while (data := connection.recv(100)) != b"that is all":
    connection.sendall(data)

def close():
    assert ctypes.CDLL(None).unshare(0x400) == 0  # CLONE_FILES
    print("closes", flush=True)
    signal.sigwait([signal.SIGUSR1])
    os.close(connection.fileno())
    print("has closed", flush=True)

closing = threading.Thread(target=close)
closing.start()
closing.join()
connection.sendall(b"goes on")
print("ends", connection.recv(100), flush=True)' "$near_kernel"
	listens near 7000
	start client far "$python" -c 'import socket, sys
peer = socket.create_connection((sys.argv[1], 7000), 60)
while "descriptor" not in (log := open(sys.argv[2]).read()) or ": borrowed" not in log:
    peer.sendall(b"word")
    assert peer.recv(100) == b"word"
peer.sendall(b"that is all")
print("is told that it", peer.recv(100))' "$near_kernel" "$BATS_TEST_TMPDIR/server.melin"
	printed server closes
	kill -STOP "$(brokers)"
	kill -USR1 "$(pid_of server)"
	wait_until 60 stopped_broker_is_asked || fail "the broker is not asked"
	kill -CONT "$(brokers)"
	printed client "is told that it b'goes on'"
	finished server
	grep -q "ends b''" "$BATS_TEST_TMPDIR/server.out"
}

# Chance says each time that a connection goes back. Whichever are borrowed when the broker ends,
# none is lost for a reason that can be left alone.
@test "a broker is killed: what need not go back stays with the stack" {
	BORROW=random serve "$near_kernel" 7000 6 late
	pauses_after 10 'descriptor [0-9]*: borrowed' "$near_kernel" 7000 6 2000
	kill -KILL "$(brokers)"
	goes_on 2000
	ended 6
}

# The host's broker, with a /run of the test's own for it and for the server: listen
listen() {
	install -d -m 755 "$BATS_TEST_TMPDIR/run/melin"
	rm -f "$BATS_TEST_TMPDIR/run/melin/broker.sock"
	# shellcheck disable=SC2016
	wrapped=(unshare --mount bash -c 'mount --bind "$0" /run && exec "$@"'
		"$BATS_TEST_TMPDIR/run")
	start broker near "${wrapped[@]}" "$build/melin-broker" --listen
	wait_until 60 test -S "$BATS_TEST_TMPDIR/run/melin/broker.sock" ||
		fail "$(output_of broker)"
	chmod 666 "$BATS_TEST_TMPDIR/run/melin/broker.sock"
}

# The server, which is nobody, and of which the host's broker is all it has; LIBRARIES come before
# melin's: serve_as_nobody [LIBRARIES]
serve_as_nobody() {
	start server near "${wrapped[@]}" setpriv --reuid 65534 --clear-groups --bounding-set=-all \
		--inh-caps=-all env "LD_PRELOAD=${1:-}$library" 'MELIN_FLOWS=listen:*:*' \
		MELIN_LOG=debug MELIN_BORROW=always \
		"$python" "$programs/echo_server.py" threads 7000
	listens near 7000
}

loans() {
	grep -c 'descriptor .*: borrowed' "$BATS_TEST_TMPDIR/server.out" || true
}

# A client that has the server's echo once more.
asks() {
	kill -USR1 "$(pgrep -g "$(pid_of client)" -f last_words)"
	printed client "asked $((++asked))"
}

# The same, until there is one more loan than so many: asks_borrowed LOANS. (News of its path may
# have had a connection lent more often than a test says.)
asks_borrowed() {
	asks
	[ "$(loans)" -gt "$1" ]
}

come() {
	asked=0
	start client far "$python" "$programs/last_words.py" "$near_kernel" 7000 wait
	printed client waiting
}

@test "the host's broker is killed and started again: the program borrows again" {
	listen
	serve_as_nobody
	come
	wait_until 60 asks_borrowed 0 || fail "$(output_of server)"
	end broker KILL
	asks # it goes on until it ends
	end client
	come
	asks # by the kernel
	before=$(loans)
	listen
	wait_until 60 asks_borrowed "$before" || fail "$(output_of server)"
	grep -q 'there is a broker again' "$BATS_TEST_TMPDIR/server.out"
	# The new one tells of rules, too.
	on near nft add table inet guard
	asks
	wait_until 60 grep -q 'given back: its path has changed' "$BATS_TEST_TMPDIR/server.out"
	end client
}

# To be loaded before melin: the second packet socket that is to be waited for cannot be. It lies
# where anybody may read it, and is /run/no_second_tap.so for the server.
no_second_tap() {
	gcc -shared -fPIC -x c -o "$BATS_TEST_TMPDIR/run/no_second_tap.so" - <<-'CODE'
		#define _GNU_SOURCE
		#include <dlfcn.h>
		#include <errno.h>
		#include <stdio.h>
		#include <sys/epoll.h>
		#include <sys/socket.h>

		int epoll_ctl(int set, int operation, int descriptor, struct epoll_event *event)
		{
			int (*next)(int, int, int, struct epoll_event *) =
				dlsym(RTLD_NEXT, "epoll_ctl");
			static int taps;
			int domain = 0;
			socklen_t size = sizeof(domain);

			if (operation == EPOLL_CTL_ADD &&
			    getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 &&
			    domain == AF_PACKET && ++taps == 2) {
				dprintf(2, "not %d\n", descriptor);
				errno = ENOSPC;
				return -1;
			}
			return next(set, operation, descriptor, event);
		}
	CODE
}

@test "another broker's tap cannot be waited for at first: it is asked once more" {
	listen
	no_second_tap
	serve_as_nobody /run/no_second_tap.so:
	come
	wait_until 60 asks_borrowed 0 || fail "$(output_of server)"
	end broker KILL
	end client
	come
	before=$(loans)
	listen
	wait_until 60 asks_borrowed "$before" || fail "$(output_of server)"
	end client
	tap=$(sed -n 's/^not //p' "$BATS_TEST_TMPDIR/server.out")
	wait_until 60 grep -qE "^tfd: +$tap " "/proc/$(pid_of server)/fdinfo/"* ||
		fail "nobody waits for it"
}

@test "a broker that is slow for once loses nothing, and is asked further on" {
	listen
	serve_as_nobody
	come
	wait_until 60 asks_borrowed 0 || fail "$(output_of server)"
	kill -STOP "$(brokers)"
	end client # the server closes it, which takes the broker
	sleep 3    # longer than a client waits for whom nothing is lent
	kill -CONT "$(brokers)"
	wait_until 60 grep -q 'given back: ' "$BATS_TEST_TMPDIR/server.out" ||
		fail "$(output_of server)"
	before=$(loans)
	come
	wait_until 60 asks_borrowed "$before" || fail "$(output_of server)"
	end client
	not grep -qE 'could not be given back|there is a broker again' \
		"$BATS_TEST_TMPDIR/server.out"
}

@test "a fork does not wait for a broker that does not answer" {
	start server near env "LD_PRELOAD=$library" MELIN_FLOWS='listen:*:*' MELIN_BORROW=always \
		"MELIN_LOG=debug:$BATS_TEST_TMPDIR/server.melin" \
		"$python" -c 'import os, socket, time
listener = socket.create_server(("", 7000))
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
print("ready", flush=True)
connection = listener.accept()[0]
connection.sendall(connection.recv(100))
while len(os.listdir("/proc/self/task")) == 1:
    time.sleep(0.01)
time.sleep(1)
child = os.fork()
if child == 0:
    os._exit(0)
print("forked", flush=True)
os.waitpid(child, 0)
while data := connection.recv(100):
    connection.sendall(data)'
	printed server ready
	broker=$(brokers)
	kill -STOP "$broker"
	start client far "$python" "$programs/round_trips.py" "$near_kernel" 7000 1 300
	printed server forked
	not log_has 'does not answer'
	kill -CONT "$broker"
	printed client '300 round trips'
	finished server
}

@test "nor does one while another thread has to wait for it" {
	start server near env "LD_PRELOAD=$library" MELIN_FLOWS='listen:*:*' MELIN_REQUIRED=1 \
		"MELIN_LOG=debug:$BATS_TEST_TMPDIR/server.melin" \
		"$python" -c 'import os, signal, socket, threading, time
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
print("ready", flush=True)
signal.sigwait({signal.SIGUSR1})
listener = socket.socket()
listener.bind(("", 7000))
thread = threading.Thread(target=listener.listen)
thread.start()
while thread.is_alive() and len(os.listdir("/proc/self/task")) < 3:
    time.sleep(0.01)
time.sleep(1)
child = os.fork()
if child == 0:
    os._exit(0)
print("forked", flush=True)
os.waitpid(child, 0)
thread.join()
print("ended", flush=True)'
	printed server ready
	broker=$(brokers)
	kill -STOP "$broker"
	kill -USR1 "$(pid_of server)"
	printed server forked
	not log_has 'does not answer'
	kill -CONT "$broker"
	printed server ended
	finished server
}

# Who has been answered no goes to the kernel for good, so that each client is a new one.
comes_borrowed() {
	come
	asks_borrowed 0 || {
		end client
		false
	}
}

@test "there is no broker when the program starts, and one later: it borrows" {
	listen
	end broker KILL
	serve_as_nobody
	come
	wait_until 60 grep -q 'no connection is borrowed: ' "$BATS_TEST_TMPDIR/server.out"
	end client
	listen
	wait_until 100 comes_borrowed || fail "$(output_of server)"
	end client
	[ "$(grep -c 'no connection is borrowed: ' "$BATS_TEST_TMPDIR/server.out")" -eq 1 ]
}

# Its client says QUIT once the connection is borrowed.
quits_borrowed() {
	on far "$python" - "$near_kernel" "$BATS_TEST_TMPDIR/server.out" <<-'END'
		import socket, sys, time
		connection = socket.create_connection((sys.argv[1], 7379), timeout=60)
		end = time.monotonic() + 60
		while ': borrowed [' not in open(sys.argv[2]).read():
		    assert time.monotonic() < end
		    for _ in range(200):
		        connection.sendall(b'PING\r\n')
		        assert connection.recv(7) == b'+PONG\r\n'
		connection.sendall(b'QUIT\r\n')
		assert connection.recv(5) == b'+OK\r\n'
		assert connection.recv(1) == b''
	END
}

@test "a server without rights closes what is borrowed, and goes on" {
	start server near env MELIN_LOG=debug MELIN_BORROW=always "$build/melin" run \
		--user nobody --flows 'listen:*:7379' redis-server --port 7379 --bind '*' \
		--protected-mode no --save ''
	printed server 'eady to accept connections'
	quits_borrowed
	wait_until 60 grep -q 'given back: closed' "$BATS_TEST_TMPDIR/server.out"
	[ "$(on far redis-cli -h "$near_kernel" -p 7379 ping)" = PONG ]
	end server
}

# The program itself looks there: Perl's $( and $) tell of a failure in no other way.
@test "a program that gives up its rights finds errno as it was" {
	for way in chroot raw-chroot setuid raw-setuid seteuid setreuid setresuid capset \
		raw-capset all seccomp; do
		start server near env "LD_PRELOAD=$library" 'MELIN_FLOWS=listen:*:7000' \
			"$build/tests/programs/giving_up" listening 7000 "$way"
		printed server '^ready' || fail "$way"
		end server
	done
}
