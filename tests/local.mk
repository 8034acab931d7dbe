# SPDX-License-Identifier: BSD-3-Clause
# Unit tests (UNIT_TESTS, see Makefile.am; each part adds its own in tests/unit/NAME.mk) and the
# end-to-end tests (tests/*.bats), run together by tests/run.
END_TO_END_TESTS = \
	tests/harness.bats \
	tests/bootstrap.bats \
	tests/demo.bats \
	tests/documents.bats \
	tests/install.bats \
	tests/symbols.bats \
	tests/structure.bats \
	tests/gdb.bats \
	tests/melin_stat.bats \
	tests/melin_drain.bats \
	tests/melin_pcap.bats \
	tests/errors.bats \
	tests/advice.bats \
	tests/confinement.bats \
	tests/fallback.bats \
	tests/rules.bats \
	tests/loop.bats \
	tests/trace.bats \
	tests/coexist.bats \
	tests/kernel.bats \
	tests/options.bats \
	tests/ends.bats \
	tests/rights.bats \
	tests/routing.bats \
	tests/http.bats \
	tests/redis.bats \
	tests/iperf3.bats \
	tests/netcat.bats \
	tests/tls.bats \
	tests/python.bats \
	tests/suites.bats \
	tests/memcached.bats \
	tests/proxies.bats \
	tests/web.bats \
	tests/runtimes.bats \
	tests/messages.bats \
	tests/transfers.bats \
	tests/databases.bats \
	tests/ipv6.bats \
	tests/memif.bats \
	tests/link.bats \
	tests/descriptors.bats \
	tests/device.bats \
	tests/borrow.bats \
	tests/broker.bats \
	tests/service.bats \
	tests/interface.bats \
	tests/hugepages.bats \
	tests/host.bats \
	tests/host_processes.bats \
	tests/host_limits.bats \
	tests/host_programs.bats \
	tests/capture.bats \
	tests/melin_run.bats \
	tests/melin_check.bats

test_programs = \
	tests/programs/as_unit.py \
	tests/programs/asks_on.py \
	tests/programs/bind_twice.py \
	tests/programs/last_words.py \
	tests/programs/both_wait.py \
	tests/programs/poll_at_once.py \
	tests/programs/bulk.py \
	tests/programs/busy_server.py \
	tests/programs/echoing_connections.py \
	tests/programs/every_call.py \
	tests/programs/exposition.py \
	tests/programs/held_connections.py \
	tests/programs/terminal.py \
	tests/programs/call.py \
	tests/programs/crowd.py \
	tests/programs/crowd_ingress.py \
	tests/programs/descriptors.py \
	tests/programs/echo_clients.py \
	tests/programs/echo_server.py \
	tests/programs/filtered.py \
	tests/programs/host_echo.py \
	tests/programs/http_client.js \
	tests/programs/http_clients.py \
	tests/programs/http_put.py \
	tests/programs/http_put_again.py \
	tests/programs/http_server.js \
	tests/programs/idle_user.py \
	tests/programs/inetd.py \
	tests/programs/inherited.py \
	tests/programs/kernel_sockets.py \
	tests/programs/killed.py \
	tests/programs/only_waits.py \
	tests/programs/option_flows.py \
	tests/programs/limits.py \
	tests/programs/loop.py \
	tests/programs/memcached_clients.py \
	tests/programs/moved.py \
	tests/programs/set_meanwhile.py \
	tests/programs/python_tests.py \
	tests/programs/refused.py \
	tests/programs/refuse_calls.py \
	tests/programs/round_trips.py \
	tests/programs/say_server.py \
	tests/programs/tcp_flows.py \
	tests/programs/syn_flood.py \
	tests/programs/unread.py \
	tests/programs/unserved.py \
	tests/programs/waiting.py \
	tests/programs/who.py \
	tests/programs/workers.py \
	tests/programs/xdp_hold.py

