#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# Host mode: MELIN_FLOWS and nothing else. The kernel's connections, at the host's own address, are
# borrowed and given back; programs do not notice, and the summary says that it was so.

load lib/common
load lib/host

LEVEL=debug
DEFAULT_BORROW=always

start_redis() {
	start_melin redis near redis-server --port 7379 --bind '*' '-::*' --protected-mode no \
		--save '' --dir "$BATS_TEST_TMPDIR"
	printed redis 'eady to accept connections'
}

# asked_until_started [ADDRESS]
asked_until_started() {
	on far redis-benchmark -h "${1:-$near_kernel}" -p 7379 -c 1 -n 5000 -t get,set -q
	grep -q 'can be borrowed from now on' "$BATS_TEST_TMPDIR/redis.melin"
}

loans_of() {
	grep -c 'descriptor .*: borrowed' "$BATS_TEST_TMPDIR/$1.melin" || true
}

# Of 100 connections of one turn; where others want redis' processor it pays less often.
nearly_all_are_borrowed() {
	local before
	before=$(loans_of redis)
	on far redis-benchmark -h "$near_kernel" -p 7379 -c 50 -n 50000 -t get,set -q
	[ "$(loans_of redis)" -ge $((before + 80)) ]
}

much_is_carried() {
	on far redis-benchmark -h "$near_kernel" -p 7379 -c 50 -n 50000 -t get,set -q
	[ "$("$build/melin" stat --json "$(pid_of redis)" |
		jq '.processes[0].counters.rx_segments')" -ge 20000 ]
}

@test "redis-server with MELIN_FLOWS alone: borrowed when it pays" {
	BORROW='' start_redis
	answers far "$near_kernel" 7379
	on far redis-cli -h "$near_kernel" -p 7379 set greeting hello
	# The kernel serves until the stack has started beside.
	wait_until 100 asked_until_started
	wait_until 100 nearly_all_are_borrowed
	wait_until 100 much_is_carried
	[ "$(on far redis-cli -h "$near_kernel" -p 7379 get greeting)" = hello ]
	stop redis
	took redis borrowed -ge 80
	took redis kept_unpaid -ge 2
	took redis rx_segments -ge 20000
	took redis returned_lost -eq 0
}

# Which of DPDK's libraries a process has, from its maps.
dpdk_of() {
	grep -o 'librte_[a-z_]*' | sort -u
}

# The process may be in exit(3), running the destructors of what is loaded: one more dlopen() makes
# ld.so run the constructors of DPDK's libraries again, at which DPDK ends the process.
@test "a start loads none of DPDK's libraries after the module that brings them" {
	start_redis
	wait_until 100 asked_until_started
	"$python" -c 'import ctypes, sys
ctypes.CDLL(sys.argv[1])
print(open("/proc/self/maps").read())' "$module" | dpdk_of >"$BATS_TEST_TMPDIR/module"
	grep -q librte_eal "$BATS_TEST_TMPDIR/module"
	dpdk_of <"/proc/$(pid_of redis)/maps" | diff "$BATS_TEST_TMPDIR/module" -
}

# Packet sockets that are shown every frame.
taps() {
	on near cat /proc/net/packet | awk '$4 == "0003"' | wc -l
}

no_tap() {
	[ "$(taps)" -eq 0 ]
}

# While others want redis' processor, it pays less often.
five_more_than() {
	on far redis-benchmark -h "$near_kernel" -p 7379 -c 5 -n 20000 -t get -q
	[ "$(loans_of redis)" -ge $(($1 + 5)) ]
}

@test "when nothing is borrowed any more the tap rests; it wakes when borrowing pays again" {
	BORROW='' start_redis
	answers far "$near_kernel" 7379
	wait_until 100 asked_until_started
	on far redis-benchmark -h "$near_kernel" -p 7379 -c 5 -n 20000 -t get -q
	wait_until 60 no_tap
	[ "$(on far redis-cli -h "$near_kernel" -p 7379 ping)" = PONG ]
	no_tap
	mark=$(loans_of redis)
	wait_until 60 five_more_than "$mark"
	wait_until 60 no_tap
	stop redis
	took redis returned_lost -eq 0
}

