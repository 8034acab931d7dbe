# SPDX-License-Identifier: BSD-3-Clause
# Targets for those who change melin (CONTRIBUTING.md): the style, the static checks, and builds of
# their own kind. Not for tests (tests/local.mk) and not for users.
EXTRA_DIST += .clang-tidy .shellcheckrc tests/columns tools/check-package \
	tools/check-release tools/cppcheck.suppressions tools/lint

# The project's own files, by patterns. Of a clone only what git knows is looked at, so that neither
# lwIP's tree nor a build in a folder below is.
list_files = cd $(srcdir) && list() { git ls-files "$$@" 2>/dev/null || { \
	for pattern; do find . -name "$$pattern" ! -path './lwip/*' ! -path './build*'; done; }; }

#: help              says what each target is for
help:
	@cd $(srcdir) && echo "make targets:" && \
		sed -n 's/^#: /  /p' Makefile.am */*.mk && echo "and those of automake: install," \
		"uninstall, clean, dist, distcheck, ..."

#: format            lets clang-format write the C files anew
format:
	@$(need_clang_format)
	@$(list_files); list '*.c' '*.h' | xargs -r $(CLANG_FORMAT) -i

#: check-format      compares the C files with .clang-format; no line longer than 100 columns
check-format:
	@$(need_clang_format)
	@$(list_files); list '*.c' '*.h' | xargs -r $(CLANG_FORMAT) --dry-run -Werror && \
		echo "check-format: all C files are formatted"
	@$(srcdir)/tests/columns
need_clang_format = if test "$(CLANG_FORMAT)" = no; then \
	echo "$@: clang-format is missing: install it and configure again" >&2; exit 1; fi

#: lint              clang-tidy, cppcheck, shellcheck; LINT=shell: only that
LINT = tidy cppcheck shell
# What is generated is included: a folder in which nothing was built yet makes that first.
lint: broker/tap_instructions.h
	@CPPFLAGS='$(DEFS) -D_GNU_SOURCE -Istack/lwip -I$(abs_builddir) -I$(LWIP_SRC)/src/include '\
'$(DPDK_CFLAGS)' \
		LWIP_SRC='$(LWIP_SRC)' $(SHELL) $(srcdir)/tools/lint $(LINT)

# A build of its own in folder with-KIND, configured as this one is and with --enable-KIND besides.
# To be called with the shell variable kind set.
variant = folder='$(abs_builddir)'/with-$$kind; \
	if ! test -f "$$folder/Makefile"; then mkdir -p "$$folder" && cd "$$folder" && \
		echo "$@: configuring $$folder with --enable-$$kind" && \
		eval "'$(abs_srcdir)/configure' -q `'$(abs_builddir)/config.status' --config`" \
			"'--with-lwip-src=$(LWIP_SRC)' --enable-$$kind"; fi && \
	$(MAKE) $(AM_MAKEFLAGS) -s -C "$$folder"

#: debug             builds in with-debug (-Og -g3), says how gdb shows what melin knows
debug:
	+@kind=debug; $(variant)
	@echo "built: with-debug/.libs/libmelin.so. In gdb, with the program or attached to it:"
	@echo "    source $(abs_srcdir)/tools/gdb/melin-gdb.py"
	@echo "    help user-defined"

#: check-sanitizers  builds in with-sanitizers (address, undefined behaviour), runs SANITIZER_TESTS
check-sanitizers:
	+@kind=sanitizers; $(variant)
	@status=0; for tests in $(SANITIZER_TESTS); do \
		$(MAKE) $(AM_MAKEFLAGS) -s -C with-sanitizers check T="$$tests" || status=1; done; \
		exit $$status
# The unit tests, and of the end-to-end tests those over loopback, in which the library does most.
# Some differential programs cannot run with AddressSanitizer, not even over the kernel: ancillary,
# faults, poll and sequences give the kernel what they may not read, exit ends itself by SIGSEGV,
# small_stacks and threads have stacks in which the sanitizer has no room, and leave ends threads
# anywhere, after which it takes its own use of their stacks for a mistake.
sanitizer_a_to_h = accept|asynchronous|bind|blocking|close|connect|duplicate|epoll|fork|hold
sanitizer_i_to_z = ioctl|options|promise|receive|send|shutdown|signals|surface|urgent
SANITIZER_TESTS = test_ 'loop.bats:^loop|: ($(sanitizer_a_to_h)|$(sanitizer_i_to_z))'

#: check-package     builds the Debian packages, installs and purges them (tools/check-package)
check-package:
	@$(srcdir)/tools/check-package
.PHONY: check-package

#: check-trixie      builds and runs some tests on Debian 13, in with-trixie (tools/check-release)
check-trixie:
	@$(srcdir)/tools/check-release trixie '$(abs_builddir)/with-trixie' '$(LWIP_SRC)'
.PHONY: check-trixie

#: coverage          builds in with-coverage, runs COVERAGE_TESTS, writes coverage.html there
coverage:
	+@kind=coverage; $(variant)
	+@$(MAKE) $(AM_MAKEFLAGS) -s -C with-coverage $(ONLY_FOR_TESTS)
	@find with-coverage -name '*.gcno' | sed 's/no$$/da/' | while read -r counters; do \
		: >"$$counters" && chmod a+rw "$$counters"; done
	@failed=; export TESTS_LIMIT=900; for tests in $(COVERAGE_TESTS); do \
		$(MAKE) $(AM_MAKEFLAGS) -s -C with-coverage check T="$$tests" || failed=yes; done; \
		test -z "$$failed" || echo "coverage: tests failed; what they ran is counted" >&2
	@root=`cd '$(srcdir)' && pwd -P`; cd with-coverage && \
		find . -name '*.gcda' -empty -exec rm {} + && \
		gcovr --root "$$root" --object-directory . --filter "$$root/common/" \
		--filter "$$root/preload/" --filter "$$root/stack/" --filter "$$root/dpdk/" \
		--filter "$$root/broker/" --gcov-ignore-parse-errors \
		--html-details coverage.html --print-summary
	@echo "coverage: with-coverage/coverage.html"
# Tests run programs as other users, too, who may not make the files of counters: they are there
# before, for all to write. Of the end-to-end tests there is a file for each way to a connection,
# and those for what runs nowhere else.
COVERAGE_TESTS = test_ loop.bats borrow.bats broker.bats device.bats host.bats \
	host_processes.bats rights.bats trace.bats advice.bats capture.bats interface.bats \
	melin_pcap.bats fallback.bats errors.bats
# Processes that do not end by exit(3), or have given up the right to open files by then.
if COVERAGE
libmelin_la_SOURCES += tests/lib/coverage_library.c
libmelin_la_LDFLAGS += -Wl,--wrap=dlsym
melin_broker_SOURCES += tests/lib/coverage_broker.c
melin_broker_LDFLAGS += -Wl,--wrap=main
endif

clean-local:
	@for folder in with-*/; do test ! -f "$$folder/Makefile" || \
		$(MAKE) $(AM_MAKEFLAGS) -s -C "$$folder" clean; done
distclean-local:
	-rm -rf with-debug with-sanitizers with-coverage

.PHONY: help format check-format lint debug check-sanitizers coverage
