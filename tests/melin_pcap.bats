#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# melin pcap: the frames of a stack in a file that tcpdump and tshark read, in own mode, where
# tcpdump on the interface does not see them; and that the stack never waits for who reads them.

bats_require_minimum_version 1.5.0
load lib/common

melin=$build/melin

setup() {
	[[ -z $plain ]] || skip "plain run: there is no stack"
	common_setup
}

start_echo() {
	start_melin server near "$python" "$programs/echo_server.py" epoll-edge 7000
	answers far "$near_stack" 7000
}

# capture NAME [ARGUMENT...]: into NAME.pcapng
capture() {
	local name=$1
	shift
	start "$name" near "$melin" pcap "$(pid_of server)" -w "$BATS_TEST_TMPDIR/$name.pcapng" "$@"
	printed "$name" 'capturing frames'
}

frames() {
	frames_of "$BATS_TEST_TMPDIR/$1.pcapng"
}

both_ended() {
	both_ended_in "$BATS_TEST_TMPDIR/$1.pcapng"
}

# A connection with 300 messages each way, by ADDRESS.
talk() {
	on far "$python" "$programs/round_trips.py" "$1" 7000 1 300
}

# The file has it whole, with good checksums: has_all NAME SERVER
has_all() {
	wait_until 60 both_ended "$1" || fail "$(frames "$1" | tail -5)"
	stop "$1" INT
	# One, which a peer may send more than once if the answer comes late.
	[ "$(frames "$1" | sed -nE 's/.* ([^ ]+) > .*Flags \[S\].*/\1/p' | sort -u | wc -l)" -eq 1 ]
	[ "$(frames "$1" | grep -c 'Flags \[S\.\]')" -ge 1 ]
	[ "$(frames "$1" | grep -cE "$2\.7000 > .*length [1-9]")" -ge 300 ]
	[ "$(frames "$1" | grep -cE "> $2\.7000: .*length [1-9]")" -ge 300 ]
	not grep 'cksum .*incorrect' <(frames "$1")
	grep -qE '^[0-9]+ frames captured, [0-9]+ written, 0 lost$' "$BATS_TEST_TMPDIR/$1.out"
}

sees_all() {
	start_echo
	capture ipv4 tcp port 7000
	talk "$near_stack"
	has_all ipv4 "$near_stack"
	# What the filter leaves out is counted, and not written.
	capture other tcp port 7001
	talk "$near_stack"
	stop other INT
	[ "$(frames other | wc -l)" -eq 0 ]
	grep -qE '^[0-9]{3,} frames captured, 0 written, 0 lost$' "$BATS_TEST_TMPDIR/other.out"
}

@test "pcap: IPv6" {
	start_melin server near "$python" "$programs/host_echo.py" serve 7000 threads 2
	printed server ready
	on far "$python" "$programs/host_echo.py" ask "$near_stack6" 7000 1
	capture ipv6 ip6 and tcp
	on far "$python" "$programs/host_echo.py" ask "$near_stack6" 7000 1
	finished server
	finished ipv6
	tcpdump -nn -r "$BATS_TEST_TMPDIR/ipv6.pcapng" 2>/dev/null >"$BATS_TEST_TMPDIR/frames"
	[ "$(grep -cE "$near_stack6\.7000 > .*length [1-9]" "$BATS_TEST_TMPDIR/frames")" -ge 10 ]
	[ "$(grep -cE "> $near_stack6\.7000: .*length [1-9]" "$BATS_TEST_TMPDIR/frames")" -ge 10 ]
	not grep 'cksum .*incorrect' <(frames ipv6)
}

@test "pcap: whole connections by AF_XDP, both directions, checksums and filters" {
	sees_all
}

@test "pcap: whole connections by packet sockets" {
	TESTS_DEVICE=packet:veth0 sees_all
}

# The same frames, read by READER from a pipe; the capture ends by itself: piped READER...
piped() {
	rm -f "$BATS_TEST_TMPDIR/pipe.out"
	"$melin" pcap "$(pid_of server)" -c 20 -w - tcp port 7000 3>&- \
		2>"$BATS_TEST_TMPDIR/pipe.out" |
		"$@" >"$BATS_TEST_TMPDIR/frames" 2>/dev/null 3>&- &
	local reader=$!
	wait_until 60 grep -qs capturing "$BATS_TEST_TMPDIR/pipe.out"
	talk "$near_stack"
	wait "$reader"
	[ "$(wc -l <"$BATS_TEST_TMPDIR/frames")" -eq 20 ]
}

@test "pcap: pipes to tcpdump and tshark, with directions and a snapshot length" {
	start_echo
	piped tcpdump -nn -r -
	grep -q "> $near_stack.7000: Flags \[S\]" "$BATS_TEST_TMPDIR/frames"
	if [[ -n $(command -v tshark) ]]; then
		piped tshark -r - -T fields -e frame.packet_flags_direction -e tcp.srcport
		grep -qE '^(0x0*)?1\s' "$BATS_TEST_TMPDIR/frames"
		grep -qE '^(0x0*)?2\s+7000$' "$BATS_TEST_TMPDIR/frames"
	fi
	# The filter sees more of a frame than is written.
	capture short -c 5 -s 20 tcp port 7000
	talk "$near_stack"
	finished short
	[ "$(tcpdump -nn -r "$BATS_TEST_TMPDIR/short.pcapng" 2>/dev/null | wc -l)" -eq 5 ]
	[ "$(stat -c %s "$BATS_TEST_TMPDIR/short.pcapng")" -lt 800 ]
}

# 20 MB to the server and back, which is 5 times as much as the ring holds in either direction.
bulk() {
	[ "$(head -c 20M /dev/zero | on far nc -N "$near_stack" 7000 | wc -c)" -eq 20971520 ]
}

