#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# The cable: MTU, VLAN, loss, delay and disorder, offloads of the peer, device settings.

load lib/common

setup() {
	common_setup
	file=$(big_file 5)
}

# A file in both directions between far's kernel and melin on near.
both_ways() {
	start web far nginx -c "$(nginx_configuration 80)" -p "$BATS_TEST_TMPDIR"
	listens far 80
	mark_kernel near
	melin near "$@" curl -sS --max-time 90 -o "$BATS_TEST_TMPDIR/got" \
		"http://$far_kernel/$(basename "$file")"
	cmp "$BATS_TEST_TMPDIR/got" "$file"
	end web
	start sink far "$python" "$programs/http_put.py" "$far_kernel" 8000
	printed sink ready
	[ "$(melin near "$@" curl -sS --max-time 90 -T "$file" "http://$far_kernel:8000/")" = \
		"$(sha256 "$file")" ]
	end sink
	kernel_still near
}

mtu() {
	ip -n "$(host near)" link set dev veth0 mtu "$1"
	ip -n "$(host far)" link set dev veth0 mtu "$1"
}

# What a host's veth0 has received: received HOST packets|bytes
received() {
	on "$1" cat "/sys/class/net/veth0/statistics/rx_$2"
}

# A file from melin on near to far's kernel, by the address: send_file ADDRESS
send_file() {
	start sink far "$python" "$programs/http_put.py" "$1" 8000
	printed sink ready
	[ "$(melin near curl -sS --max-time 90 -T "$file" "http://${2:-$1}:8000/")" = \
		"$(sha256 "$file")" ]
	end sink
}

# In place of the direct cable one that is not perfect (tests/programs/cable.c): cable WORD...
cable() {
	ip -n "$(host near)" link delete dev veth0
	make_host middle
	connect_hosts near veth0 middle near
	connect_hosts far veth0 middle far
	address near veth0 "$near_kernel/24" "$near_kernel6/64"
	address far veth0 "$far_kernel/24" "$far_kernel6/64"
	if [[ -n $plain ]]; then
		address near veth0 "$near_stack/24"
	fi
	# A frame that leaves a kernel for a packet socket must be complete.
	on near ethtool -K veth0 tx off tso off gso off >/dev/null
	on far ethtool -K veth0 tx off tso off gso off >/dev/null
	start cable middle "$build/tests/programs/cable" near far "$@"
	printed cable ready
}

@test "a link with MTU 900" {
	mtu 900 # too small for IPv6
	ADDR=$near_stack/24 both_ways
}

@test "a link with MTU 3000" {
	mtu 3000
	both_ways
	took client rx_frames -le 9000 # 5 MB in each direction; 1,500 bytes each would be more
}

@test "bulk leaves in large segments, which a kernel behind a veth gets whole" {
	[[ -z $plain ]] || skip "plain run: it is the stack's way of sending"
	send_file "$far_kernel"
	send_file "$far_kernel6" "[$far_kernel6]"
	[ "$(received far bytes)" -ge $((2 * 5 << 20)) ]
	[ "$(received far packets)" -le 3000 ] # of 1,500 bytes there would be 7,200
	took client tx_frames -ge 3600
}

@test "large segments are cut where the interface cannot carry them" {
	on near ethtool -K veth0 tx off tso off gso off >/dev/null
	send_file "$far_kernel"
	send_file "$far_kernel6" "[$far_kernel6]"
	[ "$(received far packets)" -ge 7200 ]
}

@test "packet sockets: bulk comes and goes in large segments, and the peer keeps its offloads" {
	[[ -z $plain ]] || skip "plain run: it is a device of the stack's"
	export TESTS_DEVICE=packet:veth0
	file=$(big_file 20)
	both_ways
	[ "$(received far packets)" -le 10000 ] # of 1,500 bytes: 14,000 and acknowledgements
	[ "$(received near packets)" -le 10000 ]
	on far ethtool -k veth0 | grep -q '^tcp-segmentation-offload: on'
	send_file "$far_kernel6" "[$far_kernel6]"
}

@test "packet sockets: over a cable with loss and disorder" {
	[[ -z $plain ]] || skip "plain run: it is a device of the stack's"
	export TESTS_DEVICE=packet:veth0
	cable loss=1 disorder=10 delay=1
	both_ways
}

@test "packet sockets: the largest MTU there is" {
	[[ -z $plain ]] || skip "plain run: it is a device of the stack's"
	export TESTS_DEVICE=packet:veth0
	mtu 65535
	both_ways
	grep -q 'MTU 65521, .* 3360 buffers' "$BATS_TEST_TMPDIR/client.melin"
}

@test "packet sockets: segments are large again after a time with a smaller MTU" {
	[[ -z $plain ]] || skip "plain run: it is a device of the stack's"
	export TESTS_DEVICE=packet:veth0
	start sink far "$python" "$programs/http_put.py" "$far_kernel" 8000
	printed sink ready
	# One connection: two files, and while the MTU is smaller a third that cannot come through
	# at first.
	start_melin client near "$python" "$programs/http_put_again.py" "$far_kernel" 8000 "$file" 1
	printed client "^1 $(sha256 "$file")"
	mtu 1000
	sleep 1.3
	mtu 1500
	printed client "^2 $(sha256 "$file")"
	before=$(received far packets)
	printed client "^3 $(sha256 "$file")"
	[ $(($(received far packets) - before)) -le 2400 ] # of 1,500 bytes there would be 3,600
}

