#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# melin check: that all is well where it is; else each message, by the fault that it is about, and
# that the command which it names mends that. All in network namespaces of the test's own, and what
# is the machine's (hugepages, /run) in a mount namespace.

bats_require_minimum_version 1.5.0
load lib/common

tool=$build/melin

setup() {
	[[ -z ${TESTS_PLAIN:-} ]] || skip "melin check is about melin"
	[[ -x $tool ]] || fail "there is no $tool: run make first"
	common_setup
	unset "${!MELIN_@}" SSH_CONNECTION LD_PRELOAD
	report=$BATS_TEST_TMPDIR/check.out
}

# Runs melin check on near behind another command (or env): check STATUS COMMAND... -- OPTION...
check() {
	local expected=$1 status=0 before=()
	shift
	while [[ $1 != -- ]]; do
		before+=("$1")
		shift
	done
	on near "${before[@]}" "$tool" check "${@:2}" >"$report" 2>&1 || status=$?
	[[ $status -eq $expected ]] || fail "status $status" "$(<"$report")"
}

# The line of a check: says STATUS NAME TEXT
says() {
	awk -v start="$1 $2 $3" '{ $1 = $1 } index($0, start) == 1 { found = 1 }
		END { exit !found }' "$report" ||
		fail "wanted: $*" "$(<"$report")"
}

# The command below the line of a check, without sudo: this is root already.
advice() {
	sed -n "/^[a-z]* *$1 /{n;s/^  *//p}" "$report" | sed 's/^sudo //'
}

# Runs that command on near, to the letter.
follow() {
	local command
	command=$(advice "$1")
	[[ -n $command ]] || fail "no advice for $1" "$(<"$report")"
	on near sh -c "$command"
}

unprivileged=(setpriv --reuid 65534 --regid 65534 --clear-groups)

@test "a host where all is well: a connection is borrowed, status 0" {
	check 0 env -- true
	says ok kernel 'Linux '
	says ok rights 'CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF and CAP_NET_BIND_SERVICE are here'
	says ok sandbox 'no system calls are filtered'
	says ok bpf 'bpf(2) makes maps'
	says ok interface 'veth0 is an Ethernet interface and up'
	says ok tap 'there is room at the tcx ingress of veth0 (0 of 63)'
	says ok firewall 'no translation of addresses, no IPsec'
	says ok memlock 'no limit (CAP_IPC_LOCK)'
	says ok af_xdp 'driver veth, 1 queue, AF_XDP with copies'
	says ok leftovers 'no dead process has left anything'
	says ok proof 'a connection between two namespaces was borrowed and given back'
	says ok program 'true can be started under melin'
	[[ $(tail -n 1 "$report") == 'A connection would be taken here.' ]]
	# The proof has left nothing attached.
	check 0 env -- true
	says ok tap 'there is room at the tcx ingress of veth0 (0 of 63)'
}

@test "--json is one object" {
	check 0 env -- --json
	[[ $(jq -r '.would_take, .interface, (.checks[] | select(.name == "proof").status)' \
		"$report" | paste -sd' ') == 'true veth0 ok' ]]
	check 1 env -- --json -i lo
	[[ $(jq -r '.would_take, (.checks[] | select(.status == "missing").name)' "$report" |
		paste -sd' ') == 'false interface' ]]
	[[ $(jq -r '.checks[] | select(.name == "interface").mend' "$report") == 'ip -brief link' ]]
}

@test "wrong usage" {
	check 2 env -- --fx
	grep -q '^melin check: unknown option "--fx"$' "$report"
	grep -q '^usage: melin check \[OPTION\.\.\.\] \[PROGRAM\]$' "$report"
	check 2 env -- -i a/b
	grep -q '^melin check: "a/b" is no name of an interface$' "$report"
	check 2 env -- true false
	grep -q '^melin check: one program at a time$' "$report"
}

@test "the interface: none, not there, loopback, down, no carrier" {
	check 1 env -- -i nosuch
	says missing interface 'there is no interface nosuch'
	follow interface | grep -q veth0
	check 1 env -- -i lo
	says missing interface 'lo is no Ethernet interface: its connections stay in the kernel'
	ip -n "$(host near)" link set veth0 down
	check 1 env --
	says missing interface 'veth0 is down'
	follow interface
	wait_until 60 with_carrier
	check 0 env --
	ip -n "$(host far)" link set veth0 down
	wait_until 60 without_carrier
	check 1 env --
	says missing interface 'veth0 has no carrier: is the cable in?'
	ip -n "$(host near)" link del veth0
	check 1 env --
	says missing interface 'there is no Ethernet interface'
	says ok af_xdp 'there is no interface for own mode'
	[[ $(tail -n 1 "$report") == 'No connection would be taken here.' ]]
}

