#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# The structure of the parts: no new cycle of files, no new name in two parts, no new arrow between
# parts than tests/structure.known lists. And the check itself, on a small tree that is made here:
# a check that cannot fail proves nothing.

structure=$BATS_TEST_DIRNAME/structure

@test "the parts have no fault that is not listed, and the list none that is gone" {
	"$structure" --build="${TESTS_BUILD:-$PWD}"
}

# A tree in which all is well. Each file: PART/NAME or PART/FOLDER/NAME, and its C text.
make_tree() {
	tree=$BATS_TEST_TMPDIR/tree
	mkdir -p "$tree"/{preload,stack,dpdk,broker,common}/.libs "$tree/tools/melin"
	echo '# nothing' >"$tree/known"
	mkdir -p "$tree/preload/config" "$tree/dpdk/interface"
	touch "$tree"/preload/config/{config,program_file,span}.h \
		"$tree"/broker/{ipsec,tracking}.h "$tree/dpdk/interface/interface_claim.h"
	echo 'int link_open(void);' >"$tree/dpdk/link.h"
	echo 'int stack_open(void);' >"$tree/stack/stack.h"
	file preload/one '#include "stack/stack.h"' 'int two(void); int one(void) { return two(); }'
	file preload/two 'int two(void) { return 2; }'
	file stack/three '#include "dpdk/link.h"' 'int three(void) { return link_open(); }'
	echo 'int lender_open(void);' >"$tree/broker/lender.h"
	echo 'int lender_connect(int door);' >"$tree/broker/client.h"
	echo 'int broker_start(void);' >"$tree/broker/broker_start.h"
	file dpdk/four '#include "dpdk/link.h"' \
		'int help(void); int link_open(void) { return help(); }'
	file common/help 'int help(void) { return 5; }'
	file tools/melin/command 'int command(void) { return 7; }'
	file broker/loan '#include "broker/lender.h"' 'int lender_open(void) { return 6; }'
}

file() {
	local path=$1 part=${1%%/*} name=${1##*/} library object
	case $part in
	preload) library=libmelin ;;
	stack) library=libstack ;;
	dpdk) library=liblink ;;
	broker) library=liblender ;;
	common) library=libcommon ;;
	esac
	shift
	object=$part/.libs/${library:-}_la-$name.o
	[[ $part != tools ]] || object=tools/melin/melin-$name.o
	mkdir -p "$tree/${path%/*}"
	printf '%s\n' "$@" >"$tree/$path.c"
	"${CC:-gcc}" -fvisibility=hidden -I"$tree" -c "$tree/$path.c" -o "$tree/$object"
}

check() {
	"$structure" --build="$tree" --source="$tree" --known="$tree/known" "$@"
}

# The check must fail, and say this.
complains() {
	local said status=0
	said=$(check) || status=$?
	echo "$said"
	[ "$status" -eq 1 ] && [[ $said == *"$1"* ]]
}

@test "structure: a tree in which all is well passes" {
	make_tree
	check
}

@test "structure: what lwIP's headers declare is lwIP's, whoever answers" {
	make_tree
	mkdir -p "$tree/lwip/src/include/lwip/priv"
	file stack/three 'int six(void); int tcp_output(void) { return six(); }'
	file stack/six 'int tcp_output(void); int six(void) { return tcp_output(); }'
	complains 'new cycle stack: six three'
	echo "LWIP_SRC = $tree/lwip" >"$tree/Makefile"
	echo 'int tcp_close(void);' >"$tree/lwip/src/include/lwip/tcp.h"
	complains 'new cycle stack: six three'
	echo 'int tcp_output (void);' >"$tree/lwip/src/include/lwip/priv/tcp_priv.h"
	check
}

@test "structure: a new cycle, a new file in one, one that is cut" {
	make_tree
	file preload/two 'int one(void); int two(void) { return one(); }'
	complains 'new cycle preload: one two'
	echo 'cycle preload: one two' >"$tree/known"
	check
	file preload/two 'int five(void); int two(void) { return five(); }'
	file preload/five 'int one(void); int five(void) { return one(); }'
	complains 'new in a cycle: five'
	not_by_shrinking
	[ "$(cat "$tree/known")" = 'cycle preload: one two' ]
	file preload/five 'int five(void) { return 5; }'
	complains 'no longer true: cycle preload: one two'
	check --shrink
	[ "$(cat "$tree/known")" = "" ]
	file preload/two 'int one(void); int two(void) { return one(); }'
	complains 'new cycle preload: one two'
	not_by_shrinking
}

