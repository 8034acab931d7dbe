# SPDX-License-Identifier: BSD-3-Clause
# libmelin.so, what is preloaded: needs libc alone.
lib_LTLIBRARIES += libmelin.la
libmelin_la_CPPFLAGS = -I$(srcdir) -D_GNU_SOURCE $(HARDENING_CPPFLAGS) \
	-DMELIN_LOADER='"$(LOADER)"'
# Thread variables of a preloaded library are there from the start: no call to find them.
libmelin_la_CFLAGS = $(WARNING_CFLAGS) $(HARDENING_CFLAGS) -fvisibility=hidden $(LTO_CFLAGS) \
	-ftls-model=initial-exec
# -Bsymbolic: a program that exports a function named like one of ours must not take ours over.
libmelin_la_LDFLAGS = -avoid-version -shared -Wl,-Bsymbolic -Wl,-z,defs -Wl,-e,melin_main \
	$(HARDENING_LDFLAGS) $(LTO_CFLAGS)
libmelin_la_SOURCES = \
	common/descriptor_limit.c common/descriptor_limit.h \
	common/device_name.c common/device_name.h \
	preload/address.c preload/address.h \
	preload/advice.c preload/advice.h \
	preload/ancillary.c preload/ancillary.h \
	preload/asynchronous.c preload/asynchronous.h \
	preload/calls_aio.c \
	preload/calls_descriptor.c preload/calls_exec.c preload/calls_file.c preload/calls_limit.c \
	preload/calls_signal.c preload/calls_socket.c \
	preload/calls_process.c preload/calls_rights.c preload/calls_splice.c \
	preload/calls_stream.c preload/calls_syscall.c preload/calls_thread.c \
	preload/calls_transfer.c preload/calls_wait.c \
	preload/cancellation.c preload/cancellation.h \
	preload/capabilities.c preload/capabilities.h \
	preload/clock.h preload/context.h \
	preload/config.c preload/config.h \
	preload/config_address.c preload/config_address.h \
	preload/descriptor_room.c preload/descriptor_room.h \
	preload/descriptors.c preload/descriptors.h \
	preload/epoll.c preload/epoll.h preload/epoll_item.h preload/epoll_wait.c \
	preload/flow.c preload/flow.h preload/forks.h \
	preload/host.c preload/host.h \
	preload/instance.c preload/instance.h \
	common/system_call.h \
	preload/interruptible.c preload/interruptible.h \
	preload/keeper.c preload/keeper.h \
	preload/log.c preload/log.h preload/log_file.c preload/log_file.h \
	preload/log_syslog.c preload/log_syslog.h \
	preload/main.c \
	preload/memory.c preload/memory.h \
	preload/module.c preload/module.h \
	preload/options.c preload/options.h \
	preload/origin.c preload/origin.h \
	preload/program_file.c preload/program_file.h \
	preload/pending.c preload/pending.h \
	preload/poll.c preload/poll.h preload/result.h \
	preload/rights.c preload/rights.h \
	preload/raw_calls.c preload/raw_calls.h \
	preload/rules.c preload/rules.h \
	preload/scratch.c preload/scratch.h \
	preload/signals.c preload/signals.h \
	preload/socket.c preload/socket.h \
	preload/stream.h \
	preload/symbols.c preload/symbols.h \
	preload/thread.c preload/thread.h \
	preload/transfer.c \
	preload/version.c \
	preload/spin.c preload/spin.h \
	preload/timeout.h \
	preload/vector.c preload/vector.h \
	preload/wait.c preload/wait.h \
	preload/span.c preload/span.h \
	common/option_table.c common/option_table.h \
	common/ip_address.h stack/stack.h
