/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * aio(7) on the stack's sockets. libc has threads for it that read and write inside libc, which
 * would reach the twin. Here threads of melin's own do it, by the interposed functions. A request
 * is the program's control block, as for libc: aio_error(3) and aio_return(3), which are libc's,
 * read its state there. Not for deciding whose a request is (calls_aio.c).
 */
#ifndef MELIN_ASYNCHRONOUS_H
#define MELIN_ASYNCHRONOUS_H

#include <aio.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * Queues a request (LIO_READ or LIO_WRITE) behind the others on its descriptor. 0; -EINVAL for a
 * bad priority; -EAGAIN without memory or thread; an error becomes the request's error as well.
 * control belongs to melin for as long as its state is EINPROGRESS.
 */
int asynchronous_begin(struct aiocb *control, int operation);

/* Whether melin has the request, queued or under way. */
bool asynchronous_has(const struct aiocb *control);

/*
 * aio_cancel(3) for a request that melin has, or with control NULL for all on the descriptor.
 * Returns AIO_CANCELED, AIO_NOTCANCELED or AIO_ALLDONE.
 */
int asynchronous_cancel(int descriptor, const struct aiocb *control);

/*
 * Waits until one of the requests in the list is done, or all are. An entry may be NULL; LIO_NOP is
 * ignored, too, if all are waited for. others: some may be libc's. 0; -EAGAIN when timeout is over,
 * which it never is if it is NULL; -EINTR after a handler of the program's.
 */
int asynchronous_wait(const struct aiocb *const *list, int count, bool all, bool others,
		      const struct timespec *timeout);

/*
 * Waits for all on a thread of melin's, and then notifies the program as event says. 0 or -EAGAIN.
 */
int asynchronous_tell_later(struct aiocb *const *list, int count, const struct sigevent *event);

/* Around fork(): the child has none of its parent's requests. The third is called in the child. */
void asynchronous_before_fork(void);
void asynchronous_after_fork(void);
void asynchronous_forked(void);

#endif
