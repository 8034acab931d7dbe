# SPDX-License-Identifier: BSD-3-Clause
# What lends connections of the kernel's (broker/lender.h): part of libmelin.so, of the broker and
# of their tests. Needs libc and common/libcommon.la alone.
noinst_LTLIBRARIES += broker/liblender.la
broker_liblender_la_CPPFLAGS = -I$(srcdir) -D_GNU_SOURCE $(HARDENING_CPPFLAGS)
broker_liblender_la_CFLAGS = $(WARNING_CFLAGS) $(HARDENING_CFLAGS) -fvisibility=hidden \
	$(LTO_CFLAGS)
broker_liblender_la_SOURCES = \
	broker/bpf_call.c \
	broker/bpf_call.h \
	broker/broker_start.c \
	broker/broker_start.h \
	broker/witness.c \
	broker/witness.h \
	broker/injection.c \
	broker/injection.h \
	broker/ipsec.c \
	broker/ipsec.h \
	broker/kept_frames.c \
	broker/kept_frames.h \
	broker/lender.c \
	broker/lender.h \
	broker/refusal.c \
	broker/repair.c \
	broker/repair.h \
	broker/repair_calls.h \
	broker/repair_give.c \
	broker/route.c \
	broker/route.h \
	broker/tap_socket.c \
	broker/tap_socket.h \
	broker/tap_program.h \
	broker/tracking.c \
	broker/tracking.h
nodist_broker_liblender_la_SOURCES = broker/tap_instructions.h

# The tap's eBPF programs, each section as an array of instructions; without clang there are none,
# and no connection is lent. -mcpu=v3: Linux 5.1.
tap_sections = filter ingress inject silence
EXTRA_DIST += broker/tap_program.c broker/instructions
CLEANFILES += broker/tap_instructions.h broker/tap_program.o
$(broker_liblender_la_OBJECTS): broker/tap_instructions.h
if XDP
broker/tap_instructions.h: broker/tap_program.c broker/tap_program.h broker/instructions
	$(AM_V_GEN)mkdir -p broker && $(CLANG) -target bpf -mcpu=v3 -O2 -Wall -Wextra \
		$(BPF_CPPFLAGS) -I$(srcdir) -c $(srcdir)/broker/tap_program.c \
		-o broker/tap_program.o && OBJCOPY='$(OBJCOPY)' $(srcdir)/broker/instructions \
		broker/tap_program.o $(tap_sections) >$@-part && mv $@-part $@
else
broker/tap_instructions.h: broker/instructions
	$(AM_V_GEN)mkdir -p broker && $(srcdir)/broker/instructions '' $(tap_sections) >$@
endif

# What asks melin-broker. A part of libmelin.so.
broker_client_sources = \
	broker/broker_message.c \
	broker/broker_protocol.h \
	broker/client.c \
	broker/client.h
broker_cppflags = -DBROKER_SOCKET='"$(runstatedir)/melin/broker.sock"'

# Beside melin-stack.so, where libmelin.so looks for it.
brokerdir = $(pkglibdir)
broker_PROGRAMS = melin-broker
melin_broker_SOURCES = \
	broker/broker_message.c \
	broker/broker_protocol.h \
	broker/confine.c \
	broker/confine.h \
	broker/witness_process.c \
	broker/melin_broker.c \
	broker/peer_process.h \
	broker/serve.c \
	broker/serve.h
melin_broker_CPPFLAGS = -I$(srcdir) -D_GNU_SOURCE $(HARDENING_CPPFLAGS) $(broker_cppflags)
melin_broker_CFLAGS = $(WARNING_CFLAGS) $(HARDENING_CFLAGS) -pthread
melin_broker_LDFLAGS = $(HARDENING_LDFLAGS)
melin_broker_LDADD = broker/liblender.la common/libcommon.la

# The service: its units, the group of those that it serves, and the folder of its socket.
service_templates = broker/service/melin-broker.service broker/service/melin-broker.socket \
	broker/service/tmpfiles.d/melin.conf
EXTRA_DIST += $(service_templates:=.in) broker/service/sysusers.d/melin.conf
CLEANFILES += $(service_templates)
$(service_templates): Makefile
	$(AM_V_GEN)mkdir -p $(@D) && $(SED) -e 's|@pkglibdir''@|$(pkglibdir)|g' \
		-e 's|@runstatedir''@|$(runstatedir)|g' $(srcdir)/$@.in >$@-part && mv $@-part $@
broker/service/melin-broker.service: broker/service/melin-broker.service.in
broker/service/melin-broker.socket: broker/service/melin-broker.socket.in
broker/service/tmpfiles.d/melin.conf: broker/service/tmpfiles.d/melin.conf.in
if SYSTEMD
systemdsystemunit_DATA = broker/service/melin-broker.service broker/service/melin-broker.socket
sysusersdir = $(prefix)/lib/sysusers.d
sysusers_DATA = $(srcdir)/broker/service/sysusers.d/melin.conf
tmpfilesdir = $(prefix)/lib/tmpfiles.d
tmpfiles_DATA = broker/service/tmpfiles.d/melin.conf
endif
