#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# MELIN_LOG=trace:FILE: a line for each call on sockets and each wait, in strace's form, with who
# has served it; nothing where the trace is off.

load lib/common

# The calls of every_call.py, with the loop or the device of the test: traced [NAME=VALUE...]
traced() {
	trace=$BATS_TEST_TMPDIR/trace
	melin near "MELIN_LOG=trace:$trace" "$@" >"$BATS_TEST_TMPDIR/said.out" \
		2>"$BATS_TEST_TMPDIR/errors.out"
	read -r listener client accepted <"$BATS_TEST_TMPDIR/said.out"
	child=$(tail -1 "$BATS_TEST_TMPDIR/said.out")
	[ ! -s "$BATS_TEST_TMPDIR/errors.out" ]
}

# A line of the trace: shows CALL RESULT SERVER, each a regular expression
shows() {
	local time='[0-2][0-9]:[0-5][0-9]:[0-6][0-9]\.[0-9]{6} \[[0-9]+\]'
	grep -qE "^$time $1 = $2 <[0-9]+\.[0-9]{6}> $3\$" "$trace" || {
		grep -v melin: "$trace" | tail -80
		fail "not in the trace: $1 = $2 ... $3"
	}
}

shows_every_call() {
	local address=$1 a="\($client" b="\($accepted"
	shows 'socket\(AF_INET6?, SOCK_STREAM\|SOCK_CLOEXEC, [06]\)' "$listener" kernel
	shows "setsockopt\\($listener, SOL_SOCKET, SO_REUSEADDR, \\[1\\], 4\\)" 0 kernel
	shows "bind\\($listener, $address:0, (16|28)\\)" 0 '(kernel|stack)'
	shows "listen\\($listener, 5\\)" 0 '(kernel|stack)'
	shows "accept4\\($listener, $address:[0-9]+, \\[(16|28)\\], SOCK_CLOEXEC\\)" "$accepted" \
		'stack(\+kernel)?'
	shows "connect$a, $address:[0-9]+, (16|28)\\)" 0 stack
	shows "setsockopt$a, SOL_TCP, TCP_NODELAY, \\[1\\], 4\\)" 0 stack
	shows "getsockopt$a, SOL_TCP, TCP_NODELAY, \\[1\\], \\[4\\]\\)" 0 stack
	shows "getpeername$a, $address:[0-9]+, \\[(16|28)\\]\\)" 0 stack
	shows "send$a, 11, 0\\)" 11 stack
	shows "recv$b, 11, 0\\)" 11 stack
	shows "sendmsg$a, 0\\)" 12 stack
	shows "recvmsg$b, 0\\)" 12 stack
	shows "write$a, 13\\)" 13 stack
	shows "read$b, 13\\)" 13 stack
	shows "writev$a, 2\\)" 14 stack
	shows "readv$b, 1\\)" 14 stack
	shows "sendfile(64)?$a, [0-9]+, 0x[0-9a-f]+, 15\\)" 15 stack
	shows "(fcntl(64)?$b, F_SETFL, 0x[0-9a-f]+|ioctl$b, 0x5421, 0x[0-9a-f]+)\\)" 0 stack
	shows "recv$b, 16, 0\\)" '-1 EAGAIN \(Resource temporarily unavailable\)' stack
	shows "select\\([0-9]+, \\[$accepted\\], NULL, NULL, \\{[0-9]+, [0-9]+\\}\\)" 1 stack
	shows "poll\\(\\[\\{$accepted, POLLIN -> POLLIN\\}\\], 1, 5000\\)" 1 stack
	shows "epoll_create1\\(0x80000\\)" '[0-9]+' kernel
	shows "epoll_ctl\\([0-9]+, EPOLL_CTL_ADD, $accepted, \\{EPOLLIN, 0x[0-9a-f]+\\}\\)" 0 stack
	shows "epoll_wait\\([0-9]+, \\[\\{EPOLLIN, 0x[0-9a-f]+\\}\\], [0-9]+, [0-9]+\\)" 1 stack
	shows "ioctl$b, 0x541b, 0x[0-9a-f]+\\)" 0 stack
	shows "send\\([0-9]+, 4, 0\\)" 4 kernel
	shows "dup$a\\)|fcntl(64)?$a, F_DUPFD_CLOEXEC, 0\\)" '[0-9]+' stack
	shows "shutdown$a, SHUT_WR\\)" 0 stack
	shows "close$b\\)" 0 stack
	# The child's, by its own number; and no call on another file.
	grep -qE "^[0-9:.]+ \[$child\] send\([0-9]+, 5, 0\) = 5 <" "$trace"
	not grep -E ' read\([0-9]+, 100\)|getdents|openat' "$trace"
	# One call is one line.
	[ "$(grep -cE "send$a, 11, 0\\)" "$trace")" -eq 1 ]
}

