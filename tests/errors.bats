#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# What a user sees of his own mistakes in the variables: a line that names them, exit status 2, and
# a program that has not run. The whole list of mistakes is in the unit tests (test_config,
# test_rules); here each kind goes through the real library.

bats_require_minimum_version 1.5.0

setup() {
	library=${TESTS_BUILD:-$PWD}/.libs/libmelin.so
	ran=$BATS_TEST_TMPDIR/ran
	good=(MELIN_FLOWS='any:*:*' MELIN_DEV=veth0 MELIN_ADDR=198.18.0.10/24)
}

# melin VARIABLE=VALUE... PROGRAM ARGUMENT...: runs it with these variables alone. (env itself must
# not be preloaded, so that it is PROGRAM that reports.)
melin() {
	env -i PATH="$PATH" LC_ALL=C LD_PRELOAD="$library" "$@"
}

# refused VARIABLE=VALUE... LINE: the program must not run, and LINE is all that is printed.
refused() {
	local variables=("${@:1:$#-1}") line=${*: -1}
	run --separate-stderr melin "${variables[@]}" touch "$ran"
	echo "status $status, output \"$output\", error \"$stderr\""
	[ "$status" -eq 2 ]
	# Who says it: touch and its process.
	[[ $stderr =~ ' [touch '[1-9][0-9]*']'$ ]]
	[ "${stderr% \[*}" = "$line" ]
	[ -z "$output" ]
	[ ! -e "$ran" ]
}

@test "an unknown verb" {
	refused MELIN_FLOWS='any:*:1,conect:*:80' \
		'melin: MELIN_FLOWS: rule 2, "conect:*:80": unknown verb "conect" (connect, listen, any)'
}

@test "a bad address in a rule" {
	refused MELIN_FLOWS='any:localhost:80' \
		'melin: MELIN_FLOWS: rule 1, "any:localhost:80": bad address "localhost" (*, an IPv4 one, or an IPv6 one in brackets)'
}

@test "an IPv6 address without brackets in a rule" {
	refused MELIN_FLOWS='any:fd00::1:80' \
		'melin: MELIN_FLOWS: rule 1, "any:fd00::1:80": too many colons; IPv6 addresses go in brackets: [fd00::1]'
}

@test "a bad prefix length in a rule" {
	refused MELIN_FLOWS='any:[fd00::/129]:80' \
		'melin: MELIN_FLOWS: rule 1, "any:[fd00::/129]:80": bad prefix length "129" (0 to 128)'
}

@test "a bad port in a rule" {
	refused MELIN_FLOWS='any:*:http' \
		'melin: MELIN_FLOWS: rule 1, "any:*:http": bad port "http" (*, 1 to 65535, or a range 8000-8999)'
}

@test "a range that runs backwards" {
	refused MELIN_FLOWS='any:*:90-80' \
		'melin: MELIN_FLOWS: rule 1, "any:*:90-80": the range "90-80" runs backwards'
}

@test "an empty rule" {
	refused MELIN_FLOWS='any:*:80,' \
		'melin: MELIN_FLOWS: rule 2, "": empty rule (one comma too many?)'
}

@test "a mistake in rule 1001 of a long list" {
	local rules
	rules=$(seq -f 'connect:*:%.0f,' 1 1000 | tr -d '\n')
	refused MELIN_FLOWS="${rules}connect:*:x" \
		'melin: MELIN_FLOWS: rule 1001, "connect:*:x": bad port "x" (*, 1 to 65535, or a range 8000-8999)'
}

@test "an unknown variable" {
	refused MELIN_FLOW='any:*:*' \
		'melin: MELIN_FLOW: unknown variable; did you mean MELIN_FLOWS?'
	refused "${good[@]}" MELIN_XYZZY=1 \
		'melin: MELIN_XYZZY: unknown variable; libmelin(7) lists them'
}

@test "an address without a device" {
	refused MELIN_FLOWS='any:*:*' MELIN_ADDR=198.18.0.10/24 \
		'melin: MELIN_DEV: not set, but MELIN_ADDR is; name an interface, a PCI address, a DPDK vdev or "loop"'
}

