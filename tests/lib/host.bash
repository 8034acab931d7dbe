# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# What tests of host mode have beside common.bash's, and in place of it.
# Their melin has no device and no address; LEVEL is its log's, BORROW its MELIN_BORROW.

setup() {
	[[ -z ${TESTS_PLAIN:-} ]] || skip "host mode has no addresses of its own"
	common_setup
}

# shellcheck disable=SC2034,SC2154 # of common.bash
melin_environment() {
	environment=("LD_PRELOAD=${TESTS_PRELOAD:-$library}"
		"MELIN_FLOWS=${FLOWS-listen:*:7000-7999}" "MELIN_BORROW=${BORROW-$DEFAULT_BORROW}"
		"MELIN_LOG=$LEVEL:$2")
}

# An echo server in the given manner, and as many connections as COUNT says, which wait after a few
# rounds until the server's stack has started: echoes HOW [ADDRESS]
echoes() {
	rm -f "$BATS_TEST_TMPDIR/server.melin"
	start_melin server near "$python" "$programs/host_echo.py" serve 7000 "$1" "${COUNT:-1}"
	printed server ready
	asks on far "${2:-$near_kernel}" "${COUNT:-1}" "${log-$BATS_TEST_TMPDIR/server.melin}"
}

# asks COMMAND HOST ADDRESS COUNT LOG: the client of it
asks() {
	"$1" "$2" "$python" "$programs/host_echo.py" ask "$3" 7000 "$4" 60 "$5" \
		>"$BATS_TEST_TMPDIR/client.out"
	grep -qx 'all is well' "$BATS_TEST_TMPDIR/client.out"
}

# It ended by itself, and so many connections were borrowed at least: borrowed NUMBER
borrowed() {
	finished server
	took server borrowed -ge "$1"
	took server returned_lost -eq 0
	took server retransmissions -le 10
}

# But for news of the path, which gives it back until it is borrowed anew: borrowed_once NAME
borrowed_once() {
	took "$1" borrowed -ge 1
	took "$1" borrowed -le $((1 + $(summary "$1" returned_path)))
}
