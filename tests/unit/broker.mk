# SPDX-License-Identifier: BSD-3-Clause
# Unit tests of broker/: what is asked of the kernel, in a network namespace of their own.
broker_unit_tests = tests/unit/test_repair
ONLY_FOR_TESTS += $(broker_unit_tests)
UNIT_TESTS += $(broker_unit_tests)

tests_unit_test_repair_CPPFLAGS = -I$(srcdir) -D_GNU_SOURCE
tests_unit_test_repair_CFLAGS = $(WARNING_CFLAGS)
tests_unit_test_repair_SOURCES = $(lender_sources) tests/unit/broker/test_repair.c \
	tests/unit/tap.h
tests_unit_test_repair_LDADD = common/libcommon.la
