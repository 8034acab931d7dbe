# SPDX-License-Identifier: BSD-3-Clause
# Unit tests of preload's pure parts: addresses, rules, variables, log, how long to poll, when to
# borrow, the table of descriptors.
EXTRA_LTLIBRARIES += tests/unit/libconfig.la
tests_unit_libconfig_la_CPPFLAGS = -I$(srcdir) -D_GNU_SOURCE
tests_unit_libconfig_la_CFLAGS = $(WARNING_CFLAGS)
tests_unit_libconfig_la_LIBADD = common/libcommon.la
tests_unit_libconfig_la_SOURCES = \
	preload/config/address.c preload/config/config.c preload/config/config_address.c \
	preload/config/entry.c preload/libc/thread_end.c \
	preload/config/log.c preload/config/log_file.c \
	preload/config/log_syslog.c preload/config/rules.c preload/config/span.c \
	preload/sockets/borrow_policy.c preload/waiting/contention.c preload/waiting/spin.c

config_unit_tests = \
	tests/unit/test_address \
	tests/unit/test_borrow_policy \
	tests/unit/test_config \
	tests/unit/test_contention \
	tests/unit/test_descriptors \
	tests/unit/test_log \
	tests/unit/test_rules \
	tests/unit/test_spin \
	tests/unit/test_spin_crowd
ONLY_FOR_TESTS += $(config_unit_tests)
UNIT_TESTS += $(config_unit_tests)

tests_unit_test_address_CPPFLAGS = $(tests_unit_libconfig_la_CPPFLAGS)
tests_unit_test_address_CFLAGS = $(WARNING_CFLAGS)
tests_unit_test_address_SOURCES = tests/unit/test_address.c tests/unit/tap.h
tests_unit_test_address_LDADD = tests/unit/libconfig.la

tests_unit_test_borrow_policy_CPPFLAGS = $(tests_unit_libconfig_la_CPPFLAGS)
tests_unit_test_borrow_policy_CFLAGS = $(WARNING_CFLAGS)
tests_unit_test_borrow_policy_SOURCES = \
	tests/unit/test_borrow_policy.c tests/unit/tap.h tests/unit/virtual_clock.h
tests_unit_test_borrow_policy_LDADD = tests/unit/libconfig.la

tests_unit_test_config_CPPFLAGS = $(tests_unit_libconfig_la_CPPFLAGS)
tests_unit_test_config_CFLAGS = $(WARNING_CFLAGS)
tests_unit_test_config_SOURCES = tests/unit/test_config.c tests/unit/signature.h tests/unit/tap.h
tests_unit_test_config_LDADD = tests/unit/libconfig.la

tests_unit_test_contention_CPPFLAGS = $(tests_unit_libconfig_la_CPPFLAGS)
tests_unit_test_contention_CFLAGS = $(WARNING_CFLAGS)
tests_unit_test_contention_SOURCES = tests/unit/test_contention.c tests/unit/tap.h
tests_unit_test_contention_LDADD = tests/unit/libconfig.la

tests_unit_test_descriptors_CPPFLAGS = $(tests_unit_libconfig_la_CPPFLAGS)
tests_unit_test_descriptors_CFLAGS = $(WARNING_CFLAGS) -pthread
tests_unit_test_descriptors_SOURCES = preload/descriptors/descriptors.c \
	tests/unit/test_descriptors.c tests/unit/tap.h
tests_unit_test_descriptors_LDADD = common/libcommon.la

tests_unit_test_log_CPPFLAGS = $(tests_unit_libconfig_la_CPPFLAGS)
tests_unit_test_log_CFLAGS = $(WARNING_CFLAGS)
tests_unit_test_log_SOURCES = tests/unit/test_log.c tests/unit/signature.h tests/unit/tap.h
tests_unit_test_log_LDADD = tests/unit/libconfig.la

tests_unit_test_rules_CPPFLAGS = $(tests_unit_libconfig_la_CPPFLAGS)
tests_unit_test_rules_CFLAGS = $(WARNING_CFLAGS)
tests_unit_test_rules_SOURCES = tests/unit/test_rules.c tests/unit/tap.h
tests_unit_test_rules_LDADD = tests/unit/libconfig.la

tests_unit_test_spin_CPPFLAGS = $(tests_unit_libconfig_la_CPPFLAGS)
tests_unit_test_spin_CFLAGS = $(WARNING_CFLAGS)
tests_unit_test_spin_SOURCES = tests/unit/test_spin.c tests/unit/tap.h
tests_unit_test_spin_LDADD = tests/unit/libconfig.la

tests_unit_test_spin_crowd_CPPFLAGS = $(tests_unit_libconfig_la_CPPFLAGS)
tests_unit_test_spin_crowd_CFLAGS = $(WARNING_CFLAGS)
tests_unit_test_spin_crowd_SOURCES = \
	tests/unit/test_spin_crowd.c tests/unit/tap.h tests/unit/virtual_clock.h
tests_unit_test_spin_crowd_LDADD = tests/unit/libconfig.la -lpthread
