#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# bootstrap: how it reads the machine's apt sources, and what it says to wrong words. Not the
# installation itself: that is what a fresh machine shows.

setup() {
	bootstrap=${TESTS_SOURCE:-$BATS_TEST_DIRNAME/..}/bootstrap
	eval "$(sed -n '/^source_entry()/,/^}/p' "$bootstrap")"
	LWIP_SUITE=trixie codename=bookworm
	file=$BATS_TEST_TMPDIR/sources
}

# read_as FORM: standard input is the file
read_as() {
	cat >"$file"
	timeout 10 bash -c "$(declare -f source_entry); LWIP_SUITE=trixie codename=bookworm
		source_entry $1 '$file'"
}

@test "one line an entry: the first of the main archive, with its options" {
	[ "$(read_as list <<-'LIST'
		# comment
		deb cdrom:[Debian GNU/Linux 12]/ bookworm main
		deb http://security.example/debian-security bookworm-security main
		deb http://other.example/tools bookworm stable
		deb [arch=amd64 signed-by=/a.gpg] http://mirror.example/debian bookworm main contrib
		deb http://second.example/debian bookworm main
	LIST
	)" = "deb-src [ signed-by=/a.gpg] http://mirror.example/debian trixie main" ]
}

@test "one line an entry: without options, with options that only name an architecture" {
	[ "$(read_as list <<<'deb http://mirror.example/debian/ stable non-free main')" = \
		"deb-src http://mirror.example/debian/ trixie main" ]
	[ "$(read_as list <<<'deb [ arch=amd64 ] http://mirror.example/debian bookworm main')" = \
		"deb-src http://mirror.example/debian trixie main" ]
}

@test "no entry of the main archive: nothing" {
	[ -z "$(read_as list <<<'deb http://mirror.example/ubuntu focal main')" ]
	[ -z "$(read_as list <<<'deb-src http://mirror.example/debian bookworm main')" ]
	[ -z "$(read_as sources <<<'Types: deb')" ]
}

@test "deb822: the keyring and the first mirror are kept, the rest is replaced" {
	[ "$(read_as sources <<-'SOURCES'
		Types: deb deb-src
		URIs: http://security.example/debian-security
		Suites: bookworm-security
		Components: main

		Types: deb
		Enabled: no
		URIs: http://off.example/debian
		Suites: bookworm
		Components: main

		Types: deb
		# a comment
		URIs: http://mirror.example/debian http://second.example/debian
		Suites: bookworm bookworm-updates
		Components: main contrib
		Signed-By: /usr/share/keyrings/a.gpg
		Architectures: amd64
	SOURCES
	)" = "$(printf '%s\n' 'Types: deb-src' 'Suites: trixie' 'Components: main' \
		'URIs: http://mirror.example/debian' 'Signed-By: /usr/share/keyrings/a.gpg')" ]
}

@test "deb822: a key inside the entry is kept whole" {
	printed=$(printf '%s\n' 'Types: deb' 'URIs: http://mirror.example/debian' \
		'Suites: bookworm' 'Components: main' 'Signed-By:' ' -----BEGIN PGP PUBLIC KEY BLOCK-----' ' .' ' abc' \
		' -----END PGP PUBLIC KEY BLOCK-----' | read_as sources)
	[ "$(tail -n 5 <<<"$printed")" = "$(printf '%s\n' 'Signed-By:' \
		' -----BEGIN PGP PUBLIC KEY BLOCK-----' ' .' ' abc' \
		' -----END PGP PUBLIC KEY BLOCK-----')" ]
}

@test "the usage, and a folder that is not there" {
	[[ $("$bootstrap" --help) == usage:* ]]
	status=0
	said=$("$bootstrap" --with-lwip-src=/nosuchfolder 2>&1) || status=$?
	[ "$status" -eq 1 ]
	[[ $said == *'there is no folder "/nosuchfolder"'* ]]
}
