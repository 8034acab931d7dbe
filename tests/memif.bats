#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# Both ends under melin, over devices that are not a Linux interface: net_memif between two
# processes, net_af_packet, net_tap and net_virtio_user.

load lib/common

memif() { # ROLE
	echo "net_memif0,role=$1,socket=$BATS_TEST_TMPDIR/memif.sock,socket-abstract=no"
}

setup() {
	common_setup
	[[ -z $plain ]] || skip "plain run: these devices are melin's"
}

@test "net_memif: redis-server and redis-benchmark, both under melin" {
	ADDR=$near_stack/24 start_melin server near "MELIN_DEV=$(memif server)" \
		redis-server --bind '*' --protected-mode no --save ''
	printed server 'eady to accept connections'
	mark_kernel near
	mark_kernel far
	[ "$(ADDR=$far_stack/24 melin far "MELIN_DEV=$(memif client)" \
		redis-cli -h "$near_stack" set greeting hello)" = OK ]
	ADDR=$far_stack/24 melin far "MELIN_DEV=$(memif client)" \
		redis-benchmark -h "$near_stack" -c 20 -n 20000 -t set,get -q
	kernel_still near
	kernel_still far
	stop server
	took server taken_accept -ge 41
	took client taken_connect -ge 41
}

@test "net_memif: 100 MB from python's http.server to curl, both under melin" {
	file=$(big_file 100)
	ADDR=$near_stack/24 start_melin server near "MELIN_DEV=$(memif server)" "$python" -u \
		-m http.server --directory "$BATS_FILE_TMPDIR" 8000
	printed server 'Serving HTTP'
	ADDR=$far_stack/24 melin far "MELIN_DEV=$(memif client)" curl -sS --retry 3 \
		--retry-connrefused -o "$BATS_TEST_TMPDIR/got" "http://$near_stack:8000/big.100"
	cmp "$BATS_TEST_TMPDIR/got" "$file"
	end server INT
	took client rx_bytes -ge 104857600
	took server tx_bytes -ge 104857600
}

# DPDK has no descriptor table of its own then, and opens some for each peer that comes.
@test "net_memif: its descriptors are none of the program's" {
	local program=$programs/limits.py
	start echo far "$python" "$programs/echo_server.py" asyncio 7000
	answers near "$far_kernel" 7000
	on near "$python" "$program" "$far_kernel" 7000 >"$BATS_TEST_TMPDIR/kernel"
	ADDR=$near_stack/24 start_melin server near "MELIN_DEV=$(memif server)" "$python" \
		"$programs/echo_server.py" asyncio 7000
	wait_until 60 grep -q 'device net_memif' "$BATS_TEST_TMPDIR/server.melin"
	ADDR=$far_stack/24 melin far "MELIN_DEV=$(memif client)" "$python" "$program" \
		"$near_stack" 7000 >"$BATS_TEST_TMPDIR/melin"
	took client taken_connect -eq 1
	diff "$BATS_TEST_TMPDIR/kernel" "$BATS_TEST_TMPDIR/melin"
}

# A device that puts its frames on a Linux interface of near's, seen by far's kernel.
echo_over() { # MELIN_DEV
	start_melin server near "MELIN_DEV=$1" "$python" "$programs/echo_server.py" asyncio 7000
	if [[ -n ${after_start:-} ]]; then
		wait_until 60 "$after_start" || fail "$after_start"
	fi
	answers far "$near_stack" 7000
	mark_kernel near
	[ "$(on far "$python" "$programs/echo_clients.py" "$near_stack" 7000 20 20)" = \
		"20 clients, 400 echoes" ]
	kernel_still near
	stop server
	took server taken_accept -ge 21
}

@test "net_af_packet on the veth" {
	# A packet socket is shown what the sender's kernel would still have cut into frames.
	on far ethtool -K veth0 tso off gso off >/dev/null
	echo_over net_af_packet0,iface=veth0
}

# The driver makes a tap interface in near; the far host gets it in place of the veth, when the
# driver is done with it.
move_tap() {
	grep -q 'device net_' "$BATS_TEST_TMPDIR/server.melin" 2>/dev/null || return
	ip -n "$(host near)" link set dev tap0 netns "$(host far)" 2>/dev/null || return
	address far tap0 "$far_kernel/24" "$far_kernel6/64"
	ip -n "$(host far)" link set dev tap0 up
}

tap() {
	on near test -c /dev/net/tun || skip "there is no /dev/net/tun"
	ip -n "$(host near)" link delete dev veth0
	after_start=move_tap
}

@test "net_tap" {
	tap
	echo_over net_tap0,iface=tap0
}

@test "net_virtio_user with vhost-net" {
	[[ -c /dev/vhost-net ]] || skip "there is no /dev/vhost-net (kernel module vhost_net)"
	tap
	echo_over net_virtio_user0,path=/dev/vhost-net,iface=tap0,queue_size=1024
}
