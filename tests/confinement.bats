#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# What a process is told that its surroundings keep from the device: a filter of socket families, a
# user namespace, no /sys and no /proc. One line names the cause and the mend, and the program goes
# on by the kernel.

bats_require_minimum_version 1.5.0
load lib/common

setup() {
	common_setup
	[[ -z $plain ]] || skip "plain run"
	error=$BATS_TEST_TMPDIR/error.out
	start web far "$python" -m http.server --bind "$far_kernel" 8000
	listens far 8000
}

# One request from near by curl under melin, through a program that confines it:
# confined DEVICE PROGRAM [ARGUMENT...]
confined() {
	local device=$1
	shift
	[[ $(on near "$@" env "LD_PRELOAD=$library" "MELIN_DEV=$device" \
		"MELIN_ADDR=$near_stack/24" MELIN_FLOWS='any:*:*' curl -sS -o /dev/null \
		-w '%{http_code}' "http://$far_kernel:8000/" 2>"$error") == 200 ]] ||
		fail "$(<"$error")"
}

# Nothing but this line, a pattern, was printed.
told() {
	# shellcheck disable=SC2053 # a pattern is what is wanted
	[[ $(<"$error") == melin:\ $1\ [* ]] || fail "$(<"$error")"
	[[ $(wc -l <"$error") -eq 1 ]] || fail "$(<"$error")"
}

refuse=("$python" "$programs/refuse_calls.py")

@test "socket families that a service may not use" {
	local what='a filter of system calls refuses sockets of'
	local add="if this is a service of systemd's, add"
	for family in AF_XDP AF_PACKET; do
		confined veth0 "${refuse[@]}" "$family"
		told "veth0: $what $family, which MELIN_DEV=veth0 needs; $add $family to its \
RestrictAddressFamilies=; its flows go to the kernel"
	done
	confined packet:veth0 "${refuse[@]}" AF_PACKET,AF_NETLINK
	told "packet:veth0: $what AF_NETLINK AF_PACKET, which MELIN_DEV=packet:veth0 needs; $add \
AF_NETLINK AF_PACKET to its RestrictAddressFamilies=; its flows go to the kernel"
}

@test "what the device can do without is not asked for" {
	mark_kernel near
	confined packet:veth0 "${refuse[@]}" AF_XDP
	[[ ! -s $error ]] || fail "$(<"$error")"
	kernel_still near
	confined veth0 "${refuse[@]}" AF_NETLINK
	told "a filter *AF_NETLINK to its RestrictAddressFamilies="
	kernel_still near
}

@test "without /sys, without /proc: DPDK would end the program" {
	confined veth0 unshare --mount bash -c 'mount -t tmpfs none /sys && exec "$@"' bash
	told "veth0: DPDK does not start: /sys is not mounted *; its flows go to the kernel"
	confined packet:veth0 unshare --mount bash -c 'mount -t tmpfs none /proc && exec "$@"' bash
	told "packet:veth0: DPDK does not start: /proc is not mounted *; its flows go to the kernel"
}

@test "in a user namespace: AF_XDP has no permission, packet sockets have" {
	# shellcheck disable=SC2016
	local net='ip link add veth0 type veth peer name veth1 && ip link set lo up &&
		ip address add 198.18.1.1/24 dev veth0 && ip link set veth0 up &&
		ip link set veth1 up && exec "$@"'
	unshare --user true 2>/dev/null || skip "this kernel makes no user namespaces"
	for device in veth0 packet:veth0; do
		timeout -k 5 "$limit" unshare --user --map-root-user --net --mount bash -c "$net" \
			bash env "LD_PRELOAD=$library" "MELIN_DEV=$device" \
			MELIN_ADDR=198.18.1.10/24 MELIN_FLOWS='any:*:*' "$python" \
			"$programs/tcp_flows.py" connect:198.18.1.2:9 2>"$error"
		if [[ $device == veth0 ]]; then
			told "veth0: no permission to use AF_XDP on veth0: this process is in a \
user namespace (a container), *; MELIN_DEV=packet:veth0 does without; its flows go to the kernel"
		else
			[[ ! -s $error ]] || fail "$(<"$error")"
		fi
	done
}
