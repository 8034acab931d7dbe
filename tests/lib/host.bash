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
