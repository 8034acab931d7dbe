# SPDX-License-Identifier: BSD-3-Clause
# melin-stack.so's TCP/IP half: lwIP's core, compiled from its unpacked source without touching it,
# and stack/*.c around it.

# Everything that includes lwIP's headers needs these (dpdk/ and the unit tests too).
LWIP_CPPFLAGS = -I$(srcdir) -I$(srcdir)/stack/lwip -I$(LWIP_SRC)/src/include
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
stack_liblwip_la_SOURCES = stack/lwip/lwip_tcp.c stack/lwip/lwip_tcp_in.c \
	stack/lwip/lwip_tcp_out.c
stack_liblwip_la_CPPFLAGS = -include $(srcdir)/stack/lwip/lwip_changes.h $(LWIP_CPPFLAGS) \
	-I$(LWIP_SRC)/src $(HARDENING_CPPFLAGS)
stack_liblwip_la_CFLAGS = -w $(HARDENING_CFLAGS) -fvisibility=hidden -fno-strict-aliasing \
	$(LTO_CFLAGS)

# The whole of stack/, for melin-stack.so and for the unit tests, which bring links of their own.
noinst_LTLIBRARIES += stack/libstack.la
stack_libstack_la_SOURCES = \
	stack/events/icmp_error.c \
	stack/events/retry.c \
	stack/events/segment.c \
	stack/events/timers.c \
	stack/instance/allocation.c \
	stack/instance/call_stack.c \
	stack/instance/clock.c \
	stack/instance/current.c \
	stack/instance/deadline.c \
	stack/instance/instance_log.c \
	stack/instance/lock.c \
	stack/instance/pressure.c \
	stack/instance/random.c \
	stack/instance/sysctl.c \
	stack/instance/wakeup.c \
	stack/ip/filter.c \
	stack/ip/early_frames.c \
	stack/ip/host.c \
	stack/ip/capture.c \
	stack/ip/loop.c \
	stack/ip/network.c \
	stack/ip/past_ip.c \
	stack/ip/routing.c \
	stack/ip/segment_filter.c \
	stack/ip/sockaddr.c \
	stack/lifecycle/background.c \
	stack/lifecycle/instance.c \
	stack/lifecycle/lifetime.c \
	stack/lifecycle/operations.c \
	stack/socket/accept_queue.c \
	stack/socket/adopt.c \
	stack/socket/close.c \
	stack/socket/connect.c \
	stack/socket/listen.c \
	stack/socket/options.c \
	stack/socket/output.c \
	stack/socket/pcb.c \
	stack/socket/ports.c \
	stack/socket/readiness.c \
	stack/socket/receive.c \
	stack/socket/receive_queue.c \
	stack/socket/receive_window.c \
	stack/socket/report.c \
	stack/socket/send.c \
	stack/socket/send_buffer.c \
	stack/socket/send_pair.c \
	stack/socket/socket.c \
	stack/socket/urgent.c \
	stack/tcp/acknowledge.c \
	stack/tcp/adopted.c \
	stack/tcp/congestion.c \
	stack/tcp/gap.c \
	stack/tcp/index.c \
	stack/tcp/out_of_order.c \
	stack/tcp/path.c \
	stack/tcp/rack.c \
	stack/tcp/reassembly.c \
	stack/tcp/recovery.c \
	stack/tcp/round_trip.c \
	stack/tcp/scoreboard.c \
	stack/tcp/syn_cookie.c \
	stack/tcp/tcp_info.c \
	stack/tcp/timestamps.c
stack_libstack_la_CPPFLAGS = -D_GNU_SOURCE -include $(srcdir)/stack/lwip/lwip_changes.h \
	$(LWIP_CPPFLAGS) $(HARDENING_CPPFLAGS)
# As lwIP's files: a function of the one kind is not inlined into one of the other.
stack_libstack_la_CFLAGS = $(STACK_CFLAGS) -fno-strict-aliasing $(LTO_CFLAGS)
stack_libstack_la_LIBADD = stack/liblwip.la

noinst_HEADERS += \
	stack/events/retry.h \
	stack/events/segment.h \
	stack/events/timers.h \
	stack/instance/allocation.h \
	stack/instance/call_stack.h \
	stack/instance/clock.h \
	stack/instance/deadline.h \
	stack/instance/instance_log.h \
	stack/instance/lock.h \
	stack/instance/pressure.h \
	stack/instance/random.h \
	stack/instance/sysctl.h \
	stack/instance/wakeup.h \
	stack/instance_parts.h \
	stack/ip/filter.h \
	stack/ip/early_frames.h \
	stack/ip/host.h \
	stack/ip/capture.h \
	stack/ip/loop.h \
	stack/ip/network.h \
	stack/ip/past_ip.h \
	stack/ip/routing.h \
	stack/ip/segment_filter.h \
	stack/ip/sockaddr.h \
	stack/lifecycle/background.h \
	stack/lifecycle/instance.h \
	stack/lifecycle/lifetime.h \
	stack/lwip/arch/cc.h \
	stack/lwip/lwip_changes.h \
	stack/lwip/lwip_hooks.h \
	stack/lwip/lwipopts.h \
	stack/socket/accept_queue.h \
	stack/socket/close.h \
	stack/socket/connect.h \
	stack/socket/listen.h \
	stack/socket/options.h \
	stack/socket/output.h \
	stack/socket/pcb.h \
	stack/socket/ports.h \
	stack/socket/readiness.h \
	stack/socket/receive.h \
	stack/socket/receive_queue.h \
	stack/socket/receive_window.h \
	stack/socket/report.h \
	stack/socket/send.h \
	stack/socket/send_buffer.h \
	stack/socket/send_pair.h \
	stack/socket/socket.h \
	stack/socket/urgent.h \
	stack/socket_parts.h \
	stack/stack.h \
	stack/tcp/acknowledge.h \
	stack/tcp/adopted.h \
	stack/tcp/congestion.h \
	stack/tcp/gap.h \
	stack/tcp/index.h \
	stack/tcp/out_of_order.h \
	stack/tcp/path.h \
	stack/tcp/rack.h \
	stack/tcp/reassembly.h \
	stack/tcp/recovery.h \
	stack/tcp/round_trip.h \
	stack/tcp/scoreboard.h \
	stack/tcp/segment_option.h \
	stack/tcp/syn_cookie.h \
	stack/tcp/tcp_info.h \
	stack/tcp/timestamps.h

# Opened by libmelin.so; exports melin_stack_operations, and set_mempolicy for libnuma alone.
pkglib_LTLIBRARIES += melin-stack.la
melin_stack_la_SOURCES =
melin_stack_la_LDFLAGS = -module -avoid-version -shared -Wl,-Bsymbolic -Wl,-z,defs \
	$(HARDENING_LDFLAGS) $(LTO_CFLAGS) \
	-export-symbols-regex '^(melin_stack_operations|set_mempolicy)$$'
melin_stack_la_LIBADD = stack/libstack.la dpdk/liblink.la common/libcommon.la -lpthread
