#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# Devices without a stack: tests/link/link_echo opens a link and answers ARP, neighbour discovery
# and ping by hand. Who may open an interface and when, what is left behind, what goes to the
# kernel, what is done with frames good and bad.

bats_require_minimum_version 1.5.0
load lib/common

echo=$build/tests/link/link_echo
frames=$BATS_TEST_DIRNAME/link/frames.py

setup() {
	[[ -z $plain ]] || skip "plain run: without a stack there is nothing to compare"
	common_setup
}

# Opens a link on near and waits until it serves: link NAME SETTING... (a comma-separated list of
# addresses in ADDR, a device in DEVICE)
link() {
	local name=$1
	shift
	start "$name" near "${link_as[@]}" "$echo" "${DEVICE:-veth0}" \
		"${ADDR:-$near_stack,$near_stack6}" "$build" seconds=250 "$@"
	printed "$name" '^open:.*driver'
}

# It must not open; prints why.
refused() {
	local output settings=${SETTINGS:-}
	# shellcheck disable=SC2086 # words
	if output=$(on near "$@" "$echo" "${DEVICE:-veth0}" "${ADDR:-$near_stack}" \
		"${MODULE:-$build}" $settings seconds=0); then
		fail "it opened: $output"
	fi
	grep '^open:' <<<"$output"
}

has() {
	grep -qF -- "$2" <<<"$1" || fail "\"$2\" is not in: $1"
}

# Three pings to an address, each answered: ping_thrice HOST [OPTION...] ADDRESS. With more than one
# at a time ping(8) would send a fourth if an answer took longer than the pause between two.
ping_thrice() {
	local i
	for i in 1 2 3; do
		on "$1" ping -q -c 1 -i 60 -w 60 "${@:2}" >/dev/null || return
	done
}

pings() { # HOST ADDRESS...
	local host=$1 address
	shift
	for address; do
		ping_thrice "$host" "$address" || fail "no answer from $address"
	done
}

# A number of link_echo's last lines: seen LOG WORD
seen() {
	sed -nE "s/^(seen|counters):.*[ (]([0-9]+) $2.*/\2/p" "$BATS_TEST_TMPDIR/$1.out"
}

xdp_of() {
	ip -n "$(host near)" -d link show dev veth0 |
		sed -nE 's/.*prog\/xdp id [0-9]+ name ([^ ]+).*/\1/p'
}

no_xdp() {
	[[ -z $(xdp_of) ]]
}

@test "an interface: the stack's addresses are answered and the kernel's stay the kernel's" {
	link near
	[ "$(xdp_of)" = melin_xdp ]
	pings far "$near_stack" "$near_stack6" "$near_kernel" "$near_kernel6"
	pings near "$far_kernel" "$far_kernel6"
	stop near
	[ "$(seen near ping,)" -eq 6 ]
	[ "$(seen near solicit)" -ge 1 ]
	[ "$(seen near other)" -eq 0 ] # nothing of the kernel's came up
	no_xdp
}