@test "redis-server with pipelines and 100 KB values, IPv6" {
	start_redis
	answers far "$near_kernel6" 7379
	wait_until 100 asked_until_started "$near_kernel6"
	on far redis-benchmark -h "$near_kernel6" -p 7379 -c 20 -n 50000 -P 16 -t set,get -q
	on far redis-benchmark -h "$near_kernel6" -p 7379 -c 10 -n 1000 -d 102400 -t set,get -q
	stop redis
	took redis borrowed -ge 50
	took redis rx_payload -ge 90000000
	took redis returned_lost -eq 0
}

# It gives up its rights while a stack starts. Then a broker lends, or there are no rights.
@test "rsync's daemon, whose children become another user in a root folder of their own" {
	local work=$BATS_TEST_TMPDIR/rsync
	install -d -m 755 "$work" "$work/files"
	cat >"$work/conf" <<-CONF
		use chroot = yes
		uid = nobody
		pid file = $work/pid
		[files]
		    path = $work/files
	CONF
	cp "$(big_file 20)" "$work/files/big"
	start_melin rsyncd near rsync --daemon --no-detach --port 7000 --config "$work/conf"
	listens near 7000
	for _ in 1 2 3 4 5; do
		on far rsync "rsync://$near_kernel:7000/files/big" "$work/got"
		cmp "$work/files/big" "$work/got"
		rm "$work/got"
	done
	not grep -E 'Linux 6.6|system call failed' "$BATS_TEST_TMPDIR/rsyncd.melin"
}

@test "a socket that was handed on from another network namespace is counted as such" {
	local environment
	start peer near "$python" "$programs/echo_server.py" threads 7001
	listens near 7001
	FLOWS='connect:*:7001' melin_environment far "$BATS_TEST_TMPDIR/client.melin"
	# A shell on far connects and becomes a program on near.
	# shellcheck disable=SC2016 # the inner shell's
	on far bash -c 'exec 5<>"/dev/tcp/$0/7001" && exec "$@"' "$near_kernel" \
		ip netns exec "$(host near)" env "${environment[@]}" "$python" -c 'import socket
import sys, time
connection = socket.socket(fileno=5)
end = time.monotonic() + 60
while "another network namespace" not in open(sys.argv[1]).read() and time.monotonic() < end:
    connection.sendall(b"x")
    assert connection.recv(1) == b"x"' "$BATS_TEST_TMPDIR/client.melin"
	took client kept_namespace -eq 1
	took client kept_path -eq 0
}

@test "a saved SYN keeps its connection in the kernel" {
	start_melin server near MELIN_BORROW=always "$python" -c 'import socket
listener = socket.create_server(("", 7000))
listener.setsockopt(socket.IPPROTO_TCP, 27, 1)
print("ready", flush=True)
for _ in range(2):
    connection = listener.accept()[0]
    while data := connection.recv(100):
        connection.sendall(data)
    print("saved", len(connection.getsockopt(socket.IPPROTO_TCP, 28, 200)) > 20, flush=True)'
	printed server ready
	for _ in 1 2; do
		on far "$python" "$programs/round_trips.py" "$near_kernel" 7000 1 100
	done
	finished server
	[ "$(output_of server | grep -c 'saved True')" -eq 2 ]
	took server kept_option -eq 2
}

@test "an option that tells how a connection ends keeps it in the kernel" {
	start echo far "$python" "$programs/echo_server.py" threads 7000
	answers far "$far_kernel" 7000
	FLOWS='connect:*:7000' melin near MELIN_BORROW=always "$python" -c 'import socket, sys, time
def loans():
    return open(sys.argv[2]).read().count(": borrowed [")
def trip():
    connection.sendall(b"trip")
    assert connection.recv(4, socket.MSG_WAITALL) == b"trip"
for option in (socket.IPPROTO_TCP, 18, 60000), (socket.IPPROTO_IP, 11, 1):
    for is_late in True, False:
        before = loans()
        connection = socket.socket()
        if not is_late:
            connection.setsockopt(*option)
        connection.connect((sys.argv[1], 7000))
        end = time.monotonic() + 60
        while is_late and loans() == before and time.monotonic() < end:
            trip()
        if is_late:
            connection.setsockopt(*option)
        for _ in range(600):
            trip()
        assert loans() == before + is_late
        connection.close()' "$far_kernel" "$BATS_TEST_TMPDIR/client.melin"
	took client kept_option -eq 2
	took client borrowed -eq 2
	took client returned_call -eq 2
}