with_carrier() {
	[[ $(on near cat /sys/class/net/veth0/operstate) == up ]]
}

without_carrier() {
	! with_carrier
}

@test "the interface is the default route's" {
	ip -n "$(host near)" link add link veth0 name spare0 type macvlan mode bridge
	ip -n "$(host near)" link set spare0 up
	ip -n "$(host near)" route add default via 198.18.0.2
	check 0 env --
	says ok interface veth0
	check 0 env -- -i spare0
	says ok af_xdp 'driver macvlan, 1 queue, without XDP, of which host mode makes no use'
	MELIN_ADDR=198.18.0.10/24 check 0 env -- --dev spare0
	says degraded af_xdp 'driver macvlan, 1 queue, does not know XDP'
	[[ $(advice af_xdp) == 'export MELIN_DEV=packet:spare0' ]]
	MELIN_ADDR=198.18.0.10/24 on near sh -c "$(advice af_xdp); '$tool' check" >"$report"
	says ok af_xdp 'not for this device'
}

@test "no rights, and no broker: melin run --user" {
	check 1 "${unprivileged[@]}" --
	says missing rights 'nobody lacks CAP_NET_ADMIN, CAP_NET_RAW and CAP_BPF, and there is no'
	says missing proof 'nothing is lent without rights or a broker'
	on near sh -c "$(advice rights | sed "s|PROGRAM|$tool check|")" >"$report"
	says ok rights 'the broker of melin run answers'
	says ok proof 'the broker has lent a tap; a connection for trying it takes root'
}

@test "a broker as a service: outside its group, inside of it, and gone" {
	cat >"$BATS_TEST_TMPDIR/room" <<-EOF
		install -d -m 2755 -g 12 /run/melin
		"$build/melin-broker" --listen &
		broker=\$!
		trap 'kill -KILL \$broker' EXIT
		for i in \$(seq 1200); do [ -S /run/melin/broker.sock ] || sleep 0.05; done
		outside='setpriv --reuid 65534 --regid 65534 --clear-groups'
		\$outside "$tool" check
		echo "status \$?"
		setpriv --reuid 65534 --regid 65534 --groups 12 "$tool" check
		echo "status \$?"
		kill -KILL \$broker
		wait
		trap - EXIT
		setpriv --reuid 65534 --regid 65534 --groups 12 "$tool" check
		echo "status \$?"
	EOF
	grep -q '^[^:]*:[^:]*:12:' /etc/group || skip "no group has number 12"
	name=$(getent group 12 | cut -d: -f1)
	on near unshare --mount sh -c \
		"mount -t tmpfs none /run && sh $BATS_TEST_TMPDIR/room" >"$report" 2>&1 || true
	[[ $(grep '^status' "$report" | paste -sd' ') == 'status 1 status 0 status 1' ]]
	says missing rights "the broker at /run/melin/broker.sock is not for nobody, but for the"
	[[ $(advice rights | head -n 1) == "usermod -aG $name nobody" ]]
	says ok rights 'the broker at /run/melin/broker.sock answers'
	says missing rights 'no broker answers at /run/melin/broker.sock'
	[[ $(advice rights | tail -n 1) == 'systemctl restart melin-broker.socket' ]]
}

@test "rights that are there in part" {
	check 0 setpriv --bounding-set -net_bind_service --
	says degraded rights 'CAP_NET_BIND_SERVICE is missing: connections of ports below 1024 stay'
	check 0 setpriv --bounding-set -sys_admin --
	says degraded proof 'not tried, for a network namespace cannot be had: Operation not'
	[[ $(advice proof) == "$tool check" ]]
	on near sh -c "$(advice proof)"
}

@test "an old kernel" {
	check 1 setarch --uname-2.6 "${unprivileged[@]}" --
	says missing kernel 'Linux 2.6.'
	[[ $(advice kernel) == 'apt-get install -t bookworm-backports linux-image-amd64' ]]
}

