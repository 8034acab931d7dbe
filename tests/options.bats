#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# Socket options: none of the system's headers is missing in the table, and those that only the
# kernel serves make a flow the kernel's. What each does is compared in
# tests/differential/options.c.

bats_require_minimum_version 1.5.0

load lib/common

setup() {
	[[ $BATS_TEST_DESCRIPTION == headers:* ]] || common_setup
}

teardown() {
	[[ $BATS_TEST_DESCRIPTION == headers:* ]] || common_teardown
}

# Names of the headers that begin like an option's and are none: values, flags, kinds of control
# messages, and limits.
not_options='SO_VM_SOCKETS_.*|SO_EE_.*|
TCP_(ESTABLISHED|SYN_SENT|SYN_RECV|FIN_WAIT[12]|TIME_WAIT|CLOSE|CLOSE_WAIT|LAST_ACK|LISTEN)|
TCP_(CLOSING|NO_QUEUE|RECV_QUEUE|SEND_QUEUE|QUEUES_NR|REPAIR_ON|REPAIR_OFF|REPAIR_OFF_NO_WP)|
TCP_(FLAG_.*|CA_.*|NLA_.*|MSS|MSS_DEFAULT|MSS_DESIRED|MAXWIN|MAX_WINSHIFT|COOKIE_[IMOP].*)|
TCP_(S_DATA_.*|MD5SIG_MAXKEYLEN|MD5SIG_FLAG_.*|CM_INQ|RECEIVE_ZEROCOPY_.*|AO_MAXKEYLEN)|
TCP_AO_KEYF_.*|IP_PMTUDISC_.*|IP_DEFAULT_MULTICAST_.*|IP_MAX_MEMBERSHIPS|
IPV6_(PMTUDISC_.*|FL_.*|PREFER_.*|TLV_.*|PRIORITY_.*|RTHDR_.*|OPT_.*|FLOWINFO_(FLOW|PRI).*)|
MCAST_(EXCLUDE|INCLUDE)'

# The same numbers by other names.
aliases='SO_(GET_FILTER|DETACH_BPF|RCVTIMEO|SNDTIMEO|TIMESTAMP|TIMESTAMPNS|TIMESTAMPING)|
IP_PMTUDISC|IP_(RECVORIGDSTADDR|RECVRETOPTS)|
IPV6_(RECVORIGDSTADDR|(JOIN|LEAVE)_GROUP|RX(HOP|DST)OPTS)'

@test "headers: each option that they name is in the table, by its number" {
	cd "$BATS_TEST_TMPDIR"
	# glibc's and the kernel's headers for the same addresses do not go together: two rounds
	cat >glibc.h <<-'C'
		#include <netinet/in.h>
		#include <netinet/tcp.h>
		#include <sys/socket.h>
	C
	cat >linux.h <<-'C'
		#include <asm/socket.h>
		#include <linux/in.h>
		#include <linux/in6.h>
		#include <linux/tcp.h>
	C
	{
		echo '#include <stdio.h>'
		echo '#include "common/option_table.h"'
		echo 'struct name { const char *text; int level, number; };'
		echo 'extern const struct name glibc[], linux_[];'
		echo 'static int check(const struct name *name) { int bad = 0;'
		echo '	for (; name->text; name++) {'
		echo '		const struct option *option ='
		echo '			option_find(name->level, name->number);'
		# shellcheck disable=SC2028 # for the C compiler
		echo '		printf("%s: %d is %s\n", name->text, name->number,'
		echo '		       option ? option->name : "missing");'
		echo '		bad += !option; } return bad; }'
		echo 'int main(void) { return check(glibc) + check(linux_) ? 1 : 0; }'
	} >main.c
	for each in glibc linux; do
		{
			echo "#include \"$each.h\""
			echo 'struct name { const char *text; int level, number; };'
			echo "extern const struct name ${each/linux/linux_}[];"
			echo "const struct name ${each/linux/linux_}[] = {"
			"${CC:-cc}" -D_GNU_SOURCE -E -dM $each.h |
				awk -v form='^(SO|TCP|IP|IPV6|MCAST)_[A-Z0-9_]+$' \
					'$1 == "#define" && $2 ~ form && NF > 2 { print $2 }' |
				grep -vxE "${not_options//$'\n'/}" | sort -u |
				while read -r name; do
					case $name in
					SO_*) level=1 ;;
					TCP_*) level=6 ;;
					IP_*) level=0 ;;
					*) level=41 ;;
					esac
					echo "	{ \"$name\", $level, $name },"
				done
			echo '	{ 0, 0, 0 } };'
		} >$each.c
	done
	source=${TESTS_SOURCE:-$BATS_TEST_DIRNAME/..}
	"${CC:-cc}" -w -D_GNU_SOURCE -I"$source" -o walk main.c glibc.c linux.c \
		"$source/common/option_table.c"
	run ./walk
	echo "$output"
	[ "$status" -eq 0 ]
	[ "$(wc -l <<<"$output")" -gt 200 ]
	awk '{ sub(/:$/, "", $1); if ($1 != $4) print $1 }' <<<"$output" >others
	not grep -vxE "${aliases//$'\n'/}" others
}

