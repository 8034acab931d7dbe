# SPDX-License-Identifier: BSD-3-Clause
# The programs that test dpdk/.

# lwIP's packet buffers alone: link_echo has a link but no stack.
EXTRA_LTLIBRARIES += tests/link/libpbuf.la
nodist_tests_link_libpbuf_la_SOURCES = stack/lwip/core-def.c stack/lwip/core-mem.c \
	stack/lwip/core-memp.c stack/lwip/core-pbuf.c
tests_link_libpbuf_la_SOURCES =
tests_link_libpbuf_la_CPPFLAGS = -DPBUF_POOL_FREE_OOSEQ=0 $(LWIP_CPPFLAGS) -I$(LWIP_SRC)/src
tests_link_libpbuf_la_CFLAGS = -w

# Run by tests/device.bats, with frames.py at the other end.
EXTRA_DIST += tests/link/frames.py
ONLY_FOR_TESTS += tests/link/link_echo
tests_link_link_echo_SOURCES = tests/link/link_echo.c
tests_link_link_echo_CPPFLAGS = $(dpdk_liblink_la_CPPFLAGS)
tests_link_link_echo_CFLAGS = $(WARNING_CFLAGS)
tests_link_link_echo_LDADD = dpdk/liblink.la common/libcommon.la tests/link/libpbuf.la

# Run by tests/borrow.bats.
ONLY_FOR_TESTS += tests/link/borrow_echo
tests_link_borrow_echo_SOURCES = tests/link/borrow_echo.c
tests_link_borrow_echo_CPPFLAGS = -I$(srcdir) -D_GNU_SOURCE
tests_link_borrow_echo_CFLAGS = $(WARNING_CFLAGS)
tests_link_borrow_echo_LDADD = broker/liblender.la common/libcommon.la -ldl

link_unit_tests = \
	tests/unit/test_checksum \
	tests/unit/test_claim \
	tests/unit/test_device \
	tests/unit/test_filter \
	tests/unit/test_sizes \
	tests/unit/test_shell_words
ONLY_FOR_TESTS += $(link_unit_tests)
UNIT_TESTS += $(link_unit_tests)

tests_unit_test_checksum_CPPFLAGS = $(tests_unit_libconfig_la_CPPFLAGS)
tests_unit_test_checksum_CFLAGS = $(WARNING_CFLAGS)
tests_unit_test_checksum_SOURCES = tests/unit/test_checksum.c tests/unit/tap.h
tests_unit_test_checksum_LDADD = dpdk/liblink.la common/libcommon.la

tests_unit_test_claim_CPPFLAGS = $(tests_unit_libconfig_la_CPPFLAGS)
tests_unit_test_claim_CFLAGS = $(WARNING_CFLAGS)
tests_unit_test_claim_SOURCES = tests/unit/test_claim.c tests/unit/tap.h
tests_unit_test_claim_LDADD = dpdk/liblink.la common/libcommon.la

tests_unit_test_device_CPPFLAGS = $(tests_unit_libconfig_la_CPPFLAGS)
tests_unit_test_device_CFLAGS = $(WARNING_CFLAGS)
tests_unit_test_device_SOURCES = tests/unit/test_device.c tests/unit/tap.h
tests_unit_test_device_LDADD = dpdk/liblink.la common/libcommon.la

tests_unit_test_filter_CPPFLAGS = $(tests_unit_libconfig_la_CPPFLAGS)
tests_unit_test_filter_CFLAGS = $(WARNING_CFLAGS)
tests_unit_test_filter_SOURCES = tests/unit/test_filter.c tests/unit/tap.h
tests_unit_test_filter_LDADD = dpdk/liblink.la common/libcommon.la

tests_unit_test_sizes_CPPFLAGS = $(tests_unit_libconfig_la_CPPFLAGS)
tests_unit_test_sizes_CFLAGS = $(WARNING_CFLAGS)
tests_unit_test_sizes_SOURCES = tests/unit/test_sizes.c tests/unit/tap.h
tests_unit_test_sizes_LDADD = dpdk/liblink.la common/libcommon.la

tests_unit_test_shell_words_CPPFLAGS = $(tests_unit_libconfig_la_CPPFLAGS)
tests_unit_test_shell_words_CFLAGS = $(WARNING_CFLAGS)
tests_unit_test_shell_words_SOURCES = tests/unit/test_shell_words.c tests/unit/tap.h
tests_unit_test_shell_words_LDADD = dpdk/liblink.la common/libcommon.la