@test "families of sockets that are refused" {
	check 1 "$python" "$programs/refuse_calls.py" AF_PACKET --
	says missing sandbox 'sockets of AF_PACKET are refused here'
	[[ $(advice sandbox) == *'RestrictAddressFamilies=AF_PACKET AF_NETLINK' ]]
	says missing proof 'opening the tap failed: '
	traces 'socket\(AF_PACKET, .* = -1 EAFNOSUPPORT' AF_PACKET
	check 0 "$python" "$programs/refuse_calls.py" AF_XDP --
	says ok sandbox 'system calls are filtered (seccomp), but none of these'
	check 0 "$python" "$programs/refuse_calls.py" AF_VSOCK --
	says ok sandbox 'system calls are filtered (seccomp), but none of these'
	check 0 setpriv --no-new-privs --
	says ok sandbox 'no system calls are filtered; NoNewPrivileges does no harm'
}

@test "bpf(2) and repair that are refused in spite of all rights" {
	check 1 "$python" "$programs/refuse_calls.py" bpf=EPERM --
	says missing bpf 'bpf(2) is refused in spite of the rights: Operation not permitted'
	on near "$python" "$programs/refuse_calls.py" bpf=EPERM sh -c "$(advice bpf)" |
		grep -qE '^Seccomp:\s*2$'
	check 1 "$python" "$programs/refuse_calls.py" setsockopt/1:6/2:19=EPERM --
	says missing proof 'borrowing failed: '
	[[ $(advice proof) == "strace -f -e trace=bpf,connect,setsockopt,socket $tool check" ]]
	traces 'TCP_REPAIR, .* = -1 EPERM' setsockopt/1:6/2:19=EPERM
	# TCP_QUEUE_SEQ is set by nobody but who gives a connection back.
	check 1 "$python" "$programs/refuse_calls.py" setsockopt/1:6/2:21=EPERM --
	says missing proof 'giving back failed: Permission denied'
	traces 'TCP_QUEUE_SEQ, .* = -1 EPERM' setsockopt/1:6/2:21=EPERM
	check 1 "$python" "$programs/refuse_calls.py" connect=ECONNREFUSED --
	says missing proof 'a connection failed: Connection refused'
	traces 'connect\(.* = -1 ECONNREFUSED' connect=ECONNREFUSED
}

# What is refused is seen by the command that the proof names: traces PATTERN RULE
traces() {
	command -v strace || skip "no strace, which the advice is about"
	on near "$python" "$programs/refuse_calls.py" "$2" sh -c "$(advice proof)" \
		>"$BATS_TEST_TMPDIR/traced" 2>&1 || true
	grep -qE "$1" "$BATS_TEST_TMPDIR/traced" || fail "$(tail -n 30 "$BATS_TEST_TMPDIR/traced")"
}

@test "no room at the tcx ingress" {
	start crowd near "$python" "$programs/crowd_ingress.py" veth0 63
	printed crowd ready
	check 1 env --
	says missing tap '63 programs are at the tcx ingress of veth0, and there is room for no'
	follow tap | grep -q "^/proc/$(pid_of crowd)/fdinfo/"
	# It is ended, and the kernel lets go of its programs a moment later.
	end crowd
	wait_until 60 has_room
}

has_room() {
	on near "$tool" check >"$report"
	says ok tap 'there is room at the tcx ingress of veth0 (0 of 63)'
}

@test "connection tracking that cannot be told" {
	local refused=(socket/0:16/2:12=EPROTONOSUPPORT)
	on near nft add table ip tracks
	on near nft 'add chain ip tracks in { type filter hook input priority 0; }'
	on near nft add rule ip tracks in ct state established accept
	start far far nc -l -k "$far_kernel" 7022
	answers near "$far_kernel" 7022
	[[ $(on near cat /proc/sys/net/netfilter/nf_conntrack_count) -ge 1 ]] ||
		skip "this kernel tracks no connections"
	check 1 "$python" "$programs/refuse_calls.py" "${refused[@]}" --
	says missing firewall 'connections are tracked, and nothing can be told to the tracking'
	[[ $(advice firewall) == 'modprobe nf_conntrack_netlink' ]]
	check 0 env --
	says ok firewall 'no translation'
}

