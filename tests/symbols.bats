#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# What libmelin.so exports: exactly the functions of its list, and every one of the calls on
# descriptors and sockets that the installed programs import. A forgotten variant is found here.
# Not for what the functions do.

bats_require_minimum_version 1.5.0
build=${TESTS_BUILD:-$PWD}
source=${TESTS_SOURCE:-$BATS_TEST_DIRNAME/..}
library=$build/.libs/libmelin.so

exported() {
	nm -D --defined-only "$library" | awk '{ print $3 }' | sort -u
}

listed() {
	{
		grep -oE '^\s*(SYMBOL|POINT)\([^,]+, [A-Za-z0-9_]+,' \
			"$source/preload/libc/symbols.h" |
			sed -E 's/.*, ([A-Za-z0-9_]+),/\1/'
		sed -nE 's/^INTERPOSED_ALIAS\(.*, (.*)\);/\1/p' "$source"/preload/calls/calls_*.c
	} | sort -u
}

# Families in which a variant that melin does not know would reach the idle twin.
families='^(__)?(socket|bind|listen|accept4?|connect|shutdown|close|close_range|closefrom'
families+='|getsockname|getpeername|[gs]etsockopt|read|readv|write|writev'
families+='|preadv2|preadv64v2|pwritev2|pwritev64v2|recv|recvfrom|recvmsg'
families+='|recvmmsg|send|sendto|sendmsg|sendmmsg|sendfile(64)?|splice|dup[23]?|fcntl(64)?|ioctl'
families+='|p?poll|p?select|epoll_(create1?|ctl|wait|pwait2?)|v?dprintf|f(d|re)open(64)?|sockatmark'
families+='|vfork|syscall|_exit|_Exit|sigaction|signal|siginterrupt)(_chk)?$'

@test "the exports are the list, no more and no less" {
	diff <(listed) <(exported)
}

@test "every variant that installed programs import is exported" {
	local missing
	imported=$(find /usr/bin /usr/sbin /usr/lib -maxdepth 3 -type f \
		\( -perm -u+x -o -name '*.so*' \) -size +4k -print0 2>/dev/null |
		xargs -0 -r nm -D --undefined-only 2>/dev/null |
		awk '$1 == "U" { sub(/@.*/, "", $2); print $2 }' | sort -u | grep -E "$families")
	[[ $(wc -l <<<"$imported") -gt 40 ]]
	missing=$(comm -23 <(echo "$imported") <(exported))
	echo "not exported: $missing"
	[[ -z $missing ]]
}

@test "libmelin.so needs libc alone" {
	run -0 readelf -d "$library"
	[[ $(grep -c NEEDED <<<"$output") -eq 1 ]]
	[[ $output == *libc.so* ]]
}

# Each thread's stack has the thread variables of preloaded libraries in it, and the smallest stack
# that a program may ask for has 16 KB.
@test "libmelin.so has less than 1 KB of thread variables" {
	local size
	size=$(readelf -lW "$library" | awk '$1 == "TLS" { print $6 }')
	echo "thread variables: ${size:-none}"
	[[ -z $size || $((size)) -lt 1024 ]]
}
