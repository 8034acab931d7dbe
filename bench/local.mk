# SPDX-License-Identifier: BSD-3-Clause
# The benchmark. Its own programs are built with "make bench" (or "make bench-tools") only.
bench_tools = bench/echo bench/ask bench/calls bench/launch bench/stack-alone
EXTRA_PROGRAMS += $(bench_tools)

bench_echo_SOURCES = bench/tools/echo.c bench/tools/common.c bench/tools/common.h
bench_ask_SOURCES = bench/tools/ask.c bench/tools/common.c bench/tools/common.h
bench_calls_SOURCES = bench/tools/calls.c bench/tools/common.c bench/tools/common.h
bench_launch_SOURCES = bench/tools/launch.c bench/tools/common.c bench/tools/common.h
bench_echo_CPPFLAGS = -D_GNU_SOURCE
bench_ask_CPPFLAGS = -D_GNU_SOURCE
bench_calls_CPPFLAGS = -D_GNU_SOURCE
bench_launch_CPPFLAGS = -D_GNU_SOURCE
bench_echo_CFLAGS = $(WARNING_CFLAGS)
bench_ask_CFLAGS = $(WARNING_CFLAGS) -pthread
bench_calls_CFLAGS = $(WARNING_CFLAGS) -pthread
bench_launch_CFLAGS = $(WARNING_CFLAGS)
bench_stack_alone_SOURCES = bench/tools/stack.c bench/tools/common.c bench/tools/common.h \
	bench/stack/end.h
bench_stack_alone_CPPFLAGS = -I$(srcdir) -D_GNU_SOURCE
bench_stack_alone_CFLAGS = $(WARNING_CFLAGS) -pthread

# The stack with a device of memory; loaded twice by stack-alone.
EXTRA_LTLIBRARIES += bench/end.la
bench_end_la_SOURCES = bench/stack/end.h bench/stack/raw.c tests/link/memory_link.c \
	tests/link/memory_link.h
bench_end_la_CPPFLAGS = $(stack_libstack_la_CPPFLAGS)
bench_end_la_CFLAGS = $(stack_libstack_la_CFLAGS)
bench_end_la_LDFLAGS = -module -avoid-version -shared -rpath $(abs_builddir) -Wl,-Bsymbolic \
	-Wl,-z,defs $(LTO_CFLAGS)
bench_end_la_LIBADD = stack/libstack.la common/libcommon.la -lpthread

EXTRA_DIST += \
	bench/README.md \
	bench/run \
	bench/__init__.py \
	bench/lib/__init__.py \
	bench/lib/compare.py \
	bench/lib/machine.py \
	bench/lib/ping.py \
	bench/lib/testbed.py \
	bench/bulk.py \
	bench/computing.py \
	bench/connections.py \
	bench/cost.py \
	bench/http.py \
	bench/loss.py \
	bench/many.py \
	bench/memcached.py \
	bench/neighbours.py \
	bench/postgres.py \
	bench/processor.py \
	bench/redis.py \
	bench/roundtrip.py \
	bench/stack.py \
	bench/startup.py \
	bench/unselected.py \
	bench/wakeup.py

# $(BENCH): which benchmarks; $(BENCH_OPTIONS): see "bench/run --help".
BENCH = all
#: bench             measures the same work over the kernel and over melin; BENCH=redis: only that
bench-tools: $(bench_tools) bench/end.la tests/programs/cable
bench: all bench-tools
	$(srcdir)/bench/run --build '$(abs_builddir)' $(BENCH_OPTIONS) $(BENCH)
.PHONY: bench bench-tools

CLEANFILES += $(bench_tools) bench-results/*.md bench-results/*.json bench-results/*.png
