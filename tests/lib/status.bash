# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# What tests of melin stat, top and drain share: a redis-server under melin, connections to it that
# are held, and what the command says of them. To be loaded after common and host.

# shellcheck disable=SC2034,SC2154 # of common.bash
melin=$build/melin

# start_redis [NAME], on port PORT
start_redis() {
	start_melin "${1:-redis}" near redis-server --port "${PORT:-7379}" --bind '*' '-::*' \
		--protected-mode no --save '' --dir "$BATS_TEST_TMPDIR"
	printed "${1:-redis}" 'eady to accept connections'
}

# So many connections to it with so many requests each, from HOST: hold CONNECTIONS ROUNDS
hold() {
	mkfifo "$BATS_TEST_TMPDIR/more"
	start client "${HOST:-far}" bash -c 'exec "$@" <>"$0"' "$BATS_TEST_TMPDIR/more" "$python" \
		"$programs/held_connections.py" "$near_kernel" 7379 "$1" "$2"
	printed client ready
}

# As many requests again, which are answered: more TIMES
more() {
	local before

	for ((i = 0; i < $1; i++)); do
		before=$(grep -c ready "$BATS_TEST_TMPDIR/client.out")
		echo >"$BATS_TEST_TMPDIR/more"
		wait_until 60 said_more_often "$before"
	done
}

said_more_often() {
	(($(grep -c ready "$BATS_TEST_TMPDIR/client.out") > $1))
}

# The stack starts beside, and the first frames are not noticed: so more are sent until all are.
all_borrowed() {
	wait_until 60 more_are_borrowed "$1"
}

more_are_borrowed() {
	more 1
	carries redis borrowed -eq "$1"
}

# What melin stat --json says of a started program, through jq: of NAME FILTER
of() {
	"$melin" stat --json "$(pid_of "$1")" | jq -r ".processes[0] | $2"
}

carried_by() {
	of "$1" "[.connections[] | select(.carrier == \"$2\")] | length"
}

# carries NAME CARRIER OPERATOR NUMBER
carries() {
	test "$(carried_by "$1" "$2")" "$3" "$4"
}

has_page() {
	"$melin" stat "$(pid_of "$1")" >/dev/null 2>&1
}
