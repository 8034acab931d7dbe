# SPDX-License-Identifier: BSD-3-Clause
# melin-stack.so's other half: the device (link.h) on DPDK, and the XDP program for Linux
# interfaces.

# libbpf is what DPDK's net_af_xdp itself uses.
LINK_LIBS = $(DPDK_LIBS) $(LIBBPF_LIBS)

noinst_LTLIBRARIES += dpdk/liblink.la
dpdk_liblink_la_SOURCES = \
	common/device_name.c \
	common/device_name.h \
	dpdk/checksum.c \
	dpdk/confinement.c \
	dpdk/device.c \
	dpdk/eal.c \
	dpdk/filter.c \
	dpdk/frame.c \
	dpdk/guard.c \
	dpdk/imports.c \
	dpdk/interface.c \
	dpdk/interface_claim.c \
	dpdk/journal.c \
	dpdk/large.c \
	dpdk/limits.c \
	dpdk/link.c \
	dpdk/owner.c \
	dpdk/packet.c \
	dpdk/pool.c \
	dpdk/port.c \
	dpdk/port_bus.c \
	dpdk/port_frames.c \
	dpdk/port_xdp.c \
	dpdk/probe.c \
	dpdk/quiet.c \
	dpdk/receive.c \
	dpdk/sizes.c \
	dpdk/transmit.c \
	dpdk/wait.c \
	dpdk/words.c \
	dpdk/xdp.c
dpdk_liblink_la_CPPFLAGS = -D_GNU_SOURCE $(LWIP_CPPFLAGS) $(DPDK_CFLAGS) $(LIBBPF_CFLAGS) \
	$(HARDENING_CPPFLAGS)
dpdk_liblink_la_CFLAGS = $(WARNING_CFLAGS) $(HARDENING_CFLAGS) -fvisibility=hidden
dpdk_liblink_la_LIBADD = $(LINK_LIBS)

noinst_HEADERS += \
	dpdk/backend.h \
	dpdk/buffer.h \
	dpdk/checksum.h \
	dpdk/confinement.h \
	dpdk/device.h \
	dpdk/eal.h \
	dpdk/filter.h \
	dpdk/frame.h \
	dpdk/guard.h \
	dpdk/imports.h \
	dpdk/interface_claim.h \
	dpdk/internal.h \
	dpdk/journal.h \
	dpdk/large.h \
	dpdk/limits.h \
	dpdk/link.h \
	dpdk/owner.h \
	dpdk/pool.h \
	dpdk/port.h \
	dpdk/quiet.h \
	dpdk/sizes.h \
	dpdk/words.h \
	dpdk/xdp.h \
	dpdk/xdp/melin_xdp.h

EXTRA_DIST += dpdk/xdp/melin_xdp.c
if XDP
module_DATA += melin_xdp.o
melin_xdp.o: dpdk/xdp/melin_xdp.c dpdk/xdp/melin_xdp.h
	$(AM_V_GEN)$(CLANG) -target bpf -O2 -g -Wall -Wextra $(BPF_CPPFLAGS) \
		-c $(srcdir)/dpdk/xdp/melin_xdp.c -o $@
CLEANFILES += melin_xdp.o
endif
