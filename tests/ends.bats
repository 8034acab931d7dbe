#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# How a process ends while it has flows, where more than one program is needed to tell it. (What
# arrives after each way to end a process: tests/differential/exit.c.)

bats_require_minimum_version 1.5.0

load lib/common

@test "main returns while other threads connect: none fails, none goes through the kernel" {
	start web far nginx -c "$(nginx_configuration 80)" -p "$BATS_TEST_TMPDIR"
	listens far 80
	for _ in 1 2 3; do
		melin near "$build/tests/programs/connecting" "$far_kernel" 80 "$near_stack"
	done
	took client taken_connect -ge 3
}

@test "faketime's library in front of melin's and behind it" {
	start web far nginx -c "$(nginx_configuration 80)" -p "$BATS_TEST_TMPDIR"
	listens far 80
	url=http://$far_kernel/hello
	[[ $(melin near faketime -f +400d curl -sS "$url") = "hello from nginx" ]]
	both=$(faketime -f +400d printenv LD_PRELOAD)
	[[ -n $plain ]] || both=$both:$library
	for _ in 1 2 3; do
		[[ $(melin near env FAKETIME=+400d "LD_PRELOAD=$both" curl -sS "$url") = \
			"hello from nginx" ]]
	done
	took client taken_connect -eq 4
}