none_saves() {
	on far redis-cli -h "$near_kernel" -p 7379 info persistence |
		grep -q 'rdb_bgsave_in_progress:0'
}

@test "redis-server saves in a child while it serves" {
	start_redis
	answers far "$near_kernel" 7379
	wait_until 100 asked_until_started
	for turn in 1 2 3; do
		on far redis-benchmark -h "$near_kernel" -p 7379 -c 10 -n 5000 -t set,get -q &
		background=$!
		[ "$(on far redis-cli -h "$near_kernel" -p 7379 bgsave)" = \
			'Background saving started' ]
		wait "$background"
		wait_until 60 none_saves
	done
	stop redis
	took redis borrowed -ge 30
	took redis returned_lost -eq 0
}

@test "each way to wait: blocking calls, select, poll, epoll" {
	for how in block select poll epoll; do
		COUNT=3 echoes $how
		borrowed 3
	done
}

@test "epoll with edges and with EPOLLONESHOT" {
	for how in edge oneshot; do
		COUNT=3 echoes $how
		borrowed 3
	done
}

@test "a thread that reads and one that writes" {
	COUNT=3 echoes threads
	finished server
	took server returned_lost -eq 0
}

@test "the same, IPv6" {
	for how in block epoll; do
		COUNT=2 echoes $how "$near_kernel6"
		borrowed 2
	done
}

@test "the same, between link-local addresses" {
	address near veth0 fe80::1:1/64
	COUNT=2 echoes block fe80::1:1%veth0
	borrowed 2
}

@test "MELIN_BORROW=random: every manner, and no byte is wrong" {
	for how in block select poll epoll edge oneshot threads; do
		BORROW=random COUNT=3 echoes $how
		finished server
		took server returned_lost -eq 0
		[[ $how == threads ]] || took server returned_chance -ge 10
	done
}

# Much data both ways, and readers of all kinds: bulk COUNT MEGABYTES ADDRESS
bulk() {
	local -x BORROW=random FLOWS='any:*:7000'
	start_melin server near "$python" "$programs/bulk.py" serve 7000 "$1"
	printed server ready
	start_melin client far "$python" "$programs/bulk.py" ask "$3" 7000 "$1" "$2"
	printed client 'all is well' 100
	finished client
	finished server
	took server returned_chance -ge "$1"
	took client returned_chance -ge "$1"
	took server returned_lost -eq 0
	took client returned_lost -eq 0
}

@test "MELIN_BORROW=random at both ends: much data, slow readers, and no byte is wrong" {
	bulk 8 20 "$near_kernel"
}

@test "the same over IPv6, one connection" {
	bulk 1 60 "$near_kernel6"
}

@test "TCP_INFO is answered without giving back, and counts from the beginning on" {
	COUNT=2 echoes info
	borrowed 2
	took server returned_call -eq 0
	BORROW=random COUNT=2 echoes info
	finished server
	took server returned_chance -ge 5
	took server returned_call -eq 0
}

@test "the process ends while much is not sent: it arrives" {
	echoes unsent
	[ "$(sed -n 's/^left: //p' "$BATS_TEST_TMPDIR/client.out")" -ge 1000 ]
	finished server
	borrowed_once server
	took server returned_lost -eq 0 # by the process's end, or its peer was faster with its own
}

@test "kill -9: the peer is answered by a RST, and nothing is left" {
	start_melin server near "$python" "$programs/host_echo.py" serve 7000 block
	printed server ready
	start client far "$python" "$programs/host_echo.py" ask "$near_kernel" 7000 1 1000000
	wait_until 60 grep -q 'descriptor .*: borrowed' "$BATS_TEST_TMPDIR/server.melin"
	end server KILL
	wait_until 60 gone "$(pid_of client)"
	grep -q ConnectionResetError "$BATS_TEST_TMPDIR/client.out"
	rm "$BATS_TEST_TMPDIR/client.pid"
	[ -z "$(on near ss -Htn state established)" ]
	echoes block
	borrowed 1
}

