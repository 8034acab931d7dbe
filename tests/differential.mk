# SPDX-License-Identifier: BSD-3-Clause
# The differential harness: the same C program over the kernel and over melin. See
# tests/differential/compare, which the three BATS files call.
DIFFERENTIAL_FAMILIES = \
	tests/differential/accept \
	tests/differential/ancillary \
	tests/differential/asynchronous \
	tests/differential/bind \
	tests/differential/blocking \
	tests/differential/close \
	tests/differential/connect \
	tests/differential/duplicate \
	tests/differential/epoll \
	tests/differential/epoll_wait \
	tests/differential/exit \
	tests/differential/faults \
	tests/differential/fork \
	tests/differential/hold \
	tests/differential/ioctl \
	tests/differential/leave \
	tests/differential/options \
	tests/differential/poll \
	tests/differential/promise \
	tests/differential/receive \
	tests/differential/send \
	tests/differential/shutdown \
	tests/differential/signals \
	tests/differential/small_stacks \
	tests/differential/surface \
	tests/differential/threads \
	tests/differential/urgent

ONLY_FOR_TESTS += $(DIFFERENTIAL_FAMILIES) tests/differential/factory
EXTRA_LTLIBRARIES += tests/differential/libstep.la

tests_differential_libstep_la_SOURCES = \
	tests/differential/factory.h \
	tests/differential/pair.c \
	tests/differential/step.c \
	tests/differential/step.h
tests_differential_libstep_la_CFLAGS = $(WARNING_CFLAGS)

tests_differential_factory_SOURCES = tests/differential/factory.c tests/differential/factory.h
tests_differential_factory_CFLAGS = $(WARNING_CFLAGS)

# Loaded by the program "exit" at run time; "-rpath" makes libtool build a shared object.
EXTRA_LTLIBRARIES += tests/differential/goodbye.la
EXTRA_tests_differential_exit_DEPENDENCIES = tests/differential/goodbye.la
tests_differential_goodbye_la_SOURCES = tests/differential/goodbye.c
tests_differential_goodbye_la_CFLAGS = $(WARNING_CFLAGS)
tests_differential_goodbye_la_LDFLAGS = -module -avoid-version -shared -rpath $(abs_builddir)

STEP_LIBS = tests/differential/libstep.la -lpthread
tests_differential_accept_CFLAGS = $(WARNING_CFLAGS)
tests_differential_accept_LDADD = $(STEP_LIBS)
tests_differential_ancillary_CFLAGS = $(WARNING_CFLAGS)
tests_differential_ancillary_LDADD = $(STEP_LIBS)
tests_differential_asynchronous_CFLAGS = $(WARNING_CFLAGS)
tests_differential_asynchronous_LDADD = $(STEP_LIBS)
tests_differential_bind_CFLAGS = $(WARNING_CFLAGS)
tests_differential_bind_LDADD = $(STEP_LIBS)
tests_differential_blocking_CFLAGS = $(WARNING_CFLAGS)
tests_differential_blocking_LDADD = $(STEP_LIBS)
tests_differential_close_CFLAGS = $(WARNING_CFLAGS)
tests_differential_close_LDADD = $(STEP_LIBS)
tests_differential_connect_CFLAGS = $(WARNING_CFLAGS)
tests_differential_connect_LDADD = $(STEP_LIBS)
tests_differential_duplicate_CFLAGS = $(WARNING_CFLAGS)
tests_differential_duplicate_LDADD = $(STEP_LIBS)
tests_differential_epoll_CFLAGS = $(WARNING_CFLAGS)
tests_differential_epoll_LDADD = $(STEP_LIBS)
tests_differential_epoll_wait_CFLAGS = $(WARNING_CFLAGS)
tests_differential_epoll_wait_LDADD = $(STEP_LIBS)
tests_differential_exit_CFLAGS = $(WARNING_CFLAGS)
tests_differential_exit_LDADD = $(STEP_LIBS)
tests_differential_faults_CFLAGS = $(WARNING_CFLAGS)
tests_differential_faults_LDADD = $(STEP_LIBS)
tests_differential_fork_CFLAGS = $(WARNING_CFLAGS)
tests_differential_fork_LDADD = $(STEP_LIBS)
tests_differential_hold_CFLAGS = $(WARNING_CFLAGS)
tests_differential_hold_LDADD = $(STEP_LIBS)
tests_differential_ioctl_CFLAGS = $(WARNING_CFLAGS)
tests_differential_ioctl_LDADD = $(STEP_LIBS)
tests_differential_leave_CFLAGS = $(WARNING_CFLAGS)
tests_differential_leave_LDADD = $(STEP_LIBS)
tests_differential_options_CFLAGS = $(WARNING_CFLAGS)
tests_differential_options_LDADD = $(STEP_LIBS)
tests_differential_poll_CFLAGS = $(WARNING_CFLAGS)
tests_differential_poll_LDADD = $(STEP_LIBS)
tests_differential_promise_CFLAGS = $(WARNING_CFLAGS)
tests_differential_promise_LDADD = $(STEP_LIBS)
tests_differential_receive_CFLAGS = $(WARNING_CFLAGS)
tests_differential_receive_LDADD = $(STEP_LIBS)
tests_differential_send_CFLAGS = $(WARNING_CFLAGS)
tests_differential_send_LDADD = $(STEP_LIBS)
tests_differential_shutdown_CFLAGS = $(WARNING_CFLAGS)
tests_differential_shutdown_LDADD = $(STEP_LIBS)
tests_differential_signals_CFLAGS = $(WARNING_CFLAGS)
tests_differential_signals_LDADD = $(STEP_LIBS)
tests_differential_small_stacks_CFLAGS = $(WARNING_CFLAGS)
tests_differential_small_stacks_LDADD = $(STEP_LIBS)
tests_differential_surface_CFLAGS = $(WARNING_CFLAGS)
tests_differential_surface_LDADD = $(STEP_LIBS)
tests_differential_threads_CFLAGS = $(WARNING_CFLAGS)
tests_differential_threads_LDADD = $(STEP_LIBS)
tests_differential_urgent_CFLAGS = $(WARNING_CFLAGS)
tests_differential_urgent_LDADD = $(STEP_LIBS)

EXTRA_DIST += tests/differential/compare
END_TO_END_TESTS += tests/differential-aside.bats tests/differential-loop.bats \
	tests/differential-veth.bats