# An echo server in far, and an interface in near that leads nowhere.
start_far() {
	start echo far socat TCP6-LISTEN:5000,fork,reuseaddr,backlog=100,ipv6only=0 PIPE
	listens far 5000
	ip link add other0 netns "$(host near)" type veth peer name other1 netns "$(host near)"
	ip -n "$(host near)" link set other0 up
}

@test "an option that only the kernel serves, before connect(): the kernel connects" {
	start_far
	for far in "$far_kernel" "$far_kernel6"; do
		run -0 melin near "$python" "$programs/option_flows.py" connect "$far" 5000
		echo "$output"
		[ "$(grep -c ' asks good \(echo\|nowhere\)$' <<<"$output")" -ge 14 ]
		[ "$(grep -c ' asks nothing good echo$' <<<"$output")" -ge 13 ]
	done
	took client left_option -ge 28
	took client taken_connect -ge 26
}

@test "the same on a connection: refused, unless it no longer matters" {
	start_far
	for far in "$far_kernel" "$far_kernel6"; do
		run -0 melin near "$python" "$programs/option_flows.py" later "$far" 5000
		echo "$output"
		[ "$(grep -c ' echo$' <<<"$output")" -ge 15 ]
		[[ -z $plain ]] || continue
		grep -qx 'SO_DONTROUTE good good echo' <<<"$output"
		grep -qx 'SO_MARK good good echo' <<<"$output"
		grep -qx 'SO_ATTACH_FILTER ENOTSUP echo' <<<"$output"
		grep -qx 'SO_BINDTODEVICE ENOTSUP good echo' <<<"$output"
		grep -qx 'SO_MAX_PACING_RATE ENOTSUP good echo' <<<"$output"
		not grep 'TCP_CONGESTION good' <<<"$output"
		grep -qx 'TCP_FASTOPEN_CONNECT EINVAL good echo' <<<"$output"
		grep -qx 'TCP_MD5SIG and TCP_ULP ENOPROTOOPT ENOENT echo' <<<"$output"
		[ "$(grep -c ENOTSUP <<<"$output")" -ge 10 ]
	done
	took client taken_connect -ge 30
}

@test "the same under MELIN_REQUIRED: ENETDOWN" {
	[[ -z $plain ]] || skip "plain run"
	start_far
	program=$programs/option_flows.py
	run -0 melin near MELIN_REQUIRED=1 "$python" "$program" connect "$far_kernel" 5000
	echo "$output"
	[ "$(grep -c 'Network is down' <<<"$output")" -ge 12 ]
	[ "$(grep -c ' asks nothing good echo$' <<<"$output")" -ge 13 ]
	run -0 melin near MELIN_REQUIRED=1 "$python" "$program" listen 5001 first
	[ "$output" = $'good\nlisten: ENETDOWN' ]
}

# greets ADDRESS: whether the server of listen greets there
greets() {
	[ "$(on far timeout 30 nc "$1" 5001 </dev/null)" = hello ]
}

@test "the same on a listener: the kernel listens, and a line says who is not answered" {
	for when in first later; do
		start_melin server near "$python" "$programs/option_flows.py" listen 5001 "$when"
		printed server ready
		greets "$near_kernel"
		[[ -z $plain ]] || continue
		not greets "$near_stack"
		grep -q 'SO_ATTACH_FILTER.*nobody answers at the stack' \
			"$BATS_TEST_TMPDIR/server.melin"
		end server
	done
}
