# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# What every end-to-end test starts from: two hosts (network namespaces) with a cable (veth pair)
# between them, programs run on either with or without melin, the kernel's TCP counters of each
# host, and melin's own summary. Not for the stories themselves: those are the .bats files.
#
# The hosts are called near (where melin runs, as a rule) and far. Each has a kernel address and
# one that only a stack answers on:
#
#                     near           far
#     kernel          198.18.0.1     198.18.0.2      fd00::1     fd00::2
#     stack           198.18.0.10    198.18.0.20     fd00::10    fd00::20
#
# In both hosts the interface is called veth0.
#
# TESTS_PLAIN=1 runs the stories without libmelin.so and gives the stack's addresses to the kernel:
# that shows whether a story itself is sound. What is asserted of the path is left out then.
#
# TESTS_DEVICE=packet:veth0 tells the stories over another device.

# shellcheck disable=SC2034 # used by the stories
{
	near_kernel=198.18.0.1 near_stack=198.18.0.10 near_kernel6=fd00::1 near_stack6=fd00::10
	far_kernel=198.18.0.2 far_stack=198.18.0.20 far_kernel6=fd00::2 far_stack6=fd00::20
}

build=${TESTS_BUILD:-$PWD}
library=$build/.libs/libmelin.so
module=$build/.libs/melin-stack.so
programs=$BATS_TEST_DIRNAME/programs
plain=${TESTS_PLAIN:-}
python=/usr/bin/python3
[[ -x $python ]] || python=$(command -v python3)

# Seconds that one program in the foreground may take, and one whole test. These and all others here
# are for machines that are slow and busy, too: what goes well never waits for their end.
: "${limit:=150}"
export BATS_TEST_TIMEOUT=${BATS_TEST_TIMEOUT:-300}

# ---- life of a test ----------------------------------------------------------------------------

# The stories' setup() and teardown() are these two, unless they have more to do.
setup() {
	common_setup
}

teardown() {
	common_teardown
}

common_setup() {
	[[ $EUID -eq 0 ]] || skip "needs root to make network namespaces"
	[[ -n $plain || -f $library ]] || fail "there is no $library: run make first"
	make_hosts
}

