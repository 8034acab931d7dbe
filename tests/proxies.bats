#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# Proxies, whose both sides are selected flows: nginx, haproxy, stunnel; clients through the kernel
# on the far host, the server behind the proxy there, too. Up to 1,000 connections at a time.

load lib/common

# An nginx through the kernel on the far host, port 8080: what the proxies stand before.
start_backend() {
	start backend far nginx -c "$(nginx_configuration 8080)" -p "$BATS_TEST_TMPDIR"
	listens far 8080
}

# Writes the configuration of an nginx that passes all on: proxy_configuration [off|on]
proxy_configuration() {
	local file=$BATS_TEST_TMPDIR/proxy.conf
	cat >"$file" <<-CONF
		daemon off;
		master_process ${1:-off};
		worker_processes 1;
		worker_rlimit_nofile 8192;
		user root;
		pid $BATS_TEST_TMPDIR/proxy.process;
		error_log stderr warn;
		events { worker_connections 4096; }
		http {
			access_log off;
			client_body_temp_path $BATS_TEST_TMPDIR/proxy.body;
			proxy_temp_path $BATS_TEST_TMPDIR/proxy.proxy;
			fastcgi_temp_path $BATS_TEST_TMPDIR/proxy.fastcgi;
			uwsgi_temp_path $BATS_TEST_TMPDIR/proxy.uwsgi;
			scgi_temp_path $BATS_TEST_TMPDIR/proxy.scgi;
			keepalive_requests 100000;
			upstream behind {
				server $far_kernel:8080;
				keepalive 32;
			}
			server {
				listen 80 backlog=2048;
				location = /own { return 200 "from the proxy\n"; }
				location / {
					proxy_pass http://behind;
					proxy_http_version 1.1;
					proxy_set_header Connection "";
				}
			}
		}
	CONF
	echo "$file"
}

start_proxy() {
	start_melin proxy near nginx -c "$(proxy_configuration "$@")" -p "$BATS_TEST_TMPDIR"
	answers far "$near_stack" 80
}

# ab on the far host: requests, connections, URL, more options. None may fail.
benchmark() {
	local requests=$1 connections=$2 url=$3
	shift 3
	on far bash -c 'ulimit -n 8192; exec "$@"' ab ab -q -r -s 80 -n "$requests" \
		-c "$connections" \
		"$@" "$url" >"$BATS_TEST_TMPDIR/ab.out" 2>&1
	grep -qE "Complete requests: *$requests\$" "$BATS_TEST_TMPDIR/ab.out"
	grep -qE 'Failed requests: *0$' "$BATS_TEST_TMPDIR/ab.out"
	not grep -q 'Non-2xx' "$BATS_TEST_TMPDIR/ab.out"
}

@test "nginx under melin as a proxy passes 50 MB on, by checksum" {
	file=$(big_file 50)
	start_backend
	start_proxy
	mark_kernel near
	got=$(on far curl -sS -m 90 "http://$near_stack/big.50" | sha256sum | cut -d' ' -f1)
	[ "$got" = "$(sha256 "$file")" ]
	kernel_still near
	stop proxy
	took proxy taken_connect -ge 1
	took proxy taken_accept -ge 1
	took proxy rx_bytes -ge 52428800
	took proxy tx_bytes -ge 52428800
}

@test "nginx with a master under melin as a proxy, 50 connections with keep-alive" {
	start_backend
	start_proxy on
	mark_kernel near
	benchmark 5000 50 "http://$near_stack/hello" -k
	kernel_still near
	stop proxy QUIT
	took proxy taken_accept -ge 50
	took proxy taken_connect -ge 1
}

@test "nginx under melin serves 1,000 connections at a time" {
	start_proxy
	mark_kernel near
	benchmark 5000 1000 "http://$near_stack/own" -k
	benchmark 3000 1000 "http://$near_stack/own"
	kernel_still near
	stop proxy
	took proxy taken_accept -ge 4000
}

@test "nginx under melin as a proxy: 400 connections passed on, 1,000 answered by itself" {
	start_backend
	start_proxy
	# the server behind has 512 connections: it cannot take 1,000
	mark_kernel near
	benchmark 4000 400 "http://$near_stack/hello" -k
	benchmark 2000 1000 "http://$near_stack/own" -k
	kernel_still near
	stop proxy
	took proxy taken_accept -ge 1400
	took proxy taken_connect -ge 32
}

@test "haproxy under melin, HTTP and TCP, 200 connections and 50 MB" {
	file=$(big_file 50)
	start_backend
	cat >"$BATS_TEST_TMPDIR/haproxy.cfg" <<-CONF
		global
			maxconn 2000
			nbthread 2
		defaults
			timeout connect 60s
			timeout client 60s
			timeout server 60s
		frontend web
			mode http
			bind *:80
			default_backend behind
		backend behind
			mode http
			http-reuse always
			server one $far_kernel:8080 check inter 200ms
		listen stream
			mode tcp
			bind *:81
			server one $far_kernel:8080
	CONF
	start_melin haproxy near haproxy -db -f "$BATS_TEST_TMPDIR/haproxy.cfg"
	answers far "$near_stack" 80
	answers far "$near_stack" 81
	mark_kernel near
	for port in 80 81; do
		got=$(on far curl -sS -m 90 "http://$near_stack:$port/big.50" | sha256sum |
			cut -d' ' -f1)
		[ "$got" = "$(sha256 "$file")" ] || fail "checksum through port $port"
		benchmark 4000 200 "http://$near_stack:$port/hello" -k
	done
	# It ends by the signal itself, so without a summary: the counters must do.
	kernel_still near
	end haproxy
}

@test "stunnel under melin takes TLS off, 20 MB by checksum" {
	file=$(big_file 20)
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
		-subj /CN=melin -keyout "$BATS_TEST_TMPDIR/key.pem" \
		-out "$BATS_TEST_TMPDIR/certificate.pem" 2>/dev/null
	cat >"$BATS_TEST_TMPDIR/stunnel.conf" <<-CONF
		foreground = yes
		pid =
		[web]
		accept = $near_stack:443
		connect = $far_kernel:8080
		cert = $BATS_TEST_TMPDIR/certificate.pem
		key = $BATS_TEST_TMPDIR/key.pem
	CONF
	start_backend
	start_melin stunnel near stunnel4 "$BATS_TEST_TMPDIR/stunnel.conf"
	answers far "$near_stack" 443
	mark_kernel near
	for _ in 1 2 3; do
		got=$(on far curl -ksS -m 90 "https://$near_stack/big.20" | sha256sum |
			cut -d' ' -f1)
		[ "$got" = "$(sha256 "$file")" ]
	done
	kernel_still near
	end stunnel
	took stunnel taken_accept -ge 3
	took stunnel taken_connect -ge 3
}