@test "what does not go with host mode, or with an address" {
	refused MELIN_FLOWS='any:*:*' MELIN_MTU=1400 \
		"melin: MELIN_MTU: the kernel's, where MELIN_ADDR is not set"
	refused "${good[@]}" MELIN_BORROW=always \
		'melin: MELIN_BORROW: nothing is borrowed where MELIN_ADDR is set'
}

@test "a device that needs an address and has none" {
	refused MELIN_FLOWS='any:*:*' MELIN_DEV=net_tap0 \
		"melin: MELIN_ADDR: not set, but MELIN_DEV=net_tap0 needs the stack's own address, such as 198.18.0.10/24"
}

@test "what cannot be a device" {
	refused MELIN_DEV=/dev/eth0 \
		'melin: MELIN_DEV: "/dev/eth0" is no interface, PCI address, DPDK vdev (net_...) or "loop"'
}

@test "an address without a prefix length" {
	refused "${good[@]:0:2}" MELIN_ADDR=198.18.0.10 \
		'melin: MELIN_ADDR: entry 1, "198.18.0.10": no prefix length (198.18.0.10/24, for example)'
}

@test "an address that no host can have" {
	refused "${good[@]:0:2}" MELIN_ADDR=198.18.0.255/24 \
		"melin: MELIN_ADDR: entry 1, \"198.18.0.255/24\": is the network's broadcast address"
}

@test "the same address twice" {
	refused "${good[@]}" MELIN_ADDR=fd00::1/64,fd00::1/64 \
		'melin: MELIN_ADDR: entry 2, "fd00::1/64": the same address as entry 1'
}

@test "a gateway that is not on-link" {
	refused "${good[@]}" MELIN_GATEWAY=198.18.1.1 \
		'melin: MELIN_GATEWAY: 198.18.1.1 is not on-link: it lies in no prefix of MELIN_ADDR'
}

@test "a gateway of a family without an address" {
	refused "${good[@]}" MELIN_GATEWAY=fd00::1 \
		'melin: MELIN_GATEWAY: fd00::1: MELIN_ADDR has no IPv6 address'
}

@test "two gateways of one family" {
	refused "${good[@]}" MELIN_GATEWAY=198.18.0.1,198.18.0.2 \
		'melin: MELIN_GATEWAY: entry 2, "198.18.0.2": a second gateway for IPv4'
}

@test "numbers out of their range" {
	refused "${good[@]}" MELIN_MTU=67 'melin: MELIN_MTU: "67" is not a number from 68 to 9216'
	refused "${good[@]}" MELIN_VLAN=4095 \
		'melin: MELIN_VLAN: "4095" is not a number from 1 to 4094'
	refused "${good[@]}" MELIN_QUEUES=0 \
		'melin: MELIN_QUEUES: "0" is not a number from 1 to 1024'
	refused "${good[@]}" MELIN_RXD=x 'melin: MELIN_RXD: "x" is not a number from 1 to 65535'
	refused "${good[@]}" MELIN_TXD=-1 'melin: MELIN_TXD: "-1" is not a number from 1 to 65535'
	refused "${good[@]}" MELIN_MBUFS=1 \
		'melin: MELIN_MBUFS: "1" is not a number from 512 to 16777216'
	refused "${good[@]}" MELIN_SPIN_US=maximum \
		'melin: MELIN_SPIN_US: "maximum" is not a number from 0 to 1000000, or max'
	refused "${good[@]}" MELIN_LINGER_MS=2s \
		'melin: MELIN_LINGER_MS: "2s" is not a number from 0 to 3600000'
	refused "${good[@]}" MELIN_REQUIRED=yes 'melin: MELIN_REQUIRED: "yes" is neither 0 nor 1'
}

@test "EAL arguments with an open quote" {
	refused "${good[@]}" MELIN_EAL="--file-prefix 'a" \
		'melin: MELIN_EAL: the quote '"'"' is not closed'
}

@test "a bad log level" {
	refused "${good[@]}" MELIN_LOG=loud \
		'melin: MELIN_LOG: unknown level "loud" (error, warn, info, debug, trace)'
}

