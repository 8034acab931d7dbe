#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# Host mode in programs whose limits (setrlimit(2)) leave too little for a stack, or just enough:
# the kernel carries all then, which is said once. Not for programs as Debian limits them
# (host_programs.bats), nor for limits that a child sets (host_processes.bats).

load lib/common
load lib/host

LEVEL=debug
DEFAULT_BORROW=always

# A server whose limit leaves too little for a stack, and for itself so many bytes:
# carries_all_within LIMIT BYTES-OF-IT BYTES WHAT-THE-LOG-SAYS [COMMAND-IN-FRONT...]
carries_all_within() {
	local environment
	melin_environment near "$BATS_TEST_TMPDIR/server.melin"
	start server near "${@:5}" env "${environment[@]}" "$python" -c 'import resource, socket
import sys
limit, size, more = getattr(resource, sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
resource.setrlimit(limit, (size, size))
listener = socket.create_server(("", 7000))
print("ready", flush=True)
for _ in range(3):
    connection = listener.accept()[0]
    while data := connection.recv(100):
        connection.sendall(data)
print("still has", len(bytearray(more)), flush=True)' "$1" "$2" "$3"
	printed server ready
	for _ in 1 2 3; do
		on far "$python" "$programs/round_trips.py" "$near_kernel" 7000 1 100
	done
	printed server 'still has'
	finished server
	took server borrowed -eq 0
	[ "$(grep -c "no connection is borrowed: $4" "$BATS_TEST_TMPDIR/server.melin")" -eq 1 ]
}

@test "a limit of addresses that a stack would use up: the kernel carries all, which is said once" {
	carries_all_within RLIMIT_AS $((400 << 20)) $((300 << 20)) 'a limit of addresses'
}

@test "a limit of data that a stack would use up: the kernel carries all, which is said once" {
	carries_all_within RLIMIT_DATA $((80 << 20)) $((50 << 20)) 'a limit of data'
}

@test "a limit of open files that a stack would use up: the same" {
	carries_all_within RLIMIT_NOFILE 12 1000 'a limit of open files' \
		setpriv --bounding-set=-sys_resource prlimit --nofile=12
}

@test "a limit of which nobody knows what it leaves: the kernel carries all, which is said once" {
	# shellcheck disable=SC2016 # the inner shell's
	carries_all_within RLIMIT_DATA $((800 << 20)) $((50 << 20)) 'without /proc nobody knows' \
		unshare --mount sh -c 'mount -t tmpfs tmpfs /proc && exec "$@"' sh
}

@test "where a stack is required and a limit leaves too little for it, connect() fails" {
	melin near MELIN_FLOWS='connect:*:*' MELIN_REQUIRED=1 "$python" -c 'import resource, socket
import sys
resource.setrlimit(resource.RLIMIT_DATA, (80 << 20, 80 << 20))
for _ in range(2):
    try:
        socket.create_connection((sys.argv[1], 7000))
    except OSError as error:
        print(error.errno)
print("still has", len(bytearray(50 << 20)))' "$far_kernel" >"$BATS_TEST_TMPDIR/got"
	# ENETDOWN
	[ "$(cat "$BATS_TEST_TMPDIR/got")" = $'100\n100\nstill has 52428800' ]
	[ "$(grep -c 'no connection is borrowed: a limit of data' \
		"$BATS_TEST_TMPDIR/client.melin")" -eq 1 ]
}

@test "a limit of addresses that is large enough: a look at it takes none of them" {
	start_melin server near "$python" -c 'import resource, socket
def addresses(of):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(of))
before = addresses("VmSize")
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
listener = socket.create_server(("", 7000))
print("ready", flush=True)
for _ in range(3):
    connection = listener.accept()[0]
    while data := connection.recv(100):
        connection.sendall(data)
print("grown by", addresses("VmPeak") - before, flush=True)'
	printed server ready
	# The first connection goes on until it is borrowed, which is when the stack has started.
	start client far "$python" "$programs/round_trips.py" "$near_kernel" 7000 1 100 \
		"$BATS_TEST_TMPDIR/borrowed"
	wait_until 60 grep -q 'descriptor .*: borrowed' "$BATS_TEST_TMPDIR/server.melin"
	touch "$BATS_TEST_TMPDIR/borrowed"
	printed client half
	rm "$BATS_TEST_TMPDIR/borrowed"
	printed client '100 round trips'
	for _ in 1 2; do
		on far "$python" "$programs/round_trips.py" "$near_kernel" 7000 1 100
	done
	printed server 'grown by'
	finished server
	took server borrowed -ge 1
	[ "$(awk '/grown by/ { print $3 }' "$BATS_TEST_TMPDIR/server.out")" -lt $((600 << 10)) ]
}

# libc ends a program that may change its user in one thread and may not in another.
# CAP_SYS_ADMIN and CAP_SYS_RESOURCE would free it of the limit.
@test "no thread can be started: the kernel carries all, which is said once" {
	local rights=+net_admin,+net_raw,+bpf

	start server near env "LD_PRELOAD=$library" 'MELIN_FLOWS=listen:*:7000' \
		MELIN_BORROW=always MELIN_LOG=info \
		setpriv --reuid=65534 --regid=65534 --clear-groups \
		--inh-caps=$rights --ambient-caps=$rights prlimit --nproc=1 \
		"$python" "$programs/host_echo.py" serve 7000 block 1
	printed server ready
	on far "$python" "$programs/host_echo.py" ask "$near_kernel" 7000 1 60
	finished server
	grep -q 'summary: .* taken_accept=1 .* borrowed=0 ' "$BATS_TEST_TMPDIR/server.out"
	[ "$(grep -c 'no thread of melin.s own can be started' \
		"$BATS_TEST_TMPDIR/server.out")" -eq 1 ]
}