@test "an interface: DPDK's descriptors are not among the program's low numbers" {
	link near
	pid=$(pid_of near)
	targets=$(find "/proc/$pid/fd" -type l -printf '%f %l\n')
	[ "$(grep -cE '^4[0-9]{3} ' <<<"$targets")" -ge 3 ] ||
		fail "no descriptors with high numbers: $targets"
	if grep -E '^[0-9]{1,2} .*(bpf|memfd|timerfd|btf)' <<<"$targets"; then
		fail "descriptors of DPDK's"
	fi
	threads=$(cat /proc/"$pid"/task/*/comm | sort | tr '\n' ' ')
	has "$threads" melin-dpdk
	for task in /proc/"$pid"/task/*; do
		[[ $(<"$task/comm") == link_echo ]] && continue
		grep -q '^SigBlk:.*fffffffe7ffbfeff' "$task/status" ||
			fail "signals reach $(<"$task/comm")"
	done
	[ "$(taskset -p "$pid" | sed 's/.*: //')" = "$(taskset -p $$ | sed 's/.*: //')" ]
}

@test "an interface: a second process waits its turn" {
	link first
	has "$(refused)" "EBUSY"
	has "$(refused)" "another process under melin uses interface veth0"
	pings far "$near_stack"
	stop first
	link second
	pings far "$near_stack"
}

# A name that any user can have says nothing; what says it needs CAP_NET_RAW.
@test "an interface: no other user of the machine can keep it to himself" {
	start nobody near python3 -c '
import os, signal, socket
os.setgroups([])
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)
index = socket.if_nametoindex("veth0")
names = []
for kind in socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET:
    names.append(socket.socket(socket.AF_UNIX, kind))
    names[-1].bind(f"\0melin/interface/{index}")
try:
    socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM)
except PermissionError:
    print("ready", flush=True)
signal.pause()'
	printed nobody ready
	link near
	pings far "$near_stack"
	stop near
}

@test "an interface: a start right after kill -9" {
	link first
	pings far "$near_stack"
	kill -KILL "$(pid_of first)"
	link second
	pings far "$near_stack"
	stop second
	no_xdp
}

@test "an interface: a queue that the kernel has not let go of yet is waited for" {
	start holder near "$python" "$programs/xdp_hold.py" veth0 0.6
	printed holder held
	link near
	finished holder
	pings far "$near_stack"
	stop near
	start holder near "$python" "$programs/xdp_hold.py" veth0 60
	printed holder held
	has "$(refused)" "does another AF_XDP program use them?"
}

@test "an interface: a program that a dead process left is removed" {
	ip -n "$(host near)" link set dev veth0 xdp object "$build/melin_xdp.o" section xdp
	[ "$(xdp_of)" = melin_xdp ]
	pings far "$near_kernel" # it passes everything
	link near
	pings far "$near_stack"
}

@test "an interface: another's XDP program stays" {
	sed 's/melin_xdp(struct/other(struct/' "$BATS_TEST_DIRNAME/../dpdk/xdp/melin_xdp.c" \
		>"$BATS_TEST_TMPDIR/other.c"
	command -v clang >/dev/null || skip "needs clang to compile another XDP program"
	clang -target bpf -O2 -g -I"$BATS_TEST_DIRNAME/../dpdk/xdp" \
		-idirafter "/usr/include/$(gcc -print-multiarch)" -c "$BATS_TEST_TMPDIR/other.c" \
		-o "$BATS_TEST_TMPDIR/other.o"
	ip -n "$(host near)" link set dev veth0 xdp object "$BATS_TEST_TMPDIR/other.o" section xdp
	why=$(refused)
	has "$why" "EBUSY"
	has "$why" "ip link set dev veth0 xdp off"
	[ "$(xdp_of)" = other ]
}

@test "an interface: what is missing is said" {
	has "$(refused setpriv --reuid=65534 --clear-groups)" \
		"CAP_NET_ADMIN CAP_NET_RAW CAP_BPF missing"
	has "$(refused setpriv --bounding-set=-net_raw --inh-caps=-net_raw)" " CAP_NET_RAW missing"
	has "$(refused prlimit --memlock=1000000 setpriv --reuid=65534 --clear-groups \
		--inh-caps=-all,+net_admin,+net_raw,+bpf \
		--ambient-caps=-all,+net_admin,+net_raw,+bpf)" \
		"or give it CAP_IPC_LOCK"
	has "$(MODULE=$BATS_TEST_TMPDIR refused)" "no XDP program melin_xdp.o in $BATS_TEST_TMPDIR"
	has "$(ADDR=$near_kernel refused)" "EADDRINUSE"
	ip -n "$(host near)" link set dev veth0 name veth1
	has "$(refused)" "no interface veth0"
}

@test "an interface: an ordinary user with the capabilities" {
	link_as=(setpriv --reuid=65534 --clear-groups
		"--inh-caps=-all,+net_admin,+net_raw,+bpf,+ipc_lock"
		"--ambient-caps=-all,+net_admin,+net_raw,+bpf,+ipc_lock")
	link near
	pings far "$near_stack" "$near_stack6"
	stop near
	no_xdp
}

@test "a priority tag: VLAN 0 is no VLAN, on each kind of device" {
	on far ethtool -K veth0 txvlan off >/dev/null
	link near
	[ "$(on far "$python" "$frames" veth0 vlan 0 "$near_stack" 60)" = "answer 0" ]
	[ "$(on far "$python" "$frames" veth0 vlan 7 "$near_stack" 2)" = "no answer" ]
	stop near
	DEVICE=packet:veth0
	link near
	[ "$(on far "$python" "$frames" veth0 vlan 0 "$near_stack" 60)" = "answer 0" ]
	[ "$(on far "$python" "$frames" veth0 vlan 7 "$near_stack" 2)" = "no answer" ]
	stop near
}

@test "an interface: wishes beyond the device are clamped and said" {
	link near queues=3 rxd=100 txd=77 mtu=9000 mbufs=100
	output=$(output_of near)
	has "$output" "MELIN_QUEUES=3: the device can do 1 to 1, using 1"
	has "$output" "MELIN_RXD=100: the device needs a power of two, using 128"
	has "$output" "MELIN_TXD=77: on an interface it is as MELIN_RXD, using 128"
	has "$output" "MELIN_MTU=9000: the device can do"
	has "$output" "MELIN_MBUFS=100: the device's rings need more"
	size=$(sed -nE 's/^open:.* mtu ([0-9]+),.*/\1/p' <<<"$output")
	[ "$size" -gt 3000 ]
	[ "$(on near cat /sys/class/net/veth0/mtu)" -eq "$size" ]
	ip -n "$(host far)" link set dev veth0 mtu "$size"
	ping_thrice far -M 'do' -s $((size - 28)) "$near_stack"
}

@test "an interface: frames that nobody frees do not stop the others" {
	link near hold=20000 mbufs=1
	on far ping -q -f -c 10000 -w 90 "$near_stack"
	stop near
	[ "$(seen near ping,)" -ge 10000 ] # ping(8) sends more while an answer is late
}

@test "an interface: a child lets go, the parent goes on" {
	link near fork=1
	printed near '^child: 7'
	pings far "$near_stack"
	stop near
}

@test "checksums: finished and unfinished are taken, no other form" {
	link near
	on far "$python" "$frames" veth0 sums "$near_stack"
	on far "$python" "$frames" veth0 sums "$near_stack6"
	pings far "$near_stack" # what came before it has been seen
	stop near
	[ "$(seen near tcp)" -eq 4 ]
	[ "$(seen near 'bad checksum')" -eq 6 ]
}

@test "frames that are cut end here" {
	link near
	on far "$python" "$frames" veth0 cut "$near_stack"
	on far "$python" "$frames" veth0 cut "$near_stack6"
	pings far "$near_stack"
	stop near
	[ "$(seen near tcp)" -eq 0 ]
}

@test "a VLAN: its frames are answered with its tag, others are not" {
	link near vlan=7
	on far ethtool -K veth0 txvlan off >/dev/null
	[ "$(on far "$python" "$frames" veth0 vlan 7 "$near_stack" 60)" = "answer 7" ]
	[ "$(on far "$python" "$frames" veth0 vlan 8 "$near_stack" 2)" = "no answer" ]
	stop near
	[ "$(seen near ping,)" -eq 1 ]
}

# What is still in the rings of shared memory when one end leaves is lost, so the sender stays until
# the receiver has seen it all: arrives SERVER-DEVICE CLIENT-DEVICE
arrives() {
	DEVICE=$1 link server until=100000
	start client near "$echo" "$2" "$far_stack" "$build" seconds=1 blast=100000 stay=250 \
		length=200 to="$near_stack"
	finished server
	stop client
	[ "$(seen server other)" -eq 100000 ]
}

# What the kernel does with frames at near's ingress, before it looks at them.
ingress() {
	on near tc filter show dev veth0 ingress
}

@test "packet sockets: the stack's addresses are answered and the kernel's stay the kernel's" {
	DEVICE=packet:veth0
	link near
	pings far "$near_stack" "$near_stack6" "$near_kernel" "$near_kernel6"
	pings near "$far_kernel" "$far_kernel6"
	no_xdp
	has "$(ingress)" direct-action
	stop near
	[ "$(seen near ping,)" -eq 6 ]
	[ "$(seen near other)" -eq 0 ]
	[ -z "$(ingress)" ]
}

@test "packet sockets: a kernel that is a router does not send the stack's frames on" {
	DEVICE=packet:veth0
	on near sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
	link near
	before=$(on near awk '/^Ip: [0-9]/ { print $7 + $10 }' /proc/net/snmp) # forwarded, sent
	pings far "$near_stack" "$near_stack6"
	[ "$(on near awk '/^Ip: [0-9]/ { print $7 + $10 }' /proc/net/snmp)" -eq "$before" ]
	stop near
	[ "$(seen near ping,)" -eq 6 ]
}

@test "packet sockets: a second process waits its turn, and a start right after kill -9" {
	DEVICE=packet:veth0
	link first
	has "$(refused)" "another process under melin uses interface veth0"
	has "$(DEVICE=veth0 refused)" "another process under melin uses interface veth0"
	pings far "$near_stack"
	kill -KILL "$(pid_of first)"
	wait_until 60 gone "$(pid_of first)"
	has "$(ingress)" direct-action
	link second
	pings far "$near_stack"
	stop second
	[ -z "$(ingress)" ]
}

@test "packet sockets: an ordinary user with two capabilities, beside another's XDP program" {
	DEVICE=packet:veth0
	has "$(refused setpriv --reuid=65534 --clear-groups)" \
		"no permission to use packet sockets on veth0: CAP_NET_ADMIN CAP_NET_RAW missing"
	link_as=(setpriv --reuid=65534 --clear-groups "--inh-caps=-all,+net_admin,+net_raw"
		"--ambient-caps=-all,+net_admin,+net_raw")
	link near
	pings far "$near_stack" "$near_stack6"
}

@test "packet sockets: wishes beyond them are clamped and said" {
	DEVICE=packet:veth0
	link near queues=3 rxd=100 txd=77 mtu=9000 mbufs=100
	output=$(output_of near)
	has "$output" "MELIN_QUEUES=3: the device can do 1 to 1, using 1"
	has "$output" "MELIN_RXD=100: the device can do 1 to 64, using 64"
	has "$output" "MELIN_TXD=77: the device can do 1 to 64, using 64"
	has "$output" "MELIN_MTU=9000: the device can do 68 to 1500, using 1500"
	has "$output" "MELIN_MBUFS=100: the device's rings need more"
	pings far "$near_stack"
	has "$(SETTINGS=vlan=7 refused)" "EBUSY"
	stop near
	has "$(SETTINGS=vlan=7 refused)" "give it the VLAN's own interface"
}

@test "packet sockets: frames that nobody frees do not stop the others" {
	DEVICE=packet:veth0
	link near hold=20000 mbufs=1
	on far ping -q -f -c 10000 -w 90 "$near_stack"
	stop near
	[ "$(seen near ping,)" -ge 10000 ] # ping(8) sends more while an answer is late
}

@test "packet sockets: a child lets go, the parent goes on" {
	DEVICE=packet:veth0
	link near fork=1
	printed near '^child: 7'
	pings far "$near_stack"
	stop near
}

@test "packet sockets: checksums as on other links, and frames that are cut" {
	DEVICE=packet:veth0
	link near
	on far "$python" "$frames" veth0 sums "$near_stack"
	on far "$python" "$frames" veth0 sums "$near_stack6"
	on far "$python" "$frames" veth0 cut "$near_stack"
	on far "$python" "$frames" veth0 cut "$near_stack6"
	pings far "$near_stack" # what came before it has been seen
	stop near
	[ "$(seen near tcp)" -eq 4 ]
	[ "$(seen near 'bad checksum')" -eq 6 ]
}

@test "packet sockets: of segments larger than 64 KB the beginning is taken" {
	on far ip link set dev veth0 gso_max_size 200000 || skip "this kernel has no such segments"
	DEVICE=packet:veth0
	link near
	on far "$python" "$frames" veth0 long6 "$near_stack6"
	pings far "$near_stack" # what came before it has been seen
	stop near
	[ "$(seen near tcp)" -eq 2 ]
	[ "$(seen near 'bad checksum')" -eq 0 ]
}

@test "net_memif: what is sent arrives" {
	socket=$BATS_TEST_TMPDIR/memif.sock
	arrives "net_memif0,role=server,socket=$socket,socket-abstract=no" \
		"net_memif0,role=client,socket=$socket,socket-abstract=no"
}

@test "net_virtio_user and net_vhost: what is sent arrives" {
	socket=$BATS_TEST_TMPDIR/vhost.sock
	arrives "net_vhost0,iface=$socket" "net_virtio_user0,path=$socket"
}

@test "net_tap: the kernel pings the stack through it" {
	on near test -c /dev/net/tun || skip "there is no /dev/net/tun"
	DEVICE=net_tap0,iface=tap0 ADDR=198.18.9.10,fd00:9::10 link near
	address near tap0 198.18.9.1/24 fd00:9::1/64
	ip -n "$(host near)" link set dev tap0 up
	pings near 198.18.9.10 fd00:9::10
	# The driver's own way is a real-time signal for every frame: none of those is caught.
	[ $((0x$(sed -n 's/^SigCgt:\t//p' "/proc/$(pid_of near)/status") & 0x7ffffffe00000000)) \
		-eq 0 ]
	stop near
}

@test "a device that does not exist says DPDK's own code and text" {
	run -1 on near "$echo" net_nosuch0 "$near_stack" "$build"
	has "$output" "DPDK cannot use device net_nosuch0: error 14: no driver"
	run -1 on near "$echo" 0000:ff:1f.7 "$near_stack" "$build"
	has "$output" "no driver took it"
	run -1 on near "$echo" veth0 "$near_stack" "$build" "eal='unfinished"
	has "$output" "MELIN_EAL: a quote or a backslash is not finished"
	run -1 on near "$echo" veth0 "$near_stack" "$build" "eal=--no-such-option"
	has "$output" "DPDK does not start: error 22"
}
