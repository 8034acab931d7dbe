# SPDX-License-Identifier: BSD-3-Clause
# Unit tests of stack/: in virtual time, within the process or against a peer of memory.
stack_test_cppflags = -D_GNU_SOURCE $(LWIP_CPPFLAGS)
stack_test_libraries = stack/libstack.la common/libcommon.la
stack_test_common = tests/link/memory_link.c tests/link/memory_link.h tests/unit/stack/common.h \
	tests/unit/tap.h
stack_test_wire = $(stack_test_common) tests/unit/stack/peer.h tests/unit/stack/wire.c \
	tests/unit/stack/wire.h

stack_unit_tests = \
	tests/unit/test_stack_acknowledge \
	tests/unit/test_stack_adopt \
	tests/unit/test_stack_both_ends \
	tests/unit/test_stack_cookie \
	tests/unit/test_stack_host \
	tests/unit/test_stack_host_icmp \
	tests/unit/test_stack_host_return \
	tests/unit/test_stack_icmp \
	tests/unit/test_stack_index \
	tests/unit/test_stack_instances \
	tests/unit/test_stack_loop \
	tests/unit/test_stack_memory \
	tests/unit/test_stack_pressure \
	tests/unit/test_stack_recovery \
	tests/unit/test_stack_sending \
	tests/unit/test_stack_threads \
	tests/unit/test_stack_timers \
	tests/unit/test_stack_wire
ONLY_FOR_TESTS += $(stack_unit_tests)
UNIT_TESTS += $(stack_unit_tests)

tests_unit_test_stack_adopt_CPPFLAGS = $(stack_test_cppflags)
tests_unit_test_stack_adopt_CFLAGS = $(WARNING_CFLAGS)
tests_unit_test_stack_adopt_SOURCES = tests/unit/stack/test_adopt.c \
	tests/unit/stack/kernels.h $(stack_test_wire)
tests_unit_test_stack_adopt_LDADD = $(stack_test_libraries)

tests_unit_test_stack_host_CPPFLAGS = $(stack_test_cppflags)
tests_unit_test_stack_host_CFLAGS = $(WARNING_CFLAGS) -pthread
tests_unit_test_stack_host_SOURCES = tests/unit/stack/test_host.c \
	tests/unit/stack/kernels.h tests/unit/stack/tap_instance.h $(stack_test_wire)
tests_unit_test_stack_host_LDADD = $(stack_test_libraries) -lpthread

tests_unit_test_stack_host_icmp_CPPFLAGS = $(stack_test_cppflags)
tests_unit_test_stack_host_icmp_CFLAGS = $(WARNING_CFLAGS)
tests_unit_test_stack_host_icmp_SOURCES = tests/unit/stack/test_host_icmp.c \
	tests/unit/stack/kernels.h tests/unit/stack/tap_instance.h $(stack_test_wire)
tests_unit_test_stack_host_icmp_LDADD = $(stack_test_libraries)

tests_unit_test_stack_host_return_CPPFLAGS = $(stack_test_cppflags)
tests_unit_test_stack_host_return_CFLAGS = $(WARNING_CFLAGS)
tests_unit_test_stack_host_return_SOURCES = tests/unit/stack/test_host_return.c \
	tests/unit/stack/kernels.h tests/unit/stack/tap_instance.h $(stack_test_wire)
tests_unit_test_stack_host_return_LDADD = $(stack_test_libraries)

tests_unit_test_stack_acknowledge_CPPFLAGS = $(stack_test_cppflags)
tests_unit_test_stack_acknowledge_CFLAGS = $(WARNING_CFLAGS)
tests_unit_test_stack_acknowledge_SOURCES = tests/unit/stack/test_acknowledge.c \
	tests/unit/stack/append.c tests/unit/stack/append.h $(stack_test_wire)
tests_unit_test_stack_acknowledge_LDADD = $(stack_test_libraries)

tests_unit_test_stack_both_ends_CPPFLAGS = $(stack_test_cppflags)
tests_unit_test_stack_both_ends_CFLAGS = $(WARNING_CFLAGS)
tests_unit_test_stack_both_ends_SOURCES = tests/unit/stack/test_both_ends.c $(stack_test_wire)
tests_unit_test_stack_both_ends_LDADD = $(stack_test_libraries)

tests_unit_test_stack_cookie_CPPFLAGS = $(stack_test_cppflags)
tests_unit_test_stack_cookie_CFLAGS = $(WARNING_CFLAGS)
tests_unit_test_stack_cookie_SOURCES = tests/unit/stack/test_cookie.c $(stack_test_wire)
tests_unit_test_stack_cookie_LDADD = $(stack_test_libraries)

