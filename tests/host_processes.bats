#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# Host mode, where somebody else has the connection or has a say in it: children, programs that are
# executed, other processes, libc by its standard streams, rings, and filters for system calls. Not
# for calls of the program's own (host.bats).

load lib/common
load lib/host

LEVEL=debug
DEFAULT_BORROW=always

@test "a child of fork() goes on with a borrowed connection" {
	COUNT=2 echoes fork
	finished server
	took server borrowed -ge 2
	took server returned_process -ge 2
	took server returned_lost -eq 0
}

# MELIN_REQUIRED=1 waits for the stack's start, in each process.
@test "children of a process whose stack ran borrow anew: child, its child, workers" {
	for how in family workers; do
		start_melin server near MELIN_BORROW= MELIN_REQUIRED=1 \
			"$python" "$programs/host_echo.py" serve 7000 $how 4
		printed server ready
		asks on far "$near_kernel" 4 ''
		finished server
		# One summary each.
		[ "$(grep -c 'summary: .* borrowed=[1-9].* returned_lost=0 ' \
			"$BATS_TEST_TMPDIR/server.melin")" -eq 4 ]
		rm "$BATS_TEST_TMPDIR/server.melin"
	done
}

@test "a process that only accepts for its children starts no stack, and a child does" {
	start_melin server near "$python" "$programs/host_echo.py" serve 7000 handed 2
	printed server ready
	asks on far "$near_kernel" 1 "$BATS_TEST_TMPDIR/server.melin"
	not module_loaded server
	asks on far "$near_kernel" 1 ''
	finished server
	took server returned_lost -eq 0
}

# The copy of its parent's stack would be more than the limit allows.
@test "limits of memory that a child sets, as vsftpd's, leave it as much as without melin" {
	COUNT=3 echoes limited
	finished server
	took server borrowed -ge 1
	took server returned_lost -eq 0
	grep -q 'a limit of addresses' "$BATS_TEST_TMPDIR/server.melin"
}

@test "a program that is executed has it as standard input and output" {
	COUNT=2 echoes exec
	finished server
	took server borrowed -ge 2
	took server returned_process -ge 2
}

# A program that inetd.py executes in its place. It is asked until the log says WHAT.
# inetd WHAT PROGRAM...
inetd() {
	local what=$1 file
	shift
	file=$(mktemp -u "$BATS_TEST_TMPDIR/enough.XXXXXX")
	rm -f "$BATS_TEST_TMPDIR/server.melin"
	start_melin server near "$python" "$programs/inetd.py" serve 7000 "$@"
	printed server ready
	start client far "$python" "$programs/inetd.py" ask "$near_kernel" 7000 "$file"
	wait_until 60 grep -qE "$what" "$BATS_TEST_TMPDIR/server.melin" || fail "it is not $what"
	touch "$file"
	finished client
	grep -q 'all is well' "$BATS_TEST_TMPDIR/client.out"
	finished server
}

@test "a connection as standard input, output and error is borrowed once, by every way of stdio's" {
	inetd 'descriptor [012]: borrowed' "$build/tests/programs/standard_streams"
	borrowed_once server
	took server returned_lost -eq 0
	took server kept_option -eq 0
	BORROW=random inetd 'given back: by chance' "$build/tests/programs/standard_streams"
	took server returned_chance -ge 5
	took server returned_lost -eq 0
}

# The kernel's connection answers the same, without melin.
# inetd_kernel PROGRAM...
inetd_kernel() {
	start server near "$python" "$programs/inetd.py" serve 7000 "$@"
	printed server ready
	on far "$python" "$programs/inetd.py" ask "$near_kernel" 7000 /
	finished server
}

@test "standard streams are reopened and closed as libc's own" {
	local what streams=$build/tests/programs/standard_streams
	for what in "reopen $BATS_TEST_TMPDIR/file" close; do
		# shellcheck disable=SC2086 # the words of $what
		inetd_kernel "$streams" $what
		# shellcheck disable=SC2086
		inetd 'descriptor [012]: borrowed' "$streams" $what
		borrowed_once server
		took server returned_lost -eq 0
	done
}

@test "who moves the connection away from 0, 1 and 2, as sshd does, has it borrowed" {
	inetd 'descriptor [0-9]*: borrowed' "$python" "$programs/inetd.py" aside
	borrowed_once server
}