@test "pcap: a slow reader loses frames, and the stack does not wait for it" {
	start_echo
	# shellcheck disable=SC2016 # the inner shell's
	start slow near bash -c '"$0" pcap "$1" -w - | { until [[ -e $2.go ]]; do sleep 0.05; done
		cat >"$2"; }' "$melin" "$(pid_of server)" "$BATS_TEST_TMPDIR/slow.pcapng"
	printed slow 'capturing frames'
	bulk
	touch "$BATS_TEST_TMPDIR/slow.pcapng.go"
	wait_until 60 says_lost
	# The process ends, and with it the capture.
	end server
	finished slow
	grep -qE '^[0-9]+ frames captured, [0-9]+ written, [1-9][0-9]* lost$' \
		"$BATS_TEST_TMPDIR/slow.out"
	[ "$(tcpdump -nn -r "$BATS_TEST_TMPDIR/slow.pcapng" 2>/dev/null | wc -l)" -ge 1000 ]
}

says_lost() {
	talk "$near_stack"
	grep -qa 'melin: [1-9][0-9]* frames before this one were lost' \
		"$BATS_TEST_TMPDIR/slow.pcapng"
}

@test "pcap: what is in the ring when the capture is ended is written whole" {
	start_echo
	capture ended
	start stream far bash -c 'head -c 200M /dev/zero | nc -N "$0" 7000 >"$1"' "$near_stack" \
		"$BATS_TEST_TMPDIR/echo"
	wait_until 60 test -s "$BATS_TEST_TMPDIR/echo"
	stop ended INT
	grep -qE '^[1-9][0-9]* frames captured, ' "$BATS_TEST_TMPDIR/ended.out"
	# A frame of a ring that was emptied too early has no time.
	not grep -q '^0\.' <(tcpdump -nn -tt -r "$BATS_TEST_TMPDIR/ended.pcapng" 2>/dev/null)
	not grep -q 'cannot be' "$BATS_TEST_TMPDIR/ended.out"
	end stream
}

# Whether the process waits within one write(2) that has written nothing yet: what had written some
# would have come back with the timer that the command has, and be called with the rest.
is_writing() {
	local before
	before=$(<"/proc/$1/syscall")
	sleep 1.2
	[[ $before == "1 "* && $(<"/proc/$1/syscall") == "$before" ]]
}

@test "pcap: ended while it writes to a full pipe, it writes the rest" {
	local fifo=$BATS_TEST_TMPDIR/fifo holder reader
	[[ -r /proc/self/syscall ]] || skip "the kernel does not tell of system calls"
	mkfifo "$fifo"
	start_echo
	# A reader that does not read yet.
	exec {holder}<>"$fifo"
	start blocked near "$melin" pcap "$(pid_of server)" -w "$fifo" {holder}<&-
	printed blocked 'capturing frames'
	bulk
	wait_until 60 is_writing "$(pid_of blocked)"
	kill -INT "$(pid_of blocked)"
	exec {reader}<"$fifo" {holder}<&-
	cat <&"$reader" >"$BATS_TEST_TMPDIR/blocked.pcapng" &
	exec {reader}<&-
	finished blocked
	wait "$!"
	grep -qE '^[0-9]+ frames captured, [1-9][0-9]* written, ' "$BATS_TEST_TMPDIR/blocked.out"
	not grep -q 'cannot be written' "$BATS_TEST_TMPDIR/blocked.out"
	tcpdump -nn -r "$BATS_TEST_TMPDIR/blocked.pcapng" >"$BATS_TEST_TMPDIR/frames" 2>&1
	[ "$(wc -l <"$BATS_TEST_TMPDIR/frames")" -ge 1000 ]
	not grep -q truncated "$BATS_TEST_TMPDIR/frames"
}

@test "pcap: a reader that is killed harms nobody, and the next one takes its place" {
	start_echo
	capture first
	run -1 "$melin" pcap "$(pid_of server)" -w /dev/null
	[[ $output == *'another melin pcap captures its frames'* ]]
	end first KILL
	bulk
	talk "$near_stack"
	capture second tcp port 7000
	talk "$near_stack"
	has_all second "$near_stack"
	alive server
}

@test "pcap: what is wrong is said" {
	start_echo
	pid=$(pid_of server)
	run -2 "$melin" pcap
	run -2 "$melin" pcap "$pid"
	run -2 "$melin" pcap "$pid" -w "$BATS_TEST_TMPDIR/x" port and
	[[ $output == *'filter "port and": '* ]]
	run -2 "$melin" pcap "$pid" -s 0 -w "$BATS_TEST_TMPDIR/x"
	run -1 "$melin" pcap "$pid" -w "$BATS_TEST_TMPDIR/none/x"
	[[ $output == *'No such file or directory'* ]]
	[ ! -e "$BATS_TEST_TMPDIR/x" ]
	cp "$melin" "$BATS_TEST_TMPDIR/melin"
	chmod 755 "$BATS_TEST_TMPDIR" "$BATS_TEST_TMPDIR/melin"
	run -1 setpriv --reuid=65534 --regid=65534 --clear-groups \
		"$BATS_TEST_TMPDIR/melin" pcap "$pid" -w -
	start_melin idle near env MELIN_DEV=loop MELIN_ADDR= "MELIN_FLOWS=any:127.0.0.0/8:*" \
		"$python" "$programs/echo_server.py" epoll-edge 7001
	listens near 7001
	run -1 "$melin" pcap "$(pid_of idle)" -w /dev/null
	[[ $output == *': it has no stack yet: no connection has needed one'* ||
		$output == *': its device is the loop: there are no frames'* ]]
}
