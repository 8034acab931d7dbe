#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# More of the web: lighttpd, siege, HTTP/2 with TLS (nginx, curl, h2load), git over http.

load lib/common

make_certificate() {
	key=$BATS_FILE_TMPDIR/key.pem certificate=$BATS_FILE_TMPDIR/certificate.pem
	[[ -f $certificate ]] || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 \
		-nodes -days 2 -subj /CN=melin -keyout "$key" -out "$certificate" 2>/dev/null
}

# nginx with HTTP/2 and TLS on port 443: start_h2 HOW HOST (how: start or start_melin)
start_h2() {
	make_certificate
	"$1" nginx "$2" nginx -p "$BATS_TEST_TMPDIR" -c "$(nginx_configuration "443 ssl http2;
		ssl_certificate $certificate; ssl_certificate_key $key")"
}

start_lighttpd() {
	cat >"$BATS_TEST_TMPDIR/lighttpd.conf" <<-CONF
		server.document-root = "$BATS_FILE_TMPDIR"
		server.port = 80
		server.max-fds = 2048
		server.max-connections = 1024
		server.errorlog = "/dev/stderr"
	CONF
	start_melin lighttpd near lighttpd -D -f "$BATS_TEST_TMPDIR/lighttpd.conf"
	answers far "$near_stack" 80
}

@test "lighttpd under melin serves 50 MB by checksum and 100 connections" {
	file=$(big_file 50)
	echo "hello from lighttpd" >"$BATS_FILE_TMPDIR/hello.txt"
	start_lighttpd
	mark_kernel near
	got=$(on far curl -sS -m 90 "http://$near_stack/big.50" | sha256sum | cut -d' ' -f1)
	[ "$got" = "$(sha256 "$file")" ]
	on far ab -q -k -s 80 -n 5000 -c 100 "http://$near_stack/hello.txt" \
		>"$BATS_TEST_TMPDIR/ab.out"
	grep -qE 'Complete requests: *5000$' "$BATS_TEST_TMPDIR/ab.out"
	grep -qE 'Failed requests: *0$' "$BATS_TEST_TMPDIR/ab.out"
	kernel_still near
	stop lighttpd
	took lighttpd taken_accept -ge 101
}

@test "curl, HTTP/2 with TLS, under melin: 20 streams at a time" {
	file=$(big_file 5)
	start_h2 start far
	listens far 443
	mark_kernel near
	for i in {1..20}; do
		printf 'url = https://%s/big.5\noutput = %s\n' "$far_kernel" \
			"$BATS_TEST_TMPDIR/got.$i"
	done >"$BATS_TEST_TMPDIR/urls"
	melin near curl -ksS -m 90 --http2 --parallel --parallel-max 20 \
		-K "$BATS_TEST_TMPDIR/urls" -w '%{http_version}\n' >"$BATS_TEST_TMPDIR/versions"
	kernel_still near
	[ "$(grep -c '^2$' "$BATS_TEST_TMPDIR/versions")" -eq 20 ]
	[ "$(sha256sum "$BATS_TEST_TMPDIR"/got.* | cut -d' ' -f1 | sort -u)" = "$(sha256 "$file")" ]
	took client taken_connect -ge 1
	took client rx_bytes -ge 104857600
}

@test "nginx under melin, HTTP/2 with TLS: curl by checksum, h2load" {
	file=$(big_file 20)
	start_h2 start_melin near
	answers far "$near_stack" 443
	mark_kernel near
	got=$(on far curl -ksS -m 90 --http2 "https://$near_stack/big.20" | sha256sum |
		cut -d' ' -f1)
	[ "$got" = "$(sha256 "$file")" ]
	on far h2load -n 5000 -c 50 -m 10 "https://$near_stack/hello" \
		>"$BATS_TEST_TMPDIR/h2load.out"
	grep -q '5000 succeeded, 0 failed, 0 errored' "$BATS_TEST_TMPDIR/h2load.out"
	kernel_still near
	stop nginx
	took nginx taken_accept -ge 51
}

@test "h2load under melin" {
	start_h2 start far
	listens far 443
	mark_kernel near
	melin near h2load -n 5000 -c 50 -m 10 "https://$far_kernel/hello" \
		>"$BATS_TEST_TMPDIR/h2load.out"
	grep -q '5000 succeeded, 0 failed, 0 errored' "$BATS_TEST_TMPDIR/h2load.out"
	kernel_still near
	took client taken_connect -ge 50
	# The SYNs wait for the neighbour's address and are not lost (stack/lwip/lwipopts.h): nearly
	# all connections would take a second then, and the third figure, their mean, would be in
	# seconds. How often a busy server is probed tells nothing of it.
	grep -Eq 'time for connect: +[^ ]+ +[^ ]+ +[0-9.]+[mu]s ' "$BATS_TEST_TMPDIR/h2load.out"
}

@test "ab and siege under melin" {
	start nginx far nginx -c "$(nginx_configuration 80)" -p "$BATS_TEST_TMPDIR"
	listens far 80
	mark_kernel near
	melin near ab -q -s 80 -n 3000 -c 100 "http://$far_kernel/hello" >"$BATS_TEST_TMPDIR/ab.out"
	grep -qE 'Complete requests: *3000$' "$BATS_TEST_TMPDIR/ab.out"
	grep -qE 'Failed requests: *0$' "$BATS_TEST_TMPDIR/ab.out"
	took client taken_connect -ge 3000
	HOME=$BATS_TEST_TMPDIR melin near siege -b -c 20 -r 50 "http://$far_kernel/hello" \
		>"$BATS_TEST_TMPDIR/siege.out" 2>&1
	kernel_still near
	grep -qE '"failed_transactions":[[:space:]]*0,' "$BATS_TEST_TMPDIR/siege.out"
	took client taken_connect -ge 4000
}

@test "git under melin clones over http" {
	work=$BATS_TEST_TMPDIR/work
	git init -q -b main "$work"
	head -c 5M /dev/urandom >"$work/noise"
	for i in {1..200}; do
		echo "$i" >"$work/file.$i"
	done
	git -C "$work" add .
	git -C "$work" -c user.name=melin -c user.email=melin@example.org commit -q -m all
	git clone -q --bare "$work" "$BATS_FILE_TMPDIR/repository.git"
	git -C "$BATS_FILE_TMPDIR/repository.git" update-server-info
	start nginx far nginx -c "$(nginx_configuration 80)" -p "$BATS_TEST_TMPDIR"
	listens far 80
	mark_kernel near
	melin near git clone -q "http://$far_kernel/repository.git" "$BATS_TEST_TMPDIR/clone"
	kernel_still near
	[ "$(git -C "$BATS_TEST_TMPDIR/clone" rev-parse HEAD)" = \
		"$(git -C "$work" rev-parse HEAD)" ]
	git -C "$BATS_TEST_TMPDIR/clone" fsck --full --strict
	cmp "$work/noise" "$BATS_TEST_TMPDIR/clone/noise"
	took client taken_connect -ge 1
	took client rx_bytes -ge 5242880
}