common_teardown() {
	local name
	[[ -n ${BATS_TEST_COMPLETED:-} || -n ${BATS_TEST_SKIPPED:-} ]] || show_logs
	for name in "$BATS_TEST_TMPDIR"/*.pid; do
		[[ -e $name ]] && kill_group "$(<"$name")"
	done
	remove_hosts
}

# The output of all programs of the test and of melin, for a test that failed.
show_logs() {
	local file
	for file in "$BATS_TEST_TMPDIR"/*.out "$BATS_TEST_TMPDIR"/*.melin; do
		[[ -s $file ]] || continue
		echo "---- $(basename "$file") (last 30 lines)"
		tail -n 30 "$file" | cut -c1-300 | tr -cd '\11\12\40-\176'
	done
}

fail() {
	printf '%s\n' "$@" >&2
	return 1
}

# The command must fail. ("! command" does not end a test: bash's set -e leaves it out.)
not() {
	if "$@" 2>/dev/null; then
		fail "should have failed: $*"
	fi
}

# Ends a program that start() has started, and all that it has started itself.
kill_group() {
	local pid=$1
	kill -TERM -- "-$pid" 2>/dev/null || return 0
	wait_until 5 gone "-$pid" || kill -KILL -- "-$pid" 2>/dev/null || true
	wait_until 5 gone "-$pid" || true
}

# Not there any more, or a zombie that only waits to be collected. $1: pid, or -pid for its group.
gone() {
	local pid=${1#-} left
	if [[ $1 == -* ]]; then
		# shellcheck disable=SC2009 # pgrep would count zombies, too
		left=$(ps -o stat= -g "$pid" 2>/dev/null | grep -cv '^Z')
		[ "$left" -eq 0 ]
	else
		[[ ! -e /proc/$pid ]] || [[ $(ps -o stat= -p "$pid") == Z* ]]
	fi
}

# Calls a command again and again until it succeeds. $1: seconds to give it at most.
wait_until() {
	local end=$((${EPOCHREALTIME/[.,]/} + $1 * 1000000))
	shift
	until "$@"; do
		[[ ${EPOCHREALTIME/[.,]/} -lt $end ]] || return 1
		sleep 0.05
	done
}

# ---- hosts -------------------------------------------------------------------------------------

# The network namespace of a host of this test.
host() {
	echo "melin-$(<"$BATS_TEST_TMPDIR/hosts")-$1"
}

make_host() {
	ip netns add "$(host "$1")"
	ip -n "$(host "$1")" link set lo up
	# No address that nobody gave, no duplicate detection to wait for.
	on "$1" sysctl -qw net.ipv6.conf.default.accept_ra=0 net.ipv6.conf.default.dad_transmits=0
}

# Makes near and far and connects them.
make_hosts() {
	mktemp -u XXXXXX >"$BATS_TEST_TMPDIR/hosts"
	make_host near
	make_host far
	connect_hosts near veth0 far veth0
	address near veth0 "$near_kernel/24" "$near_kernel6/64"
	address far veth0 "$far_kernel/24" "$far_kernel6/64"
	if [[ -n $plain ]]; then
		address near veth0 "$near_stack/24"
		address far veth0 "$far_stack/24"
		# not to be chosen as the source of the kernel's own connections
		ip -n "$(host near)" address add "$near_stack6/64" dev veth0 nodad preferred_lft 0
		ip -n "$(host far)" address add "$far_stack6/64" dev veth0 nodad preferred_lft 0
	fi
}

# A cable between two hosts. $1 and $2: host and interface; $3 and $4: the other end.
connect_hosts() {
	ip link add "$2" netns "$(host "$1")" type veth peer name "$4" netns "$(host "$3")"
	ip -n "$(host "$1")" link set "$2" up
	ip -n "$(host "$3")" link set "$4" up
}

# $1: host, $2: interface; then the addresses it gets.
address() {
	local name=$1 interface=$2 each
	shift 2
	for each; do
		if [[ $each == *:* ]]; then
			ip -n "$(host "$name")" address add "$each" dev "$interface" nodad
		else
			ip -n "$(host "$name")" address add "$each" dev "$interface"
		fi
	done
}

remove_hosts() {
	local each id
	[[ -f $BATS_TEST_TMPDIR/hosts ]] || return 0
	id=$(<"$BATS_TEST_TMPDIR/hosts")
	for each in /run/netns/melin-"$id"-*; do
		[[ -e $each ]] && ip netns delete "$(basename "$each")"
	done
	return 0
}

# ---- programs ----------------------------------------------------------------------------------

# What melin is told, unless a story says otherwise; [NAME=VALUE...] in front of the program go in
# addition. FLOWS: the rules.
melin_environment() {
	local name=$1 log=$2 addresses
	addresses=$near_stack/24,$near_stack6/64
	[[ $name == near ]] || addresses=$far_stack/24,$far_stack6/64
	# make check-sanitizers has more than the library.
	environment=("LD_PRELOAD=${TESTS_PRELOAD:-$library}" "MELIN_DEV=${TESTS_DEVICE:-veth0}"
		"MELIN_ADDR=${ADDR:-$addresses}"
		"MELIN_FLOWS=${FLOWS-any:198.18.0.0/15:*,any:[fd00::/8]:*}" "MELIN_LOG=info:$log")
	if [[ -n $plain ]]; then
		environment=()
	fi
}

# Runs a program on a host, through the kernel.
on() {
	local name=$1
	shift
	timeout -k 5 "$limit" ip netns exec "$(host "$name")" "$@"
}

# Runs a program on a host under melin: melin HOST [NAME=VALUE...] PROGRAM...
# melin's log is "client".
melin() {
	local name=$1 environment
	shift
	melin_environment "$name" "$BATS_TEST_TMPDIR/client.melin"
	timeout -k 5 "$limit" ip netns exec "$(host "$name")" env "${environment[@]}" "$@"
}

# Starts a program on a host: start NAME HOST PROGRAM...
# Its output goes to NAME.out; it has a process group of its own and is ended with the test.
# (A shell starts what is in the background with SIGINT ignored: that is undone.)
start() {
	local name=$1 host
	host=$(host "$2")
	shift 2
	: >"$BATS_TEST_TMPDIR/$name.out" # nobody may read what an earlier one of that name printed
	setsid env --default-signal=INT,QUIT ip netns exec "$host" "$@" \
		>"$BATS_TEST_TMPDIR/$name.out" 2>&1 </dev/null 3>&- &
	echo $! >"$BATS_TEST_TMPDIR/$name.pid"
}

# The same under melin, with NAME as the name of melin's log.
start_melin() {
	local name=$1 host=$2 environment
	shift 2
	melin_environment "$host" "$BATS_TEST_TMPDIR/$name.melin"
	start "$name" "$host" env "${environment[@]}" "$@"
}

pid_of() {
	cat "$BATS_TEST_TMPDIR/$1.pid"
}

# What a started program has printed so far.
output_of() {
	cat "$BATS_TEST_TMPDIR/$1.out"
}

# Ends a started program with a signal (default TERM) and gives its exit status.
stop() {
	local pid status=0
	pid=$(pid_of "$1")
	kill "-${2:-TERM}" "$pid" 2>/dev/null || true
	wait_until 60 gone "$pid" || {
		kill_group "$pid"
		fail "$1 did not end within 60 s of SIG${2:-TERM}"
		return
	}
	wait "$pid" || status=$?
	kill_group "$pid"
	rm "$BATS_TEST_TMPDIR/$1.pid"
	return "$status"
}

# The same, for a program whose exit status does not matter to the story.
end() {
	stop "$@" || true
}

# Waits for a started program to end by itself and gives its exit status. $2: seconds.
finished() {
	local pid status=0
	pid=$(pid_of "$1")
	wait_until "${2:-$limit}" gone "$pid" || {
		fail "$1 did not end within ${2:-$limit} s"
		return
	}
	wait "$pid" || status=$?
	rm "$BATS_TEST_TMPDIR/$1.pid"
	return "$status"
}

alive() {
	! gone "$(pid_of "$1")"
}

# Waits until a started program has printed a line that matches. $3: seconds.
printed() {
	wait_until "${3:-60}" printed_or_gone "$1" "$2" || {
		fail "$1 did not print \"$2\" within ${3:-60} s"
		return
	}
	grep -qE -- "$2" "$BATS_TEST_TMPDIR/$1.out" || {
		local status=0
		wait "$(pid_of "$1")" || status=$?
		fail "$1 ended with status $status and did not print \"$2\""
	}
}

printed_or_gone() {
	grep -qE -- "$2" "$BATS_TEST_TMPDIR/$1.out" || gone "$(pid_of "$1")"
}

# Waits until a connection from a host to address and port is accepted: answers HOST ADDRESS PORT
answers() {
	wait_until 60 on "$1" nc -z -w 5 "$2" "$3" 2>/dev/null ||
		fail "nobody answers on $2 port $3 within 60 s"
}

# Waits until a program on the host listens on a port in the kernel (for servers that take only
# one connection, which answers() would use up): listens HOST PORT
listens() {
	wait_until 60 listening "$1" "$2" || fail "nobody listens on port $2 of $1 within 60 s"
}

listening() {
	on "$1" ss -Hltn "sport = :$2" | grep -q .
}

# ---- what happened -----------------------------------------------------------------------------

# The kernel's TCP counters of a host, as bash assignments.
kernel_tcp() {
	on "$1" nstat -asz TcpInSegs TcpOutSegs TcpActiveOpens TcpPassiveOpens |
		awk '/^Tcp/ { printf "%s=%d\n", $1, $2 }'
}

# Remembers them, for the two assertions below. What is on its way to an end is let come there: the
# last FIN of an earlier connection is none of what follows.
mark_kernel() {
	wait_until 20 none_ends "$1" || true # one that its program keeps half open
	kernel_tcp "$1" >"$BATS_TEST_TMPDIR/$1.counters"
}

none_ends() {
	[ -z "$(on "$1" ss -Htn state close-wait state last-ack state fin-wait-1 state fin-wait-2 \
		state closing)" ]
}

# How much one of them has grown since mark_kernel().
kernel_growth() {
	local before after
	before=$(sed -n "s/^$2=//p" "$BATS_TEST_TMPDIR/$1.counters")
	after=$(kernel_tcp "$1" | sed -n "s/^$2=//p")
	echo $((after - before))
}

# The kernel of the host had nothing to do with TCP since mark_kernel().
kernel_still() {
	local counter growth
	[[ -z $plain ]] || return 0
	for counter in TcpInSegs TcpOutSegs TcpActiveOpens TcpPassiveOpens; do
		growth=$(kernel_growth "$1" "$counter")
		[[ $growth -eq 0 ]] || {
			fail "$counter of $1 grew by $growth; it should stand still"
			return
		}
	done
}

# It carried segments: kernel_moved HOST [AT-LEAST]
kernel_moved() {
	local growth
	growth=$(kernel_growth "$1" TcpInSegs)
	[[ $growth -ge ${2:-3} ]] || fail "TcpInSegs of $1 grew by $growth, not by ${2:-3} at least"
}

# A field of melin's summary, over all processes that wrote to the log: summary LOG FIELD
summary() {
	awk -v field="$2" '
		/melin: summary:/ {
			lines++
			for (i = 1; i <= NF; i++)
				if (index($i, field "=") == 1) {
					found++
					sum += substr($i, length(field) + 2)
				}
		}
		END {
			if (!lines) { print "no summary" }
			else if (!found) { print "no field " field }
			else printf "%d\n", sum
		}' "$BATS_TEST_TMPDIR/$1.melin" 2>/dev/null || echo "no log"
}

# took LOG FIELD OPERATOR NUMBER, as in: took client taken_connect -eq 1
took() {
	local value
	[[ -z $plain ]] || return 0
	value=$(summary "$1" "$2")
	[[ $value =~ ^[0-9]+$ ]] || {
		fail "$1: $value (wanted $2 $3 $4)"
		return
	}
	test "$value" "$3" "$4" || fail "$1: $2 is $value, wanted $3 $4"
}

# Whether a started program has loaded the stack: maps say so.
module_loaded() {
	grep -q melin-stack "/proc/$(pid_of "$1")/maps"
}

# ---- servers that several stories use ----------------------------------------------------------

# A file of the given number of megabytes, made once for all tests of a .bats file. Prints its name.
big_file() {
	local file=$BATS_FILE_TMPDIR/big.$1
	if [[ ! -f $file ]]; then
		mkdir -p "$BATS_FILE_TMPDIR"
		head -c "$1M" /dev/urandom >"$file"
		chmod 644 "$file"
	fi
	echo "$file"
}

sha256() {
	sha256sum "$@" | cut -d' ' -f1
}

# Writes nginx's configuration and prints its name: nginx_configuration LISTEN [off|on]
nginx_configuration() {
	local file=$BATS_TEST_TMPDIR/nginx.conf
	cat >"$file" <<-CONF
		daemon off;
		master_process ${2:-off};
		worker_processes 1;
		user root;
		pid $BATS_TEST_TMPDIR/nginx.process;
		error_log stderr warn;
		events { worker_connections 512; }
		http {
			access_log off;
			sendfile on;
			client_body_temp_path $BATS_TEST_TMPDIR/nginx.body;
			proxy_temp_path $BATS_TEST_TMPDIR/nginx.proxy;
			fastcgi_temp_path $BATS_TEST_TMPDIR/nginx.fastcgi;
			uwsgi_temp_path $BATS_TEST_TMPDIR/nginx.uwsgi;
			scgi_temp_path $BATS_TEST_TMPDIR/nginx.scgi;
			server {
				listen $1;
				root $BATS_FILE_TMPDIR;
				location = /hello { return 200 "hello from nginx\n"; }
			}
		}
	CONF
	echo "$file"
}

# ---- captures ----------------------------------------------------------------------------------

# What a file of tcpdump's or melin pcap's has, a line a frame.
frames_of() {
	tcpdump -nn -tt -vv -r "$1" 2>/dev/null | paste - -
}

# The FIN of either side is in it.
both_ended_in() {
	[ "$(frames_of "$1" | grep -c 'Flags \[F[P.]*\]')" -ge 2 ]
}

# The processes of a host that have that name: named HOST NAME
named() {
	ip netns pids "$(host "$1")" | while read -r pid; do
		[[ $(cat "/proc/$pid/comm" 2>/dev/null) != "$2" ]] || echo "$pid"
	done
}