setup() {
	[[ -z ${TESTS_PLAIN:-} ]] || skip "melin's own lines are looked for"
	common_setup
}

@test "trace: each family of calls over the loop" {
	FLOWS='any:127.0.0.0/8:*' traced MELIN_DEV=loop MELIN_ADDR= "$python" \
		"$programs/every_call.py" 127.0.0.1
	shows_every_call '127\.0\.0\.1'
}

@test "trace: each family of calls over IPv6, with a device" {
	traced "$python" "$programs/every_call.py" "$near_stack6"
	shows_every_call '\[fd00::10\]'
	grep -q '^melin: debug: ' "$trace"
}

# A connection with 300 messages each way, unless one before was borrowed: the stack starts beside
# the first one.
is_borrowed() {
	on far "$python" "$programs/round_trips.py" "$near_kernel" 7000 1 300
	grep -qE ' (send|write)\(.*> borrowed$' "$trace"
}

@test "trace: what the kernel serves, and what is borrowed in host mode" {
	trace=$BATS_TEST_TMPDIR/trace
	start server near env "LD_PRELOAD=$library" MELIN_FLOWS='listen:*:7000' \
		MELIN_BORROW=always "MELIN_LOG=trace:$trace" \
		"$python" "$programs/echo_server.py" epoll-edge 7000
	listens near 7000
	wait_until 60 is_borrowed
	end server
	shows 'accept4\([0-9]+, .*198\.18\.0\.2\]?:[0-9]+, \[(16|28)\], SOCK_CLOEXEC\)' '[0-9]+' \
		kernel
	shows '(recv|read)\([0-9]+, [0-9]+(, 0)?\)' '[0-9]+' borrowed
	shows '(send|write)\([0-9]+, [0-9]+(, 0)?\)' '[0-9]+' borrowed
}

@test "trace: below its level, and without a file, there is none" {
	FLOWS='any:127.0.0.0/8:*' melin near MELIN_DEV=loop MELIN_ADDR= \
		"MELIN_LOG=debug:$BATS_TEST_TMPDIR/debug" "$python" "$programs/every_call.py" \
		127.0.0.1 >"$BATS_TEST_TMPDIR/said.out"
	grep -q '^melin: ' "$BATS_TEST_TMPDIR/debug"
	not grep -v '^melin: ' "$BATS_TEST_TMPDIR/debug"
	FLOWS='any:127.0.0.0/8:*' melin near MELIN_DEV=loop MELIN_ADDR= MELIN_LOG=trace \
		"$python" "$programs/every_call.py" 127.0.0.1 >"$BATS_TEST_TMPDIR/said.out" \
		2>"$BATS_TEST_TMPDIR/errors.out"
	grep -q '^melin: ' "$BATS_TEST_TMPDIR/errors.out"
	not grep -v '^melin: ' "$BATS_TEST_TMPDIR/errors.out"
}

@test "trace: a file that cannot be opened is a warning, and melin run passes the option" {
	FLOWS='any:127.0.0.0/8:*' melin near MELIN_DEV=loop MELIN_ADDR= \
		"MELIN_LOG=trace:$BATS_TEST_TMPDIR/none/trace" "$python" \
		"$programs/every_call.py" 127.0.0.1 2>"$BATS_TEST_TMPDIR/errors.out"
	grep -q 'melin: MELIN_LOG: cannot open .*/none/trace": No such file or directory' \
		"$BATS_TEST_TMPDIR/errors.out"
	[ "$(wc -l <"$BATS_TEST_TMPDIR/errors.out")" -eq 1 ]
	on near "$build/melin" run --log "trace:$BATS_TEST_TMPDIR/trace" --dev loop \
		--flows 'any:127.0.0.0/8:*' -- "$python" "$programs/every_call.py" 127.0.0.1
	grep -qE ' connect\([0-9]+, 127\.0\.0\.1:[0-9]+, 16\) = 0 <.*> stack$' \
		"$BATS_TEST_TMPDIR/trace"
}

# What a line takes is more than a filter may allow, which would end the program with SIGSYS.
@test "trace: it ends when system calls are filtered" {
	FLOWS='any:127.0.0.0/8:*' melin near MELIN_DEV=loop MELIN_ADDR= \
		"MELIN_LOG=trace:$BATS_TEST_TMPDIR/trace" \
		"$build/tests/programs/filtered_echo" <<<text >"$BATS_TEST_TMPDIR/said.out"
	[ "$(<"$BATS_TEST_TMPDIR/said.out")" = "text
the end" ]
}
