#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# What the user is told when melin does less than he may believe: once in a process, at the level
# that it deserves, and not by each helper that inherits the variables.

bats_require_minimum_version 1.5.0
load lib/common

setup() {
	common_setup
	[[ -z $plain ]] || skip "plain run"
	error=$BATS_TEST_TMPDIR/error.out
}

# Runs a program on near with nothing but warnings on standard error, and no more variables than are
# named: bare [NAME=VALUE...] PROGRAM...
bare() {
	timeout -k 5 "$limit" ip netns exec "$(host near)" env "LD_PRELOAD=$library" "$@" 2>"$error"
}

# The same with device, address and rules: with RULES [NAME=VALUE...] PROGRAM...
with() {
	local rules=$1
	shift
	bare "MELIN_DEV=${TESTS_DEVICE:-veth0}" "MELIN_ADDR=$near_stack/24" "MELIN_FLOWS=$rules" \
		"$@"
}

flows=("$python" "$programs/tcp_flows.py")

# The lines that were printed, without who says them, must be these: said LINE...
said() {
	local expected
	expected=$(printf '%s\n' "$@")
	if grep -vE ' \[[^ ]+ [0-9]+\]$' "$error"; then
		fail "not signed"
	fi
	[[ $(sed -E 's/ \[[^ ]+ [0-9]+\]$//' "$error") == "$expected" ]] || fail "$(<"$error")"
}

@test "variables without MELIN_FLOWS: who uses TCP is told, who does not is not" {
	bare MELIN_DEV=veth0 "${flows[@]}" "connect:$far_kernel:9" "connect:$far_kernel:9"
	said "melin: MELIN_DEV is set, but MELIN_FLOWS is not: nothing is taken"
	bare MELIN_ADDR="$near_stack/24" "${flows[@]}" "listen:0.0.0.0:5000"
	said "melin: MELIN_ADDR is set, but MELIN_FLOWS is not: nothing is taken"
	bare MELIN_DEV=veth0 ls / >/dev/null
	said
	bare MELIN_DEV=veth0 "$python" -c 'import socket
socket.socket(type=socket.SOCK_DGRAM).connect(("198.18.0.2", 9))'
	said
	# Switched off on purpose.
	bare MELIN_DEV=veth0 MELIN_FLOWS= "${flows[@]}" "connect:$far_kernel:9"
	said
}

@test "rules that name an address for which they can take nothing" {
	local no_way="it is in none of MELIN_ADDR's networks, and there is no MELIN_GATEWAY"
	local rules="listen:198.18.0.9:80,listen:$near_kernel:81,any:*:5000,listen:127.0.0.1:1"
	with "$rules,!listen:1.1.1.1:*" \
		MELIN_REQUIRED=0 "${flows[@]}" listen:127.0.0.1:5000 listen:0.0.0.0:6000
	said "melin: MELIN_FLOWS: rule 1, \"listen:198.18.0.9:80\", takes nothing: it is neither \
the stack's address (MELIN_ADDR) nor the host's" \
		"melin: MELIN_FLOWS: rule 2, \"listen:$near_kernel:81\", takes nothing: it is the \
host's own address, and the stack listens on MELIN_ADDR's alone" \
		"melin: nothing was taken: listen on 0.0.0.0 port 6000: no rule of MELIN_FLOWS is for it"
	rules="connect:10.9.9.9:80,connect:$far_kernel:9,connect:[fd00::2]:80-90,any:10.1.1.1:*"
	with "$rules,any:$near_stack:*" \
		"${flows[@]}" "connect:$far_kernel:9" "connect:$far_kernel:9"
	said "melin: MELIN_FLOWS: rule 1, \"connect:10.9.9.9:80\", takes nothing: $no_way" \
		"melin: MELIN_FLOWS: rule 3, \"connect:[fd00::2]:80-90\", takes nothing: \
MELIN_ADDR has no address of that family" \
		"melin: MELIN_FLOWS: rule 4, \"any:10.1.1.1:*\", takes nothing: it is none of \
MELIN_ADDR's, and the stack has no way there"
	# With a way there it is a rule like others, and one network may be one of many hosts'.
	with 'connect:10.9.9.9:80' MELIN_GATEWAY="$far_kernel" "${flows[@]}" "connect:10.9.9.9:80"
	said
	with "connect:$far_kernel:9,connect:10.0.0.0/8:*,listen:[fd00::/8]:*" \
		"${flows[@]}" "connect:$far_kernel:9" "listen:$near_stack:9"
	said
}

