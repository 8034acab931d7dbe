#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# melin and the kernel on the same interface: what is not for the stack's addresses carries on.

load lib/common

start_redis() {
	start_melin server near redis-server --bind '*' '-::*' --protected-mode no --save ''
	printed server 'eady to accept connections'
	answers far "$near_stack" 6379
}

@test "a dual listener: the stack's address through the stack, the host's through the kernel" {
	start_redis
	mark_kernel near
	[ "$(on far redis-cli -h "$near_stack" set greeting hello)" = OK ]
	kernel_still near
	[ "$(on far redis-cli -h "$near_kernel" get greeting)" = hello ]
	kernel_moved near 3
	[ "$(on near redis-cli -h 127.0.0.1 get greeting)" = hello ]
	[ "$(on near redis-cli -h "$near_kernel" get greeting)" = hello ]
	[ "$(on far redis-cli -h "$near_stack6" get greeting)" = hello ]
	[ "$(on far redis-cli -h "$near_kernel6" get greeting)" = hello ]
	stop server
}

@test "a dual listener under load from both sides at the same time" {
	start_redis
	start stack far redis-benchmark -h "$near_stack" -c 20 -n 20000 -t set,get -q
	start kernel far redis-benchmark -h "$near_kernel" -c 20 -n 20000 -t set,get -q
	finished stack
	finished kernel
	stop server
	took server taken_accept -ge 41
}