not_by_shrinking() {
	local status=0
	check --shrink || status=$?
	[ "$status" -eq 1 ]
}

@test "structure: a cycle that loses a file or falls into two has to be listed as it is" {
	make_tree
	file preload/one 'int two(void); int one(void) { return two(); }'
	file preload/two 'int one(void), five(void); int two(void) { return one() + five(); }'
	file preload/five 'int two(void), six(void); int five(void) { return two() + six(); }'
	file preload/six 'int five(void); int six(void) { return five(); }'
	echo 'cycle preload: five one six two' >"$tree/known"
	check
	file preload/five 'int six(void); int five(void) { return six(); }'
	complains 'no longer true: cycle preload: five one six two'
	check --shrink
	[ "$(cat "$tree/known")" = "$(printf 'cycle preload: five six\ncycle preload: one two')" ]
}

@test "structure: a variable of another file counts, an exported function does not" {
	make_tree
	file preload/two 'extern int number; int number2(void); int two(void) { return number; }'
	file preload/one 'int number; int two(void); int one(void) { return two(); }'
	complains 'new cycle preload: one two'
	file preload/one '#pragma GCC visibility push(default)' \
		'int two(void); int one(void) { return two(); }'
	file preload/two 'int one(void); int two(void) { return one(); }'
	check
}

@test "structure: arrows between the folders of a part" {
	make_tree
	file dpdk/eal/five 'int five(void) { return 5; }'
	file dpdk/port/six '#include "dpdk/link.h"' \
		'int five(void); int six(void) { return five(); }'
	check
	file dpdk/eal/five 'int seven(void); int five(void) { return seven(); }'
	file dpdk/port/seven 'int seven(void) { return 7; }'
	complains 'new folders dpdk: eal -> port'
	complains 'five needs seven of seven'
	echo 'folders dpdk: eal -> port' >"$tree/known"
	check
	file dpdk/eal/five 'int five(void) { return 5; }'
	complains 'no longer true: folders dpdk: eal -> port'
	check --shrink
	[ "$(cat "$tree/known")" = "" ]
	echo '/* nothing */' >"$tree/dpdk/port/six.h"
	file dpdk/eal/five '#include "dpdk/port/six.h"' 'int five(void) { return 5; }'
	complains 'five.c includes port/six.h'
	file dpdk/eal/five 'int link_open(void); int five(void) { return link_open(); }'
	complains 'new folders dpdk: eal -> .'
	file dpdk/eal/five 'int five(void) { return 5; }'
	file dpdk/elsewhere/eight 'int five(void); int eight(void) { return five(); }'
	complains 'new folders dpdk: elsewhere -> eal'
}

@test "structure: names in two parts" {
	make_tree
	file stack/one 'int five(void) { return 1; }'
	complains 'new file one: preload stack'
	echo 'file one: preload stack' >"$tree/known"
	check
	file stack/one 'int two(void) { return 1; }'
	complains 'new function two: preload stack'
}

@test "structure: arrows between the parts" {
	make_tree
	file dpdk/four '#include "stack/stack.h"' 'int link_open(void) { return 4; }'
	complains 'new include dpdk: stack/stack.h'
	file dpdk/four 'int link_open(void) { return 4; } int inner(void) { return 5; }'
	file stack/three 'int inner(void); int three(void) { return inner(); }'
	complains 'new call stack/three: inner of dpdk/'
	file stack/three 'int link_open(void); int three(void) { return link_open(); }'
	check
	file preload/two '#include "broker/lender.h"' 'int two(void) { return lender_open(); }'
	file broker/loan '#include "broker/lender.h"' 'int secret(void) { return 6; }' \
		'int lender_open(void) { return secret(); }'
	check
	file preload/two 'int secret(void); int two(void) { return secret(); }'
	complains 'new call preload/two: secret of broker/'
	file preload/two 'int two(void) { return 2; }'
	file common/help '#include "broker/lender.h"' 'int help(void) { return lender_open(); }'
	complains 'new include common: broker/lender.h'
	complains 'new call common/help: lender_open of broker/'
}
