/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Interposed: closing, duplicating and controlling descriptors.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <sys/ioctl.h>

#include "preload/sockets/ancillary.h"
#include "preload/sockets/borrow.h"
#include "preload/config/config.h"
#include "preload/descriptors/descriptors.h"
#include "preload/libc/program_memory.h"
#include "preload/libc/result.h"
#include "preload/libc/signals.h"
#include "preload/process/other_process.h"
#include "preload/process/status.h"
#include "preload/sockets/listener.h"
#include "preload/sockets/socket_object.h"
#include "common/system_call.h"
#include "preload/sockets/stream.h"
#include "preload/libc/symbols.h"
#include "preload/calls/trace.h"

/* No handler comes in between: one that does not return would leave half a descriptor behind. */
static long close_known(int descriptor)
{
	struct closing closing;
	long result;

	signals_hold();
	/* First the table: once the kernel has it back, the number can be anybody's. */
	descriptor_close_begin(descriptor, &closing);
	result = kernel_call(SYS_close, descriptor, 0, 0, 0);
	descriptor_close_end(&closing);
	signals_release();
	return result;
}

INTERPOSED int close(int descriptor)
{
	RETURN_TRACED(close, descriptor);
	if (__builtin_expect(!descriptor_known(descriptor), 1))
		return libc()->close(descriptor);
	if (descriptor_private(descriptor))
		return libc()->close(descriptor_of_program(descriptor));
	pthread_testcancel(); /* a cancellation point, before anything is closed */
	return (int)as_libc(close_known(descriptor));
}

/*
 * Closes a range around melin's own descriptors. With CLOSE_RANGE_CLOEXEC nothing is closed now;
 * melin's own are close-on-exec anyway.
 */
static int close_others(unsigned first, unsigned last, int flags)
{
	unsigned from = first, highest;

	if (flags & CLOSE_RANGE_UNSHARE)
		descriptor_tables_part();
	highest = (unsigned)descriptor_highest();
	for (unsigned each = first; each <= last && each <= highest; each++) {
		if (!descriptor_known((int)each))
			continue;
		if (!descriptor_private((int)each)) {
			descriptor_remove((int)each);
			continue;
		}
		if (from < each && libc()->close_range(from, each - 1, flags) < 0)
			return -1;
		from = each + 1;
	}
	return from <= last ? libc()->close_range(from, last, flags) : 0;
}

INTERPOSED int close_range(unsigned first, unsigned last, int flags)
{
	int result;

	if (!config_active() || first > last || (flags & (int)CLOSE_RANGE_CLOEXEC))
		return libc()->close_range(first, last, flags);
	signals_hold();
	result = close_others(first, last, flags);
	signals_release();
	return result;
}

INTERPOSED void closefrom(int first)
{
	if (!config_active())
		libc()->closefrom(first);
	else
		close_range(first < 0 ? 0 : (unsigned)first, ~0u, 0);
}

/* What the new number is to mean; NULL: nothing that melin knows. */
static struct object *original(int descriptor)
{
	struct object *object = descriptor_get(descriptor);

	return object && object->kind != OBJECT_PRIVATE ? object : NULL;
}

/* The new number means what the old one means. The reference to that is given back. */
static int install_duplicate(struct object *object, int duplicate)
{
	if (!object)
		return duplicate;
	if (duplicate >= 0) {
		status_begins_at(duplicate);
		descriptor_install(duplicate, object);
		if (duplicate <= STDERR_FILENO && !stream_stands_in(duplicate))
			borrow_end_any(duplicate, BORROW_CALL, true); /* libc uses it silently */
		if (duplicate <= STDERR_FILENO && object->kind == OBJECT_SOCKET &&
		    atomic_load(&((struct socket *)object)->state) == SOCKET_CONNECTION)
			stream_standard(duplicate);
	}
	object_put(object);
	return duplicate;
}

static int duplicated(int descriptor, int duplicate)
{
	return duplicate < 0 ? duplicate : install_duplicate(original(descriptor), duplicate);
}

INTERPOSED int dup(int descriptor)
{
	RETURN_TRACED(dup, descriptor);
	return duplicated(descriptor, libc()->dup(descriptor_of_program(descriptor)));
}

/* libc may have it without a header, or not at all. */
int pidfd_getfd(int process, int descriptor, unsigned flags);

/*
 * What is taken from another process while its stack carries it is silent, unless it is given back.
 * A filter for system calls may not know what asking for that takes.
 */
INTERPOSED int pidfd_getfd(int process, int descriptor, unsigned flags)
{
	pid_t owner;
	bool is_own;
	int result;

	process = descriptor_of_program(process);
	owner = status_is_filtered() ? 0 : other_process_of(process);
	is_own = owner && owner == (pid_t)kernel_call(SYS_getpid, 0, 0, 0, 0);
	if (is_own)
		descriptor = descriptor_of_program(descriptor);
	else
		other_process_keeps(owner, descriptor);
	result = (int)as_libc(kernel_call(SYS_pidfd_getfd, process, descriptor, flags, 0));
	return is_own ? duplicated(descriptor, result) : result;
}