@test "standard streams that C++ has copied stay the kernel's" {
	local cxx
	# libc++, which is rarely installed, is known by this name.
	gcc -shared -x c -o "$BATS_TEST_TMPDIR/libc++.so" - <<<'int _ZNSt3__14coutE;'
	for cxx in "$(gcc -print-file-name=libstdc++.so.6)" "$BATS_TEST_TMPDIR/libc++.so"; do
		inetd 'a standard stream' env LD_PRELOAD="$library:$cxx" \
			"$build/tests/programs/standard_streams"
		took server borrowed -eq 0
		took server kept_option -eq 1
	done
}

# It has no rights, which is worth a warning; its standard error is the connection.
@test "no line of the log gets into a connection that is standard error" {
	BORROW='' inetd 'the kernel.s: a call' env MELIN_LOG=warn \
		setpriv --reuid 65534 --clear-groups "$build/tests/programs/standard_streams"
}

# A server with a ring of io_uring(7): ring HOW
ring() {
	rm -f "$BATS_TEST_TMPDIR/server.melin"
	start_melin server near "$build/tests/programs/ring_echo" 7000 "$1"
	printed server 'ready|no ring'
	! grep -q 'no ring' "$BATS_TEST_TMPDIR/server.out" || skip "io_uring is not to be had"
	asks on far "$near_kernel" 1 "$BATS_TEST_TMPDIR/server.melin"
	finished server
}

@test "what a ring of io_uring(7) may wait for is not borrowed" {
	for BORROW in always random; do
		ring poll
		took server borrowed -eq 0
		ring aside
		took server borrowed -ge 1
	done
	ring receive
	took server borrowed -eq 0
}

# Other threads may count descriptors, and the lowest free number is the program's at any time.
@test "who looks for rings has a table of descriptors of its own" {
	start_melin server near strace -f -qq -o "$BATS_TEST_TMPDIR/calls" \
		-e trace=openat,close_range "$python" "$programs/host_echo.py" serve 7000 block
	printed server ready
	asks on far "$near_kernel" 1 "$BATS_TEST_TMPDIR/server.melin"
	finished server
	took server borrowed -ge 1
	awk '/close_range\(0, .*CLOSE_RANGE_UNSHARE/ { apart[$1] = 1 }
		/"\/proc\/self\/fd"/ { looks++; amiss += !apart[$1] }
		END { print looks " looks"; exit !looks || amiss }' "$BATS_TEST_TMPDIR/calls"
}

# A system call of melin's that the filter does not know would end the program with SIGSYS.
@test "behind a filter for system calls an inherited connection is the kernel's alone" {
	BORROW='' inetd 'parted with: system calls may be' "$build/tests/programs/filtered_echo"
	took server borrowed -eq 0
	took server kept_unpaid -eq 1
	# The limit is one for the log as well.
	BORROW='' inetd 'the kernel.s: a call' "$build/tests/programs/filtered_echo" limit
	BORROW='' inetd 'parted with' "$build/tests/programs/filtered_echo" twice
}

@test "a filter for system calls gives a borrowed connection back, and it stays the kernel's" {
	local go=$BATS_TEST_TMPDIR/go
	{
		wait_until 60 grep -q 'descriptor [012]: borrowed' "$BATS_TEST_TMPDIR/server.melin"
		touch "$go"
	} &
	inetd 'parted with' "$build/tests/programs/filtered_echo" when "$go"
	wait "$!"
	borrowed_once server
	took server returned_rights -eq 1
	took server returned_lost -eq 0
}

@test "a call that installs no filter for system calls leaves connections to be borrowed" {
	inetd 'descriptor [012]: borrowed' "$build/tests/programs/filtered_echo" probe
	took server borrowed -ge 1
	took server returned_lost -eq 0
}

@test "execve(2) fails: it goes back before, and is borrowed again" {
	echoes exec-fails
	finished server
	took server borrowed -ge 2
	took server returned_process -eq 1
	took server returned_lost -eq 0
}

