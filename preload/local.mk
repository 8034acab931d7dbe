# SPDX-License-Identifier: BSD-3-Clause
# libmelin.so, what is preloaded: needs libc alone.
lib_LTLIBRARIES += libmelin.la
libmelin_la_CPPFLAGS = -I$(srcdir) -D_GNU_SOURCE $(HARDENING_CPPFLAGS) \
	-DMELIN_LOADER='"$(LOADER)"' $(broker_cppflags)
# Thread variables of a preloaded library are there from the start: no call to find them.
libmelin_la_CFLAGS = $(WARNING_CFLAGS) $(HARDENING_CFLAGS) -fvisibility=hidden $(LTO_CFLAGS) \
	-ftls-model=initial-exec
# -Bsymbolic: a program that exports a function named like one of ours must not take ours over.
libmelin_la_LDFLAGS = -avoid-version -shared -Wl,-Bsymbolic -Wl,-z,defs -Wl,-e,melin_main \
	$(HARDENING_LDFLAGS) $(LTO_CFLAGS)
libmelin_la_LIBADD = common/libcommon.la
libmelin_la_SOURCES = \
	$(broker_client_sources) \
	preload/calls/calls_aio.c \
	preload/calls/calls_descriptor.c \
	preload/calls/calls_exec.c \
	preload/calls/calls_file.c \
	preload/calls/calls_limit.c \
	preload/calls/calls_process.c \
	preload/calls/calls_rights.c \
	preload/calls/calls_signal.c \
	preload/calls/calls_socket.c \
	preload/calls/calls_splice.c \
	preload/calls/calls_stream.c \
	preload/calls/calls_syscall.c \
	preload/calls/calls_thread.c \
	preload/calls/calls_transfer.c \
	preload/calls/calls_wait.c \
	preload/calls/raw_calls.c \
	preload/calls/raw_calls.h \
	preload/config/address.c \
	preload/config/address.h \
	preload/config/advice.c \
	preload/config/advice.h \
	preload/config/config.c \
	preload/config/config.h \
	preload/config/config_address.c \
	preload/config/config_address.h \
	preload/config/entry.c \
	preload/config/entry.h \
	preload/config/host_addresses.c \
	preload/config/host_addresses.h \
	preload/config/log.c \
	preload/config/log.h \
	preload/config/log_file.c \
	preload/config/log_file.h \
	preload/config/log_syslog.c \
	preload/config/log_syslog.h \
	preload/config/origin.c \
	preload/config/origin.h \
	preload/config/program_file.c \
	preload/config/program_file.h \
	preload/config/rules.c \
	preload/config/rules.h \
	preload/config/span.c \
	preload/config/span.h \
	preload/descriptors/descriptor_room.c \
	preload/descriptors/descriptor_room.h \
	preload/descriptors/descriptors.c \
	preload/descriptors/descriptors.h \
	preload/descriptors/source.c \
	preload/descriptors/source.h \
	preload/libc/cancellation.c \
	preload/libc/cancellation.h \
	preload/libc/capabilities.c \
	preload/libc/capabilities.h \
	preload/libc/context.h \
	preload/libc/interruptible.c \
	preload/libc/interruptible.h \
	preload/libc/monotonic.h \
	preload/libc/program_memory.c \
	preload/libc/program_memory.h \
	preload/libc/result.h \
	preload/libc/scratch.c \
	preload/libc/scratch.h \
	preload/libc/signals.c \
	preload/libc/signals.h \
	preload/libc/symbols.c \
	preload/libc/symbols.h \
	preload/libc/thread.c \
	preload/libc/thread.h \
	preload/libc/timeout.h \
	preload/libc/vector.c \
	preload/libc/vector.h \
	preload/lifecycle/forks.h \
	preload/lifecycle/main.c \
	preload/lifecycle/rights.c \
	preload/lifecycle/rights.h \
	preload/lifecycle/version.c \
	preload/process/keeper.c \
	preload/process/keeper.h \
	preload/process/module.c \
	preload/process/module.h \
	preload/process/process_stack.c \
	preload/process/process_stack.h \
	preload/sockets/ancillary.c \
	preload/sockets/ancillary.h \
	preload/sockets/asynchronous.c \
	preload/sockets/asynchronous.h \
	preload/sockets/flow.c \
	preload/sockets/flow.h \
	preload/sockets/pending.c \
	preload/sockets/pending.h \
	preload/sockets/socket_object.c \
	preload/sockets/socket_object.h \
	preload/sockets/socket_operations.c \
	preload/sockets/stream.c \
	preload/sockets/stream.h \
	preload/sockets/transfer.c \
	preload/sockets/twin_options.c \
	preload/sockets/twin_options.h \
	preload/waiting/epoll.c \
	preload/waiting/epoll.h \
	preload/waiting/epoll_item.h \
	preload/waiting/epoll_wait.c \
	preload/waiting/poll.c \
	preload/waiting/poll.h \
	preload/waiting/spin.c \
	preload/waiting/spin.h \
	preload/waiting/wait.c \
	preload/waiting/wait.h \
	stack/stack.h
