# SPDX-License-Identifier: BSD-3-Clause
# melin-stack.so's TCP/IP half: lwIP's core, compiled from its unpacked source without touching it,
# and stack/*.c around it.

# Everything that includes lwIP's headers needs these (dpdk/ and the unit tests too).
LWIP_CPPFLAGS = -I$(srcdir) -I$(srcdir)/stack -I$(LWIP_SRC)/src/include
STACK_CFLAGS = $(WARNING_CFLAGS) $(HARDENING_CFLAGS) -fvisibility=hidden
# Link-time optimisation is for the libraries: the tests' programs are linked quickly instead.
AM_LDFLAGS = $(NO_LTO_LDFLAGS)

# lwIP's files that are compiled as they are: core/a/b.c through stack/lwip/core-a-b.c, which is one
# #include line written by the rule below.
lwip_plain = \
	stack/lwip/core-init.c stack/lwip/core-def.c stack/lwip/core-inet_chksum.c \
	stack/lwip/core-ip.c stack/lwip/core-mem.c stack/lwip/core-memp.c \
	stack/lwip/core-netif.c stack/lwip/core-pbuf.c stack/lwip/core-stats.c \
	stack/lwip/core-timeouts.c stack/lwip/core-udp.c \
	stack/lwip/core-ipv4-etharp.c stack/lwip/core-ipv4-icmp.c stack/lwip/core-ipv4-ip4.c \
	stack/lwip/core-ipv4-ip4_addr.c \
	stack/lwip/core-ipv6-ethip6.c stack/lwip/core-ipv6-icmp6.c stack/lwip/core-ipv6-inet6.c \
	stack/lwip/core-ipv6-ip6.c stack/lwip/core-ipv6-ip6_addr.c stack/lwip/core-ipv6-mld6.c \
	stack/lwip/core-ipv6-nd6.c \
	stack/lwip/netif-ethernet.c
$(lwip_plain): Makefile
	$(AM_V_GEN)$(MKDIR_P) stack/lwip && file=`basename $@ .c | tr - /` && \
		printf '#include "%s.c"\n' "$$file" >$@
CLEANFILES += $(lwip_plain)

noinst_LTLIBRARIES += stack/liblwip.la
nodist_stack_liblwip_la_SOURCES = $(lwip_plain)
stack_liblwip_la_SOURCES = stack/lwip-tcp.c stack/lwip-tcp-in.c stack/lwip-tcp-out.c
stack_liblwip_la_CPPFLAGS = -include $(srcdir)/stack/lwip-changes.h $(LWIP_CPPFLAGS) \
	-I$(LWIP_SRC)/src $(HARDENING_CPPFLAGS)
stack_liblwip_la_CFLAGS = -w $(HARDENING_CFLAGS) -fvisibility=hidden -fno-strict-aliasing \
	$(LTO_CFLAGS)

# The whole of stack/, for melin-stack.so and for the unit tests, which bring links of their own.
noinst_LTLIBRARIES += stack/libstack.la
stack_libstack_la_SOURCES = \
	common/connection_state.c \
	stack/acknowledge.c \
	stack/adopt.c \
	stack/background.c \
	stack/call-stack.c \
	stack/checksum.c \
	stack/clock.c \
	stack/congestion.c \
	stack/connect.c \
	stack/deadline.c \
	stack/filter.c \
	stack/gap.c \
	stack/icmp-error.c \
	stack/index.c \
	stack/instance.c \
	stack/listen.c \
	stack/lock.c \
	stack/loop.c \
	stack/memory.c \
	stack/network.c \
	stack/operations.c \
	common/option_table.c \
	stack/options.c \
	stack/output.c \
	stack/path.c \
	stack/ports.c \
	stack/pressure.c \
	stack/rack.c \
	stack/random.c \
	stack/reassembly.c \
	stack/receive.c \
	stack/recovery.c \
	stack/retry.c \
	stack/round-trip.c \
	stack/scoreboard.c \
	stack/segment.c \
	stack/send.c \
	stack/socket.c \
	stack/syn-cookie.c \
	stack/sysctl.c \
	stack/tcp-info.c \
	stack/timers.c \
	stack/timestamps.c \
	stack/urgent.c
stack_libstack_la_CPPFLAGS = -D_GNU_SOURCE -include $(srcdir)/stack/lwip-changes.h \
	$(LWIP_CPPFLAGS) $(HARDENING_CPPFLAGS)
# As lwIP's files: a function of the one kind is not inlined into one of the other.
stack_libstack_la_CFLAGS = $(STACK_CFLAGS) -fno-strict-aliasing $(LTO_CFLAGS)
stack_libstack_la_LIBADD = stack/liblwip.la

noinst_HEADERS += \
	stack/acknowledge.h \
	common/ip_address.h \
	stack/arch/cc.h \
	stack/background.h \
	common/network_order.h \
	stack/call-stack.h \
	stack/clock.h \
	stack/congestion.h \
	stack/deadline.h \
	stack/filter.h \
	stack/gap.h \
	stack/index-counts.h \
	stack/index.h \
	stack/instance.h \
	stack/lock.h \
	stack/loop.h \
	stack/lwip-changes.h \
	stack/lwip-hooks.h \
	stack/lwipopts.h \
	stack/memory.h \
	common/option_table.h \
	stack/network.h \
	stack/output.h \
	stack/path.h \
	stack/ports.h \
	stack/pressure.h \
	stack/rack.h \
	stack/random.h \
	stack/reassembly.h \
	stack/recovery.h \
	stack/retry.h \
	stack/round-trip.h \
	stack/scoreboard.h \
	stack/segment-option.h \
	stack/segment.h \
	stack/socket.h \
	stack/stack.h \
	stack/syn-cookie.h \
	stack/sysctl.h \
	stack/tcp-info.h \
	stack/timers.h \
	stack/timestamps.h \
	stack/urgent.h

# Opened by libmelin.so; exports melin_stack_operations and nothing else.
pkglib_LTLIBRARIES += melin-stack.la
melin_stack_la_SOURCES =
melin_stack_la_LDFLAGS = -module -avoid-version -shared -Wl,-Bsymbolic -Wl,-z,defs \
	$(HARDENING_LDFLAGS) $(LTO_CFLAGS) \
	-export-symbols-regex '^melin_stack_operations$$'
melin_stack_la_LIBADD = stack/libstack.la dpdk/liblink.la -lpthread
