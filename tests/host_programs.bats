#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# Host mode: programs as Debian configures them, with users, root folders and limits of their own.
# Not for the manners of single calls (host.bats).

load lib/common
load lib/host

LEVEL=info
DEFAULT_BORROW=auto

# Its stack starts beside, and where others want its processor it pays less often.
four_are_borrowed() {
	local log=$BATS_TEST_TMPDIR/haproxy.melin
	on far ab -q -k -c 4 -n 4000 "http://$near_kernel:7081/hello" >"$BATS_TEST_TMPDIR/ab.out" &&
		[ "$(grep -c 'descriptor [0-9]*: borrowed' "$log")" -ge 4 ]
}

# haproxy in front of a server on far, which becomes nobody. $1: what else is for all of it.
haproxy_configuration() {
	cat >"$BATS_TEST_TMPDIR/haproxy.cfg" <<-CONF
		global
			${1:-}
			user nobody
			group nogroup
		defaults
			mode http
			timeout connect 60s
			timeout client 60s
			timeout server 60s
		listen web
			bind *:7081
			server one $far_kernel:8080
	CONF
}

# haproxy sets RLIMIT_NPROC to 0 when it has given up root: no thread can be started after that.
@test "haproxy -W with a user, a root folder and a limit of 0 processes, reloaded" {
	conf=$(nginx_configuration 8080)
	start backend far nginx -c "$conf"
	answers near "$far_kernel" 8080
	mkdir "$BATS_TEST_TMPDIR/empty"
	haproxy_configuration "chroot $BATS_TEST_TMPDIR/empty"
	# It listens at all addresses, and the rule is for a network of them.
	FLOWS=listen:${near_kernel%.*}.0/24:7081
	LEVEL=debug
	start_melin haproxy near haproxy -W -f "$BATS_TEST_TMPDIR/haproxy.cfg"
	answers far "$near_kernel" 7081
	wait_until 100 four_are_borrowed || fail "not borrowed"
	grep -q 'Failed requests: *0$' "$BATS_TEST_TMPDIR/ab.out"
	kill -USR2 "$(pid_of haproxy)"
	on far ab -q -c 4 -n 400 "http://$near_kernel:7081/hello" >"$BATS_TEST_TMPDIR/ab.out"
	grep -q 'Failed requests: *0$' "$BATS_TEST_TMPDIR/ab.out"
	# The first worker ends by itself.
	wait_until 60 grep -qE 'summary: .* borrowed=([4-9]|[1-9][0-9]+) .* returned_lost=0 ' \
		"$BATS_TEST_TMPDIR/haproxy.melin"
	stop haproxy || [ $? = 143 ]
	stop backend QUIT
}

# It listens where no rule selects anything, and allows itself no thread before it connects.
@test "haproxy as a proxy whose connections to its backend are selected alone" {
	start backend far nginx -c "$(nginx_configuration 8080)"
	answers near "$far_kernel" 8080
	haproxy_configuration
	FLOWS='connect:*:8080' BORROW=always start_melin haproxy near haproxy -W \
		-f "$BATS_TEST_TMPDIR/haproxy.cfg"
	answers far "$near_kernel" 7081
	on far ab -q -k -c 4 -n 4000 "http://$near_kernel:7081/hello" >"$BATS_TEST_TMPDIR/ab.out"
	grep -q 'Failed requests: *0$' "$BATS_TEST_TMPDIR/ab.out"
	stop haproxy || [ $? = 143 ]
	took haproxy borrowed -ge 1
	took haproxy returned_lost -eq 0
	stop backend QUIT
}

# The processes above it may not be looked at, but cannot have what it has accepted itself.
@test "redis-server of another user than its parent borrows again when a child has saved" {
	local rights=+net_admin,+net_raw,+bpf,+net_bind_service
	start redis near env "LD_PRELOAD=$library" 'MELIN_FLOWS=listen:*:7379' MELIN_LOG=debug \
		MELIN_BORROW=always bash -c 'setpriv "$@"; exit' setpriv --reuid nobody \
		--regid nogroup --clear-groups --inh-caps "$rights" --ambient-caps "$rights" \
		redis-server --port 7379 --bind '*' --protected-mode no --save '' --dir /
	printed redis 'eady to accept connections'
	start client far bash -c "while sleep 0.01; do echo ping; done |
		redis-cli -h $near_kernel -p 7379"
	wait_until 60 grep -q 'descriptor [0-9]*: borrowed' "$BATS_TEST_TMPDIR/redis.out"
	wait_until 60 borrowed_after_fork || fail "not borrowed again"
	end client
	end redis
}

# News of its path may have taken it back when the first child is made.
borrowed_after_fork() {
	grep -q 'given back: another process' "$BATS_TEST_TMPDIR/redis.out" ||
		on far redis-cli -h "$near_kernel" -p 7379 bgsave >/dev/null
	awk '/given back: another process/ { given[$3] = 1 } /: borrowed/ && given[$3] { again = 1 }
		END { exit !again }' "$BATS_TEST_TMPDIR/redis.out"
}

# The threads of a start wait for each other on one processor, by turns of their own priority.
@test "redis-server with a real-time priority on one processor starts a stack and serves" {
	BORROW=always start_melin redis near chrt --fifo 5 taskset --cpu-list 0 redis-server \
		--port 7379 --bind '*' --protected-mode no --save '' --dir /
	printed redis 'eady to accept connections'
	on far redis-benchmark -h "$near_kernel" -p 7379 -c 4 -n 4000 -t get -q
	wait_until 60 grep -q 'can be borrowed from now on' "$BATS_TEST_TMPDIR/redis.melin"
	end redis
}