static int dup_known(int descriptor, int target, int flags, bool is_dup3)
{
	struct closing closing;
	struct object *object;
	int result, errno_after;

	/* Only if the duplication is going to succeed may the target be forgotten. */
	if (libc()->fcntl(descriptor_of_program(descriptor), F_GETFD, 0L) < 0)
		return -1;
	if (flags & ~O_CLOEXEC) {
		errno = EINVAL;
		return -1;
	}
	object = original(descriptor);
	descriptor_close_begin(target, &closing);
	result = is_dup3 ? libc()->dup3(descriptor_of_program(descriptor), target, flags)
			 : libc()->dup2(descriptor_of_program(descriptor), target);
	errno_after = errno;
	install_duplicate(object, result);
	descriptor_close_end(&closing);
	errno = errno_after;
	return result;
}

static int dup_over(int descriptor, int target, int flags, bool is_dup3)
{
	int result;

	if (descriptor_private(descriptor) || descriptor_private(target)) {
		errno = EBADF;
		return -1;
	}
	if (descriptor == target || (!descriptor_known(descriptor) && !descriptor_known(target)))
		return is_dup3 ? libc()->dup3(descriptor_of_program(descriptor), target, flags)
			       : libc()->dup2(descriptor_of_program(descriptor), target);
	signals_hold();
	result = dup_known(descriptor, target, flags, is_dup3);
	signals_release();
	return result;
}

INTERPOSED int dup2(int descriptor, int target)
{
	RETURN_TRACED(dup2, descriptor, target);
	return dup_over(descriptor, target, 0, false);
}

INTERPOSED int dup3(int descriptor, int target, int flags)
{
	RETURN_TRACED(dup3, descriptor, target, flags);
	return dup_over(descriptor, target, flags, true);
}

/*
 * O_NONBLOCK of a stack socket is kept in the object as well, since every call asks for it; a
 * dual listener's twin has it always, whatever the program set, unless another process has it too.
 */
static int set_flags(struct socket *socket, int descriptor, long flags)
{
	bool forced = listener_has_silent_twin(socket);
	int result = libc()->fcntl(descriptor_of_program(descriptor), F_SETFL,
				   forced ? flags | O_NONBLOCK : flags);

	if (result >= 0)
		atomic_store(&socket->nonblocking, (flags & O_NONBLOCK) != 0);
	return result;
}

static int get_flags(struct socket *socket, int descriptor)
{
	int flags = libc()->fcntl(descriptor_of_program(descriptor), F_GETFL, 0L);

	if (flags < 0)
		return flags;
	return (flags & ~O_NONBLOCK) | (atomic_load(&socket->nonblocking) ? O_NONBLOCK : 0);
}

/*
 * Who gets signals and which (F_SETOWN, F_SETSIG, O_ASYNC) is kept in the object as well: what
 * happens in the stack is no news of the twin's.
 */
static void note_signals(int descriptor)
{
	struct socket *socket = socket_get_any(descriptor);

	if (!socket)
		return;
	descriptor = descriptor_of_program(descriptor);
	/* A process group is negative, which fcntl() hands on as it is. */
	atomic_store(&socket->owner, libc()->fcntl(descriptor, F_GETOWN, 0L));
	atomic_store(&socket->signal, libc()->fcntl(descriptor, F_GETSIG, 0L));
	atomic_store(&socket->signal_descriptor, descriptor);
	atomic_store(&socket->signals, libc()->fcntl(descriptor, F_GETFL, 0L) & O_ASYNC);
	socket_put(socket);
}

/* Programs change O_NONBLOCK often and O_ASYNC seldom. */
static void note_async(int descriptor, long flags)
{
	struct socket *socket = socket_get_any(descriptor);

	if (!socket)
		return;
	if (!(flags & O_ASYNC) != !atomic_load(&socket->signals))
		note_signals(descriptor);
	socket_put(socket);
}

static int control_descriptor(int descriptor, int command, long argument)
{
	struct socket *socket;
	int result;

	descriptor = descriptor_of_program(descriptor);
	if (command == F_DUPFD || command == F_DUPFD_CLOEXEC)
		return duplicated(descriptor, libc()->fcntl(descriptor_of_program(descriptor),
							    command, argument));
	if (command == F_SETOWN || command == F_SETOWN_EX || command == F_SETSIG) {
		result = libc()->fcntl(descriptor_of_program(descriptor), command, argument);
		if (result >= 0)
			note_signals(descriptor);
		return result;
	}
	if (command != F_SETFL && command != F_GETFL)
		return libc()->fcntl(descriptor_of_program(descriptor), command, argument);
	if (command == F_SETFL && (argument & O_ASYNC))
		borrow_end_any(descriptor, BORROW_CALL, true); /* the kernel sends the signals */
	/* A reference in any state: who borrows it meanwhile has read the flags that were. */
	socket = socket_get_any(descriptor);
	if (!socket || !socket_is_stacks(socket, descriptor))
		result = libc()->fcntl(descriptor_of_program(descriptor), command, argument);
	else
		result = command == F_SETFL ? set_flags(socket, descriptor, argument)
					    : get_flags(socket, descriptor);
	if (socket)
		socket_put(socket);
	if (command == F_SETFL && result >= 0)
		note_async(descriptor, argument);
	return result;
}

