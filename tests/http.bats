#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# Web clients and servers: curl, wget, nginx, python's http.server; 100 MB each way, compared by
# checksum.

load lib/common

hundred_megabytes() {
	file=$(big_file 100)
	wanted=$(sha256 "$file")
}

# curl on the far host, through the kernel, from a server under melin
fetch_by_far() {
	local got
	mark_kernel near
	got=$(on far curl -sS --retry 3 --retry-connrefused "$1" | sha256sum | cut -d' ' -f1)
	[ "$got" = "$wanted" ] || fail "checksum of $1 is $got, not $wanted"
	kernel_still near
}

@test "curl under melin fetches 100 MB from nginx" {
	hundred_megabytes
	start nginx far nginx -c "$(nginx_configuration 80)" -p "$BATS_TEST_TMPDIR"
	listens far 80
	mark_kernel near
	melin near curl -sS -o "$BATS_TEST_TMPDIR/got" "http://$far_kernel/big.100"
	kernel_still near
	[ "$(sha256 "$BATS_TEST_TMPDIR/got")" = "$wanted" ]
	took client taken_connect -eq 1
	took client left_rule -eq 0
	took client rx_bytes -ge 104857600
	took client rx_segments -ge 10000
}

@test "wget under melin fetches 100 MB from nginx" {
	hundred_megabytes
	start nginx far nginx -c "$(nginx_configuration 80)" -p "$BATS_TEST_TMPDIR"
	listens far 80
	mark_kernel near
	melin near wget -q -O "$BATS_TEST_TMPDIR/got" "http://$far_kernel/big.100"
	kernel_still near
	[ "$(sha256 "$BATS_TEST_TMPDIR/got")" = "$wanted" ]
	took client taken_connect -eq 1
	took client rx_bytes -ge 104857600
}

@test "curl under melin sends 20 MB with PUT" {
	file=$(big_file 20)
	start sink far "$python" "$programs/http_put.py" "$far_kernel" 80
	printed sink ready
	mark_kernel near
	answer=$(melin near curl -sS -T "$file" "http://$far_kernel/")
	kernel_still near
	[ "$answer" = "$(sha256 "$file")" ]
	took client tx_bytes -ge 20971520
}

@test "nginx under melin (master_process off) serves 100 MB" {
	hundred_megabytes
	start_melin nginx near nginx -c "$(nginx_configuration 80 off)" -p "$BATS_TEST_TMPDIR"
	answers far "$near_stack" 80
	fetch_by_far "http://$near_stack/big.100"
	stop nginx
	took nginx taken_listen -ge 1
	took nginx taken_accept -ge 2
	took nginx tx_bytes -ge 104857600
}

@test "nginx under melin (master_process on) serves 100 MB" {
	hundred_megabytes
	start_melin nginx near nginx -c "$(nginx_configuration 80 on)" -p "$BATS_TEST_TMPDIR"
	answers far "$near_stack" 80
	fetch_by_far "http://$near_stack/big.100"
	stop nginx
	took nginx taken_accept -ge 2
	took nginx tx_bytes -ge 104857600
}

@test "nginx under melin bound to the stack's own address" {
	hundred_megabytes
	start_melin nginx near nginx -c "$(nginx_configuration "$near_stack:80")" \
		-p "$BATS_TEST_TMPDIR"
	answers far "$near_stack" 80
	mark_kernel near
	[ "$(on far curl -sS "http://$near_stack/hello")" = "hello from nginx" ]
	kernel_still near
	stop nginx
	took nginx taken_accept -ge 2
}

@test "python3 -m http.server under melin serves 100 MB" {
	hundred_megabytes
	start_melin web near "$python" -m http.server --directory "$BATS_FILE_TMPDIR" 8000
	answers far "$near_stack" 8000
	fetch_by_far "http://$near_stack:8000/big.100"
	end web INT
	took web taken_accept -ge 2
	took web tx_bytes -ge 104857600
}

@test "curl under melin: many requests over one connection, and many connections" {
	start nginx far nginx -c "$(nginx_configuration 80)" -p "$BATS_TEST_TMPDIR"
	listens far 80
	mark_kernel near
	[ "$(melin near curl -sS "http://$far_kernel/hello?[1-50]" | grep -c 'hello from nginx')" \
		-eq 50 ]
	took client taken_connect -eq 1
	[ "$(melin near curl -sS --parallel --parallel-max 20 --no-keepalive \
		-H 'Connection: close' \
		"http://$far_kernel/hello?[1-50]" | grep -c 'hello from nginx')" -eq 50 ]
	kernel_still near
	took client taken_connect -ge 40
}
