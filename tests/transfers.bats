#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# Programs that carry files and terminals: ssh and sshd, rsync's daemon, sockperf. Servers that
# serve in a child for each connection are told to leave their listener to the kernel, or get a
# defined end: see LIMITS in libmelin(7).

load lib/common

# sshd through the kernel on a host, with keys of its own: start_sshd HOW HOST
start_sshd() {
	mkdir -p /run/sshd
	ssh-keygen -q -t ed25519 -N '' -f "$BATS_TEST_TMPDIR/host_key"
	ssh-keygen -q -t ed25519 -N '' -f "$BATS_TEST_TMPDIR/user_key"
	cp "$BATS_TEST_TMPDIR/user_key.pub" "$BATS_TEST_TMPDIR/authorized_keys"
	cat >"$BATS_TEST_TMPDIR/sshd_config" <<-CONF
		Port 2222
		HostKey $BATS_TEST_TMPDIR/host_key
		AuthorizedKeysFile $BATS_TEST_TMPDIR/authorized_keys
		PidFile none
		StrictModes no
		UsePAM no
		PermitRootLogin yes
		Subsystem sftp internal-sftp
	CONF
	"$1" sshd "$2" /usr/sbin/sshd -D -e -f "$BATS_TEST_TMPDIR/sshd_config"
	ssh_options=(-q -i "$BATS_TEST_TMPDIR/user_key" -o StrictHostKeyChecking=no
		-o UserKnownHostsFile=/dev/null -o BatchMode=yes -o ConnectTimeout=30 -F /dev/null)
}

@test "ssh under melin: a command, and 20 MB each way by checksum" {
	file=$(big_file 20)
	start_sshd start far
	listens far 2222
	mark_kernel near
	[ "$(melin near ssh "${ssh_options[@]}" -p 2222 "$far_kernel" echo hello)" = hello ]
	got=$(melin near ssh "${ssh_options[@]}" -p 2222 "$far_kernel" sha256sum <"$file")
	[ "${got%% *}" = "$(sha256 "$file")" ]
	melin near ssh "${ssh_options[@]}" -p 2222 "$far_kernel" cat "$file" \
		>"$BATS_TEST_TMPDIR/got"
	cmp "$file" "$BATS_TEST_TMPDIR/got"
	kernel_still near
	took client taken_connect -eq 3
}

@test "scp and sftp under melin: the ssh that they start is selected, too" {
	file=$(big_file 20)
	start_sshd start far
	listens far 2222
	mark_kernel near
	melin near scp "${ssh_options[@]}" -P 2222 "$file" "$far_kernel:$BATS_TEST_TMPDIR/sent"
	cmp "$file" "$BATS_TEST_TMPDIR/sent"
	echo "get $BATS_TEST_TMPDIR/sent $BATS_TEST_TMPDIR/back" |
		melin near sftp "${ssh_options[@]}" -b - -P 2222 "$far_kernel"
	cmp "$file" "$BATS_TEST_TMPDIR/back"
	kernel_still near
	took client taken_connect -eq 2
}

@test "sshd -D under melin: a child for each connection, and no client hangs" {
	start_sshd start_melin near
	# the host's own address: the kernel's part of the listener, inherited by the child
	answers far "$near_kernel" 2222
	[ "$(on far ssh "${ssh_options[@]}" -p 2222 "$near_kernel" echo hello)" = hello ]
	if [[ -z $plain ]]; then
		# the stack's: its connections do not go over to the child; refused or ended at once
		not on far timeout 60 ssh "${ssh_options[@]}" -p 2222 "$near_stack" true
		status=0
		on far timeout 60 ssh "${ssh_options[@]}" -p 2222 "$near_stack" true || status=$?
		[ "$status" -eq 255 ]
	fi
	# and the server lives on
	[ "$(on far ssh "${ssh_options[@]}" -p 2222 "$near_kernel" echo hello)" = hello ]
}

start_rsync() { # HOW HOST
	cat >"$BATS_TEST_TMPDIR/rsyncd.conf" <<-CONF
		use chroot = no
		uid = root
		gid = root
		pid file = $BATS_TEST_TMPDIR/rsyncd.process
		log file = /dev/stdout
		[files]
			path = $BATS_TEST_TMPDIR/files
			read only = no
	CONF
	mkdir "$BATS_TEST_TMPDIR/files"
	"$1" rsyncd "$2" rsync --daemon --no-detach --port 8730 --config "$BATS_TEST_TMPDIR/rsyncd.conf"
}

@test "rsync under melin sends 20 MB and 100 files to a daemon" {
	file=$(big_file 20)
	mkdir "$BATS_TEST_TMPDIR/source"
	ln "$file" "$BATS_TEST_TMPDIR/source/big"
	for i in {1..100}; do
		echo "$i" >"$BATS_TEST_TMPDIR/source/$i"
	done
	start_rsync start far
	listens far 8730
	mark_kernel near
	melin near rsync -a "$BATS_TEST_TMPDIR/source/" "rsync://$far_kernel:8730/files/"
	kernel_still near
	diff -r "$BATS_TEST_TMPDIR/source" "$BATS_TEST_TMPDIR/files"
	took client taken_connect -eq 1
	took client tx_bytes -ge 20971520
}

@test "rsync under melin that receives, in a child: an error at once, and all of it with '!'" {
	file=$(big_file 20)
	start_rsync start far
	ln "$file" "$BATS_TEST_TMPDIR/files/big"
	listens far 8730
	if [[ -z $plain ]]; then
		# the receiver is a child and has not got its parent's connection
		status=0
		melin near rsync -a "rsync://$far_kernel:8730/files/" \
			"$BATS_TEST_TMPDIR/got" \
			2>"$BATS_TEST_TMPDIR/rsync.out" || status=$?
		[ "$status" -eq 12 ]
		grep -q 'Transport endpoint is not connected' "$BATS_TEST_TMPDIR/rsync.out"
	fi
	FLOWS='!connect:*:8730,any:198.18.0.0/15:*' melin near rsync -a \
		"rsync://$far_kernel:8730/files/" "$BATS_TEST_TMPDIR/got"
	cmp "$file" "$BATS_TEST_TMPDIR/got/big"
}

@test "sockperf under melin, ping-pong over TCP" {
	start sockperf far sockperf server --tcp -i "$far_kernel" -p 11111
	listens far 11111
	mark_kernel near
	melin near sockperf ping-pong --tcp -i "$far_kernel" -p 11111 -t 1 \
		>"$BATS_TEST_TMPDIR/pingpong.out" 2>&1
	grep -qE 'Summary: (Round trip|Latency) is' "$BATS_TEST_TMPDIR/pingpong.out"
	grep -q 'dropped messages = 0; # duplicated messages = 0' "$BATS_TEST_TMPDIR/pingpong.out"
	kernel_still near
	took client taken_connect -eq 1
}

@test "sockperf server under melin" {
	start_melin sockperf near sockperf server --tcp -i "$near_stack" -p 11111
	answers far "$near_stack" 11111
	mark_kernel near
	on far sockperf ping-pong --tcp -i "$near_stack" -p 11111 -t 1 \
		>"$BATS_TEST_TMPDIR/pingpong.out" 2>&1
	grep -q 'dropped messages = 0; # duplicated messages = 0' "$BATS_TEST_TMPDIR/pingpong.out"
	kernel_still near
	end sockperf INT
	took sockperf taken_accept -ge 1
}