# The witnesses on near.
witnesses() {
	named near melin-witness
}

no_witnesses() {
	[[ -z $(witnesses) ]]
}

# It takes its name a moment after it has been started.
one_witness() {
	[[ $(witnesses | wc -l) -eq 1 ]]
}

# A witness has its process's for a moment longer.
no_taps() {
	[[ -z $(on near ss -0Han) ]]
}

# The kernel's socket goes without a word; a process that is nobody's has the peer ask.
@test "a program is killed: a peer that only waits hears of it, by a witness that is no child" {
	for signal in KILL SEGV; do
		start_melin server near "$python" -c 'import os, socket, sys
listener = socket.create_server(("", 7000))
print("ready", flush=True)
connection = listener.accept()[0]
while data := connection.recv(100):
    connection.sendall(data)
    try:
        sys.exit("a child: %d %d" % os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG))
    except ChildProcessError:
        pass'
		printed server ready
		start client far "$python" "$programs/only_waits.py" "$near_kernel" 7000
		wait_until 60 grep -q 'descriptor .*: borrowed' "$BATS_TEST_TMPDIR/server.melin"
		wait_until 60 one_witness
		kill -USR1 "$(pid_of client)"
		printed client waits
		end server $signal
		printed client 'heard of'
		wait_until 60 no_witnesses
		wait_until 60 no_taps
		rm -f "$BATS_TEST_TMPDIR"/{client,server}.*
	done
}

@test "who ends otherwise leaves no witness, nor does who becomes another program" {
	echoes block
	finished server
	wait_until 60 no_witnesses
	echoes exec
	wait_until 60 no_witnesses
	finished server
}

# The same addresses and ports each time: nothing that a killed process leaves may be in the way.
@test "kill -9, 100 times under load: the peers learn, and connect again by the same ports" {
	start_melin server near "$python" "$programs/killed.py" serve 7000 5 100
	listens near 7000
	on far "$python" "$programs/killed.py" ask "$near_kernel" 7000 5 100 \
		"$BATS_TEST_TMPDIR/server.melin" | grep -q 'all have learned'
	finished server
	[ "$(grep -c 'descriptor .*: borrowed' "$BATS_TEST_TMPDIR/server.melin")" -ge 100 ]
	wait_until 60 no_taps
	[ -z "$(on near ss -Htan state established)" ]
}

@test "a client, IPv4 and IPv6" {
	start server far "$python" "$programs/host_echo.py" serve 7000 epoll 2
	printed server ready
	for peer in "$far_kernel" "$far_kernel6"; do
		rm -f "$BATS_TEST_TMPDIR/client.melin"
		FLOWS='connect:*:7000' asks melin near "$peer" 1 "$BATS_TEST_TMPDIR/client.melin"
		borrowed_once client
		took client returned_closed -eq 1
		took client returned_lost -eq 0
	done
	finished server
}

# Memory that is a process's alone, in KB: anonymous_of NAME
anonymous_of() {
	awk '/^Anonymous:/ { print $2 }' "/proc/$(pid_of "$1")/smaps_rollup"
}

@test "a start takes few system calls and little memory" {
	start server far "$python" "$programs/host_echo.py" serve 7000 block 1
	printed server ready
	FLOWS='connect:*:7000' melin near MELIN_REQUIRED=1 \
		strace -f -qq -o "$BATS_TEST_TMPDIR/calls" \
		"$python" "$programs/host_echo.py" ask "$far_kernel" 7000 | grep -q 'all is well'
	finished server
	borrowed_once client
	# DPDK looks for each processor that it may have on each node: 5,000 calls.
	calls=$(grep -cE ' access\(' "$BATS_TEST_TMPDIR/calls")
	echo "$calls calls that look for what might be there"
	((calls <= 500))

	start_melin redis near MELIN_REQUIRED=1 redis-server --port 7379 --bind '*' \
		--protected-mode no --save '' --dir "$BATS_TEST_TMPDIR"
	start kernel near redis-server --port 7380 --bind '*' --protected-mode no --save '' \
		--dir "$BATS_TEST_TMPDIR"
	for port in 7379 7380; do
		answers far "$near_kernel" $port
		on far redis-benchmark -h "$near_kernel" -p $port -c 1 -n 1000 -t get -q
	done
	more=$(($(anonymous_of redis) - $(anonymous_of kernel)))
	echo "$more KB more than without"
	((more <= 4000))
	stop redis
	took redis borrowed -ge 1
}