@test "nothing was taken: the first flow and why" {
	with 'any:*:80' "${flows[@]}" "connect:$far_kernel:9" "connect:$far_kernel:10"
	said "melin: nothing was taken: connect to $far_kernel port 9: no rule of MELIN_FLOWS is \
for it (and 1 more)"
	with 'any:*:*' "${flows[@]}" "connect:127.0.0.1:9"
	said "melin: nothing was taken: connect to 127.0.0.1 port 9: loopback stays with the \
kernel unless a rule names it"
	with 'any:*:*' "${flows[@]}" "listen:$near_kernel:5000"
	said "melin: nothing was taken: listen on $near_kernel port 5000: it is the host's own \
address, and the stack listens on MELIN_ADDR's alone"
	with 'any:*:*' "${flows[@]}" "connect:$near_kernel:9"
	said "melin: nothing was taken: connect to $near_kernel port 9: one end of it is an \
address of the host's own"
}

@test "nothing was taken: an option that only the kernel serves" {
	with 'any:*:*' "$python" -c 'import socket
one = socket.socket()
one.setsockopt(socket.SOL_SOCKET, 60, 1) # SO_ZEROCOPY
one.connect_ex(("198.18.0.2", 9))'
	said "melin: nothing was taken: connect to $far_kernel port 9: only the kernel serves the \
option that it has, SO_ZEROCOPY"
}

@test "nothing was taken: not said by who took something, or nothing by intent, or is a helper" {
	with "connect:$far_kernel:9" "${flows[@]}" "connect:$far_kernel:9" "connect:$far_kernel:10"
	said
	with '!any:*:*' "${flows[@]}" "connect:$far_kernel:9"
	said
	with 'any:*:80' ls / >/dev/null
	said
	with 'any:*:80' bash -c '"$@"; exit' bash "${flows[@]}" "connect:$far_kernel:9"
	said
	with 'any:*:*' "${flows[@]}" listen:0.0.0.0:5000
	said
	# All of them are told who asks.
	with 'any:*:80' MELIN_LOG=info bash -c '"$@"; exit' bash "${flows[@]}" \
		"connect:$far_kernel:9"
	grep -q 'nothing was taken: connect to' "$error"
	with 'any:*:*' MELIN_LOG=info "${flows[@]}" listen:0.0.0.0:5000
	grep -q 'nothing was taken: this process has not used its listeners' "$error"
	with 'any:*:80' MELIN_LOG=debug bash -c :
	grep -q 'nothing was taken: no TCP socket' "$error"
}

@test "a forked child that connects is a helper" {
	with 'connect:*:80' "$python" -c 'import os, socket
if os.fork() == 0:
    socket.socket().connect_ex(("198.18.0.2", 9))
    raise SystemExit
os.wait()'
	said
}

@test "the first flow that is left for want of a route" {
	with 'any:*:*' "${flows[@]}" connect:10.1.2.3:9 connect:10.1.2.4:9
	said "melin: connect to 10.1.2.3 port 9: the stack has no route: it is in none of \
MELIN_ADDR's networks, and there is no MELIN_GATEWAY; such flows go to the kernel"
	with 'any:*:*' MELIN_REQUIRED=1 "${flows[@]}" connect:10.1.2.3:9
	grep -q '; such flows fail \[' "$error"
	with 'any:*:*' "${flows[@]}" "connect:$far_kernel6:9"
	said "melin: connect to $far_kernel6 port 9: the stack has no route: MELIN_ADDR has no \
IPv6 address; such flows go to the kernel"
	with 'any:*:*' MELIN_DEV=loop "${flows[@]}" "connect:$far_kernel:9"
	said "melin: connect to $far_kernel port 9: the stack has no route: MELIN_DEV=loop leads \
nowhere else; such flows go to the kernel"
}

@test "an address whose network has nobody else in it" {
	local alone="is a network without another host in it: the stack can reach nobody; give the \
length of the network's prefix"
	with 'any:*:*' MELIN_ADDR="$near_stack/32" "${flows[@]}" "connect:$far_kernel:9"
	grep -q "^melin: MELIN_ADDR: $near_stack/32 $alone" "$error"
	with 'any:*:*' MELIN_ADDR="$near_stack/24,$near_stack6/128" "${flows[@]}" \
		"connect:$far_kernel:9"
	said "melin: MELIN_ADDR: $near_stack6/128 $alone"
	with 'any:*:*' MELIN_ADDR="$near_stack/24,198.18.0.11/32" "${flows[@]}" \
		"connect:$far_kernel:9"
	said
}

