#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# Host mode: programs as Debian configures them, with users, root folders and limits of their own.
# Not for the manners of single calls (host.bats).

load lib/common
load lib/host

LEVEL=info
DEFAULT_BORROW=auto

# haproxy sets RLIMIT_NPROC to 0 when it has given up root: no thread can be started after that.
@test "haproxy -W with a user, a root folder and a limit of 0 processes, reloaded" {
	conf=$(nginx_configuration 8080)
	start backend far nginx -c "$conf"
	answers near "$far_kernel" 8080
	mkdir "$BATS_TEST_TMPDIR/empty"
	cat >"$BATS_TEST_TMPDIR/haproxy.cfg" <<-CONF
		global
			chroot $BATS_TEST_TMPDIR/empty
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
	start_melin haproxy near haproxy -W -f "$BATS_TEST_TMPDIR/haproxy.cfg"
	answers far "$near_kernel" 7081
	on far ab -q -k -c 4 -n 4000 "http://$near_kernel:7081/hello" >"$BATS_TEST_TMPDIR/ab.out"
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