@test "a rule with !, loopback and the host itself: the kernel's" {
	FLOWS='!listen:*:7000,any:*:*' log='' echoes block
	finished server
	took server borrowed -eq 0
	took server kept_rule -eq 1
	start_melin server near "$python" "$programs/host_echo.py" serve 7000 block
	printed server ready
	asks on near "$near_kernel" 1 ''
	finished server
	took server borrowed -eq 0
}

two_borrowed_by_nginx() {
	said=$(on far curl -s "${urls[@]}" | sort -u)
	[[ $said != 'hello from nginx' || $(loans_of nginx) -ge 2 ]]
}

@test "nginx, kept connections, two workers, and a reload meanwhile" {
	conf=$(nginx_configuration 7080 on)
	sed -i 's/worker_processes 1/worker_processes 2/' "$conf"
	start_melin nginx near nginx -c "$conf"
	answers far "$near_kernel" 7080
	for turn in 1 2 3 4 5 6 7 8 9 10; do
		urls+=("http://$near_kernel:7080/hello")
	done
	for turn in {1..10}; do
		[ "$(on far curl -s "${urls[@]}" | sort -u)" = 'hello from nginx' ]
		[[ $turn != 5 ]] || kill -HUP "$(<"$BATS_TEST_TMPDIR/nginx.process")"
	done
	# The first connections of each worker are the kernel's until its stack has started.
	wait_until 100 two_borrowed_by_nginx
	[ "$said" = 'hello from nginx' ]
	stop nginx QUIT
	took nginx borrowed -ge 2
	took nginx returned_lost -eq 0
}

