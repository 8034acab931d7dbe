# SPDX-License-Identifier: BSD-3-Clause
# What lends connections of the kernel's (broker/lender.h): part of libmelin.so, of the broker and
# of their tests, each of which compiles it with its own flags. Needs libc and
# common/libcommon.la alone.
lender_sources = \
	broker/lender.h \
	broker/refusal.c \
	broker/repair.c \
	broker/repair.h

# What asks melin-broker, and starts it. A part of libmelin.so.
broker_client_sources = \
	broker/broker_message.c \
	broker/broker_protocol.h \
	broker/broker_start.c \
	broker/broker_start.h \
	broker/client.c \
	broker/client.h
broker_cppflags = -DBROKER_SOCKET='"$(runstatedir)/melin/broker.sock"'

# melin-broker, beside melin-stack.so. To be built by default when there is lender_open().
EXTRA_PROGRAMS += melin-broker
melin_broker_SOURCES = \
	$(lender_sources) \
	broker/broker_message.c \
	broker/broker_protocol.h \
	broker/confine.c \
	broker/confine.h \
	broker/melin_broker.c \
	broker/serve.c \
	broker/serve.h
melin_broker_CPPFLAGS = -I$(srcdir) -D_GNU_SOURCE $(HARDENING_CPPFLAGS) $(broker_cppflags)
melin_broker_CFLAGS = $(WARNING_CFLAGS) $(HARDENING_CFLAGS) -pthread
melin_broker_LDFLAGS = $(HARDENING_LDFLAGS)
melin_broker_LDADD = common/libcommon.la
