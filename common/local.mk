# SPDX-License-Identifier: BSD-3-Clause
# What more than one part uses and none owns. Each of libmelin.so and melin-stack.so has a copy of
# its own, so nothing here may keep a state that the two would have to share.
noinst_LTLIBRARIES += common/libcommon.la
common_libcommon_la_CPPFLAGS = -I$(srcdir) -D_GNU_SOURCE $(HARDENING_CPPFLAGS)
common_libcommon_la_CFLAGS = $(WARNING_CFLAGS) $(HARDENING_CFLAGS) -fvisibility=hidden \
	$(LTO_CFLAGS)
common_libcommon_la_SOURCES = \
	common/call_on.c \
	common/call_on.h \
	common/capture_ring.h \
	common/connection_state.c \
	common/connection_state.h \
	common/counters.h \
	common/descriptor_limit.c \
	common/descriptor_limit.h \
	common/device_name.c \
	common/device_name.h \
	common/internet_checksum.c \
	common/internet_checksum.h \
	common/io_vector.h \
	common/ip_address.h \
	common/log_level.h \
	common/netlink_call.c \
	common/netlink_call.h \
	common/network_order.h \
	common/option_table.c \
	common/option_table.h \
	common/own_descriptor.c \
	common/own_descriptor.h \
	common/proc_file.c \
	common/proc_file.h \
	common/reason.c \
	common/reason.h \
	common/shared_memory.c \
	common/shared_memory.h \
	common/spin_pause.h \
	common/stack_config.h \
	common/stack_memory.c \
	common/stack_memory.h \
	common/status_page.c \
	common/status_page.h \
	common/system_call.h
