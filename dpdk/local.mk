# SPDX-License-Identifier: BSD-3-Clause
# melin-stack.so's other half: the device (link.h) on DPDK, and the XDP program for Linux
# interfaces.

# libbpf is what DPDK's net_af_xdp itself uses.
LINK_LIBS = $(DPDK_LIBS) $(LIBBPF_LIBS)

noinst_LTLIBRARIES += dpdk/liblink.la
dpdk_liblink_la_SOURCES = \
	dpdk/eal/confinement.c \
	dpdk/eal/control_thread.c \
	dpdk/eal/descriptor_imports.c \
	dpdk/eal/device.c \
	dpdk/eal/eal.c \
	dpdk/eal/imports.c \
	dpdk/eal/journal.c \
	dpdk/eal/memif_guard.c \
	dpdk/eal/memory_policy.c \
	dpdk/eal/overrides.c \
	dpdk/eal/shell_words.c \
	dpdk/eal/wait_descriptor.c \
	dpdk/frames/frame.c \
	dpdk/frames/frame_receive.c \
	dpdk/frames/frame_transmit.c \
	dpdk/frames/gso.c \
	dpdk/frames/pool.c \
	dpdk/frames/sizes.c \
	dpdk/interface/interface.c \
	dpdk/interface/ending.c \
	dpdk/interface/interface_claim.c \
	dpdk/interface/packet_filter.c \
	dpdk/interface/probe.c \
	dpdk/interface_watch.c \
	dpdk/link.c \
	dpdk/packet/packet.c \
	dpdk/packet/packet_receive.c \
	dpdk/packet/packet_ring.c \
	dpdk/packet/path_watch.c \
	dpdk/packet/packet_tap.c \
	dpdk/port/limits.c \
	dpdk/port/port.c \
	dpdk/port/port_bus.c \
	dpdk/port/port_frames.c \
	dpdk/xdp/port_xdp.c \
	dpdk/xdp/xdp.c \
	dpdk/xdp/xdp_stale.c
dpdk_liblink_la_CPPFLAGS = -D_GNU_SOURCE $(LWIP_CPPFLAGS) $(DPDK_CFLAGS) $(LIBBPF_CFLAGS) \
	$(HARDENING_CPPFLAGS)
dpdk_liblink_la_CFLAGS = $(WARNING_CFLAGS) $(HARDENING_CFLAGS) -fvisibility=hidden
dpdk_liblink_la_LIBADD = $(LINK_LIBS)

noinst_HEADERS += \
	dpdk/backend.h \
	dpdk/device_link.h \
	dpdk/eal/confinement.h \
	dpdk/eal/control_thread.h \
	dpdk/eal/descriptor_imports.h \
	dpdk/eal/device.h \
	dpdk/eal/eal.h \
	dpdk/eal/imports.h \
	dpdk/eal/journal.h \
	dpdk/eal/memif_guard.h \
	dpdk/eal/memory_policy.h \
	dpdk/eal/overrides.h \
	dpdk/eal/shell_words.h \
	dpdk/eal/wait_descriptor.h \
	dpdk/frames/buffer.h \
	dpdk/frames/frame.h \
	dpdk/frames/frame_receive.h \
	dpdk/frames/frame_transmit.h \
	dpdk/frames/gso.h \
	dpdk/frames/pool.h \
	dpdk/frames/sizes.h \
	dpdk/interface/interface.h \
	dpdk/interface/ending.h \
	dpdk/interface/interface_claim.h \
	dpdk/interface/packet_filter.h \
	dpdk/interface_watch.h \
	dpdk/link.h \
	dpdk/packet/packet.h \
	dpdk/packet/packet_receive.h \
	dpdk/packet/packet_ring.h \
	dpdk/packet/path_watch.h \
	dpdk/port/limits.h \
	dpdk/port/port.h \
	dpdk/xdp/melin_xdp.h \
	dpdk/xdp/xdp.h

EXTRA_DIST += dpdk/xdp/melin_xdp.c
if XDP
module_DATA += melin_xdp.o
melin_xdp.o: dpdk/xdp/melin_xdp.c dpdk/xdp/melin_xdp.h
	$(AM_V_GEN)$(CLANG) -target bpf -O2 -g -Wall -Wextra $(BPF_CPPFLAGS) \
		-c $(srcdir)/dpdk/xdp/melin_xdp.c -o $@
CLEANFILES += melin_xdp.o
endif
