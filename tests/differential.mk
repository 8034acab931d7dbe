# SPDX-License-Identifier: BSD-3-Clause
# The differential harness: the same C program over the kernel and over melin. See
# tests/differential/compare, which the four BATS files call.
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
	tests/differential/in_use \
	tests/differential/ioctl \
	tests/differential/leave \
	tests/differential/options \
	tests/differential/poll \
	tests/differential/promise \
	tests/differential/receive \
	tests/differential/send \
	tests/differential/sequences \
	tests/differential/shutdown \
	tests/differential/signals \
	tests/differential/small_stacks \
	tests/differential/surface \
	tests/differential/threads \
	tests/differential/urgent

ONLY_FOR_TESTS += $(DIFFERENTIAL_FAMILIES) tests/differential/socket_server
EXTRA_LTLIBRARIES += tests/differential/libharness.la

tests_differential_libharness_la_SOURCES = \
	tests/differential/socket_server.h \
	tests/differential/connections.c \
	tests/differential/harness.c \
	tests/differential/harness.h
tests_differential_libharness_la_CFLAGS = $(WARNING_CFLAGS)

tests_differential_socket_server_SOURCES = tests/differential/socket_server.c \
	tests/differential/socket_server.h
tests_differential_socket_server_CFLAGS = $(WARNING_CFLAGS)

# Loaded by the program "exit" at run time; "-rpath" makes libtool build a shared object.
EXTRA_LTLIBRARIES += tests/differential/goodbye.la
EXTRA_tests_differential_exit_DEPENDENCIES = tests/differential/goodbye.la
tests_differential_goodbye_la_SOURCES = tests/differential/goodbye.c
tests_differential_goodbye_la_CFLAGS = $(WARNING_CFLAGS)
tests_differential_goodbye_la_LDFLAGS = -module -avoid-version -shared -rpath $(abs_builddir)

HARNESS_LIBS = tests/differential/libharness.la -lpthread
tests_differential_accept_CFLAGS = $(WARNING_CFLAGS)
tests_differential_accept_LDADD = $(HARNESS_LIBS)
tests_differential_ancillary_CFLAGS = $(WARNING_CFLAGS)
tests_differential_ancillary_LDADD = $(HARNESS_LIBS)
tests_differential_asynchronous_CFLAGS = $(WARNING_CFLAGS)
tests_differential_asynchronous_LDADD = $(HARNESS_LIBS)
tests_differential_bind_CFLAGS = $(WARNING_CFLAGS)
tests_differential_bind_LDADD = $(HARNESS_LIBS)
tests_differential_blocking_CFLAGS = $(WARNING_CFLAGS)
tests_differential_blocking_LDADD = $(HARNESS_LIBS)
tests_differential_close_CFLAGS = $(WARNING_CFLAGS)
tests_differential_close_LDADD = $(HARNESS_LIBS)
tests_differential_connect_CFLAGS = $(WARNING_CFLAGS)
tests_differential_connect_LDADD = $(HARNESS_LIBS)
tests_differential_duplicate_CFLAGS = $(WARNING_CFLAGS)
tests_differential_duplicate_LDADD = $(HARNESS_LIBS)
tests_differential_epoll_CFLAGS = $(WARNING_CFLAGS)
tests_differential_epoll_LDADD = $(HARNESS_LIBS)
tests_differential_epoll_wait_CFLAGS = $(WARNING_CFLAGS)
tests_differential_epoll_wait_LDADD = $(HARNESS_LIBS)
tests_differential_exit_CFLAGS = $(WARNING_CFLAGS)
tests_differential_exit_LDADD = $(HARNESS_LIBS)
tests_differential_faults_CFLAGS = $(WARNING_CFLAGS)
tests_differential_faults_LDADD = $(HARNESS_LIBS)
tests_differential_fork_CFLAGS = $(WARNING_CFLAGS)
tests_differential_fork_LDADD = $(HARNESS_LIBS)
tests_differential_fork_SOURCES = \
	tests/differential/fork.c \
	tests/differential/fork.h \
	tests/differential/fork_listeners.c
tests_differential_hold_CFLAGS = $(WARNING_CFLAGS)
tests_differential_hold_LDADD = $(HARNESS_LIBS)
tests_differential_in_use_CFLAGS = $(WARNING_CFLAGS)
tests_differential_in_use_LDADD = $(HARNESS_LIBS)
tests_differential_ioctl_CFLAGS = $(WARNING_CFLAGS)
tests_differential_ioctl_LDADD = $(HARNESS_LIBS)
tests_differential_leave_CFLAGS = $(WARNING_CFLAGS)
tests_differential_leave_LDADD = $(HARNESS_LIBS)
tests_differential_options_CFLAGS = $(WARNING_CFLAGS)
tests_differential_options_LDADD = $(HARNESS_LIBS)
tests_differential_poll_CFLAGS = $(WARNING_CFLAGS)
tests_differential_poll_LDADD = $(HARNESS_LIBS)
tests_differential_promise_CFLAGS = $(WARNING_CFLAGS)
tests_differential_promise_LDADD = $(HARNESS_LIBS)
tests_differential_receive_CFLAGS = $(WARNING_CFLAGS)
tests_differential_receive_LDADD = $(HARNESS_LIBS)
tests_differential_send_CFLAGS = $(WARNING_CFLAGS)
tests_differential_send_LDADD = $(HARNESS_LIBS)
tests_differential_sequences_CFLAGS = $(WARNING_CFLAGS)
tests_differential_sequences_LDADD = $(HARNESS_LIBS)
tests_differential_sequences_SOURCES = \
	tests/differential/sequences.c \
	tests/differential/sequences.h \
	tests/differential/sequences_bulk.c \
	tests/differential/sequences_ends.c \
	tests/differential/sequences_holders.c \
	tests/differential/sequences_libc.c \
	tests/differential/sequences_options.c \
	tests/differential/sequences_sharing.c \
	tests/differential/sequences_transfer.c \
	tests/differential/sequences_waiting.c \
	tests/differential/sequences_waking.c
tests_differential_shutdown_CFLAGS = $(WARNING_CFLAGS)
tests_differential_shutdown_LDADD = $(HARNESS_LIBS)
tests_differential_signals_CFLAGS = $(WARNING_CFLAGS)
tests_differential_signals_LDADD = $(HARNESS_LIBS)
tests_differential_small_stacks_CFLAGS = $(WARNING_CFLAGS)
tests_differential_small_stacks_LDADD = $(HARNESS_LIBS)
tests_differential_surface_CFLAGS = $(WARNING_CFLAGS)
tests_differential_surface_LDADD = $(HARNESS_LIBS)
tests_differential_threads_CFLAGS = $(WARNING_CFLAGS)
tests_differential_threads_LDADD = $(HARNESS_LIBS)
tests_differential_urgent_CFLAGS = $(WARNING_CFLAGS)
tests_differential_urgent_LDADD = $(HARNESS_LIBS)

EXTRA_DIST += tests/differential/compare tests/differential/shrink
END_TO_END_TESTS += tests/differential-aside.bats tests/differential-loop.bats \
	tests/differential-host.bats \
	tests/differential-veth.bats
