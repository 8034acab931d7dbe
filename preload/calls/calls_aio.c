/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Interposed: aio(7). Requests on the stack's sockets are asynchronous.h's, all others libc's; a
 * list may have both. aio_error(3) and aio_return(3) need no wrapper.
 */
#include <aio.h>
#include <errno.h>

#include "preload/sockets/asynchronous.h"
#include "preload/sockets/borrow.h"
#include "preload/config/config.h"
#include "preload/libc/result.h"
#include "preload/sockets/socket_object.h"
#include "preload/libc/symbols.h"

_Static_assert(sizeof(struct aiocb) == sizeof(struct aiocb64), "one function serves both names");

static bool is_stacks(int descriptor)
{
	struct socket *socket;

	/* libc serves them on threads of its own, by calls that nobody sees here. */
	borrow_end_any(descriptor, BORROW_CALL, true);
	socket = socket_get(descriptor);
	if (!socket)
		return false;
	socket_put(socket);
	return true;
}

INTERPOSED int aio_read(struct aiocb *control)
{
	if (!is_stacks(control->aio_fildes))
		return libc()->aio_read(control);
	return (int)as_libc(asynchronous_begin(control, LIO_READ));
}

INTERPOSED int aio_write(struct aiocb *control)
{
	if (!is_stacks(control->aio_fildes))
		return libc()->aio_write(control);
	return (int)as_libc(asynchronous_begin(control, LIO_WRITE));
}

INTERPOSED int aio_cancel(int descriptor, struct aiocb *control)
{
	if (!is_stacks(descriptor))
		return libc()->aio_cancel(descriptor, control);
	if (control && control->aio_fildes != descriptor)
		return (int)as_libc(-EINVAL);
	if (control && !asynchronous_has(control))
		return libc()->aio_cancel(descriptor,
					  control); /* done, or begun before connect() */
	return asynchronous_cancel(descriptor, control);
}

/* How many of the requests are here and how many are libc's, of those under way. */
static int count_ours(const struct aiocb *const list[], int count, bool *others)
{
	int ours = 0;

	*others = false;
	for (int i = 0; i < count; i++) {
		if (!list[i])
			continue;
		if (asynchronous_has(list[i]))
			ours++;
		else
			*others = true;
	}
	return ours;
}

INTERPOSED int aio_suspend(const struct aiocb *const list[], int count,
			   const struct timespec *timeout)
{
	bool others;

	if (!config_active() || !count_ours(list, count, &others))
		return libc()->aio_suspend(list, count, timeout);
	return (int)as_libc(asynchronous_wait(list, count, false, others, timeout));
}

/* 0, or -EAGAIN when one at least could not be begun. */
static int begin_all(struct aiocb *const list[], int count)
{
	int result = 0;

	for (int i = 0; i < count; i++) {
		if (!list[i] || list[i]->aio_lio_opcode == LIO_NOP)
			continue;
		list[i]->aio_sigevent.sigev_notify = SIGEV_NONE; /* as libc: the list tells */
		if ((list[i]->aio_lio_opcode == LIO_READ ? aio_read : aio_write)(list[i]) < 0)
			result = -EAGAIN;
	}
	return result;
}

static bool any_failed(struct aiocb *const list[], int count)
{
	for (int i = 0; i < count; i++) {
		if (list[i] && list[i]->aio_lio_opcode != LIO_NOP && aio_error(list[i]))
			return true;
	}
	return false;
}

static int wait_for_all(struct aiocb *const list[], int count)
{
	int result = asynchronous_wait((const struct aiocb *const *)list, count, true, true, NULL);

	return result < 0 ? result : any_failed(list, count) ? -EIO : 0;
}

INTERPOSED int lio_listio(int mode, struct aiocb *const list[], int count, struct sigevent *event)
{
	bool ours = false;
	int result;

	for (int i = 0; config_active() && i < count; i++)
		ours |= list[i] && list[i]->aio_lio_opcode != LIO_NOP &&
			is_stacks(list[i]->aio_fildes);
	if (!ours || (mode != LIO_WAIT && mode != LIO_NOWAIT))
		return libc()->lio_listio(mode, list, count, event);
	result = begin_all(list, count);
	if (mode == LIO_WAIT)
		return (int)as_libc(result < 0 ? result : wait_for_all(list, count));
	if (event && event->sigev_notify != SIGEV_NONE &&
	    asynchronous_tell_later(list, count, event) < 0)
		result = -EAGAIN;
	return (int)as_libc(result);
}

INTERPOSED_ALIAS(aio_read, aio_read64);
INTERPOSED_ALIAS(aio_write, aio_write64);
INTERPOSED_ALIAS(aio_cancel, aio_cancel64);
INTERPOSED_ALIAS(aio_suspend, aio_suspend64);
INTERPOSED_ALIAS(lio_listio, lio_listio64);
