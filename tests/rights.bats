#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# Programs that give up what a start of the stack needs (root, capabilities, the root folder, the
# network) before they use a socket, or before they have one.

bats_require_minimum_version 1.5.0

load lib/common

ways='chroot raw-chroot setuid raw-setuid seteuid setreuid setresuid raw-setresuid'
ways+=' capset raw-capset all unshare seccomp'

# What the program's one client gets: greeting ADDRESS PORT
greeting() {
	on far timeout "${patience:-60}" nc -d "$1" "$2" 2>/dev/null
}

# serves listening|bound WAY
serves() {
	start_melin server near "$build/tests/programs/giving_up" "$1" 7000 "$2"
	printed server '^ready'
	[ "$(greeting "$near_stack" 7000)" = hello ] || fail "$1, $2: no greeting"
	finished server
	took server taken_accept -eq 1
	rm -f "$BATS_TEST_TMPDIR/server.melin"
}

teardown() {
	rmdir /tmp/melin-jail.?????? 2>/dev/null || true
	common_teardown
}

@test "a server that gives up its rights after listen()" {
	for way in $ways; do
		[[ -z $plain || $way != unshare ]] || continue
		serves listening "$way"
	done
}

@test "a server that gives up its rights between bind() and listen()" {
	for way in all seteuid raw-capset; do
		serves bound "$way"
	done
}

@test "a client that gives up its rights between socket() and connect()" {
	for way in all setuid capset; do
		start peer far socat -U "TCP-LISTEN:7001,reuseaddr" SYSTEM:'echo hello'
		listens far 7001
		[ "$(melin near "$build/tests/programs/giving_up" client 7001 "$way" "$far_kernel" |
			tail -n 1)" = hello ] || fail "$way: no answer"
		end peer
	done
	took client taken_connect -eq 3
}

@test "a server that gives up its rights before it has a socket" {
	for way in $ways; do
		[[ $way != *capset && $way != all && $way != seccomp ]] || continue
		[[ -z $plain || $way != unshare ]] || continue
		serves early "$way"
	done
}

@test "a client that gives up its rights before it has a socket" {
	start peer far socat -U "TCP-LISTEN:7001,reuseaddr" SYSTEM:'echo hello'
	listens far 7001
	[ "$(melin near "$build/tests/programs/giving_up" early-client 7001 setuid "$far_kernel" |
		tail -n 1)" = hello ]
	took client taken_connect -eq 1
}

@test "memcached, which becomes another user before it listens" {
	start_melin server near memcached -u nobody -U 0 -p 11211 -m 64
	answers far "$near_stack" 11211
	[[ -n $plain ]] || [ "$(capabilities server)" = "CapPrm:	0000000000000000" ]
	end server
	took server taken_accept -ge 1
}

@test "setpriv, which keeps capabilities while it changes user and groups" {
	[ "$(melin near setpriv --reuid=65534 --regid=65534 --clear-groups id -u)" = 65534 ]
	[ "$(melin near setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=+net_raw \
		--ambient-caps=+net_raw id -u)" = 65534 ]
}