# A child may have another user's rights, or another root folder, and must run all the same.
@test "a log file that cannot be opened is a warning" {
	local root_log=$BATS_TEST_TMPDIR/root.log
	run -0 --separate-stderr melin "${good[@]}" MELIN_LOG=info:/nonexistent/file sh \
		-c 'echo out'
	[ "$output" = out ]
	[[ $stderr == *'MELIN_LOG: cannot open "/nonexistent/file": No such file or directory'* ]]
	[ "${#stderr_lines[@]}" -eq 1 ]
	[ "$(id -u)" -eq 0 ] || skip "only root can run a program as somebody else"
	: >"$root_log"
	chmod 600 "$root_log"
	run -0 --separate-stderr melin "${good[@]}" "MELIN_LOG=info:$root_log" \
		setpriv --reuid=65534 --clear-groups id -u
	[ "$output" = 65534 ]
	[[ $stderr == *"MELIN_LOG: cannot open \"$root_log\": Permission denied"* ]]
}

@test "a mistake with standard error closed: still status 2, nothing into the program's files" {
	run -2 bash -c 'exec 2>&-; "$@"' _ env -i PATH="$PATH" LD_PRELOAD="$library" MELIN_FLOW=x \
		touch "$ran"
	[ -z "$output" ]
	[ ! -e "$ran" ]
}

@test "a program without variables, and with flows but no socket: nothing is printed or changed" {
	run --separate-stderr melin sh -c 'echo out; exit 7'
	[ "$status" -eq 7 ]
	[ "$output" = out ]
	[ -z "$stderr" ]
	run --separate-stderr melin "${good[@]}" MELIN_LOG=info sh -c 'echo out; exit 7'
	echo "$stderr"
	[ "$status" -eq 7 ]
	[ "$output" = out ]
	[ -z "$stderr" ]
}

@test "1,000 rules are no burden" {
	local rules
	rules=$(seq -f '!connect:198.18.0.0/24:%.0f,' 1 999 | tr -d '\n')
	run -0 --separate-stderr melin "${good[@]}" MELIN_FLOWS="${rules}any:*:*" true
	[ -z "$stderr" ]
}

@test "what the stack needs is not loaded into a program without selected flows" {
	run -1 melin "${good[@]}" grep -E 'melin-stack|librte|lwip' /proc/self/maps
	[ -z "$output" ]
	run -0 melin "${good[@]}" grep -c libmelin /proc/self/maps
}

# In /etc/ld.so.preload the library is in every program of the machine.
@test "loaded by ld.so.preload: a mistake is a warning, and the program runs" {
	[[ $EUID -eq 0 ]] || skip "needs root to give a process an /etc of its own"
	etc=$BATS_TEST_TMPDIR/etc
	cp -a /etc "$etc"
	echo "$library" >"$etc/ld.so.preload"
	everywhere() {
		unshare --mount bash -c 'mount --bind "$0" /etc && exec env -i PATH="$PATH" "$@"' \
			"$etc" "$@"
	}
	# Without a variable nothing is said.
	run --separate-stderr everywhere echo hello
	[[ $status -eq 0 && $output == hello && -z $stderr ]]
	run --separate-stderr everywhere MELIN_FLOWS=any:*:1 MELIN_DEV=veth0 \
		MELIN_ADDR=198.18.0.10 bash -c 'echo hello; exit 7'
	echo "$stderr"
	[[ $status -eq 7 && $output == hello ]]
	[[ $stderr == 'melin: MELIN_ADDR: entry 1, "198.18.0.10": no prefix length '*\
'); melin does nothing in this program [bash '*']' ]]
	# An LD_PRELOAD that names another library does not mean this one.
	run --separate-stderr everywhere LD_PRELOAD=libm.so.6 MELIN_FLOW=x echo hello
	[[ $status -eq 0 && $output == hello && $stderr == *'MELIN_FLOWS?; melin does nothing'* ]]
	# One that does, does.
	for named in "$library" "libm.so.6:$library" "libm.so.6 libmelin.so"; do
		run --separate-stderr everywhere LD_LIBRARY_PATH="${library%/*}" \
			LD_PRELOAD="$named" MELIN_FLOW=x echo hello
		[[ $status -eq 2 && -z $output ]]
	done
	# And without a mistake it works.
	run -0 --separate-stderr everywhere MELIN_FLOWS='any:127.0.0.0/8:*' MELIN_DEV=loop \
		MELIN_LOG=debug bash -c 'exec 3<>/dev/tcp/127.0.0.1/9' || true
	[[ $stderr == *'connect to 127.0.0.1 port 9: selected'* ]]
}
