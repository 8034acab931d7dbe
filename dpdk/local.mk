# SPDX-License-Identifier: BSD-3-Clause
# melin-stack.so's other half: the device (link.h) on DPDK, and the XDP program for Linux
# interfaces.

# libbpf is what DPDK's net_af_xdp itself uses.
LINK_LIBS = $(DPDK_LIBS) $(LIBBPF_LIBS)

noinst_LTLIBRARIES += dpdk/liblink.la
dpdk_liblink_la_SOURCES = \
	common/device_name.c \
	common/device_name.h \
	dpdk/frame_checksum.c \
	dpdk/confinement.c \
	dpdk/device.c \
	dpdk/eal.c \
	dpdk/packet_filter.c \
	dpdk/frame.c \
	dpdk/memif_guard.c \
	dpdk/imports.c \
	dpdk/interface.c \
	dpdk/interface_claim.c \
	dpdk/interface_watch.c \
	dpdk/journal.c \
	dpdk/gso.c \
	dpdk/limits.c \
	dpdk/link.c \
	dpdk/control_thread.c \
	dpdk/packet.c \
	dpdk/pool.c \
	dpdk/port.c \
	dpdk/port_bus.c \
	dpdk/port_frames.c \
	dpdk/port_xdp.c \
	dpdk/probe.c \
	dpdk/overrides.c \
	dpdk/frame_receive.c \
	dpdk/sizes.c \
	dpdk/frame_transmit.c \
	dpdk/wait_descriptor.c \
	dpdk/shell_words.c \
	dpdk/xdp.c
dpdk_liblink_la_CPPFLAGS = -D_GNU_SOURCE $(LWIP_CPPFLAGS) $(DPDK_CFLAGS) $(LIBBPF_CFLAGS) \
	$(HARDENING_CPPFLAGS)
dpdk_liblink_la_CFLAGS = $(WARNING_CFLAGS) $(HARDENING_CFLAGS) -fvisibility=hidden
dpdk_liblink_la_LIBADD = $(LINK_LIBS)

noinst_HEADERS += \
	dpdk/backend.h \
	dpdk/buffer.h \
	dpdk/frame_checksum.h \
	dpdk/confinement.h \
	dpdk/device.h \
	dpdk/eal.h \
	dpdk/packet_filter.h \
	dpdk/frame.h \
	dpdk/memif_guard.h \
	dpdk/imports.h \
	dpdk/interface_claim.h \
	dpdk/interface_watch.h \
	dpdk/internal.h \
	dpdk/journal.h \
	dpdk/gso.h \
	dpdk/limits.h \
	dpdk/link.h \
	dpdk/control_thread.h \
	dpdk/pool.h \
	dpdk/port.h \
	dpdk/overrides.h \
	dpdk/sizes.h \
	dpdk/shell_words.h \
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
