# SPDX-License-Identifier: BSD-3-Clause
# The benchmark. Its own programs are built with "make bench" (or "make bench-tools") only.
bench_tools = bench/echo bench/ask bench/calls bench/launch
EXTRA_PROGRAMS = $(bench_tools)

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

EXTRA_DIST += \
	bench/README.md \
	bench/run \
	bench/__init__.py \
	bench/lib/__init__.py \
	bench/lib/compare.py \
	bench/lib/machine.py \
	bench/lib/testbed.py \
	bench/bulk.py \
	bench/connections.py \
	bench/http.py \
	bench/many.py \
	bench/processor.py \
	bench/redis.py \
	bench/roundtrip.py \
	bench/startup.py \
	bench/unselected.py \
	bench/wakeup.py

# $(BENCH): which benchmarks; $(BENCH_OPTIONS): see "bench/run --help".
BENCH = all
bench-tools: $(bench_tools)
bench: all bench-tools
	$(srcdir)/bench/run --build '$(abs_builddir)' $(BENCH_OPTIONS) $(BENCH)
.PHONY: bench bench-tools

CLEANFILES += $(bench_tools) bench-results/*.md bench-results/*.json bench-results/*.png
