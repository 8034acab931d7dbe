/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * aio(7) on the stack's sockets. libc's own threads for it read and write inside libc, and so the
 * idle twin; here threads of melin's own call what is interposed. Requests are libc's control
 * blocks, whose state aio_error(3) and aio_return(3) read there. Not for deciding whose a request
 * is.
 */
#ifndef MELIN_ASYNCHRONOUS_H
#define MELIN_ASYNCHRONOUS_H

#include <aio.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * Queues a request (LIO_READ or LIO_WRITE) behind those on the same descriptor, and returns.
 * 0; -EINVAL for a bad priority; -EAGAIN without memory or thread: both are its error then, too.
 * control belongs to melin until its state is another than EINPROGRESS.
 */
int asynchronous_begin(struct aiocb *control, int operation);

/* Whether the request is queued or under way here. */
bool asynchronous_has(const struct aiocb *control);

/*
 * aio_cancel(3) of what is queued here; control NULL: of all on the descriptor. AIO_CANCELED,
 * AIO_NOTCANCELED or AIO_ALLDONE.
 */
int asynchronous_cancel(int descriptor, const struct aiocb *control);

/*
 * Waits until one of the requests, or all, are done; NULLs are none, nor is LIO_NOP if it waits for
 * all. others: libc's may be among them.
 * 0, -EAGAIN after timeout (NULL: never), -EINTR after a handler of the program's.
 */
int asynchronous_wait(const struct aiocb *const *list, int count, bool all, bool others,
		      const struct timespec *timeout);

/* As asynchronous_wait() for all, on a thread; then tells the program. 0 or -EAGAIN. */
int asynchronous_tell_later(struct aiocb *const *list, int count, const struct sigevent *event);

/* Around fork(): the child has none of its parent's requests. */
void asynchronous_before_fork(void);
void asynchronous_after_fork(void);
void asynchronous_forked(void);

#endif