@test "the start that the variables and options ask for: own mode" {
	local own=(--addr 198.18.0.10/24)
	check 0 env -- --dev packet:veth0 "${own[@]}"
	says ok rights 'CAP_NET_ADMIN and CAP_NET_RAW are here'
	says ok tap 'own mode has none'
	says ok proof 'not tried in own mode'
	check 0 env MELIN_DEV=veth0 MELIN_ADDR=198.18.0.10/24 --
	says ok rights 'CAP_NET_ADMIN, CAP_NET_RAW and CAP_BPF are here'
	check 1 "${unprivileged[@]}" -- --dev veth0 "${own[@]}"
	says missing rights 'own mode on an interface takes CAP_NET_ADMIN, CAP_NET_RAW and CAP_BPF,'
	check 1 "$python" "$programs/refuse_calls.py" AF_XDP -- --dev veth0 "${own[@]}"
	says missing sandbox 'sockets of AF_XDP are refused here'
	check 0 "${unprivileged[@]}" -- --dev loop
	says ok rights 'within the process none are needed'
	check 1 env -- --dev nosuch "${own[@]}"
	says missing interface 'there is no interface nosuch'
	start_melin server near "$python" "$programs/echo_server.py" select 7000
	wait_until 60 module_loaded server
	wait_until 60 taken_by_another
	follow interface | grep -q "^python.* pid=$(pid_of server) "
}

taken_by_another() {
	on near "$tool" check --dev veth0 --addr 198.18.0.11/24 >"$report" 2>&1 ||
		says missing interface 'another process '
}

@test "the start that the variables and options ask for: host mode, and mistakes" {
	ip -n "$(host near)" link add link veth0 name spare0 type macvlan mode bridge
	check 1 env MELIN_DEV=spare0 --
	says missing interface 'spare0 is down'
	check 0 env MELIN_DEV=spare0 -- --dev veth0 -p quiet --listen 80
	says ok interface 'veth0 is'
	check 2 env MELIN_SPIN_US=fast --
	grep -q '^melin check: MELIN_SPIN_US: "fast" is not a number from 0 to 1000000' "$report"
	check 2 env -- --listen 99999
	grep -q '^melin check: MELIN_FLOWS: rule 1, "listen:\*:99999": bad port' "$report"
	check 2 env MELIN_FLOW=x --
	grep -q '^melin check: MELIN_FLOW: unknown variable; did you mean MELIN_FLOWS?' "$report"
	check 2 env -- -i veth0 --dev veth0 --addr 198.18.0.10/24
	grep -q '^melin check: --interface is for host mode; MELIN_DEV is veth0' "$report"
}

@test "hugepages: the command, and --fix" {
	local pages=/sys/kernel/mm/hugepages
	cat >"$BATS_TEST_TMPDIR/room" <<-EOF
		mount -t tmpfs none $pages
		mkdir $pages/hugepages-2048kB
		ln -s nr_hugepages $pages/hugepages-2048kB/free_hugepages
		echo 0 >$pages/hugepages-2048kB/nr_hugepages
		echo "MemAvailable: 8000000 kB" >$BATS_TEST_TMPDIR/meminfo
		mount --bind $BATS_TEST_TMPDIR/meminfo /proc/meminfo
		"$tool" check
		export MELIN_ADDR=198.18.0.10/24 MELIN_DEV=packet:veth0
		"$tool" check
		"$tool" check --fix
		cat $pages/hugepages-2048kB/nr_hugepages
		echo "MemAvailable: 1000000 kB" >$BATS_TEST_TMPDIR/meminfo
		echo 0 >$pages/hugepages-2048kB/nr_hugepages
		"$tool" check --fix
		cat $pages/hugepages-2048kB/nr_hugepages
	EOF
	on near unshare --mount sh "$BATS_TEST_TMPDIR/room" >"$report" 2>&1 ||
		fail "$(<"$report")"
	says ok hugepages 'none is free, and host mode has no use for them'
	says degraded hugepages 'there are no hugepages: stacks use ordinary pages'
	[[ $(advice hugepages | head -n 1) == \
		"echo 512 >$pages/hugepages-2048kB/nr_hugepages" ]]
	grep -q '^melin check: doing: echo 512 >' "$report"
	says ok hugepages '512 of 512 hugepages of 2 MiB are free'
	[[ $(grep -xcE '512' "$report") -eq 1 && $(tail -n 1 "$report") == 0 ]]
}

@test "the limit of locked memory" {
	cat >"$BATS_TEST_TMPDIR/steps" <<-EOF
		export MELIN_DEV=veth0 MELIN_ADDR=198.18.0.10/24
		ulimit -l 64
		${unprivileged[*]} "$tool" check
		prlimit --memlock=unlimited --pid \$\$
		${unprivileged[*]} "$tool" check
	EOF
	on near sh "$BATS_TEST_TMPDIR/steps" >"$report" || true
	says missing memlock '64 KiB may be locked in memory: own mode on AF_XDP takes more'
	[[ $(advice memlock | head -n 1) == 'prlimit --memlock=unlimited --pid $$' ]]
	# Only with CAP_SYS_RESOURCE, 1 << 24, may a limit be raised.
	if ((0x$(sed -n 's/^CapEff:\t//p' /proc/self/status) >> 24 & 1)); then
		says ok memlock 'enough may be locked in memory'
	fi
}

