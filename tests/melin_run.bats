#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# melin run: what it sets and from where, that the program is then under melin, and each mistake by
# the line that it prints. Not for what the variables do.

bats_require_minimum_version 1.5.0
load lib/common
load lib/host

# shellcheck disable=SC2034 # of lib/host
{
	LEVEL=debug
	DEFAULT_BORROW=always
}
tool=$build/melin
rules="'!any:*:22,any:*:*'" # what is taken if nothing is said

setup() {
	[[ -z ${TESTS_PLAIN:-} ]] || skip "melin run is about melin"
	[[ -x $tool ]] || fail "there is no $tool: run make first"
	export HOME=$BATS_TEST_TMPDIR/home
	mkdir -p "$HOME/.config/melin"
	unset XDG_CONFIG_HOME "${!MELIN_@}" LD_PRELOAD
	if [[ $BATS_TEST_DESCRIPTION == host* ]]; then
		common_setup
	fi
}

teardown() {
	if [[ $BATS_TEST_DESCRIPTION == host* ]]; then
		common_teardown
	fi
}

# Its exit status and what it prints on both streams must be these: wrong STATUS LINE OPTION...
wrong() {
	local status=$1 line=$2
	shift 2
	run -"$status" "$tool" run "$@"
	[[ ${lines[0]} == "melin run: $line" ]] ||
		fail "printed: $output" "wanted:  melin run: $line"
	if [[ $status == 2 ]]; then
		[[ ${lines[1]} == 'usage: melin run [OPTION...] [--] PROGRAM [ARGUMENT...]' ]]
	else
		[[ ${#lines[@]} -eq 1 ]]
	fi
}

# What --dry-run prints, without LD_PRELOAD, in one line.
variables() {
	"$tool" run --dry-run "$@" | grep -v '^LD_PRELOAD=' | paste -sd' '
}

@test "the rules: all but ssh, or what --listen, --connect and --flows say" {
	[[ $(variables) == "MELIN_FLOWS=$rules" ]]
	[[ $(variables --listen 80,443) == "MELIN_FLOWS='listen:*:80,listen:*:443'" ]]
	[[ $(variables -l '198.18.0.1:80, [::1]:8000-8999') == \
		"MELIN_FLOWS='listen:198.18.0.1:80,listen:[::1]:8000-8999'" ]]
	[[ $(variables -c '198.18.0.0/24:6379,198.18.1.1') == \
		"MELIN_FLOWS='connect:198.18.0.0/24:6379,connect:198.18.1.1:*'" ]]
	[[ $(variables -c '[fd00::/64],5432') == \
		"MELIN_FLOWS='connect:[fd00::/64]:*,connect:*:5432'" ]]
	[[ $(variables --flows '!connect:*:22' --connect '*:*') == \
		"MELIN_FLOWS='!connect:*:22,connect:*:*'" ]]
}

@test "an option goes before the environment, and that before a profile" {
	local profile=$HOME/.config/melin/mine.conf
	printf '# mine\n\n MELIN_SPIN_US = 7\nMELIN_LOG=info\nMELIN_LINGER_MS =5\n' >"$profile"
	[[ $(variables -p mine) == \
		"MELIN_FLOWS=$rules MELIN_SPIN_US='7' MELIN_LINGER_MS='5' MELIN_LOG='info'" ]]
	export MELIN_LOG=debug MELIN_LINGER_MS=
	[[ $(variables -p mine --spin-us 9) == \
		"MELIN_FLOWS=$rules MELIN_SPIN_US='9' MELIN_LINGER_MS='' MELIN_LOG='debug'" ]]
	[[ $(variables -p mine --log error) == *" MELIN_LOG='error'" ]]
	export MELIN_FLOWS='listen:*:1'
	[[ $(variables) == "MELIN_FLOWS='listen:*:1' "* ]]
	[[ $(variables -l 2) == "MELIN_FLOWS='listen:*:2' "* ]]
}

@test "each variable is an option" {
	local name names
	names=$(sed -n '/^static const struct variable var/,/^};/s/^\t{ "\([A-Z_]*\)".*/\1/p' \
		"${TESTS_SOURCE:-$BATS_TEST_DIRNAME/..}/preload/config/config.c")
	[[ $(wc -w <<<"$names") -ge 17 ]]
	for name in $names; do
		name=${name//_/-}
		"$tool" run --help | grep -qE -- "^      --${name,,} [A-Z0-9]"
	done
}

@test "every option of every command is in melin(1)" {
	local page=${TESTS_SOURCE:-$BATS_TEST_DIRNAME/..}/man/melin.1 command option
	for command in run check stat top drain; do
		for option in $("$tool" $command --help | grep -oE -- '^ +(-[a-z], +)?--[a-z_-]+' |
			grep -oE -- '--[a-z_-]+'); do
			grep -qE -- "[B ]$option([^a-z-]|\$)" "$page" || fail "$option is missing"
		done
	done
}

# What bash would complete the last word to: completed WORD...
completed() {
	local -a COMPREPLY=()
	# shellcheck disable=SC2034 # bash's, for the function
	local -a COMP_WORDS=("$@")
	# shellcheck disable=SC2034
	local COMP_CWORD=$(($# - 1))
	_melin "$tool" "${@: -1}" "${@: -2:1}"
	echo "${COMPREPLY[*]}"
}

@test "completion in bash" {
	# shellcheck disable=SC1091
	source "${TESTS_SOURCE:-$BATS_TEST_DIRNAME/..}/tools/melin/melin.bash-completion"
	[[ $(complete -p melin) == 'complete -F _melin melin' ]]
	[[ $(completed melin ru) == run && $(completed melin ch) == check ]]
	[[ $(completed melin run --prof) == --profile ]]
	[[ $(completed melin run --spin) == --spin-us ]]
	[[ $(completed melin run --profile lat) == latency ]]
	[[ $(completed melin check --js) == --json ]]
	[[ $(completed melin run -u nobo) == nobody ]]
	[[ $(completed melin run --log in) == info ]]
	[[ $(completed melin pcap -w /et) == /etc && -z $(completed melin stat -w /et) ]]
	# Behind the program there are files.
	cd "$BATS_TEST_TMPDIR"
	touch --  --lonely
	[[ $(completed melin run -l 80 cat --lo) == --lonely ]]
}

@test "the profiles that melin brings, in the build folder and installed" {
	local profile stage=$BATS_TEST_TMPDIR/stage
	for profile in latency throughput quiet; do
		[[ $(variables -p $profile) == *MELIN_SPIN_US=* ]]
	done
	make -s -C "$build" install DESTDIR="$stage" >"$BATS_TEST_TMPDIR/install.out" 2>&1
	tool=$(find "$stage" -name melin -path '*/bin/*')
	[[ $(variables -p quiet) == "MELIN_FLOWS=$rules MELIN_SPIN_US='0' MELIN_LOG='error'" ]]
	[[ $("$tool" run -n) == "LD_PRELOAD='$stage/"*"/libmelin.so'"* ]]
	[[ $("$tool" run -- /bin/echo hello) == hello ]]
}

@test "--dry-run can be read by a shell" {
	local text="it's \$HOME \"here\""
	eval "$("$tool" run -n --log "info:$text" true)"
	[[ $MELIN_LOG == "info:$text" ]]
}

@test "LD_PRELOAD: behind what is there, and once" {
	[[ $("$tool" run -n) == "LD_PRELOAD='$library'"* ]]
	[[ $(LD_PRELOAD=libc.so.6 "$tool" run -n) == "LD_PRELOAD='libc.so.6:$library'"* ]]
	[[ $(LD_PRELOAD=$library "$tool" run -n) == "LD_PRELOAD='$library'"* ]]
}

@test "arguments, status, signals and streams are the program's" {
	[[ $("$tool" run printf '%s|' --help '' 'a b') == '--help||a b|' ]]
	[[ $(echo in | "$tool" run -- cat) == in ]]
	run -7 "$tool" run sh -c 'exit 7'
	[[ -z $output ]]
	run -143 "$tool" run sh -c 'kill $$'
	# The process is the program.
	[[ $(sh -c 'echo $$; exec "$0" run sh -c "echo \$\$"' "$tool" | uniq | wc -l) -eq 1 ]]
}

@test "wrong usage: a usage line, status 2" {
	wrong 2 'no program is named'
	wrong 2 'unknown option "--lisen"' --lisen 80 true
	wrong 2 'unknown option "-x"' -x true
	wrong 2 'option "--listen" needs a value' --listen
	wrong 2 'option "--dry-run=1" takes no value' --dry-run=1
	wrong 2 'MELIN_FLOWS: rule 1, "conect:*:80": unknown verb "conect" '\
'(connect, listen, any)' \
		--flows 'conect:*:80' true
	wrong 2 'MELIN_FLOWS: rule 2, "listen:*:99999": bad port "99999" (*, 1 to 65535, or a '\
'range 8000-8999)' --listen 80,99999 true
	wrong 2 'MELIN_FLOWS: rule 1, "listen:*:": bad port "" (*, 1 to 65535, or a '\
'range 8000-8999)' \
		--listen '' true
	wrong 2 'MELIN_FLOWS: rule 1, "connect:fd00::1:80": too many colons; IPv6 addresses go in '\
'brackets: [fd00::1]' --connect fd00::1:80 true
	wrong 2 'MELIN_SPIN_US: "fast" is not a number from 0 to 1000000, or max' \
		--spin-us fast true
	wrong 2 'MELIN_ADDR: not set, but MELIN_DEV=net_tap0 needs the stack'\''s own address, '\
'such as 198.18.0.10/24' --dev net_tap0 true
	MELIN_FLOW='listen:*:80' wrong 2 \
		'MELIN_FLOW: unknown variable; did you mean MELIN_FLOWS?' true
	wrong 2 'there is no user "nobdy"' --user nobdy true
	wrong 2 '--user is for host mode: own mode on packet:eth0 takes root'\''s rights, which '\
'are lent to nobody; leave --user out, or --addr' \
		--user nobody --dev packet:eth0 --addr 198.18.0.10/24 true
}

@test "profiles with a mistake in them" {
	local own=$HOME/.config/melin
	run -2 "$tool" run -p latncy true
	[[ ${lines[0]} == 'melin run: no profile "latncy" in '*' (there are: '*latency*')' ]]
	wrong 2 '"../x" is no name of a profile' -p ../x true
	echo 'MELIN_LOG: info' >"$own/a.conf"
	wrong 2 "$own/a.conf, line 1: \"MELIN_LOG: info\" is not NAME = VALUE" -p a true
	printf '\nPATH = /bin\n' >"$own/a.conf"
	wrong 2 "$own/a.conf, line 2: \"PATH\" is no variable of melin's (MELIN_...)" -p a true
	echo 'MELIN_SPIN_US = slow' >"$own/a.conf"
	wrong 2 "$own/a.conf: MELIN_SPIN_US: \"slow\" is not a number from 0 to 1000000, or max" \
		-p a true
	echo 'MELIN_SPIN = 1' >"$own/a.conf"
	wrong 2 "$own/a.conf: MELIN_SPIN: unknown variable; did you mean MELIN_SPIN_US?" -p a true
}

@test "programs that are not there, or cannot be executed" {
	cd "$BATS_TEST_TMPDIR"
	echo 'echo hello' >here
	wrong 127 '"nosuch" is not found in PATH' nosuch
	wrong 127 '"here" is not found in PATH; the file here is ./here' here
	wrong 127 'there is no "./nosuch"' ./nosuch
	wrong 127 '"" is not found in PATH' ''
	wrong 126 './here is not executable: chmod +x ./here, or name its interpreter' ./here
	wrong 126 "$BATS_TEST_TMPDIR is a folder" "$BATS_TEST_TMPDIR"
	# A user's PATH lacks what a server's program is in.
	[[ ! -x /usr/sbin/nginx || -e /usr/bin/nginx || -e /usr/local/sbin/nginx ]] ||
		PATH=/usr/bin:/bin wrong 127 \
			'"nginx" is not found in PATH; there is /usr/sbin/nginx' nginx
	# as it was told
	chmod +x here
	[[ $("$tool" run ./here) == hello && $("$tool" run sh here) == hello ]]
	[[ $(PATH=.:$PATH "$tool" run here) == hello ]]
}

# A program whose byte at that place is changed: patched NAME OFFSET BYTE
patched() {
	cp /bin/true "$1"
	printf '%b' "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

@test "programs that melin cannot work in" {
	local t=$BATS_TEST_TMPDIR no='melin cannot work in it'
	local go='is a Go program, which makes its system calls without libc'
	cd "$t"
	echo 'int main(void) { return 0; }' >main.c
	gcc -static -o static main.c
	wrong 126 "./static is linked statically, without ld.so: $no" ./static
	gcc -o musl -Wl,--dynamic-linker=/lib/ld-musl-x86_64.so.1 main.c
	wrong 126 "./musl is linked with musl, whose loader cannot load a library for glibc: $no" \
		./musl
	# What Go's linker marks a program with.
	printf '%s\n' '.section .note.go.buildid,"a",@note' '.long 4, 4, 4' '.asciz "Go\0"' \
		'.ascii "abcd"' >note.s
	gcc -o go main.c note.s
	wrong 126 "./go $go: $no" ./go
	# A C compiler that links it, for cgo, puts it behind notes of its own.
	sed '1a.balign 4' note.s >aligned.s
	gcc -o cgo -Wl,--build-id=sha1 main.c aligned.s
	wrong 126 "./cgo $go: $no" ./cgo
	patched narrow 4 '\x01'
	wrong 126 "./narrow is a 32-bit program, and libmelin.so a 64-bit library: $no" ./narrow
	patched other 18 '\xb7'
	wrong 126 "./other is a program for another kind of processor: $no" ./other
	# A script is what its interpreter is, and so is one whose interpreter is a script.
	printf '#!%s/go\n' "$t" >script
	printf '#! %s/script -x\n' "$t" >deep
	chmod +x script deep
	wrong 126 "./script: its interpreter $t/go $go: $no" ./script
	wrong 126 "./deep: its interpreter $t/go $go: $no" ./deep
}

# env_says_nothing LINE...: ./script, which hands each LINE to env, is none of melin's business.
env_says_nothing() {
	local line output
	for line; do
		printf '#!/usr/bin/env %s\n' "$line" >script
		output=$("$tool" run ./script 2>&1) || true
		[[ $output != *melin* ]] || fail "$line: $output"
	done
}

@test "scripts whose interpreter env looks for" {
	local t=$BATS_TEST_TMPDIR line no
	cd "$t"
	echo 'int main(void) { return 0; }' >main.c
	gcc -static -o static main.c
	no="its interpreter $t/static is linked statically, without ld.so: melin cannot work in it"
	export PATH=/nonexistent:$t:$PATH
	for line in 'static' '-S static -x' '-Sstatic' '-vS static a=b' '-S -u HOME A=b static -x' \
		'-S --chdir / static' '--split-string=static -x' "-iS $t/static" \
		'-S -C/ B= static'; do
		printf '#!/usr/bin/env %s\n' "$line" >script
		chmod +x script
		wrong 126 "./script: $no" ./script
	done
	# Nothing is made of what env would not start.
	env_says_nothing 'static -x' '-S nosuch' '-S -u static true'
	printf '#!/usr/bin/env -S sh -e\necho hello\n' >script
	[[ $("$tool" run ./script) == hello ]]
}

# What env is told in the script, and whether its program is the static one, by PATH.
@test "scripts that tell env where to look, or to leave the library out" {
	local t=$BATS_TEST_TMPDIR line static library
	cd "$t"
	mkdir bin
	echo 'int main(void) { return 0; }' >main.c
	gcc -static -o bin/static main.c
	static="bin/static is linked statically, without ld.so: melin cannot work in it"
	library="its interpreter /usr/bin/env is told by the script to leave LD_PRELOAD out: melin"
	for line in "PATH=/nonexistent:$t/bin static" "-i PATH=$t/bin static" "-C $t bin/static" \
		"--chdir=$t PATH=bin static" "-u HOME --chdir $t ./bin/static"; do
		printf '#!/usr/bin/env -S %s\n' "$line" >script
		chmod +x script
		run -126 "$tool" run ./script
		[[ $output == *"$static" ]] || fail "$line: $output"
	done
	for line in '-i sh' '- sh' '--ignore-environment PATH=/usr/bin:/bin sh' \
		'-uLD_PRELOAD sh' '--unset=LD_PRELOAD sh' '-u LD_PRELOAD sh' 'LD_PRELOAD= sh'; do
		printf '#!/usr/bin/env -S %s\n' "$line" >script
		run -126 "$tool" run ./script
		[[ $output == "melin run: ./script: $library"* ]] || fail "$line: $output"
	done
	# By the PATH that it has then it does not find the static one.
	export PATH=$t/bin:$PATH
	env_says_nothing '-S -u PATH static' "-S PATH=$t static" '-S -u LD_PRELOAD -C / static0'
	printf '#!/usr/bin/env -S -u HOME -C / sh -e\npwd; echo $HOME $LD_PRELOAD\n' >script
	[[ $("$tool" run "$t/script" | paste -sd' ') == "/ "*libmelin.so ]]
}

@test "programs with rights of their own" {
	[[ $EUID -eq 0 ]] || skip "only root can make such files"
	local t=$BATS_TEST_TMPDIR no='melin cannot work in it'
	cd "$t"
	chmod 755 "$t" "$HOME"
	cp /bin/true own
	cp /bin/true group
	cp /bin/true able
	chown 65534 own
	chgrp 65534 group
	chmod u+s own
	chmod g+s group
	wrong 126 "./own is set-user-ID, and ld.so leaves LD_PRELOAD out there: $no" ./own
	wrong 126 "./group is set-group-ID, and ld.so leaves LD_PRELOAD out there: $no" ./group
	setcap cap_net_raw=p able
	# Root has the capabilities anyway, and so has its library.
	"$tool" run ./able
}

@test "host: a program that is started by melin run is borrowed from" {
	start server near "$tool" run --required 1 --log "debug:$BATS_TEST_TMPDIR/server.melin" \
		-l 7000 "$python" "$programs/host_echo.py" serve 7000 block 1
	printed server ready
	on far "$python" "$programs/host_echo.py" ask "$near_kernel" 7000 1 60 \
		"$BATS_TEST_TMPDIR/server.melin" | grep 'all is well'
	finished server
	took server borrowed -ge 1
}

@test "host: --user drops root and has its connections lent by a broker" {
	local t=$BATS_TEST_TMPDIR
	touch "$t/server.melin"
	chown nobody "$t/server.melin"
	chmod 755 "$t" "$BATS_RUN_TMPDIR" "${t%/*}"
	start server near "$tool" run --user nobody --required 1 --log "debug:$t/server.melin" \
		-l 7000 "$python" "$programs/host_echo.py" serve 7000 block 1
	printed server ready
	grep -q '^CapPrm:\s*0*$' "/proc/$(pid_of server)/status"
	on far "$python" "$programs/host_echo.py" ask "$near_kernel" 7000 1 60 \
		"$BATS_TEST_TMPDIR/server.melin" | grep 'all is well'
	finished server
	took server borrowed -ge 1
	[[ $("$tool" run -u nobody sh -c 'echo $(id -un) $HOME $USER $LOGNAME') == \
		"nobody $(getent passwd nobody | cut -d: -f6) nobody nobody" ]]
}

@test "host: --user asks the host's broker if that lends to the user" {
	local t=$BATS_TEST_TMPDIR
	chmod 755 "$t" "$BATS_RUN_TMPDIR" "${t%/*}"
	sed '/:64124:/d' /etc/group >"$t/group"
	echo 'melin-test:x:64124:nobody' >>"$t/group"
	# shellcheck disable=SC2016
	cat >"$t/room" <<-EOF
		mount -t tmpfs none /run
		mount --bind "$t/group" /etc/group
		install -d -m 2755 -g 64124 /run/melin
		"$build/melin-broker" --listen &
		broker=\$!
		trap 'kill -KILL \$broker' EXIT
		for i in \$(seq 1200); do [ -S /run/melin/broker.sock ] || sleep 0.05; done
		for user in nobody daemon; do
			"$tool" run --user \$user -- \
				sh -c 'echo \$0: \${MELIN_BROKER-of the host}' \$user
			"$tool" run --user \$user -- sh -c "exec $tool check"
		done
		# It serves its own network and no other.
		unshare --net "$tool" run --user nobody -- sh -c 'echo alone: \${MELIN_BROKER-none}'
	EOF
	run -0 on near unshare --mount sh "$t/room"
	[[ $output == *'nobody: of the host'*'ok        rights     the broker at /run/melin/'* ]]
	[[ $output == *$'\ndaemon: '[0-9]*'ok        rights     the broker of melin run'* ]]
	[[ $output == *$'\nalone: '[0-9]* ]]
}
