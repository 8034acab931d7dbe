#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# What the machine lacks: one line of warning, and the flow goes to libc; the program's exit status
# is its own. (The user's own mistakes are in errors.bats.)

bats_require_minimum_version 1.5.0

load lib/common

setup() {
	common_setup
	start web far nginx -c "$(nginx_configuration 80)" -p "$BATS_TEST_TMPDIR"
	listens far 80
	error=$BATS_TEST_TMPDIR/error.out
}

# One request with something missing: it is answered through the kernel, after one line that
# matches. falls_back PATTERN [NAME=VALUE...]
falls_back() {
	local pattern=$1
	shift
	mark_kernel near
	[ "$(melin near MELIN_LOG=warn "$@" curl -sS "http://$far_kernel/hello" 2>"$error")" = \
		"hello from nginx" ]
	kernel_moved near 3
	[[ -z $plain ]] || return 0
	[ "$(grep -c . "$error")" -eq 1 ] || fail "not one line: $(<"$error")"
	grep -q '^melin: ' "$error" || fail "$(<"$error")"
	grep -qE "$pattern" "$error" || fail "does not say \"$pattern\": $(<"$error")"
}

@test "a device that is not there" {
	falls_back 'nosuch0' MELIN_DEV=nosuch0
}

@test "a PCI address without a card" {
	falls_back '0000:3f:1f\.7' MELIN_DEV=0000:3f:1f.7
}

@test "a vdev of a driver that does not exist" {
	falls_back 'net_nonsense0' MELIN_DEV=net_nonsense0
}

@test "a vdev with an argument that its driver does not know" {
	falls_back 'net_memif0' MELIN_DEV=net_memif0,rule=client
}

@test "EAL arguments that EAL refuses" {
	falls_back '[Ee][Aa][Ll]' MELIN_EAL=--no-such-argument
}

@test "EAL arguments that would end the program" {
	falls_back 'MELIN_EAL: --help' MELIN_EAL=--help
	falls_back 'MELIN_EAL: -h' MELIN_EAL=-h
}

@test "EAL arguments for a process that waits for another one" {
	falls_back 'MELIN_EAL: --proc-type' MELIN_EAL=--proc-type=secondary
	falls_back 'MELIN_EAL: --proc-type' 'MELIN_EAL=--proc secondary'
}

@test "EAL arguments that ask for hugepages where there are none" {
	# Where there are some, they are hidden in the mount namespace that "near" gives the
	# program.
	cat >"$BATS_TEST_TMPDIR/without_hugepages" <<-'SCRIPT'
		#!/bin/sh
		for pages in /sys/kernel/mm/hugepages /sys/devices/system/node/node*/hugepages; do
			[ ! -d "$pages" ] || mount -t tmpfs none "$pages" || exit 99
		done
		exec "$@"
	SCRIPT
	chmod +x "$BATS_TEST_TMPDIR/without_hugepages"
	falls_back 'MELIN_EAL.*hugepages' MELIN_EAL=--in-memory \
		"$BATS_TEST_TMPDIR/without_hugepages"
}

@test "EAL arguments that ask for more memory than there is" {
	falls_back . 'MELIN_EAL=--no-huge -m 9999999'
}

@test "too few descriptors for DPDK" {
	for few in 8 9 12 16 20; do
		run -0 --separate-stderr melin near MELIN_LOG=warn bash -c \
			"ulimit -n $few; exec curl -sS http://$far_kernel/hello"
		[ "$output" = "hello from nginx" ]
		[ "$(grep -c . <<<"$stderr")" -le 1 ] || fail "$few: not one line: $stderr"
	done
}

