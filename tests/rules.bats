#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# Which flows are taken: every verb, address and port form of MELIN_FLOWS, seen from outside, and
# what a flow that is not selected must not notice.

load lib/common

# A web server in far's kernel, for clients under melin on near.
web_on_far() {
	start web far nginx -c "$(nginx_configuration '80; listen [::]:80; listen 8042')" \
		-p "$BATS_TEST_TMPDIR"
	listens far 80
	listens far 8042
}

# One request with the given rules: client_with RULES URL
client_with() {
	rm -f "$BATS_TEST_TMPDIR/client.melin"
	mark_kernel near
	[ "$(FLOWS=$1 melin near curl -sS -g "$2")" = "hello from nginx" ] ||
		fail "no answer with $1"
}

taken() {
	client_with "$@"
	kernel_still near || fail "$1 should have taken $2"
	took client taken_connect -eq 1
}

left() {
	client_with "$@"
	kernel_moved near 3 || fail "$1 should have left $2 to the kernel"
	[[ -n $plain ]] || [[ $(summary client taken_connect) != [1-9]* ]] ||
		fail "$1: counted as taken"
}

@test "connect rules: addresses and ports in every form" {
	web_on_far
	url=http://$far_kernel/hello
	taken 'connect:*:80' "$url"
	taken 'connect:*:*' "$url"
	taken "connect:$far_kernel:80" "$url"
	taken "connect:$far_kernel/32:80" "$url"
	taken 'connect:198.18.0.0/24:80' "$url"
	taken 'connect:198.18.0.0/15:*' "$url"
	taken 'connect:0.0.0.0/0:70-90' "$url"
	taken 'connect:*:80-80' "$url"
	taken 'connect:*:1-65535' "http://$far_kernel:8042/hello"
	left 'connect:*:81' "$url"
	left 'connect:*:81-65535' "$url"
	left 'connect:*:1-79' "$url"
	left 'connect:198.18.0.3:80' "$url"
	left 'connect:198.18.1.0/24:*' "$url"
	left 'connect:10.0.0.0/8:*' "$url"
	left 'connect:[fd00::/8]:*' "$url"
	left 'listen:*:80' "$url"
	left 'listen:*:*' "$url"
}

@test "connect rules: IPv6 addresses and prefixes" {
	web_on_far
	url=http://[$far_kernel6]/hello
	taken 'connect:*:80' "$url"
	taken "connect:[$far_kernel6]:80" "$url"
	taken "connect:[$far_kernel6/128]:*" "$url"
	taken 'connect:[fd00::/64]:80' "$url"
	taken 'connect:[::/0]:*' "$url"
	left 'connect:[fd00::3]:80' "$url"
	left 'connect:[fd01::/64]:80' "$url"
	left 'connect:0.0.0.0/0:*' "$url"
}

@test "any and ! rules, and the first that matches decides" {
	web_on_far
	url=http://$far_kernel/hello
	taken 'any:*:80' "$url"
	taken "any:$far_kernel:*" "$url"
	left '!any:*:80,connect:*:*' "$url"
	left '!connect:*:80,connect:*:*' "$url"
	taken '!connect:*:80,connect:*:*' "http://$far_kernel:8042/hello"
	taken 'connect:*:80,!connect:*:*' "$url"
	left 'connect:*:80,!connect:*:*' "http://$far_kernel:8042/hello"
	taken '!listen:*:80,connect:*:80' "$url"
	left "!any:$far_kernel:*,any:198.18.0.0/15:*" "$url"
	taken '!any:198.18.0.3:*,any:198.18.0.0/15:*' "$url"
}

@test "a list of 1,000 rules" {
	web_on_far
	rules=$(for port in {10001..10999}; do printf 'connect:198.18.7.7:%d,' "$port"; done)
	taken "${rules}connect:*:80" "http://$far_kernel/hello"
	left "${rules}connect:*:81" "http://$far_kernel/hello"
}

