/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Interposed: what starts, ends or changes a process. exit(3) and quick_exit(3) need no wrapper:
 * they run handlers of the library's (main.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/own_descriptor.h"
#include "common/system_call.h"
#include "preload/config/config.h"
#include "preload/descriptors/descriptor_room.h"
#include "preload/descriptors/descriptors.h"
#include "preload/lifecycle/forks.h"
#include "preload/process/process_stack.h"
#include "preload/sockets/borrow_stop.h"
#include "preload/libc/symbols.h"
#include "preload/libc/thread.h"

/* A pipe whose writing end is the child's until it executes a program. False: there is none. */
static bool begin_waiting(int ends[2])
{
	bool is_open;

	if (!config_active() || borrow_is_filtered())
		return false;
	descriptor_room_begin();
	is_open = kernel_call(SYS_pipe2, (long)ends, O_CLOEXEC, 0, 0) == 0;
	if (is_open) {
		ends[0] = own_descriptor(ends[0]);
		ends[1] = own_descriptor(ends[1]);
	}
	descriptor_room_end();
	return is_open;
}

/* Until the child has let go of the pipe, or is dead: its own children may have that, too. */
static void wait_for_child(int pipe, pid_t child)
{
	struct pollfd set[2] = { { .fd = pipe }, { .events = POLLIN } };

	descriptor_room_begin();
	set[1].fd = own_descriptor((int)kernel_call(SYS_pidfd_open, child, 0, 0, 0));
	descriptor_room_end();
	while (set[1].fd >= 0 && kernel_call(SYS_ppoll, (long)set, 2, 0, 0) == -EINTR)
		;
	own_descriptor_close(set[1].fd);
}

/*
 * A vfork child shares its parent's memory, our table in it, and closes and duplicates
 * descriptors before it executes a program. As fork() it works on a table of its own; POSIX
 * allowed that when it still had vfork(). The parent goes on when the child executes or ends, as
 * programs expect, which say something by the same connection.
 */
INTERPOSED pid_t vfork(void)
{
	int ends[2];
	const bool waits = begin_waiting(ends);
	pid_t child;
	int error;

	descriptor_keep_private(waits ? ends[1] : -1);
	child = fork();
	if (!waits || child == 0)
		return child;
	error = errno;
	descriptor_keep_private(-1);
	own_descriptor_close(ends[1]);
	if (child > 0)
		wait_for_child(ends[0], child);
	own_descriptor_close(ends[0]);
	errno = error;
	return child;
}

/*
 * libc runs no handlers of pthread_atfork(3) for _Fork(), since it may be called where no lock may
 * be taken. Melin's locks may be held by another thread here, so its handlers are run by hand.
 */
INTERPOSED pid_t _Fork(void)
{
	pid_t child;

	if (!config_active())
		return libc()->_Fork();
	forks_before();
	child = libc()->_Fork();
	if (child == 0)
		forks_after_in_child();
	else
		forks_after_in_parent();
	return child;
}

/* What a child of clone(2) is to run. */
struct first_call {
	int (*function)(void *);
	void *argument;
	bool shares_descriptors;
};

static int clone_began(void *argument)
{
	const struct first_call *first = argument;
	int status;

	if (first->shares_descriptors)
		forks_after_in_sharing_child();
	else
		forks_after_in_child();
	status = first->function(first->argument);
	/* libc ends this thread alone: melin's would keep the process. */
	if (thread_is_last())
		_exit(status);
	return status;
}

/* With CLONE_VFORK the caller sleeps until the child has ended or has become another program. */
static int clone_sharing(int (*function)(void *), void *stack, int flags, void *argument,
			 pid_t *in_parent, void *thread_area, pid_t *in_child)
{
	const bool is_process = !(flags & CLONE_THREAD);
	int child;

	if (!(flags & CLONE_FILES))
		descriptor_tables_part();
	if (is_process)
		process_stack_sharer_begins();
	child = libc()->clone(function, stack, flags, argument, in_parent, thread_area, in_child);
	if (is_process && (child < 0 || (flags & CLONE_VFORK)))
		process_stack_sharer_has_ended();
	return child;
}

/*
 * For clone(2) libc runs no such handlers either. A child that shares the memory is a thread to
 * melin, and needs none.
 */
INTERPOSED int clone(int (*function)(void *), void *stack, int flags, void *argument, ...)
{
	struct first_call first = { function, argument, flags & CLONE_FILES };
	void *thread_area;
	pid_t *in_parent, *in_child;
	va_list rest;
	int child;

	va_start(rest, argument);
	in_parent = va_arg(rest, pid_t *);
	thread_area = va_arg(rest, void *);
	in_child = va_arg(rest, pid_t *);
	va_end(rest);
	if (!config_active() || !function || !stack)
		return libc()->clone(function, stack, flags, argument, in_parent, thread_area,
				     in_child);
	if (flags & CLONE_VM)
		return clone_sharing(function, stack, flags, argument, in_parent, thread_area,
				     in_child);
	forks_before();
	child = libc()->clone(clone_began, stack, flags, &first, in_parent, thread_area, in_child);
	forks_after_in_parent();
	return child;
}

/*
 * _exit(2) runs no destructor; but what was sent has to arrive, as it does over the kernel, so the
 * stack is closed here.
 */
static void end_of_process(void)
{
	if (config_active())
		process_stack_stop();
}

INTERPOSED __attribute__((noreturn)) void _exit(int status)
{
	end_of_process();
	libc()->_exit(status);
	__builtin_unreachable();
}

INTERPOSED __attribute__((noreturn)) void _Exit(int status)
{
	_exit(status);
}

/*
 * libc's leaves the parent by an _exit(2) of its own, so that its peers would be told nothing. The
 * child is what libc makes of it.
 */
INTERPOSED int daemon(int keep_directory, int keep_streams)
{
	pid_t child;
	int null;

	if (!config_active())
		return libc()->daemon(keep_directory, keep_streams);
	child = fork();
	if (child < 0)
		return -1;
	if (child > 0)
		_exit(0);
	if (setsid() < 0)
		return -1;
	if (!keep_directory)
		(void)!chdir("/"); /* daemon(3) does not look at the result either */
	if (keep_streams)
		return 0;
	null = open("/dev/null", O_RDWR);
	if (null < 0)
		return -1;
	for (int stream = STDIN_FILENO; stream <= STDERR_FILENO; stream++)
		dup2(null, stream);
	if (null > STDERR_FILENO)
		close(null);
	return 0;
}

INTERPOSED_ALIAS(vfork, __vfork);