@test "MELIN_MTU below the link's" {
	ADDR=$near_stack/24 both_ways MELIN_MTU=800
	took client tx_frames -ge 6500
}

@test "a peer without offloads" {
	on far ethtool -K veth0 tx off rx off tso off gso off gro off >/dev/null
	both_ways
}

@test "a VLAN" {
	[[ -z $plain ]] || skip "plain run"
	cable vlan=7
	start web far nginx -c "$(nginx_configuration 80)" -p "$BATS_TEST_TMPDIR"
	answers far "$far_kernel" 80
	mark_kernel near
	melin near MELIN_VLAN=7 curl -sS --max-time 90 -o "$BATS_TEST_TMPDIR/got" \
		"http://$far_kernel/$(basename "$file")"
	cmp "$BATS_TEST_TMPDIR/got" "$file"
	kernel_still near
	took client taken_connect -eq 1
	# the same without the tag, and with another, does not get through
	not melin near curl -sS --max-time 2 "http://$far_kernel/hello"
	not melin near MELIN_VLAN=8 curl -sS --max-time 2 "http://$far_kernel/hello"
}

@test "loss of 1 % each way" {
	cable loss=1
	both_ways
	took client retransmissions -ge 1
}

@test "loss of 10 % each way" {
	file=$(big_file 1)
	cable loss=10
	both_ways
	took client retransmissions -ge 1
}

@test "delay of 10 ms" {
	cable delay=10
	both_ways
}

@test "disorder: one frame in ten is overtaken" {
	cable disorder=10
	both_ways
}

@test "one frame in ten comes twice" {
	cable duplicate=10
	both_ways
}

@test "all of it at once, a server under melin" {
	cable loss=0.5 delay=1 disorder=2 duplicate=2
	start_melin web near nginx -c "$(nginx_configuration 80)" -p "$BATS_TEST_TMPDIR"
	answers far "$near_stack" 80
	mark_kernel near
	on far curl -sS --max-time 90 -o "$BATS_TEST_TMPDIR/got" \
		"http://$near_stack/$(basename "$file")"
	cmp "$BATS_TEST_TMPDIR/got" "$file"
	kernel_still near
	stop web
}

@test "few descriptors and few buffers" {
	both_ways MELIN_RXD=64 MELIN_TXD=64 MELIN_MBUFS=1024
}

@test "more queues than the device has: a warning, and it works" {
	start web far nginx -c "$(nginx_configuration 80)" -p "$BATS_TEST_TMPDIR"
	listens far 80
	mark_kernel near
	melin near MELIN_LOG=warn MELIN_QUEUES=16 curl -sS -o "$BATS_TEST_TMPDIR/got" \
		"http://$far_kernel/$(basename "$file")" 2>"$BATS_TEST_TMPDIR/error.out"
	cmp "$BATS_TEST_TMPDIR/got" "$file"
	kernel_still near
	[[ -n $plain ]] || grep -qi 'queue' "$BATS_TEST_TMPDIR/error.out"
}

@test "2,000 clients at once while the server is busy: none is reset" {
	start_melin server near "$python" "$programs/busy_server.py" 7000 4096 0.3
	printed server ready
	[ "$(on far "$python" "$programs/crowd.py" "$near_stack" 7000 2000 0)" = "2000 hello" ]
	stop server
	took server taken_accept -ge 2001
}

@test "a flood of SYNs beside honest clients 20 ms away: none is lost" {
	cable delay=10
	on near sysctl -qw net.ipv4.tcp_max_syn_backlog=500
	start_melin server near "$python" "$programs/busy_server.py" 7000 100 0
	printed server ready
	answers far "$near_stack" 7000
	mac=$(on near cat /sys/class/net/veth0/address)
	start flood far "$python" "$programs/syn_flood.py" veth0 "$mac" "$near_stack" 7000 9000
	printed flood ready
	[[ -n $plain ]] || wait_until 60 grep -q "SYNs are answered by cookies" \
		"$BATS_TEST_TMPDIR/server.melin"
	run on far "$python" "$programs/crowd.py" "$near_stack" 7000 40 0.02
	[ "$output" = "40 hello" ] || fail "$output"
	stop flood
	stop server
}

@test "two ends that call each other at the same time" {
	# So long are the SYNs under way that neither end is too late, on a busy machine either; and
	# not so long that they are sent again, which is after a second.
	cable delay=900
	local when=$BATS_TEST_TMPDIR/when
	start_melin near near "$python" "$programs/call.py" "$near_stack" 7000 "$far_kernel" 7001 \
		"$when" 0.05 well
	printed near ready
	start far far "$python" "$programs/call.py" "$far_kernel" 7001 "$near_stack" 7000 \
		"$when" 0 hello
	printed far ready
	echo "$((EPOCHSECONDS + 1)).5" >"$when.new"
	mv "$when.new" "$when"
	finished far
	finished near
	[ "$(output_of far)" = $'ready\nwell' ]
	[ "$(output_of near)" = $'ready\nhello' ]
	took near taken_connect -eq 2
}

@test "1,000 clients that do not read cost little, and who reads gets all" {
	start_melin server near "$python" "$programs/unread.py" serve 7000 1000
	printed server ready
	run on far "$python" "$programs/unread.py" ask "$near_stack" 7000 1000
	[ "${output//$'\n'/ }" = "300000 300000 300000" ] || fail "$output"
	grown=$(sed -n 's/^grown by //p' "$BATS_TEST_TMPDIR/server.out")
	[[ -n $plain || $grown -lt 128 ]] || fail "it has grown by $grown MB"
	end server
}
