#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# Descriptors of melin's own are none of the program's: neither numbers nor limits tell that there
# are any, whatever the limit is and whenever it changes.

load lib/common

@test "every number below the limit is the program's, and none above is there" {
	local numbers program=$programs/limits.py
	start echo far socat "TCP-LISTEN:7000,fork,reuseaddr" EXEC:cat
	listens far 7000
	# none: as it is; 24: fewer than DPDK opens; 3800: melin's own log file is above it already
	# 1024 4096: DPDK raises a soft limit to the hard one
	for numbers in "" 24 64 1024 "1024 4096" 3800; do
		# shellcheck disable=SC2086 # none is no argument, or two
		on near "$python" "$program" "$far_kernel" 7000 $numbers >"$BATS_TEST_TMPDIR/kernel"
		# shellcheck disable=SC2086
		melin near "MELIN_LOG=info:$BATS_TEST_TMPDIR/log.${numbers// /-}" \
			"$python" "$program" "$far_kernel" 7000 $numbers >"$BATS_TEST_TMPDIR/melin"
		grep -q taken_connect=1 "$BATS_TEST_TMPDIR/log.${numbers// /-}"
		diff "$BATS_TEST_TMPDIR/kernel" "$BATS_TEST_TMPDIR/melin" ||
			fail "limit ${numbers:-unchanged}"
	done
}
