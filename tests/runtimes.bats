#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# Language runtimes: node's http server and client, python's http client with threads, asyncio and
# selectors; and a program that is its own server, in a process without a device.

load lib/common

@test "node's http server under melin, 100 connections and 20 MB each way" {
	file=$(big_file 20)
	start_melin node near node "$programs/http_server.js" 8000 "$file"
	answers far "$near_stack" 8000
	mark_kernel near
	got=$(on far curl -sS -m 90 "http://$near_stack:8000/file" | sha256sum | cut -d' ' -f1)
	[ "$got" = "$(sha256 "$file")" ]
	[ "$(on far curl -sS -m 90 -T "$file" "http://$near_stack:8000/")" = "$(sha256 "$file")" ]
	on far ab -q -k -s 80 -n 3000 -c 100 "http://$near_stack:8000/hello" \
		>"$BATS_TEST_TMPDIR/ab.out"
	grep -qE 'Complete requests: *3000$' "$BATS_TEST_TMPDIR/ab.out"
	grep -qE 'Failed requests: *0$' "$BATS_TEST_TMPDIR/ab.out"
	kernel_still near
	stop node
	took node taken_accept -ge 102
}

@test "node's http client under melin, 100 requests at a time and 20 MB each way" {
	file=$(big_file 20)
	start node far node "$programs/http_server.js" 8000 "$file"
	listens far 8000
	mark_kernel near
	[ "$(melin near node "$programs/http_client.js" "$far_kernel" 8000 "$file")" = \
		"200 hellos, $(sha256 "$file") $(sha256 "$file")" ]
	kernel_still near
	took client taken_connect -ge 52
}

# node, server and client in one process; $1: UV_USE_IO_URING
node_alone() {
	file=$(big_file 5)
	FLOWS='any:127.0.0.0/8:*' melin near MELIN_DEV=loop MELIN_ADDR= UV_USE_IO_URING="$1" \
		node "$programs/http_server.js" 8000 "$file" self >"$BATS_TEST_TMPDIR/self.out"
	[ "$(tail -n 1 "$BATS_TEST_TMPDIR/self.out")" = \
		"200 hellos, $(sha256 "$file") $(sha256 "$file")" ]
	took client taken_accept -ge 52
}

@test "node, server and client in one process, loop" {
	node_alone 0
}

@test "node that would like to use io_uring" {
	node_alone 1
}

@test "python http clients under melin: threads, asyncio and selectors" {
	file=$(big_file 5)
	start nginx far nginx -c "$(nginx_configuration 80)" -p "$BATS_TEST_TMPDIR"
	listens far 80
	mark_kernel near
	for way in threads asyncio selectors; do
		[ "$(melin near "$python" "$programs/http_clients.py" "$way" "$far_kernel" 80 \
			/big.5 10)" = "10 $(sha256 "$file")" ] || fail "$way"
	done
	kernel_still near
	took client taken_connect -eq 30
}

@test "python's http.server with threads under melin" {
	file=$(big_file 5)
	start_melin server near "$python" -m http.server -b "$near_stack" -d "$BATS_FILE_TMPDIR" \
		8000
	answers far "$near_stack" 8000
	mark_kernel near
	[ "$(on far "$python" "$programs/http_clients.py" threads "$near_stack" 8000 /big.5 10)" = \
		"10 $(sha256 "$file")" ]
	kernel_still near
	stop server INT || true
	took server taken_accept -ge 11
}