# Programs that the end-to-end tests run; not tests themselves.
ONLY_FOR_TESTS += tests/programs/cable
tests_programs_cable_CPPFLAGS = -D_GNU_SOURCE
tests_programs_cable_CFLAGS = $(WARNING_CFLAGS)
ONLY_FOR_TESTS += tests/programs/broker_clients
tests_programs_broker_clients_CPPFLAGS = -I$(srcdir) -D_GNU_SOURCE $(broker_cppflags)
tests_programs_broker_clients_CFLAGS = $(WARNING_CFLAGS)
tests_programs_broker_clients_SOURCES = $(broker_client_sources) tests/programs/broker_clients.c
tests_programs_broker_clients_LDADD = broker/liblender.la common/libcommon.la
ONLY_FOR_TESTS += tests/programs/giving_up
tests_programs_giving_up_CPPFLAGS = -D_GNU_SOURCE
tests_programs_giving_up_CFLAGS = $(WARNING_CFLAGS)
ONLY_FOR_TESTS += tests/programs/connecting
tests_programs_connecting_CPPFLAGS = -D_GNU_SOURCE
tests_programs_connecting_CFLAGS = $(WARNING_CFLAGS)
tests_programs_connecting_LDADD = -lpthread
ONLY_FOR_TESTS += tests/programs/filtered_echo
tests_programs_filtered_echo_CPPFLAGS = -D_GNU_SOURCE
tests_programs_filtered_echo_CFLAGS = $(WARNING_CFLAGS)
ONLY_FOR_TESTS += tests/programs/filtered_ends
tests_programs_filtered_ends_CPPFLAGS = -D_GNU_SOURCE
tests_programs_filtered_ends_CFLAGS = $(WARNING_CFLAGS)
ONLY_FOR_TESTS += tests/programs/ring_echo
tests_programs_ring_echo_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE
tests_programs_ring_echo_CFLAGS = $(WARNING_CFLAGS)

ONLY_FOR_TESTS += tests/programs/standard_streams
tests_programs_standard_streams_CPPFLAGS = -D_GNU_SOURCE
tests_programs_standard_streams_CFLAGS = $(WARNING_CFLAGS)

EXTRA_DIST += tests/run tests/structure tests/structure.known \
	tests/lib/common.bash tests/lib/host.bash tests/lib/status.bash \
	$(END_TO_END_TESTS) $(test_programs)

#: check             runs all tests; T=loop.bats, T='rules.bats:IPv6' or T=test_wire: only those
# $(T), "FILE" or "FILE:TEST", limits a run to what matches (tests/run says how) and builds only
# what that needs. All tests need the benchmark's programs, too: they use what stack/ and dpdk/ have
# inside, and could break unseen where that changes. $(TESTS_ONLY) is T's older name.
T = $(TESTS_ONLY)
tests_run = TESTS_BUILD='$(abs_builddir)' TESTS_SOURCE='$(abs_srcdir)' TESTS_BATS='$(BATS)' \
	$(sanitizer_environment) $(SHELL) $(srcdir)/tests/run
all_tests = $(UNIT_TESTS) $(END_TO_END_TESTS:%=$(srcdir)/%)
check-local: $(sanitizer_needs)
	@needed=`$(tests_run) --needs='$(ONLY_FOR_TESTS)' --only='$(T)' $(all_tests)`; \
		test -n '$(T)' || needed="$$needed bench-tools"; \
		test -z "$$needed" || $(MAKE) $(AM_MAKEFLAGS) $$needed
	@$(tests_run) --only='$(T)' $(all_tests)
CLEANFILES += tests.ran

# What AddressSanitizer needs before libmelin.so (tests/lib/sanitizer_start.c), and where the
# sanitizers write what they find, also in a program whose end or output no test looks at.
EXTRA_DIST += tests/lib/sanitizer_start.c
CLEANFILES += tests/lib/sanitizer_start.so
tests/lib/sanitizer_start.so: tests/lib/sanitizer_start.c common/system_call.h
	$(AM_V_CCLD)$(MKDIR_P) tests/lib && $(CC) -I$(srcdir) -D_GNU_SOURCE $(WARNING_CFLAGS) \
		-O2 -fPIC -shared -o $@ $(srcdir)/tests/lib/sanitizer_start.c
if SANITIZERS
sanitizer_needs = tests/lib/sanitizer_start.so
sanitizer_start = $(abs_builddir)/tests/lib/sanitizer_start.so
sanitizer_environment = TESTS_PRELOAD='$(sanitizer_start):$(abs_builddir)/.libs/libmelin.so' \
	TESTS_REPORTS='$(abs_builddir)/sanitizer-reports'
endif