@test "translation of addresses, and IPsec" {
	on near nft add table ip home
	on near nft 'add chain ip home snat-me { type nat hook postrouting priority 100; }'
	on near nft add rule ip home snat-me oif veth0 masquerade
	check 0 env --
	says degraded firewall 'the table ip home translates addresses (masquerade): such'
	[[ $(advice firewall) == 'nft delete table ip home' ]]
	follow firewall
	check 0 env --
	says ok firewall 'no translation'
	on near ip xfrm policy add src 198.18.9.0/24 dst 198.18.8.0/24 dir out tmpl \
		src 198.18.0.1 dst 198.18.0.2 proto esp mode tunnel
	check 1 env --
	says missing firewall 'the host has IPsec policies: all connections stay in the kernel'
	follow firewall
	check 0 env --
}

@test "what dead processes have left, --fix, and the interface of the login" {
	[[ -f $build/melin_xdp.o ]] || skip "built without clang"
	on near ip link set dev veth0 xdp obj "$build/melin_xdp.o" sec xdp
	check 0 env --
	says degraded leftovers 'veth0 has the XDP program of a process that is dead'
	follow leftovers
	check 0 env --
	says ok leftovers 'no dead process has left anything'
	leave_filter veth0
	check 0 env "SSH_CONNECTION=198.18.0.2 50000 $near_kernel 22" -- --fix
	says degraded leftovers 'veth0 has the packet filter of a process that is dead'
	grep -q '^melin check: your login comes by veth0, so this is yours to do: tc ' "$report"
	check 0 env "SSH_CONNECTION=198.18.0.2 50000 198.18.7.7 22" -- --fix
	grep -q '^melin check: doing: tc filter delete dev veth0 ingress preference 48597' "$report"
	says ok leftovers 'no dead process has left anything'
	[[ -z $(on near tc filter show dev veth0 ingress) ]]
}

@test "several leftovers: --fix mends all but those at the login's interface" {
	local each
	for each in spare0 spare1; do
		ip -n "$(host near)" link add link veth0 name "$each" type macvlan mode bridge
		leave_filter "$each"
	done
	leave_filter veth0
	check 0 env --
	for each in veth0 spare0 spare1; do
		says degraded leftovers "$each has the packet filter of a process that is dead"
	done
	check 0 env "SSH_CONNECTION=198.18.0.2 50000 $near_kernel 22" -- --fix
	[[ $(grep -c '^melin check: doing: tc filter delete dev spare[01] ' "$report") -eq 2 ]]
	[[ $(grep -c '^degraded *leftovers ' "$report") -eq 1 ]]
	says degraded leftovers 'veth0 has the packet filter of a process that is dead'
	check 0 env -- --fix
	check 0 env --
	says ok leftovers 'no dead process has left anything'
}

# As a process that died would leave it: leave_filter INTERFACE
leave_filter() {
	on near tc qdisc replace dev "$1" clsact
	on near tc filter replace dev "$1" ingress preference 48597 protocol all handle 1 \
		bpf bytecode '1,6 0 0 4294967295'
}

@test "the login's interface, where sudo has dropped SSH_CONNECTION" {
	leave_filter veth0
	# Of a process that this one descends from, as a shell's is for what sudo starts in it.
	check 0 env "SSH_CONNECTION=198.18.0.2 50000 $near_kernel 22" \
		sh -c 'env -u SSH_CONNECTION "$@"; exit $?' sh -- --fix
	grep -q '^melin check: your login comes by veth0, so this is yours to do: tc ' "$report"
	# A server of logins that has its client's connection, and tells nobody.
	start far far nc -l -k "$far_kernel" 7022
	answers near "$far_kernel" 7022
	check 0 bash -c 'exec 9<>/dev/tcp/"$0"/7022 || exit 9; "$@" 9<&-; exit $?' "$far_kernel" \
		-- --fix
	grep -q '^melin check: your login comes by veth0, so this is yours to do: tc ' "$report"
	# The address is a bridge's, and the interface is part of it.
	ip -n "$(host near)" link add bridge0 type bridge
	ip -n "$(host near)" address flush dev veth0
	ip -n "$(host near)" link set veth0 master bridge0
	ip -n "$(host near)" link set bridge0 up
	address near bridge0 "$near_kernel/24"
	check 0 env "SSH_CONNECTION=198.18.0.2 50000 $near_kernel 22" -- -i veth0 --fix
	grep -q '^melin check: your login comes by veth0, so this is yours to do: tc ' "$report"
	check 0 env -- -i veth0 --fix
	grep -q '^melin check: doing: tc filter delete dev veth0 ' "$report"
	says ok leftovers 'no dead process has left anything'
}