tests_unit_test_stack_icmp_CPPFLAGS = $(stack_test_cppflags)
tests_unit_test_stack_icmp_CFLAGS = $(WARNING_CFLAGS)
tests_unit_test_stack_icmp_SOURCES = tests/unit/stack/test_icmp.c $(stack_test_wire)
tests_unit_test_stack_icmp_LDADD = $(stack_test_libraries)

tests_unit_test_stack_loop_CPPFLAGS = $(stack_test_cppflags)
tests_unit_test_stack_loop_CFLAGS = $(WARNING_CFLAGS)
tests_unit_test_stack_loop_SOURCES = tests/unit/stack/test_loop.c $(stack_test_common)
tests_unit_test_stack_loop_LDADD = $(stack_test_libraries)

tests_unit_test_stack_sending_CPPFLAGS = $(stack_test_cppflags)
tests_unit_test_stack_sending_CFLAGS = $(WARNING_CFLAGS)
tests_unit_test_stack_sending_SOURCES = tests/unit/stack/test_sending.c $(stack_test_wire)
tests_unit_test_stack_sending_LDADD = $(stack_test_libraries)

tests_unit_test_stack_timers_CPPFLAGS = $(stack_test_cppflags)
tests_unit_test_stack_timers_CFLAGS = $(WARNING_CFLAGS)
tests_unit_test_stack_timers_SOURCES = tests/unit/stack/test_timers.c $(stack_test_wire)
tests_unit_test_stack_timers_LDADD = $(stack_test_libraries)

tests_unit_test_stack_recovery_CPPFLAGS = $(stack_test_cppflags)
tests_unit_test_stack_recovery_CFLAGS = $(WARNING_CFLAGS)
tests_unit_test_stack_recovery_SOURCES = tests/unit/stack/test_recovery.c \
	tests/unit/stack/impairment.h $(stack_test_wire)
tests_unit_test_stack_recovery_LDADD = $(stack_test_libraries)

tests_unit_test_stack_wire_CPPFLAGS = $(stack_test_cppflags)
tests_unit_test_stack_wire_CFLAGS = $(WARNING_CFLAGS)
tests_unit_test_stack_wire_SOURCES = tests/unit/stack/test_wire.c $(stack_test_wire)
tests_unit_test_stack_wire_LDADD = $(stack_test_libraries)

tests_unit_test_stack_index_CPPFLAGS = $(stack_test_cppflags)
tests_unit_test_stack_index_CFLAGS = $(WARNING_CFLAGS)
tests_unit_test_stack_index_SOURCES = tests/unit/stack/test_index.c $(stack_test_common)
tests_unit_test_stack_index_LDADD = $(stack_test_libraries)

# It loads copies of the module.
tests_unit_test_stack_instances_CPPFLAGS = $(stack_test_cppflags) \
	-DMODULE='"$(abs_builddir)/.libs/melin-stack.so"'
tests_unit_test_stack_instances_CFLAGS = $(WARNING_CFLAGS)
tests_unit_test_stack_instances_SOURCES = tests/unit/stack/test_instances.c \
	$(stack_test_common)
tests_unit_test_stack_instances_LDADD = $(stack_test_libraries) -lpthread
EXTRA_tests_unit_test_stack_instances_DEPENDENCIES = melin-stack.la

tests_unit_test_stack_pressure_CPPFLAGS = $(stack_test_cppflags)
tests_unit_test_stack_pressure_CFLAGS = $(WARNING_CFLAGS)
tests_unit_test_stack_pressure_SOURCES = tests/unit/stack/test_pressure.c $(stack_test_wire)
tests_unit_test_stack_pressure_LDADD = $(stack_test_libraries)

tests_unit_test_stack_threads_CPPFLAGS = $(stack_test_cppflags)
tests_unit_test_stack_threads_CFLAGS = $(WARNING_CFLAGS)
tests_unit_test_stack_threads_SOURCES = tests/unit/stack/test_threads.c \
	$(stack_test_common)
tests_unit_test_stack_threads_LDADD = $(stack_test_libraries) -lpthread

tests_unit_test_stack_memory_CPPFLAGS = $(stack_test_cppflags)
tests_unit_test_stack_memory_CFLAGS = $(WARNING_CFLAGS)
tests_unit_test_stack_memory_SOURCES = tests/unit/stack/test_memory.c
tests_unit_test_stack_memory_LDADD = $(stack_test_libraries)