# What any thread of a started program may still do, but its first one.
capabilities() {
	grep -h '^CapPrm' /proc/"$(pid_of "$1")"/task/*/status | sort -u
}

@test "a server without rights takes the device when another process lets go of it" {
	[[ -z $plain ]] || skip "plain run"
	for way in setuid all seteuid capset chroot; do
		start_melin first near redis-server --bind "$near_stack" --protected-mode no \
			--save ''
		answers far "$near_stack" 6379
		start_melin server near "$build/tests/programs/giving_up" listening 7000 "$way"
		printed server '^ready'
		not [ "$(greeting "$near_stack" 7000)" = hello ]
		end first KILL
		patience=20 wait_until 60 eval '[ "$(greeting "$near_stack" 7000)" = hello ]' ||
			fail "$way: not taken over"
		finished server
		took server taken_accept -eq 1
		[ "$(grep -c "nobody answers" "$BATS_TEST_TMPDIR/server.melin")" -eq 1 ]
		rm "$BATS_TEST_TMPDIR/server.melin"
	done
}

@test "after that no thread has more rights than the program" {
	[[ -z $plain ]] || skip "plain run"
	start_melin first near redis-server --bind "$near_stack" --protected-mode no --save ''
	answers far "$near_stack" 6379
	start_melin server near "$build/tests/programs/giving_up" listening 7000 all
	printed server '^ready'
	end first KILL
	wait_until 60 module_loaded server
	wait_until 60 grep -q 'device veth0:' "$BATS_TEST_TMPDIR/server.melin"
	wait_until 60 eval '[ "$(capabilities server)" = "CapPrm:	0000000000000000" ]' ||
		fail "$(capabilities server)"
	[ "$(greeting "$near_stack" 7000)" = hello ]
}

@test "who gives up root without a socket pays nothing" {
	[[ -z $plain ]] || skip "plain run"
	[ "$(melin near "$python" -c 'import os
os.chroot("/"), os.setuid(65534)
print("melin-stack" in open("/proc/self/maps").read())')" = False ]
	[ ! -s "$BATS_TEST_TMPDIR/client.melin" ] || fail "$(<"$BATS_TEST_TMPDIR/client.melin")"
}

@test "what waits for its first flow has a device's rights only, and is not in the way" {
	[[ -z $plain ]] || skip "plain run"
	start_melin server near "$python" "$programs/idle_user.py"
	printed server '^ready'
	# CAP_NET_ADMIN, CAP_NET_RAW, CAP_IPC_LOCK, CAP_BPF
	wait_until 60 eval '[ "$(capabilities server)" = "CapPrm:	0000000000000000
CapPrm:	0000008000007000" ]' || fail "$(capabilities server)"
	kill -USR1 "$(pid_of server)"
	printed server '^alone'
	finished server
}

@test "no stack after a filter for system calls: the flow is the kernel's, and a line says why" {
	[[ -z $plain ]] || skip "plain run"
	start web far nginx -c "$(nginx_configuration 80)" -p "$BATS_TEST_TMPDIR"
	listens far 80
	[ "$(melin near MELIN_LOG=warn "$python" "$programs/filtered.py" \
		"http://$far_kernel/hello" 2>"$BATS_TEST_TMPDIR/error.out")" = "hello from nginx" ]
	grep -q seccomp "$BATS_TEST_TMPDIR/error.out"
	[ "$(grep -c . "$BATS_TEST_TMPDIR/error.out")" -eq 1 ]
}

# A system call of melin's that the first filter does not know would end the program with SIGSYS.
@test "behind a filter a second one, sockets, rights given up: with rules and without any" {
	[[ -z $plain ]] || skip "plain run"
	local said
	for flows in '' 'any:*:*'; do
		for how in twice strictly listen "connect $near_kernel" give-up handle; do
			# shellcheck disable=SC2086 # the words of $how
			said=$(on near env "LD_PRELOAD=$library" "MELIN_FLOWS=$flows" \
				"$build/tests/programs/filtered_echo" $how <<<text)
			[ "$said" = "text
the end" ] || fail "flows '$flows', $how: $said"
		done
	done
}

# ends STATUS HOW...: with a stack, of host mode
ends() {
	local status=0 wanted=$1 log
	shift
	log=$(mktemp -u "$BATS_TEST_TMPDIR/ends.XXXXXX")
	on near env "LD_PRELOAD=$library" MELIN_FLOWS='listen:*:7000' "MELIN_LOG=info:$log" \
		"$build/tests/programs/filtered_ends" "$@" 2>"$BATS_TEST_TMPDIR/error.out" ||
		status=$?
	[ "$status" -eq "$wanted" ] || fail "$*: $status, $(<"$log")"
	[ "$1" = child ] || grep -q 'can be borrowed from now on' "$log"
	written=$(<"$log")
}

@test "behind a filter that kills for getpid() a signal and a fault end a program as ever" {
	[[ -z $plain ]] || skip "plain run"
	local number
	for number in 1 2 10 13 14 15 24; do # HUP INT USR1 PIPE ALRM TERM XCPU
		ends $((128 + number)) signal $number
		ends $((128 + number)) second $number
	done
	ends 139 fault # SIGSEGV
}

@test "behind such a filter a handler runs while a call waits" {
	[[ -z $plain ]] || skip "plain run"
	local call
	for call in accept poll epoll_wait; do
		ends 0 handled $call
	done
}

@test "behind such a filter a handler has its alternate stack and what came with the signal" {
	[[ -z $plain ]] || skip "plain run"
	local call
	for call in accept poll epoll_wait; do
		ends 0 queued $call
		ends $((128 + 37)) once $call # SIGRTMIN + 3
	done
}

@test "behind such a filter a child that shares the memory says nothing in its parent's name" {
	[[ -z $plain ]] || skip "plain run"
	ends 0 child
	[ "$(grep -c 'summary: ' <<<"$written")" -eq 1 ]
}

# As proftpd does. libc changes the user of all threads, and ends the program if one of them may
# not.
@test "host mode: a program with a root folder of its own handles its capabilities itself" {
	[ "$(on near env "LD_PRELOAD=${TESTS_PRELOAD:-$library}" 'MELIN_FLOWS=any:*:*' \
		"$python" -c '
import ctypes, os, struct
libc = ctypes.CDLL(None)
SETID = 1 << 6 | 1 << 7  # CAP_SETGID, CAP_SETUID
def keep(effective):
    assert libc.capset(struct.pack("Ii", 0x20080522, 0),
                       struct.pack("6I", effective, SETID, 0, 0, 0, 0)) == 0
os.chroot("/")
os.setreuid(65534, 0)
libc.prctl(8, 1, 0, 0, 0)  # PR_SET_KEEPCAPS
keep(0)
os.setreuid(65534, 65534)
for _ in range(20):
    keep(SETID)
    os.setresuid(-1, 0, -1)
    os.setresuid(-1, 65534, -1)
print("alive")')" = alive ]
}
