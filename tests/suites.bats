#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# Network test suites that others wrote and the distribution ships: what passes over the kernel has
# to pass over melin. Server and client are threads of one process, their flows go over
# MELIN_DEV=loop. Here: Python's (libpython3.*-testsuite). Which ones were run by hand stands in the
# closing notes.

export BATS_TEST_TIMEOUT=700
limit=300

load lib/common

# Left out:
excluded=(
	# AF_VSOCK has no namespaces: the two runs would meet
	VSOCK
	# A child of fork() answers on its parent's connection: LIMITS in libmelin(7)
	ForkingTCPServer
)

# $1: host, $2: name; then what to run. melin only for the name "melin".
run_python() {
	local host=$1 name=$2 through=(on "$1")
	shift 2
	[[ $name == kernel ]] || through=(melin "$host" MELIN_DEV=loop MELIN_ADDR=)
	mkdir -p "$BATS_TEST_TMPDIR/$name"
	(cd "$BATS_TEST_TMPDIR/$name" &&
		FLOWS='any:127.0.0.0/8:*,any:[::1]:*' "${through[@]}" "$python" \
			"$programs/python_tests.py" "../$name.results" 30 \
			"$(IFS='|' && echo "${excluded[*]}")" "$@") \
			>"$BATS_TEST_TMPDIR/$name.out" 2>&1 </dev/null || true
}

# The tests that passed over the kernel and not over melin.
missing() {
	comm -23 <(sort "$BATS_TEST_TMPDIR/kernel.results") \
		<(sort "$BATS_TEST_TMPDIR/melin.results") | sed -n 's/^pass //p'
}

# Both at the same time, each in a network of its own.
run_both() {
	rm -f "$BATS_TEST_TMPDIR"/*.results
	run_python near kernel "$@" &
	run_python far melin "$@"
	wait $!
	grep -q '^end$' "$BATS_TEST_TMPDIR/kernel.results" ||
		fail "the run over the kernel is worth nothing" \
			"$(tail -5 "$BATS_TEST_TMPDIR/kernel.out")"
	touch "$BATS_TEST_TMPDIR/melin.results"
}

# $1: how many passes there are at least; then the modules.
same_passes() {
	local least=$1 passes names
	shift
	"$python" -c 'import test.test_socket' 2>/dev/null ||
		skip "Python's test suite is not installed (libpython3.*-testsuite)"
	run_both "$@"
	passes=$(grep -c '^pass ' "$BATS_TEST_TMPDIR/kernel.results")
	echo "# $passes passes over the kernel"
	[ "$passes" -ge "$least" ]
	took client taken_connect -ge 1
	# On a machine under load a time is missed now and then: that does not happen twice.
	mapfile -t names < <(missing)
	[[ ${#names[@]} -gt 0 ]] || return 0
	echo "# again: ${names[*]:0:10}"
	[ "${#names[@]}" -le 5 ]
	run_both "${names[@]}"
	[ -z "$(missing)" ] || fail "over the kernel alone:" "$(missing)"
}

@test "suites: Python's sockets, select, poll and epoll" {
	same_passes 650 test.test_socket test.test_selectors test.test_select test.test_poll \
		test.test_epoll test.test_socketserver test.test_timeout
}

@test "suites: Python's protocols" {
	same_passes 550 test.test_asyncore test.test_asynchat test.test_ftplib test.test_smtplib \
		test.test_poplib test.test_telnetlib test.test_httplib test.test_httpservers \
		test.test_urllib2_localnet test.test_ssl
}

@test "suites: Python's asyncio" {
	same_passes 180 test.test_asyncio.test_sock_lowlevel test.test_asyncio.test_sendfile \
		test.test_asyncio.test_server test.test_asyncio.test_streams \
		test.test_asyncio.test_sslproto test.test_asyncio.test_buffered_proto
}