@test "nothing selected: the library does nothing and the stack is not loaded" {
	web_on_far
	left '' "http://$far_kernel/hello"
	[[ ! -s $BATS_TEST_TMPDIR/client.melin ]] || fail "$(<"$BATS_TEST_TMPDIR/client.melin")"
	FLOWS='' start_melin server near socat TCP-LISTEN:5000,reuseaddr,fork EXEC:cat
	answers far "$near_kernel" 5000
	not module_loaded server
	end server
}

@test "a server that is not selected: the kernel serves, the stack is not loaded" {
	FLOWS='connect:*:*' start_melin server near socat TCP-LISTEN:5000,reuseaddr EXEC:cat
	listens near 5000
	mark_kernel near
	[[ -n $plain ]] || grep -q libmelin "/proc/$(pid_of server)/maps"
	not module_loaded server
	[ "$(echo hello | on far socat -t 30 - "TCP:$near_kernel:5000")" = hello ]
	kernel_moved near 3
	finished server
}

@test "a selected server has loaded the stack, its shell has not" {
	[[ -z $plain ]] || skip "plain run"
	FLOWS='listen:*:5000' start_melin server near bash -c \
		'socat TCP-LISTEN:5000,reuseaddr,fork EXEC:cat & echo child $! ; wait'
	answers far "$near_stack" 5000
	not module_loaded server
	grep -q melin-stack "/proc/$(output_of server | awk '/^child/ { print $2 }')/maps"
	end server
}

# One request to a server under melin with the given rules; $2: what it binds to.
server_with() {
	rm -f "$BATS_TEST_TMPDIR/web.melin"
	FLOWS=$1 start_melin web near "$python" -m http.server --bind "$2" \
		--directory "$BATS_TEST_DIRNAME" 8000
}

serves() {
	local address=${3:-$near_stack}
	server_with "$1" "$2"
	answers far "$address" 8000 || fail "$1 with $2: no answer"
	mark_kernel near
	on far curl -sS -g -o "$BATS_TEST_TMPDIR/got" "http://${4:-$address}:8000/rules.bats"
	cmp "$BATS_TEST_TMPDIR/got" "$BATS_TEST_FILENAME"
	kernel_still near || fail "$1 should have taken the listener on $2"
	end web INT
	took web taken_accept -ge 2
}

does_not_serve() {
	server_with "$1" "$2"
	answers far "$near_kernel" 8000
	mark_kernel near
	on far curl -sS -o "$BATS_TEST_TMPDIR/got" "http://$near_kernel:8000/rules.bats"
	cmp "$BATS_TEST_TMPDIR/got" "$BATS_TEST_FILENAME"
	kernel_moved near 3
	[[ -n $plain ]] || not on far nc -z -w 1 "$near_stack" 8000
	end web INT
}

@test "listen rules that take a listener" {
	serves 'listen:*:8000' 0.0.0.0
	serves 'listen:*:*' 0.0.0.0
	serves 'any:*:8000' 0.0.0.0
	serves 'listen:*:7999-8001' 0.0.0.0
	serves "listen:$near_stack:8000" "$near_stack"
	serves 'listen:198.18.0.0/24:8000' "$near_stack"
	serves '!connect:*:8000,listen:*:8000' 0.0.0.0
}

@test "listen rules that take an IPv6 listener" {
	serves 'listen:*:8000' :: "$near_stack6" "[$near_stack6]"
	serves "listen:[$near_stack6]:8000" "$near_stack6" "$near_stack6" "[$near_stack6]"
	serves 'listen:[fd00::/64]:8000' "$near_stack6" "$near_stack6" "[$near_stack6]"
}

@test "listen rules that leave a listener to the kernel" {
	does_not_serve 'listen:*:8001' 0.0.0.0
	does_not_serve 'listen:*:1-7999' 0.0.0.0
	does_not_serve 'connect:*:*' 0.0.0.0
	does_not_serve '!listen:*:8000,any:*:*' 0.0.0.0
	does_not_serve "listen:$near_stack:8000" "$near_kernel"
}
