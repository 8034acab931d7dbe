#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# What is installed: which files, how they were compiled, and that nothing is left of them when they
# are uninstalled. Not for what they do.

bats_require_minimum_version 1.5.0
build=${TESTS_BUILD:-$PWD}
source=${TESTS_SOURCE:-$BATS_TEST_DIRNAME/..}
objects=("$build/.libs/libmelin.so" "$build/.libs/melin-stack.so")

make_quiet() {
	make -s -C "$build" "$@" >"$BATS_TEST_TMPDIR/make.out" 2>&1 || {
		cat "$BATS_TEST_TMPDIR/make.out"
		return 1
	}
}

# A variable of the build's Makefile.
variable() {
	sed -n "s/^$1 = *//p" "$build/Makefile"
}

@test "both libraries are hardened as the distribution's are" {
	flags=$(variable HARDENING_CFLAGS)
	[[ -n $flags ]] || skip "built with --disable-hardening"
	for object in "${objects[@]}"; do
		echo "$object"
		readelf -Wd "$object" | grep -qE 'FLAGS.*\bBIND_NOW\b'
		readelf -Wl "$object" | grep -q GNU_RELRO
		readelf -Wl "$object" | grep -qE 'GNU_STACK .* RW  '
		nm -D "$object" | grep -q ' U __stack_chk_fail'
		[[ -z $(variable HARDENING_CPPFLAGS) ]] || nm -D "$object" |
			grep -qE ' U __\w+_chk@'
		# The note that says so for the whole file needs a libc that is built so, too.
		[[ $flags != *-fcf-protection* ]] ||
			[[ $(objdump -d "$object" | grep -c '\bendbr64\b') -gt 100 ]]
	done
}

@test "the distribution's flags are all found with the distribution's compiler" {
	grep -q 'VERSION_CODENAME=\(bookworm\|trixie\)' /etc/os-release ||
		skip "not Debian 12 or 13"
	[[ $(uname -m) == x86_64 ]] || skip "not x86-64"
	[[ -n $(variable HARDENING_CFLAGS) ]] || skip "built with --disable-hardening"
	all="$(variable HARDENING_CFLAGS) $(variable HARDENING_CPPFLAGS) $(variable \
		HARDENING_LDFLAGS)"
	for flag in -fstack-protector-strong -fstack-clash-protection -fcf-protection \
		-Werror=format-security -D_FORTIFY_SOURCE=3 -Wl,-z,relro -Wl,-z,now; do
		[[ " $all " == *" $flag "* ]] || {
			echo "$flag is missing in $all"
			false
		}
	done
}

@test "make install installs what is needed, and make uninstall leaves nothing" {
	stage=$BATS_TEST_TMPDIR/stage
	make_quiet install DESTDIR="$stage"
	installed=$(find "$stage" -type f -printf '%f\n' | LC_ALL=C sort | paste -sd' ')
	echo "$installed"
	[[ $installed == 'LICENSE LICENSE.lwIP NEWS README.md'\
' latency.conf libmelin.7 libmelin.so melin melin melin-broker melin-broker.8'\
' melin-broker.service melin-broker.socket melin-stack.so melin.1 melin.conf melin.conf '* ]]
	[[ $installed != *.la* ]]
	cmp "$(find "$stage" -name LICENSE.lwIP)" "$(variable LWIP_SRC)/COPYING"
	cmp "$(find "$stage" -name LICENSE)" "$source/LICENSE"
	make_quiet uninstall DESTDIR="$stage"
	left=$(find "$stage" -mindepth 1)
	echo "left: $left"
	[[ -z $left ]]
}

@test "make uninstall removes melin's folders and leaves those of others" {
	prefix=$BATS_TEST_TMPDIR/prefix
	mkdir -p "$prefix/lib/other" "$prefix/share/doc/other"
	make_quiet install prefix="$prefix"
	[[ -d $prefix/lib/melin && -d $prefix/share/doc/melin ]]
	make_quiet uninstall prefix="$prefix"
	[[ -z $(find "$prefix" -name '*melin*') ]]
	[[ -d $prefix/lib/other && -d $prefix/share/doc/other ]]
}

@test "libmelin.so can be run: its version and a line of help" {
	version=$(sed -n 's/^AC_INIT(\[melin\], \[\(.*\)\], .*/\1/p' "$source/configure.ac" |
		cut -d] -f1)
	run -0 "${objects[0]}"
	[[ ${lines[0]} == "melin $version: "* ]]
	[[ ${lines[1]} == 'usage: LD_PRELOAD='* && ${#lines[@]} -eq 2 ]]
	# Whatever the environment says, and as a library all the same.
	[[ $(env MELIN_XYZZY=1 "${objects[0]}") == "$output" ]]
	[[ $(LD_PRELOAD=${objects[0]} /bin/echo hello) == hello ]]
	if "${objects[0]}" >/dev/full; then
		false
	fi
}

@test "a release has every file that git knows" {
	git -C "$source" rev-parse --git-dir >/dev/null 2>&1 || skip "this is no clone"
	make -s -C "$build" distdir distdir="$BATS_TEST_TMPDIR/release"
	missing=$(git -C "$source" ls-files | grep -vxF .gitignore | LC_ALL=C sort |
		LC_ALL=C comm -23 - <(cd "$BATS_TEST_TMPDIR/release" &&
			find . -type f -printf '%P\n' | LC_ALL=C sort))
	echo "missing: $missing"
	[ -z "$missing" ]
}