@test "the kernel's addresses answer while melin runs: ping, TCP, UDP, both families" {
	start_redis
	start web near nginx -c "$(nginx_configuration '80; listen [::]:80')" -p "$BATS_TEST_TMPDIR"
	start udp near socat UDP-LISTEN:5000,fork EXEC:cat
	answers far "$near_kernel" 80
	wait_until 60 eval 'on near ss -Hlun "sport = :5000" | grep -q .'
	on far ping -q -c 5 -i 0.05 -W 20 "$near_kernel"
	on far ping -6 -q -c 5 -i 0.05 -W 20 "$near_kernel6"
	[ "$(on far curl -sS "http://$near_kernel/hello")" = "hello from nginx" ]
	[ "$(on far curl -sS -g "http://[$near_kernel6]/hello")" = "hello from nginx" ]
	[ "$(echo hello | on far socat -t 30 - "UDP:$near_kernel:5000,readbytes=6")" = hello ]
	file=$(big_file 20)
	on far curl -sS -o "$BATS_TEST_TMPDIR/got" "http://$near_kernel/big.20"
	cmp "$BATS_TEST_TMPDIR/got" "$file"
	# and out: near's kernel as the client
	start outside far socat TCP-LISTEN:5001,reuseaddr,fork EXEC:cat
	listens far 5001
	[ "$(echo hello | on near nc -N "$far_kernel" 5001)" = hello ]
	on near ping -q -c 3 -i 0.05 -W 20 "$far_kernel"
	# new neighbours are still found
	on far ip neigh flush dev veth0
	on near ip neigh flush dev veth0
	on far ping -q -c 1 -W 20 "$near_kernel"
	on far ping -6 -q -c 1 -W 20 "$near_kernel6"
	[ "$(on far redis-cli -h "$near_stack" ping)" = PONG ]
	stop server
}

@test "ssh to the host's own address while melin runs" {
	start_redis
	dropbearkey -t ed25519 -f "$BATS_TEST_TMPDIR/host" >/dev/null 2>&1
	dropbearkey -t ed25519 -f "$BATS_TEST_TMPDIR/user" 2>/dev/null | grep '^ssh-' \
		>"$BATS_TEST_TMPDIR/user.pub"
	# a home with that key, seen by this one server alone (ip netns exec gives it mounts of its
	# own)
	start sshd near bash -c 'mount -t tmpfs -o mode=700 none ~root && mkdir -m 700 ~root/.ssh &&
		cp "$1/user.pub" ~root/.ssh/authorized_keys &&
		chmod 600 ~root/.ssh/authorized_keys &&
		exec dropbear -F -E -m -p "$2:2222" -r "$1/host" -P "$1/dropbear.process"' \
		sshd "$BATS_TEST_TMPDIR" "$near_kernel"
	answers far "$near_kernel" 2222
	[ "$(on far dbclient -y -y -T -p 2222 -i "$BATS_TEST_TMPDIR/user" "root@$near_kernel" \
		echo hello 2>"$BATS_TEST_TMPDIR/dbclient.out")" = hello ]
	[ "$(on far redis-cli -h "$near_stack" ping)" = PONG ]
	stop server
}

@test "ping and ARP to the stack's addresses are answered by the stack" {
	start_redis
	[[ -z $plain ]] || skip "plain run"
	on far ping -q -c 5 -i 0.05 -W 20 "$near_stack"
	on far ping -6 -q -c 5 -i 0.05 -W 20 "$near_stack6"
	on far ping -q -c 2 -i 0.05 -s 1400 -W 20 "$near_stack"
	on far ip neigh show "$near_stack" | grep -q lladdr
	on far ip neigh show "$near_stack6" | grep -q lladdr
	stop server
	on far ip neigh flush dev veth0
	not on far ping -q -c 1 -W 1 "$near_stack"
}

@test "a restart after kill -9 works at once" {
	start_redis
	[ "$(on far redis-cli -h "$near_stack" ping)" = PONG ]
	end server KILL
	on far ping -q -c 2 -i 0.05 -W 20 "$near_kernel"
	start_redis
	mark_kernel near
	[ "$(on far redis-cli -h "$near_stack" ping)" = PONG ]
	kernel_still near
	stop server
	on far ping -q -c 2 -i 0.05 -W 20 "$near_kernel"
	# and once more, after a clean end
	start_redis
	[ "$(on far redis-cli -h "$near_stack" ping)" = PONG ]
	stop server
}

@test "ten starts and ends in a row leave the interface as it was" {
	before=$(on near ip -d link show dev veth0 | grep -c xdp || true)
	start web far nginx -c "$(nginx_configuration 80)" -p "$BATS_TEST_TMPDIR"
	listens far 80
	for _ in {1..10}; do
		[ "$(melin near curl -sS "http://$far_kernel/hello")" = "hello from nginx" ]
	done
	after=$(on near ip -d link show dev veth0 | grep -c xdp || true)
	[ "$before" -eq "$after" ]
	took client taken_connect -eq 10
}

@test "the second process on an interface says so and goes to libc" {
	start_redis
	start web far nginx -c "$(nginx_configuration 80)" -p "$BATS_TEST_TMPDIR"
	listens far 80
	mark_kernel near
	[ "$(melin near MELIN_LOG=warn curl -sS "http://$far_kernel/hello" \
		2>"$BATS_TEST_TMPDIR/second.out")" = "hello from nginx" ]
	kernel_moved near 3
	[[ -n $plain ]] || {
		[ "$(grep -c melin "$BATS_TEST_TMPDIR/second.out")" -eq 1 ]
		grep -q veth0 "$BATS_TEST_TMPDIR/second.out"
	}
	# the first one does not notice
	mark_kernel near
	[ "$(on far redis-cli -h "$near_stack" ping)" = PONG ]
	kernel_still near
	stop server
}

@test "the second process with MELIN_REQUIRED=1 gets an error" {
	[[ -z $plain ]] || skip "plain run"
	start_redis
	start web far nginx -c "$(nginx_configuration 80)" -p "$BATS_TEST_TMPDIR"
	listens far 80
	mark_kernel near
	status=0
	said=$(melin near MELIN_REQUIRED=1 curl -sS "http://$far_kernel/hello" 2>&1) || status=$?
	[ "$status" -eq 7 ] # curl's own: could not connect
	[[ $said != *"hello from nginx"* ]]
	kernel_still near
	stop server
}

# What the server on a host's port 7000 says, on the given address.
says() {
	[ "$(on far timeout "${patience:-5}" nc -d "$1" 7000 2>/dev/null)" = "$2" ]
}

@test "a second server serves in the kernel and takes over when the first ends" {
	[[ -z $plain ]] || skip "plain run"
	for way in accept poll epoll; do
		start_melin first near redis-server --bind "$near_stack" --protected-mode no \
			--save ''
		answers far "$near_stack" 6379
		start_melin second near "$python" "$programs/say_server.py" 7000 "$way"
		listens near 7000
		wait_until 60 says "$near_kernel" "$way" ||
			fail "$way: the kernel half does not serve"
		not says "$near_stack" "$way"
		kill -KILL "$(pid_of first)"
		wait_until 60 says "$near_stack" "$way" ||
			fail "$way: the stack's half does not serve"
		patience=60 says "$near_kernel" "$way"
		end first
		end second
		took second taken_listen -eq 1
		took second left_stack -eq 1
		[ "$(grep -c 'another process' "$BATS_TEST_TMPDIR/second.melin")" -eq 1 ]
		rm "$BATS_TEST_TMPDIR/second.melin"
	done
}

@test "nginx under melin is reloaded" {
	sed 's/user root/user nobody nogroup/' "$(nginx_configuration 80 on)" \
		>"$BATS_TEST_TMPDIR/reload.conf"
	start_melin server near nginx -c "$BATS_TEST_TMPDIR/reload.conf" -p "$BATS_TEST_TMPDIR"
	answers far "$near_stack" 80
	for _ in 1 2 3; do
		# shellcheck disable=SC2009 # pgrep would count the one before, a zombie, too
		worker=$(ps -o pid=,stat= --ppid "$(pid_of server)" | awk '$2 !~ /^Z/ { print $1 }')
		kill -HUP "$(pid_of server)"
		wait_until 60 gone "$worker" || fail "the old worker is still there"
		wait_until 60 on far curl -sS -m 2 -o /dev/null "http://$near_stack/hello" ||
			fail "the new worker does not answer"
		mark_kernel near
		[ "$(on far curl -sS "http://$near_stack/hello")" = "hello from nginx" ]
		kernel_still near
		[ "$(on far curl -sS "http://$near_kernel/hello")" = "hello from nginx" ]
	done
}

@test "MELIN_REQUIRED=1: a second server is quiet until the device is free" {
	[[ -z $plain ]] || skip "plain run"
	start_redis
	for way in accept poll select epoll edge; do
		[ "$(melin near MELIN_REQUIRED=1 "$python" "$programs/unserved.py" 0.0.0.0 7000 \
			"$way" | tail -n 1 | grep -vE "of [2-9]|of [0-9][0-9]")" != "" ] ||
			fail "$way: not quiet"
	done
	start_melin second near env MELIN_REQUIRED=1 "$python" "$programs/say_server.py" 7000 poll
	listens near 7000
	wait_until 60 says "$near_kernel" poll || fail "the kernel half does not serve"
	end server KILL
	wait_until 60 says "$near_stack" poll || fail "the stack's half does not serve"
	end second
	took second taken_listen -eq 1
}

@test "two programs, a macvlan interface each, and the host reaches them by one of its own" {
	[[ -z $plain ]] || skip "plain run"
	for name in melin1 melin2 host0; do
		ip -n "$(host near)" link add link veth0 name $name type macvlan mode bridge
		ip -n "$(host near)" link set dev $name up
	done
	ip -n "$(host near)" address add 198.18.0.3/32 dev host0
	ADDR=198.18.0.11/24 TESTS_DEVICE=melin1 start_melin first near "$python" -m http.server \
		--directory "$BATS_TEST_DIRNAME" 8001
	ADDR=198.18.0.12/24 TESTS_DEVICE=packet:melin2 start_melin second near "$python" \
		-m http.server --directory "$BATS_TEST_DIRNAME" 8002
	for number in 1 2; do
		ip -n "$(host near)" route add 198.18.0.1$number/32 dev host0 src 198.18.0.3
		answers far 198.18.0.1$number 800$number
		for name in far near; do
			on $name curl -sS -m 60 -o "$BATS_TEST_TMPDIR/got" \
				"http://198.18.0.1$number:800$number/coexist.bats"
			cmp "$BATS_TEST_TMPDIR/got" "$BATS_TEST_FILENAME"
		done
	done
	end first INT
	end second INT
	took first taken_accept -ge 2
	took second taken_accept -ge 2
}
