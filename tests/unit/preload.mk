# SPDX-License-Identifier: BSD-3-Clause
# Unit tests of libmelin.so as it is, over a fake melin-stack.so: decisions, waiting, epoll items.
# A folder of their own has a link to the library and, beside it, the fake.
preload_test_folder = tests/unit/preload
preload_unit_tests = \
	tests/unit/preload/test_decision \
	tests/unit/preload/test_epoll_items \
	tests/unit/preload/test_waiting
ONLY_FOR_TESTS += $(preload_unit_tests)
UNIT_TESTS += $(preload_unit_tests)

$(preload_test_folder)/melin-stack.so: tests/unit/preload/fake_stack.c \
		tests/unit/preload/fake_stack.h stack/stack.h
	$(AM_V_CCLD)$(MKDIR_P) $(preload_test_folder) && $(CC) $(DEFS) -I$(srcdir) -D_GNU_SOURCE \
		$(WARNING_CFLAGS) $(CFLAGS) -fPIC -fvisibility=hidden -shared -o $@ \
		$(srcdir)/tests/unit/preload/fake_stack.c $(srcdir)/common/reason.c
$(preload_test_folder)/libmelin.so: libmelin.la
	$(AM_V_GEN)ln -sf ../../../.libs/libmelin.so $@
CLEANFILES += $(preload_test_folder)/melin-stack.so $(preload_test_folder)/libmelin.so
EXTRA_DIST += tests/unit/preload/fake_stack.c

preload_test_files = $(preload_test_folder)/melin-stack.so $(preload_test_folder)/libmelin.so
preload_test_headers = tests/unit/preload/fake_stack.h tests/unit/preload/under_melin.h \
	tests/unit/tap.h
preload_test_cppflags = -I$(srcdir) -D_GNU_SOURCE

tests_unit_preload_test_decision_SOURCES = tests/unit/preload/test_decision.c \
	$(preload_test_headers)
tests_unit_preload_test_decision_CPPFLAGS = $(preload_test_cppflags)
tests_unit_preload_test_decision_CFLAGS = $(WARNING_CFLAGS)
EXTRA_tests_unit_preload_test_decision_DEPENDENCIES = $(preload_test_files)

tests_unit_preload_test_epoll_items_SOURCES = tests/unit/preload/test_epoll_items.c \
	$(preload_test_headers)
tests_unit_preload_test_epoll_items_CPPFLAGS = $(preload_test_cppflags)
tests_unit_preload_test_epoll_items_CFLAGS = $(WARNING_CFLAGS)
EXTRA_tests_unit_preload_test_epoll_items_DEPENDENCIES = $(preload_test_files)

tests_unit_preload_test_waiting_SOURCES = tests/unit/preload/test_waiting.c \
	$(preload_test_headers)
tests_unit_preload_test_waiting_CPPFLAGS = $(preload_test_cppflags)
tests_unit_preload_test_waiting_CFLAGS = $(WARNING_CFLAGS)
tests_unit_preload_test_waiting_LDADD = -lpthread
EXTRA_tests_unit_preload_test_waiting_DEPENDENCIES = $(preload_test_files)