@test "standard error has become the program's file: melin's line is in the system's log" {
	local file=$BATS_TEST_TMPDIR/data
	# In a /dev of its own, so that it is not this machine's log.
	run -0 on near unshare --mount bash -c 'mount -t tmpfs none /dev && exec "$@"' bash \
		"$python" -c 'import socket, subprocess, sys
log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
log.bind("/dev/log")
log.settimeout(10)
subprocess.run(sys.argv[1:], check=True)
print(log.recv(1000).decode())' env "LD_PRELOAD=$library" MELIN_DEV=veth0 \
		"MELIN_ADDR=$near_stack/24" MELIN_FLOWS='any:*:80' \
		"${flows[@]}" "close:$file" "connect:$far_kernel:9"
	echo "$output"
	[[ $output == '<12>tcp_flows.py['*']: melin: nothing was taken: connect to '* ||
		$output == '<12>python3'*'['*']: melin: nothing was taken: connect to '* ]]
	[[ -e $file && ! -s $file ]]
}

@test "a program that will be without the library, by who starts it" {
	echo 'int main(void) { return 0; }' >"$BATS_TEST_TMPDIR/main.c"
	gcc -static -o "$BATS_TEST_TMPDIR/static" "$BATS_TEST_TMPDIR/main.c"
	gcc -o "$BATS_TEST_TMPDIR/owned" "$BATS_TEST_TMPDIR/main.c"
	cp "$BATS_TEST_TMPDIR/owned" "$BATS_TEST_TMPDIR/plain"
	chown 65534 "$BATS_TEST_TMPDIR/owned"
	chmod u+s "$BATS_TEST_TMPDIR/owned"
	printf '#! %s -x\n' "$BATS_TEST_TMPDIR/static" >"$BATS_TEST_TMPDIR/script"
	chmod +x "$BATS_TEST_TMPDIR/script"

	with 'connect:*:*' env "$BATS_TEST_TMPDIR/plain"
	said
	local end='its flows go to the kernel' why='is linked statically, without ld.so'
	with 'connect:*:*' env "$BATS_TEST_TMPDIR/static"
	said "melin: $BATS_TEST_TMPDIR/static $why: $end"
	with 'connect:*:*' env "$BATS_TEST_TMPDIR/script"
	said "melin: $BATS_TEST_TMPDIR/script: its interpreter $BATS_TEST_TMPDIR/static $why: $end"
	PATH=$BATS_TEST_TMPDIR:$PATH with 'connect:*:*' env owned
	why='is set-user-ID, and ld.so leaves LD_PRELOAD out there'
	said "melin: $BATS_TEST_TMPDIR/owned $why: $end"
	# a shell's helper
	with 'connect:*:*' sh -c "$BATS_TEST_TMPDIR/static; :"
	said
	# the same file, in a program of the other word size
	printf '\x01' | dd of="$BATS_TEST_TMPDIR/plain" bs=1 seek=4 conv=notrunc status=none
	with 'connect:*:*' env "$BATS_TEST_TMPDIR/plain" || true
	grep -q 'plain is a 32-bit program' "$error"
}

@test "a Go program that has the library says that it does nothing there" {
	local t=$BATS_TEST_TMPDIR line='melin: this is a Go program, which makes its system calls'
	line+=' without libc: its flows go to the kernel'
	echo 'int main(void) { return 0; }' >"$t/main.c"
	# What Go's linker marks a program with.
	printf '%s\n' '.section .note.go.buildid,"a",@note' '.long 4, 4, 4' '.asciz "Go\0"' \
		'.ascii "abcd"' >"$t/note.s"
	gcc -pie -fPIE -o "$t/anywhere" "$t/main.c" "$t/note.s"
	gcc -no-pie -fno-pie -o "$t/fixed" "$t/main.c" "$t/note.s"
	gcc -pie -fPIE -o "$t/plain" "$t/main.c"

	with 'connect:*:*' "$t/anywhere"
	said "$line"
	with 'connect:*:*' "$t/fixed"
	said "$line"
	with 'connect:*:*' "$t/plain"
	said
	# a shell's helper
	with 'connect:*:*' sh -c "$t/anywhere; :"
	said
}