/* Every argument that fcntl(2) and ioctl(2) can have fits a long, and so does the lack of one. */
static inline long only_argument(va_list arguments)
{
	return va_arg(arguments, long);
}

INTERPOSED int fcntl(int descriptor, int command, ...)
{
	va_list arguments;
	long argument;

	va_start(arguments, command);
	argument = only_argument(arguments);
	va_end(arguments);
	RETURN_TRACED(fcntl, descriptor, command, argument);
	if (!descriptor_known(descriptor))
		return libc()->fcntl(descriptor_of_program(descriptor), command, argument);
	return control_descriptor(descriptor, command, argument);
}

/* Bytes that were never sent: what SIOCOUTQ counts and is not on its way. */
static int never_sent(struct socket *socket, const struct instance *instance)
{
	struct tcp_info info = { 0 };
	socklen_t length = sizeof(info);

	instance->operations->get_option(socket->handle, IPPROTO_TCP, TCP_INFO, &info, &length);
	return (int)info.tcpi_notsent_bytes;
}

/* How many there are of those that FIONREAD, SIOCOUTQ or SIOCOUTQNSD count. */
static int bytes_in(struct socket *socket, const struct instance *instance, unsigned long request)
{
	switch (request) {
	case FIONREAD:
		return (int)ancillary_readable(socket);
	case SIOCOUTQ:
		return (int)instance->operations->unsent(socket->handle);
	default:
		return never_sent(socket, instance);
	}
}

/* 0 or -errno; -ENOTTY: the twin knows. */
static int control_socket(struct socket *socket, int descriptor, unsigned long request, int *value)
{
	const struct instance *instance = socket_instance(socket);
	bool connection = atomic_load(&socket->state) == SOCKET_CONNECTION;
	int flags;

	switch (request) {
	case FIONBIO:
		if (!memory_readable(value, sizeof(*value)))
			return -EFAULT;
		flags = get_flags(socket, descriptor);
		if (flags < 0)
			return -errno;
		flags = *value ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
		return set_flags(socket, descriptor, flags) < 0 ? -errno : 0;
	case FIONREAD:
	case SIOCOUTQ:
	case SIOCOUTQNSD:
		if (!connection || !instance)
			return -ENOTTY;
		if (!memory_writable(value, sizeof(*value)))
			return -EFAULT;
		*value = bytes_in(socket, instance, request);
		return 0;
	case SIOCATMARK:
		if (!memory_writable(value, sizeof(*value)))
			return -EFAULT;
		*value =
			connection && instance && instance->operations->urgent(socket->handle) == 0;
		return 0;
	default:
		return -ENOTTY;
	}
}

INTERPOSED int sockatmark(int descriptor)
{
	RETURN_TRACED(sockatmark, descriptor);

	int mark;

	if (!descriptor_known(descriptor))
		return libc()->sockatmark(descriptor);
	return ioctl(descriptor, SIOCATMARK, &mark) < 0 ? -1 : mark;
}

INTERPOSED int ioctl(int descriptor, unsigned long request, ...)
{
	struct socket *socket;
	va_list arguments;
	long argument;
	int result = -ENOTTY;

	va_start(arguments, request);
	argument = only_argument(arguments);
	va_end(arguments);
	RETURN_TRACED(ioctl, descriptor, request, argument);
	if (request == FIOASYNC)
		borrow_end_any(descriptor, BORROW_CALL, true); /* as O_ASYNC */
	/* In any state, as in control_descriptor(). */
	socket = socket_get_any(descriptor);
	if (request == FIOSETOWN || request == SIOCSPGRP || request == FIOASYNC) {
		result = libc()->ioctl(descriptor_of_program(descriptor), request, argument);
		if (result >= 0)
			note_signals(descriptor);
		if (socket)
			socket_put(socket);
		return result;
	}
	if (socket && socket_is_stacks(socket, descriptor))
		result = control_socket(socket, descriptor, request, (int *)argument);
	if (result == -ENOTTY) {
		result = libc()->ioctl(descriptor_of_program(descriptor), request, argument);
		result = result < 0 ? -errno : result;
	}
	if (socket)
		socket_put(socket);
	return (int)as_libc(result);
}

INTERPOSED_ALIAS(close, __close);
INTERPOSED_ALIAS(dup2, __dup2);
INTERPOSED_ALIAS(fcntl, __fcntl);
INTERPOSED_ALIAS(fcntl, fcntl64);