# The kernel has to be told of unread urgent data by a segment, which a thread can bring in that is
# where the interface is.
@test "a program that has gone to another network namespace is told of urgent data given back" {
	start_melin server near "$python" -c 'import ctypes, select, socket
listener = socket.create_server(("", 7000))
print("ready", flush=True)
connection = listener.accept()[0]
while (data := connection.recv(100)) != b"that is all":
    connection.sendall(data)
assert ctypes.CDLL(None).unshare(0x40000000) == 0  # CLONE_NEWNET
connection.sendall(b"moved")
for _ in range(60):
    connection.sendall(connection.recv(100))
select.select([], [], [connection])
connection.setsockopt(socket.SOL_SOCKET, 29, 1)  # SO_TIMESTAMP: only the kernel serves it
urgent = connection.recv(1, socket.MSG_OOB)
print("read", connection.recv(100), urgent, connection.recv(100), flush=True)'
	printed server ready
	on far "$python" -c 'import socket, sys, time
peer = socket.create_connection((sys.argv[1], 7000), 60)
def ask(times):
    for i in range(times):
        peer.sendall(b"word")
        assert peer.recv(100) == b"word"
ask(20)
end = time.monotonic() + 60
while "can be borrowed from now on" not in open(sys.argv[2]).read() and time.monotonic() < end:
    ask(1)
ask(20)
peer.sendall(b"that is all")
assert peer.recv(100) == b"moved"
ask(60)
peer.sendall(b"before")
peer.send(b"!", socket.MSG_OOB)
time.sleep(0.2)
peer.sendall(b"behind")
peer.recv(1)' "$near_kernel" "$BATS_TEST_TMPDIR/server.melin"
	printed server "read b'before' b'!' b'behind'"
	finished server
	took server borrowed -ge 2
	took server returned_lost -eq 0
}

# It has no melin: what it closes of melin's own would be closed in the parent.
@test "a child that shares the table of descriptors leaves its parent what is melin's" {
	start_melin server near "$python" -c 'import ctypes, os, signal, socket
libc = ctypes.CDLL(None)
listener = socket.create_server(("", 7000))
print("ready", flush=True)
connection = listener.accept()[0]

def echo(times):
    for _ in range(times):
        connection.sendall(connection.recv(100))

def child(unused):
    echo(20)
    os.close(connection.fileno())
    os._exit(0)

echo(60)
stack = ctypes.create_string_buffer(1 << 20)
function = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(child)
number = libc.clone(function, ctypes.c_void_p(ctypes.addressof(stack) + (1 << 20) - 64),
                    0x400 | signal.SIGCHLD, None)  # CLONE_FILES
assert os.waitpid(number, 0)[1] == 0
try:
    connection.recv(1)
except OSError as error:
    print(error, flush=True)
connection.detach()
connection = listener.accept()[0]
echo(80)'
	printed server ready
	on far "$python" -c 'import socket, sys, time
def await_stack():
    end = time.monotonic() + 60
    while "can be borrowed from now on" not in open(sys.argv[2]).read() and time.monotonic() < end:
        time.sleep(0.01)
for _ in range(2):
    peer = socket.create_connection((sys.argv[1], 7000), 60)
    for i in range(80):
        peer.sendall(b"word")
        assert peer.recv(100) == b"word", i
        if i == 20:
            await_stack()
    assert peer.recv(100) == b""' "$near_kernel" "$BATS_TEST_TMPDIR/server.melin"
	printed server 'Bad file descriptor'
	finished server
	took server borrowed -ge 2
	took server returned_lost -eq 0
}

@test "another process gets it by SCM_RIGHTS" {
	COUNT=2 echoes pass
	finished server
	took server borrowed -ge 2
	took server returned_process -ge 2
}

@test "another process fetches it by pidfd_getfd(2)" {
	COUNT=2 echoes fetch
	finished server
	took server borrowed -ge 2
	took server returned_process -ge 2
	took server returned_lost -eq 0
}

@test "its own process fetches it by pidfd_getfd(2): it stays borrowed" {
	COUNT=2 echoes fetch-own
	finished server
	took server borrowed -ge 2
	took server rx_payload -ge 60000 # half of it all
	took server returned_process -eq 0
	took server returned_lost -eq 0
}

# shares HOW: two processes ask by turns.
shares() {
	rm -f "$BATS_TEST_TMPDIR/client.melin"
	start server far "$python" "$programs/host_echo.py" serve 7000 block 2
	printed server ready
	FLOWS='connect:*:7000' melin near timeout 120 "$python" "$programs/host_echo.py" share \
		"$far_kernel" 7000 "$1" "$BATS_TEST_TMPDIR/client.melin" \
		>"$BATS_TEST_TMPDIR/client.out" || fail "$1"
	grep -qx 'all is well' "$BATS_TEST_TMPDIR/client.out" || fail "$1"
	took client borrowed -ge 1
	took client returned_lost -eq 0
	finished server
}

@test "another process has the socket before it connects: it is never borrowed" {
	local how
	for how in pass fetch fetch-duplicate fork; do
		shares $how
	done
}

@test "another process fetches it by a pidfd of a thread" {
	# Linux 6.9
	"$python" -c 'import ctypes, os, sys
sys.exit(ctypes.CDLL(None).syscall(434, os.getpid(), os.O_EXCL) < 0)' ||
		skip "this kernel makes no pidfd of a thread"
	shares fetch-thread
	took client returned_process -ge 1
}
