# SPDX-License-Identifier: BSD-3-Clause
# Unit tests of broker/: what is asked of the kernel, in network namespaces of their own.
broker_unit_tests = \
	tests/unit/test_broker \
	tests/unit/test_broker_life \
	tests/unit/test_broker_messages \
	tests/unit/test_late \
	tests/unit/test_lender \
	tests/unit/test_lender_rights \
	tests/unit/test_lender_traffic \
	tests/unit/test_repair \
	tests/unit/test_serve
ONLY_FOR_TESTS += $(broker_unit_tests)
UNIT_TESTS += $(broker_unit_tests)

tests_unit_test_broker_CPPFLAGS = -I$(srcdir) -D_GNU_SOURCE $(broker_test_socket)
tests_unit_test_broker_CFLAGS = $(WARNING_CFLAGS) -pthread
tests_unit_test_broker_SOURCES = $(broker_client_sources) $(broker_test_lent) \
	tests/unit/broker/test_broker.c tests/unit/tap.h
tests_unit_test_broker_LDADD = broker/liblender.la common/libcommon.la
EXTRA_tests_unit_test_broker_DEPENDENCIES = melin-broker$(EXEEXT)
# Where no service of the host's is.
broker_test_socket = -DBROKER_SOCKET='"melin-test.sock"'
broker_test_lent = tests/unit/broker/ground.c tests/unit/broker/ground.h \
	tests/unit/broker/lent.c tests/unit/broker/lent.h

tests_unit_test_broker_life_CPPFLAGS = $(tests_unit_test_broker_CPPFLAGS)
tests_unit_test_broker_life_CFLAGS = $(tests_unit_test_broker_CFLAGS)
tests_unit_test_broker_life_SOURCES = $(broker_client_sources) $(broker_test_lent) \
	tests/unit/broker/broker_process.h tests/unit/broker/test_broker_life.c tests/unit/tap.h
tests_unit_test_broker_life_LDADD = $(tests_unit_test_broker_LDADD)
EXTRA_tests_unit_test_broker_life_DEPENDENCIES = melin-broker$(EXEEXT)

tests_unit_test_broker_messages_CPPFLAGS = $(tests_unit_test_broker_CPPFLAGS)
tests_unit_test_broker_messages_CFLAGS = $(tests_unit_test_broker_CFLAGS)
tests_unit_test_broker_messages_SOURCES = $(broker_client_sources) \
	tests/unit/broker/broker_process.h tests/unit/broker/ground.c tests/unit/broker/ground.h \
	tests/unit/broker/test_broker_messages.c tests/unit/tap.h
tests_unit_test_broker_messages_LDADD = $(tests_unit_test_broker_LDADD)
EXTRA_tests_unit_test_broker_messages_DEPENDENCIES = melin-broker$(EXEEXT)

tests_unit_test_late_CPPFLAGS = $(tests_unit_test_broker_CPPFLAGS)
tests_unit_test_late_CFLAGS = $(tests_unit_test_broker_CFLAGS)
tests_unit_test_late_SOURCES = $(broker_client_sources) $(broker_test_lent) broker/serve.c \
	broker/serve.h tests/unit/broker/test_late.c tests/unit/tap.h
tests_unit_test_late_LDFLAGS = $(NO_LTO_LDFLAGS) -Wl,--wrap=broker_message_send \
	-Wl,--wrap=tap_change -Wl,--wrap=repair_give -Wl,--wrap=repair_take
tests_unit_test_late_LDADD = $(tests_unit_test_broker_LDADD)

tests_unit_test_lender_CPPFLAGS = -I$(srcdir) -D_GNU_SOURCE
tests_unit_test_lender_CFLAGS = $(WARNING_CFLAGS)
tests_unit_test_lender_SOURCES = tests/unit/broker/ground.c tests/unit/broker/ground.h \
	tests/unit/broker/stand_in.c tests/unit/broker/stand_in.h \
	tests/unit/broker/test_lender.c tests/unit/tap.h
tests_unit_test_lender_LDADD = broker/liblender.la common/libcommon.la

tests_unit_test_lender_rights_CPPFLAGS = $(tests_unit_test_lender_CPPFLAGS)
tests_unit_test_lender_rights_CFLAGS = $(WARNING_CFLAGS) -pthread
tests_unit_test_lender_rights_SOURCES = tests/unit/broker/ground.c tests/unit/broker/ground.h \
	tests/unit/broker/test_lender_rights.c tests/unit/tap.h
tests_unit_test_lender_rights_LDADD = broker/liblender.la common/libcommon.la

tests_unit_test_lender_traffic_CPPFLAGS = -I$(srcdir) -D_GNU_SOURCE
tests_unit_test_lender_traffic_CFLAGS = $(WARNING_CFLAGS)
tests_unit_test_lender_traffic_SOURCES = tests/unit/broker/ground.c tests/unit/broker/ground.h \
	tests/unit/broker/stand_in.c tests/unit/broker/stand_in.h \
	tests/unit/broker/test_lender_traffic.c tests/unit/tap.h
tests_unit_test_lender_traffic_LDFLAGS = $(NO_LTO_LDFLAGS) -Wl,--wrap=repair_give_rest
tests_unit_test_lender_traffic_LDADD = broker/liblender.la common/libcommon.la

tests_unit_test_repair_CPPFLAGS = -I$(srcdir) -D_GNU_SOURCE
tests_unit_test_repair_CFLAGS = $(WARNING_CFLAGS)
tests_unit_test_repair_SOURCES = tests/unit/broker/ground.c tests/unit/broker/ground.h \
	tests/unit/broker/test_repair.c tests/unit/tap.h
tests_unit_test_repair_LDADD = broker/liblender.la common/libcommon.la

tests_unit_test_serve_CPPFLAGS = -I$(srcdir) -D_GNU_SOURCE
tests_unit_test_serve_CFLAGS = $(WARNING_CFLAGS) -pthread
tests_unit_test_serve_SOURCES = broker/broker_message.c broker/broker_protocol.h broker/serve.c \
	broker/serve.h tests/unit/broker/ground.c tests/unit/broker/ground.h \
	tests/unit/broker/test_serve.c tests/unit/tap.h
tests_unit_test_serve_LDADD = broker/liblender.la common/libcommon.la
