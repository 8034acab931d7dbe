#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# The documents say what the code does: every interposed function and every variable is in the
# manual page, no other variable is, and the pages are well-formed.

setup() {
	source=${TESTS_SOURCE:-$BATS_TEST_DIRNAME/..}
	page=$source/man/libmelin.7
}

# The variables that the library knows, without MELIN_.
variables() {
	sed -n '/^static const struct variable variables/,/^};/s/^\t{ "\([A-Z_]*\)".*/\1/p' \
		"$source/preload/config/config.c"
}

@test "every interposed function is in libmelin(7)" {
	# shellcheck disable=SC1003 # a backslash
	functions=$(tr -d '\n\t\\' <"$source/preload/libc/symbols.h" |
		grep -oE '\b(SYMBOL|POINT)\([^(]*, *[A-Za-z_0-9]+, *\(' |
		sed -E 's/.*, *([A-Za-z_0-9]+), *\($/\1/')
	[ "$(wc -w <<<"$functions")" -gt 50 ]
	for function in $functions; do
		case $function in
		__* | *64) continue ;; # glibc's other names of these functions
		esac
		grep -qE "^\.BR $function \([23]\)" "$page" || {
			echo "$function is missing"
			false
		}
	done
}

@test "every variable is in libmelin(7) and in README.md, and no other" {
	[ "$(variables | wc -l)" -ge 15 ]
	for variable in $(variables); do
		grep -qE "^\.(TP|B|BR).*MELIN_$variable\b" "$page"
		grep -q "\`MELIN_$variable\`" "$source/README.md"
	done
	unknown=$(grep -ohE 'MELIN_[A-Z_]+' "$page" "$source/README.md" | sed 's/MELIN_//' |
		sort -u | grep -vxFf <(variables) || true)
	echo "no variables: $unknown"
	[ -z "$unknown" ]
}

@test "the defaults in libmelin(7) and README.md are the library's" {
	for variable in SPIN_US LINGER_MS LOG REQUIRED; do
		default=$(sed -n "s/^\t{ \"$variable\", [^\"]*\"\([^\"]*\)\".*/\1/p" \
			"$source/preload/config/config.c")
		[ -n "$default" ]
		grep -qE "^\| \`MELIN_$variable\` .*\| \`?$default\b.*\|$" "$source/README.md"
		sed -n "/^\.B MELIN_$variable\$/,/^\.TP/p" "$page" | tr '\n' ' ' |
			grep -qE -e "Default: (\.B )?$default" \
				-e "^\.B MELIN_REQUIRED.* $default, the default"
	done
}

@test "every field of the summary line is in libmelin(7)" {
	fields=$(grep -oE '\b[a-z_]{2,}=%l' "$source/preload/process/process_stack.c" | cut -d= -f1)
	fields+=" $(sed -nE 's/^\tFLOW\(FLOW_[A-Z_]*, "([a-z_]*)", .*/\1/p' \
		"$source/common/status_page.h")"
	[ "$(wc -w <<<"$fields")" -gt 40 ]
	for field in $fields; do
		grep -qE "^\.BR? .*\b$field\b" "$page" || {
			echo "$field is missing"
			false
		}
	done
}

@test "docs/LOCKING.md has every lock, with its file" {
	locks=$(cd "$source" && grep \
		-rnE '^\s*(static )?pthread_(mutex|rwlock|spinlock)_t \w+( =.*)?;' \
		--include='*.[ch]' broker common preload stack dpdk | sed -E 's/:.*_t (\w+).*/ \1/')
	[ "$(wc -l <<<"$locks")" -ge 12 ]
	while read -r file lock; do
		grep -qE "^\| [0-9]+ \| \`([a-z]+(->|\.))?$lock\` \| $file " \
			"$source/docs/LOCKING.md" || {
			echo "$lock of $file is missing"
			false
		}
	done <<<"$locks"
	[ "$(grep -cE '^\| [0-9]+ \|' "$source/docs/LOCKING.md")" \
		-eq $(($(wc -l <<<"$locks") + 1)) ]
}