@test "an address that another host has" {
	[[ -z $plain ]] || skip "plain run"
	address far veth0 "$near_stack/24" "$near_stack6/64"
	ADDR=$near_stack/24 falls_back "another host, [0-9a-f:]{17}, has $near_stack:"
	ADDR=$near_stack6/64,198.18.0.11/24 falls_back \
		"another host, [0-9a-f:]{17}, has $near_stack6:"
	ip -n "$(host far)" address del "$near_stack/24" dev veth0
	ip -n "$(host far)" address del "$near_stack6/64" dev veth0
	mark_kernel near
	[ "$(melin near curl -sS "http://$far_kernel/hello")" = "hello from nginx" ]
	kernel_still near
}

@test "no permission: as nobody" {
	# where nobody can read it, laid out as make install does
	copy=$(mktemp -d /tmp/melin-installed.XXXXXX)
	echo "$copy" >"$BATS_TEST_TMPDIR/copy"
	chmod 755 "$copy"
	if [[ -z $plain ]]; then
		mkdir "$copy/melin"
		cp "$library" "$copy/"
		cp "$module" "$copy/melin/"
		find "$build" -maxdepth 3 -name melin_xdp.o -exec cp {} "$copy/melin/" \;
		chmod -R a+rX "$copy"
	fi
	library=$copy/libmelin.so
	mark_kernel near
	[ "$(melin near MELIN_LOG=warn setpriv --reuid=65534 --regid=65534 --clear-groups \
		curl -sS "http://$far_kernel/hello" 2>"$error")" = "hello from nginx" ]
	kernel_moved near 3
	[[ -z $plain ]] || return 0
	[ "$(grep -c . "$error")" -eq 1 ] || fail "not one line: $(<"$error")"
	grep -qiE '^melin: .*(permi|root|CAP_|privilege)' "$error" || fail "$(<"$error")"
}

teardown() {
	if [[ -f $BATS_TEST_TMPDIR/copy ]]; then
		rm -rf "$(<"$BATS_TEST_TMPDIR/copy")"
	fi
	[[ -n ${BATS_TEST_COMPLETED:-} ]] || cat "$BATS_TEST_TMPDIR/error.out" 2>/dev/null || true
	common_teardown
}

@test "a build without melin-stack.so" {
	[[ -z $plain ]] || skip "plain run"
	mkdir "$BATS_TEST_TMPDIR/alone"
	cp "$library" "$BATS_TEST_TMPDIR/alone/"
	library=$BATS_TEST_TMPDIR/alone/libmelin.so
	falls_back 'melin-stack\.so'
}

@test "MELIN_REQUIRED=1: the flow fails instead, with the program's own exit status" {
	[[ -z $plain ]] || skip "plain run"
	mark_kernel near
	status=0
	melin near MELIN_LOG=warn MELIN_DEV=nosuch0 MELIN_REQUIRED=1 \
		curl -sS "http://$far_kernel/hello" \
		2>"$error" || status=$?
	[ "$status" -eq 7 ]
	kernel_still near
	grep -q 'nosuch0' "$error"
}

@test "MELIN_REQUIRED=1: listen() says that there will be no stack, and one line why" {
	[[ -z $plain ]] || skip "plain run"
	for address in "$near_stack" 0.0.0.0; do
		[ "$(melin near MELIN_LOG=warn MELIN_DEV=nosuch0 MELIN_REQUIRED=1 "$python" \
			"$programs/unserved.py" "$address" 7000 poll 2>"$error")" = "listen ENETDOWN" ]
		[ "$(grep -c . "$error")" -eq 1 ] || fail "not one line: $(<"$error")"
		grep -q 'nosuch0' "$error"
	done
}

@test "MELIN_REQUIRED=1: a listener whose stack cannot start fails once, and is quiet" {
	[[ -z $plain ]] || skip "plain run"
	for address in "$near_stack" 0.0.0.0; do
		for way in accept poll select epoll edge; do
			# EAL finds out later than listen() can
			run -0 --separate-stderr melin near MELIN_LOG=warn MELIN_REQUIRED=1 \
				MELIN_EAL=--no-such-argument "$python" \
				"$programs/unserved.py" "$address" 7000 "$way"
			[[ $output =~ ^"accept ENETDOWN 1 of "[12]$ ]] || fail "$way: $output"
			[ "$(grep -c . <<<"$stderr")" -eq 1 ] || fail "not one line: $stderr"
		done
	done
}

@test "a listener without a stack: the line says that nobody answers at its address" {
	[[ -z $plain ]] || skip "plain run"
	for required in 0 1; do
		melin near MELIN_LOG=warn MELIN_EAL=--no-such-argument MELIN_REQUIRED=$required \
			"$python" "$programs/unserved.py" 0.0.0.0 7000 poll 2>"$error"
		[ "$(grep -c . "$error")" -eq 1 ] || fail "not one line: $(<"$error")"
		grep -qF "nobody answers at $near_stack, $near_stack6" "$error" ||
			fail "$(<"$error")"
	done
}

@test "exit statuses are the program's own" {
	for wanted in 0 1 2 42 255; do
		status=0
		melin near bash -c "exit $wanted" || status=$?
		[ "$status" -eq "$wanted" ]
	done
	status=0
	melin near curl -sS -f -o /dev/null "http://$far_kernel/nosuchfile" 2>/dev/null || status=$?
	[ "$status" -eq 22 ]
	status=0
	melin near curl -sS --max-time 1 "http://198.18.0.77/" 2>/dev/null || status=$?
	[[ $status -eq 28 || $status -eq 7 ]]
	status=0
	melin near bash -c 'kill -TERM $$' || status=$?
	[ "$status" -eq 143 ]
}

@test "an address that is in use: EADDRINUSE, as the kernel says it" {
	start_melin server near socat TCP-LISTEN:5000,reuseaddr,fork EXEC:cat
	answers far "$near_stack" 5000
	status=0
	said=$(melin near "$python" "$programs/bind_twice.py" "$near_stack" 5001 2>&1) || status=$?
	[ "$status" -eq 0 ] || fail "$said"
	end server
}

@test "standard streams, environment and descriptors are the program's own" {
	without=$(on near bash -c 'ls /proc/self/fd')
	# The status page has one of melin's numbers: the only one, and none that the program gets.
	under=$(melin near MELIN_LOG=warn bash -c 'ls -l /proc/self/fd' |
		awk 'NF > 8 && !/ [0-9]+ -> .memfd:melin-status / { print $9 }' | sort)
	[ "$(sort <<<"$without")" = "$under" ] || fail "descriptors: $under instead of $without"
	# after a flow was taken: the next descriptor is the one that the kernel would have given
	[ "$(melin near "$python" "$programs/descriptors.py" "$far_kernel" 80)" = \
		"$(on near "$python" "$programs/descriptors.py" "$far_kernel" 80)" ]
}
