#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# The same story with hugepages and without. The machine's setting is put back afterwards.

load lib/common

setting=/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages
free=${setting%nr_hugepages}free_hugepages

setup() {
	common_setup
	[[ -w $setting ]] || skip "$setting cannot be written: no hugepages here"
	cat "$setting" >"$BATS_TEST_TMPDIR/nr_hugepages"
}

teardown() {
	common_teardown
	if [[ -f $BATS_TEST_TMPDIR/nr_hugepages ]]; then
		cat "$BATS_TEST_TMPDIR/nr_hugepages" >"$setting"
	fi
}

hugepages() {
	echo "$1" >"$setting" 2>/dev/null ||
		skip "the kernel does not let the number of hugepages be set"
}

bench_and_count() {
	start_melin server near redis-server --bind '*' --protected-mode no --save ''
	answers far "$near_stack" 6379
	mark_kernel near
	on far redis-benchmark -h "$near_stack" -c 50 -n 20000 -t set,get -q
	kernel_still near
	used=$(awk '/^Private_Hugetlb|^Shared_Hugetlb/ { sum += $2 } END { print sum }' \
		"/proc/$(pid_of server)/smaps")
	stop server
}

@test "redis-server under melin with hugepages" {
	hugepages 512
	[[ $(<"$free") -ge 256 ]] || skip "only $(<"$free") of 512 hugepages could be had"
	bench_and_count
	[[ -n $plain || $used -gt 0 ]] || fail "no hugepage was used"
}

@test "redis-server under melin without hugepages" {
	hugepages 0
	[[ $(<"$free") -eq 0 ]] || skip "hugepages are in use by others: $(<"$free") are left"
	bench_and_count
	[ "$used" -eq 0 ]
}
