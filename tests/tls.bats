#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# openssl's s_client and s_server, and https with curl.

load lib/common

setup() {
	common_setup
	key=$BATS_FILE_TMPDIR/key.pem certificate=$BATS_FILE_TMPDIR/certificate.pem
	[[ -f $certificate ]] || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 \
		-nodes -days 2 -subj /CN=melin -keyout "$key" -out "$certificate" 2>/dev/null
}

@test "openssl s_client under melin talks to a kernel s_server" {
	start server far openssl s_server -accept 4433 -key "$key" -cert "$certificate" -www -quiet
	listens far 4433
	mark_kernel near
	said=$(printf 'GET / HTTP/1.0\r\n\r\n' |
		melin near openssl s_client -connect "$far_kernel:4433" -ign_eof 2>&1) || true
	kernel_still near
	[[ $said == *"Cipher"* && $said == *"HTTP/1.0 200 ok"* ]] || fail "$said"
	took client taken_connect -eq 1
}

@test "openssl s_server under melin serves a file to curl" {
	file=$(big_file 20)
	cd "$BATS_FILE_TMPDIR"
	start_melin server near openssl s_server -accept 4433 -key "$key" -cert "$certificate" \
		-WWW -quiet -naccept 1
	wait_until 60 fetch || fail "curl did not get the file"
	cmp "$BATS_TEST_TMPDIR/got" "$file"
	finished server
	took server taken_accept -eq 1
	took server tx_bytes -ge 20971520
}

fetch() {
	mark_kernel near
	on far curl -sS -k --http1.0 -o "$BATS_TEST_TMPDIR/got" "https://$near_stack:4433/big.20" &&
		kernel_still near
}

@test "curl under melin fetches over https" {
	file=$(big_file 20)
	cd "$BATS_FILE_TMPDIR"
	start server far openssl s_server -accept 4433 -key "$key" -cert "$certificate" -WWW -quiet
	listens far 4433
	mark_kernel near
	melin near curl -sS -k --http1.0 -o "$BATS_TEST_TMPDIR/got" \
		"https://$far_kernel:4433/big.20"
	kernel_still near
	cmp "$BATS_TEST_TMPDIR/got" "$file"
	took client taken_connect -eq 1
}