@test "docs/ and CONTRIBUTING.md name files and functions that exist" {
	cd "$source"
	for page in docs/*.md CONTRIBUTING.md; do
		names=$(grep -oE '[a-z][a-z_/-]*\.(c|h|mk|bats)\b' "$page" | sort -u)
		for name in $names; do
			[ -n "$(find . -path "*/$name" -o -name "$name" | head -n 1)" ] || {
				echo "$page: there is no $name"
				false
			}
		done
		for name in $(grep -oE '\`?[a-z]+_[a-z_]+\(\)' "$page" | tr -d '`()' | sort -u); do
			grep -rqE "\b$name\(" --include='*.[ch]' \
				broker common preload stack dpdk || {
				echo "$page: there is no $name()"
				false
			}
		done
	done
}

@test "what CONTRIBUTING.md says to look for is in the file that it names" {
	cd "$source"
	rows=$(sed -nE 's/^\| [^|]* \| ([a-zA-Z_/.]+) \| `([^`]+)` \|$/\1 \2/p' CONTRIBUTING.md)
	[ "$(wc -l <<<"$rows")" -ge 10 ]
	while read -r file text; do
		grep -qF -- "$text" "$file" || {
			echo "$file: there is no $text"
			false
		}
	done <<<"$rows"
}

# near STATED FILE...: so many lines have the files, to a tenth.
near() {
	local lines stated=${1//,/}
	lines=$(cat "${@:2}" | wc -l)
	echo "stated: $stated, counted: $lines"
	((lines * 10 <= stated * 11 && lines * 10 >= stated * 9))
}

@test "melin-broker(8) says how much code the broker is" {
	local page=$source/man/melin-broker.8 files=()
	near "$(sed -nE 's/^What reads .* is ([0-9,]+) lines of C$/\1/p' "$page")" \
		"$source"/broker/{melin_broker.c,serve.[ch],confine.[ch],broker_message.c} \
		"$source/broker/broker_protocol.h"
	mapfile -t files < <(sed -n '/^broker_liblender_la_SOURCES/,/[^\\]$/p' \
		"$source/broker/local.mk" | grep -oE '[a-z_/]+\.[ch]')
	[ "${#files[@]}" -ge 20 ]
	near "$(sed -nE 's/^([0-9,]+) lines more\.$/\1/p' "$page")" \
		"${files[@]/#/$source/}" "$source/broker/tap_program.c"
}

@test "docs/TROUBLESHOOTING.md has each reason for a connection to stay or go back" {
	{
		grep -oE '^\s*\[REFUSAL_[A-Z]+\] = ".*"' "$source/broker/refusal.c" |
			grep -v REFUSAL_NONE
		grep -E '^\s*FLOW\(FLOW_RETURNED_[A-Z]+,' "$source/common/status_page.h" |
			grep -v FLOW_RETURNED_LOST | sed 's/.*", "/"/; s/).*//'
	} | sed 's/[^"]*"//; s/"$//' >"$BATS_TEST_TMPDIR/reasons"
	[ "$(wc -l <"$BATS_TEST_TMPDIR/reasons")" -ge 25 ]
	missing=$(while read -r reason; do
		grep -qF "\`$reason\`" "$source/docs/TROUBLESHOOTING.md" || echo "$reason"
	done <"$BATS_TEST_TMPDIR/reasons")
	echo "missing: $missing"
	[ -z "$missing" ]
}

@test "the manual pages are well-formed" {
	command -v groff >/dev/null || skip "groff is not installed"
	for each in "$source"/man/*.[1-8]; do
		said=$(groff -man -ww -Tutf8 -z "$each" 2>&1)
		echo "$said"
		[ -z "$said" ]
	done
}

@test "the manual pages have nothing that mandoc warns of" {
	command -v mandoc >/dev/null || skip "mandoc is not installed"
	for each in "$source"/man/*.[1-8]; do
		said=$(mandoc -Tlint -Wwarning "$each" 2>&1) || true
		echo "$said"
		[ -z "$said" ]
	done
}