@test "a root folder changed, then a user namespace or a filter: no thread of melin's is left" {
	melin near "$python" "$programs/moved.py" >"$BATS_TEST_TMPDIR/out"
	[ "$(<"$BATS_TEST_TMPDIR/out")" = "threads behind the filter: 1
threads before and after a filter is refused: 2 2
threads in the namespace: 1" ]
}

# An echo server, and a client that asks each time that it is told to, which "once_more" does:
# serve_waiting [ADDRESS [PYTHON-ARGUMENT...]]
serve_waiting() {
	asked=0
	start_melin server near "$python" "${@:2}" "$programs/echo_server.py" threads 7000 \
		"${1:-$near_kernel}"
	listens near 7000
	start client far "$python" "$programs/last_words.py" "${1:-$near_kernel}" 7000 wait
	printed client waiting
}

once_more() {
	kill -USR1 "$(pgrep -g "$(pid_of client)" -f last_words)"
	printed client "asked $((++asked))"
}

# So often it has been given back, and is borrowed again, when the client asks once more.
once_more_borrowed() {
	once_more
	[ "$(grep -c 'descriptor .*: given back' "$BATS_TEST_TMPDIR/server.melin")" -ge "$1" ] &&
		tail -n 1 "$BATS_TEST_TMPDIR/server.melin" | grep -q 'descriptor [0-9]*: borrowed'
}

@test "the peer has another MAC address: it is borrowed again, and by the new way" {
	serve_waiting
	wait_until 60 once_more_borrowed 0
	ip -n "$(host far)" link set veth0 down
	ip -n "$(host far)" link set veth0 address 02:00:00:00:77:77
	ip -n "$(host far)" link set veth0 up
	ip -n "$(host near)" neighbour flush dev veth0
	wait_until 60 once_more_borrowed 1
	once_more
}

# node's handlers of SIGTERM and SIGINT are such; this one is libc's raise().
@test "a handler for one signal only sends it once more: the peer hears of the end" {
	serve_waiting "$near_kernel" -c 'import ctypes, runpy, sys
libc = ctypes.CDLL(None)
libc.sysv_signal(2, ctypes.cast(libc["raise"], ctypes.c_void_p))
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")'
	wait_until 60 once_more_borrowed 0
	[ "$(on far ss -Htn state established dport = 7000 | wc -l)" -eq 1 ]
	kill -INT "$(pid_of server)"
	wait_until 60 eval '[ "$(on far ss -Htn state close-wait dport = 7000 | wc -l)" -eq 1 ]'
	finished server || [ $? = 130 ]
}

# Who reads the status wakes the thread that finds it out.
@test "ss -K ends what is borrowed, for both ends, while melin stat watches" {
	serve_waiting
	wait_until 60 once_more_borrowed 0
	start watch near "$build/melin" stat --watch 0.2 "$(pid_of server)"
	on near ss -K dst "$far_kernel" || true # it may say that UDP has no such thing
	printed server ConnectionAbortedError
	kill -USR1 "$(pgrep -g "$(pid_of client)" -f last_words)"
	printed client ConnectionResetError
	end watch TERM
}

@test "MELIN_REQUIRED=1 where nothing can be borrowed fails" {
	start_melin server near MELIN_BORROW= MELIN_REQUIRED=1 setpriv --bounding-set=-net_admin \
		--inh-caps=-net_admin --no-new-privs --reuid 65534 --clear-groups \
		"$python" "$programs/host_echo.py" serve 7000 block
	printed server 'Network is down'
}

# It listens at all addresses, and no connection that it may accept can be borrowed. One to loopback
# is the kernel's in any case, which a rule for that alone does not change.
@test "MELIN_REQUIRED=1: a listener at all addresses may be a network's" {
	local -A rules=([198.18.0.0/15]='Network is down' [127.0.0.1]=ready)
	for rule in "${!rules[@]}"; do
		FLOWS="listen:$rule:7000" start_melin "server-${rule%/*}" near MELIN_BORROW= \
			MELIN_REQUIRED=1 setpriv --bounding-set=-net_admin --inh-caps=-net_admin \
			--no-new-privs --reuid 65534 --clear-groups \
			"$python" "$programs/host_echo.py" serve 7000 block
		printed "server-${rule%/*}" "${rules[$rule]}"
		end "server-${rule%/*}" TERM
	done
}

asked_until_borrowed() {
	on far "$python" "$programs/host_echo.py" ask "$near_kernel" 7000
	grep -q 'descriptor .*: borrowed' "$BATS_TEST_TMPDIR/server.melin"
}

# The first call of bpf(2) of each thread fails: the start's, and the first attempt to do better.
@test "a host that has no descriptor left for a moment: borrowed later" {
	start_melin server near strace -f -qq -o "$BATS_TEST_TMPDIR/calls" -e trace=bpf \
		-e inject=bpf:error=ENFILE:when=1 \
		"$python" "$programs/host_echo.py" serve 7000 block 10000
	printed server ready
	wait_until 60 asked_until_borrowed
	grep -q 'no connection is borrowed: no descriptor is left' "$BATS_TEST_TMPDIR/server.melin"
	grep -q INJECTED "$BATS_TEST_TMPDIR/calls"
	end server
}

# A library with the functions that follow, of which melin hears nothing: unheard < CODE
unheard() {
	gcc -shared -fPIC -I"$BATS_TEST_DIRNAME/.." -x c -o "$BATS_TEST_TMPDIR/unheard.so" -
}

rightless() {
	unheard <<-'CODE'
		#include <linux/capability.h>
		#include "common/system_call.h"

		long give_up(void)
		{
			struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
			struct __user_cap_data_struct none[2] = { 0 };

			return kernel_call(SYS_capset, (long)&header, (long)none, 0, 0);
		}
	CODE
}

# What one thread has given up by a system call of its own, others have. The client says "end" once
# its connection is borrowed; without rights nobody could give it back, and the peer would be reset.
@test "a thread that has lost its rights unheard: another one gives back" {
	rightless
	start_melin server near "$python" -c '
import ctypes, socket, sys
with socket.create_server(("0.0.0.0", 7000)) as listener:
    connection = listener.accept()[0]
while (said := connection.recv(100)) != b"end":
    connection.sendall(said)
assert ctypes.CDLL(sys.argv[1]).give_up() == 0
connection.shutdown(socket.SHUT_WR)
assert connection.recv(100) == b""
print("the end")' "$BATS_TEST_TMPDIR/unheard.so"
	listens near 7000
	on far "$python" -c '
import socket, sys, time
connection = socket.create_connection((sys.argv[1], 7000))
connection.settimeout(60)
while ": borrowed [" not in open(sys.argv[2]).read():
    connection.sendall(b"ping")
    assert connection.recv(100) == b"ping"
    time.sleep(0.01)
connection.sendall(b"end")
assert connection.recv(100) == b""' "$near_kernel" "$BATS_TEST_TMPDIR/server.melin"
	finished server
	grep -qx 'the end' "$BATS_TEST_TMPDIR/server.out"
	took server borrowed -ge 1
	took server returned_closed -ge 1
	took server returned_lost -eq 0
}

# All of them at once need the one thread that has rights.
@test "many threads that have lost their rights unheard: one gives back for each" {
	rightless
	start_melin server near "$python" -c '
import ctypes, socket, sys, threading
give_up = ctypes.CDLL(sys.argv[1]).give_up
all_here = threading.Barrier(int(sys.argv[2]))
def serve(connection):
    while (said := connection.recv(100)) != b"end":
        connection.sendall(said)
    assert give_up() == 0
    all_here.wait()
    connection.shutdown(socket.SHUT_WR)
    assert connection.recv(100) == b""
    sys.stdout.write("the end\n")
with socket.create_server(("0.0.0.0", 7000)) as listener:
    threads = [threading.Thread(target=serve, args=listener.accept()[:1])
               for _ in range(all_here.parties)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()' "$BATS_TEST_TMPDIR/unheard.so" 16
	listens near 7000
	on far "$python" -c '
import re, socket, sys, time
connections = [socket.create_connection((sys.argv[1], 7000)) for _ in range(16)]
def borrowed():
    return len(set(re.findall("descriptor ([0-9]+): borrowed", open(sys.argv[2]).read())))
while borrowed() < len(connections):
    for connection in connections:
        connection.settimeout(60)
        connection.sendall(b"ping")
        assert connection.recv(100) == b"ping"
    time.sleep(0.01)
for connection in connections:
    connection.sendall(b"end")
for connection in connections:
    assert connection.recv(100) == b""' "$near_kernel" "$BATS_TEST_TMPDIR/server.melin"
	finished server
	[ "$(grep -cx 'the end' "$BATS_TEST_TMPDIR/server.out")" -eq 16 ]
	took server returned_lost -eq 0
}

# What the kernel does not take changes nothing.
@test "an option that is refused does not keep a connection in the kernel" {
	start_melin server near "$python" -c '
import errno, socket
with socket.create_server(("0.0.0.0", 7000)) as listener:
    connection = listener.accept()[0]
while said := connection.recv(100):
    if said == b"option":
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"unknown")
        except OSError as error:
            said = errno.errorcode[error.errno].encode()
    connection.sendall(said)'
	listens near 7000
	on far "$python" -c '
import socket, sys, time
connection = socket.create_connection((sys.argv[1], 7000))
connection.settimeout(60)
def asks(what, gets):
    connection.sendall(what)
    assert connection.recv(100) == gets
def loans():
    return open(sys.argv[2]).read().count(": borrowed [")
def is_borrowed_after(before):
    for _ in range(3000):
        if loans() > before:
            return
        asks(b"ping", b"ping")
        time.sleep(0.01)
    sys.exit("not borrowed")
is_borrowed_after(0)
before = loans()
asks(b"option", b"ENOENT")
is_borrowed_after(before)' \
		"$near_kernel" "$BATS_TEST_TMPDIR/server.melin"
	finished server
	took server returned_call -eq 1
	took server returned_lost -eq 0
}

# One thread changes options and looks whether they are so, while another one's calls let the
# connection be borrowed and given back.
@test "options and flags that a thread sets while others borrow are what they are" {
	BORROW=random start_melin server near "$python" "$programs/set_meanwhile.py" serve 7000
	printed server ready
	on far "$python" "$programs/set_meanwhile.py" ask "$near_kernel" 7000
	finished server
	grep -qx 'all as set' "$BATS_TEST_TMPDIR/server.out" || fail "$(output_of server)"
	took server returned_chance -ge 50
	took server returned_lost -eq 0
}

# The peer's end made it the kernel's for good, with what TCP_INFO has to add for that connection.
@test "a socket that lets go of its peer begins to count anew" {
	start server far "$python" "$programs/echo_server.py" threads 7000
	listens far 7000
	FLOWS='connect:*:7000' melin near "$python" -c '
import ctypes, socket, struct, sys, time
libc = ctypes.CDLL(None)
connection = socket.socket()
connection.connect((sys.argv[1], 7000))
while ": borrowed [" not in open(sys.argv[2]).read():
    connection.sendall(b"ping")
    assert connection.recv(100) == b"ping"
    time.sleep(0.01)
connection.shutdown(socket.SHUT_WR)
assert connection.recv(100) == b""
assert libc.connect(connection.fileno(), bytes(16), 16) == 0
connection.connect((sys.argv[1], 7000))
info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 232)
print("bytes received:", *struct.unpack_from("=Q", info, 128))' \
		"$far_kernel" "$BATS_TEST_TMPDIR/client.melin" >"$BATS_TEST_TMPDIR/out"
	[ "$(<"$BATS_TEST_TMPDIR/out")" = "bytes received: 0" ]
	took client borrowed -ge 1
}