@test "an interface whose name a shell would take for a command" {
	# shellcheck disable=SC2016
	local name='a;touch${IFS}x'
	cd "$BATS_TEST_TMPDIR"
	ip -n "$(host near)" link add "$name" type veth peer name other0
	ip -n "$(host near)" link set other0 up
	leave_filter "$name"
	check 1 env -- -i "$name"
	says missing interface "$name is down"
	[[ $(advice interface) == "ip link set dev '$name' up" ]]
	follow interface
	check 0 env -- -i "$name" --fix
	says ok interface "$name is an Ethernet interface and up"
	grep -qF "melin check: doing: tc filter delete dev '$name' ingress" "$report"
	says ok leftovers 'no dead process has left anything'
	[[ ! -e x ]]
}

@test "the program" {
	check 1 env -- nosuch
	says missing program '"nosuch" is not found in PATH'
}

# The library, and what it loads, in places of their own, so that what is there can be taken away.
@test "melin's own files" {
	local prefix room=$BATS_TEST_TMPDIR/room
	prefix=$(sed -n 's/^prefix = //p' "$build/Makefile" | head -n 1)
	[[ -d $prefix && $prefix != /usr ]] || skip "there is no folder $prefix to put another on"
	[[ $build != "$prefix"/* && $source != "$prefix"/* ]] ||
		skip "melin is built below $prefix, which would be hidden"
	grep -q '^libdir = ${exec_prefix}/lib$' "$build/Makefile" ||
		skip "its folder for libraries is not $prefix/lib"
	mkdir "$room" "$room/.libs"
	cp "$tool" "$room/"
	cat >"$BATS_TEST_TMPDIR/steps" <<-EOF
		mount -t tmpfs none "$prefix"
		"$room/melin" check
		cp "$build/.libs/libmelin.so" "$room/.libs/"
		"$room/melin" check
		rm "$room/.libs/libmelin.so"
		make -C '$build' install >"$room/install" 2>&1
		"$room/melin" check
	EOF
	on near unshare --mount sh "$BATS_TEST_TMPDIR/steps" >"$report" 2>&1 ||
		fail "$(<"$report")" "$(<"$room/install")"
	says missing files "there is no $prefix/lib/libmelin.so; in the folder that melin has been"
	says missing files "there is no $prefix/lib/melin/melin-stack.so; in the folder that melin"
	[[ $(advice files | sort -u) == 'make -C BUILD install' ]]
	says ok files "$prefix/lib/libmelin.so"
}

@test "the broker's service that is not started" {
	cat >"$BATS_TEST_TMPDIR/steps" <<-EOF
		mount -t tmpfs none /run
		mkdir -p /run/systemd/system
		touch /run/systemd/system/melin-broker.socket
		${unprivileged[*]} "$tool" check
	EOF
	on near unshare --mount sh "$BATS_TEST_TMPDIR/steps" >"$report" 2>&1 || true
	says missing rights 'nobody lacks CAP_NET_ADMIN, CAP_NET_RAW and CAP_BPF, and the broker,'
	[[ $(advice rights) == \
		'systemd-sysusers && sudo systemctl enable --now melin-broker.socket' ]]
}

@test "a broker that serves another network namespace" {
	cat >"$BATS_TEST_TMPDIR/steps" <<-EOF
		mount -t tmpfs none /run
		install -d -m 2755 -g 65534 /run/melin
		unshare --net "$build/melin-broker" --listen &
		broker=\$!
		trap 'kill -KILL \$broker' EXIT
		for i in \$(seq 1200); do [ -S /run/melin/broker.sock ] || sleep 0.05; done
		${unprivileged[*]} "$tool" check
		"$tool" run --user nobody -- "$tool" check
	EOF
	on near unshare --mount sh "$BATS_TEST_TMPDIR/steps" >"$report" 2>&1 ||
		fail "$(<"$report")"
	says missing rights 'the broker at /run/melin/broker.sock serves another network namespace'
	[[ $(advice rights) == "$tool run --user nobody -- PROGRAM" ]]
	says ok rights 'the broker of melin run answers'
}