# A router between the two in place of the cable, with a network for each.
router_between() {
	ip -n "$(host near)" link delete dev veth0
	make_host middle
	connect_hosts near veth0 middle near
	connect_hosts far veth0 middle far
	on middle sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
	address near veth0 "$near_kernel/24" "$near_kernel6/64"
	address middle near 198.18.0.3/24 fd00::3/64
	address middle far 198.18.1.3/24 fd00:1::3/64
	address far veth0 198.18.1.2/24 fd00:1::2/64
	ip -n "$(host near)" route add 198.18.1.0/24 via 198.18.0.3
	ip -n "$(host near)" route add fd00:1::/64 via fd00::3
	ip -n "$(host far)" route add 198.18.0.0/24 via 198.18.1.3
	ip -n "$(host far)" route add fd00::/64 via fd00:1::3
}

# The router's word for it (ICMP) is about segments of which the kernel's socket knows nothing: the
# stack hears it.
# path_narrows ADDRESS-OF-NEAR ADDRESS-OF-FAR
path_narrows() {
	serve_waiting "$1"
	wait_until 60 once_more_borrowed 0
	ip -n "$(host middle)" route add "$2" dev far mtu 1300
	once_more # large messages
	[ "$(on near nstat -asz Icmp6InPktTooBigs IcmpInDestUnreachs |
		awk '/^Icmp/ { sum += $2 } END { print sum }')" -ge 1 ]
	once_more
	not grep 'given back: segments are lost' "$BATS_TEST_TMPDIR/server.melin"
	end client
	end server
	not grep 'could not be given back' "$BATS_TEST_TMPDIR/server.melin"
}

@test "large segments do not pass a router any more: they are sent again smaller" {
	router_between
	path_narrows "$near_kernel" 198.18.1.2
}

@test "large segments do not pass a router any more, IPv6" {
	router_between
	path_narrows "$near_kernel6" fd00:1::2
}

@test "setpriv, which keeps capabilities, hands a connection on" {
	BORROW=always start_melin server near MELIN_LOG=error "$python" "$programs/inetd.py" \
		serve 7000 setpriv --reuid 65534 --regid 65534 --clear-groups \
		--inh-caps=-all,+net_admin,+net_raw --ambient-caps=-all,+net_admin,+net_raw cat
	printed server ready
	on far "$python" -c '
import socket, sys
connection = socket.create_connection((sys.argv[1], 7000))
connection.settimeout(60)
for _ in range(10):
    connection.sendall(b"hello")
    assert connection.recv(100) == b"hello"' "$near_kernel"
	finished server
}
