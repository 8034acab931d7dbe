/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Interposed: sendfile(2) to and splice(2) between a stack socket and something of the kernel's.
 * Through memory: the kernel has no pages of ours to hand on.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "preload/libc/cancellation.h"
#include "preload/libc/monotonic.h"
#include "preload/libc/interruptible.h"
#include "preload/libc/program_memory.h"
#include "preload/libc/result.h"
#include "preload/libc/scratch.h"
#include "preload/sockets/borrow.h"
#include "preload/sockets/borrow_wanted.h"
#include "preload/sockets/lent_call.h"
#include "preload/sockets/socket_object.h"
#include "preload/libc/symbols.h"
#include "preload/calls/trace.h"

/* What one pass carries through memory: as much as a pipe holds by default. */
#define CHUNK (64 * 1024)

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* ---- sendfile ---- */

/* Reads at *offset, or at the file's own position and moves that as far as was sent. */
static ssize_t send_file(struct socket *socket, int file, off_t *offset, size_t size, char *buffer)
{
	size_t done = 0;
	ssize_t result = 0;

	while (done < size) {
		off_t from = offset ? *offset : lseek(file, 0, SEEK_CUR);
		struct iovec iov = { .iov_base = buffer };
		ssize_t sent;

		result = from < 0 && !offset ? -errno
					     : kernel_call(SYS_pread64, file, (long)buffer,
							   (long)smaller(size - done, CHUNK), from);
		if (result <= 0) {
			/* What cannot be read at a place (a pipe) cannot be sent. */
			result = result == -ESPIPE ? -EINVAL : result;
			break;
		}
		iov.iov_len = (size_t)result;
		sent = socket_send(socket, &iov, 1, done + (size_t)result < size ? MSG_MORE : 0);
		if (sent < 0) {
			result = sent;
			break;
		}
		done += (size_t)sent;
		if (offset)
			*offset += sent;
		else
			lseek(file, from + sent, SEEK_SET);
		if (sent < result)
			break; /* the buffer is full and the socket does not block */
	}
	return done ? (ssize_t)done : result;
}

/* As in Linux, a place that cannot be written back in the end is EFAULT, and what was sent is. */
static ssize_t send_file_at(struct socket *socket, int file, off_t *offset, size_t size)
{
	off_t place = 0;
	char *buffer;
	ssize_t result;

	if (offset && !memory_copy_in(&place, offset, sizeof(place)))
		return -EFAULT;
	buffer = scratch_get(CHUNK); /* threads' stacks can be small */
	if (!buffer)
		return -ENOMEM;
	pthread_cleanup_push(scratch_put, buffer);
	result = send_file(socket, file, offset ? &place : NULL, size, buffer);
	pthread_cleanup_pop(1);
	if (offset && !memory_copy_out(offset, &place, sizeof(place)))
		return -EFAULT;
	return result;
}

INTERPOSED ssize_t sendfile(int descriptor, int file, off_t *offset, size_t size)
{
	RETURN_TRACED(sendfile, descriptor, file, offset, size);

	struct socket *socket = socket_get_any(descriptor);
	const bool is_stacks = socket && socket_is_stacks(socket, descriptor);
	ssize_t result;

	if (!is_stacks)
		result = lent_call(socket, descriptor, BORROW_SEND, SYS_sendfile, descriptor,
				   descriptor_not_melins(file, 1), (long)offset, (long)size, 0, 0);
	if (!is_stacks && result == LENT_NOT)
		return libc()->sendfile(descriptor_of_program(descriptor),
					descriptor_of_program(file), offset, size);
	if (is_stacks) {
		result = send_file_at(socket, descriptor_not_melins(file, 1), offset, size);
		if (result > 0 && atomic_load(&socket->borrowed))
			borrow_moved(socket, BORROW_SEND, (size_t)result);
		result = socket_leave(socket, result);
	}
	return begins_anew(result) ? sendfile(descriptor, file, offset, size) : as_libc(result);
}

/* ---- splice ---- */

/* One splice between a socket and a pipe. */
struct splicing {
	struct socket *socket;
	int pipe;
	size_t size;
	unsigned flags;
	char *buffer;
};

static void splicing_cancelled(void *argument)
{
	socket_put(((struct splicing *)argument)->socket);
}

/* On the pipe, which may sleep: as wait_for() with signals and cancellation. */
static ssize_t sleep_in(struct splicing *splicing, const struct system_call *call)
{
	const long result = cancellation_call(call, false, splicing_cancelled, splicing);

	return result == -EINTR && signals_waiting() ? -ERESTART : result;
}

/*
 * As Linux's wait_for_space(), before anything is asked of the socket. A pipe that nobody can read
 * has room for what splice_out() takes, and refuses it.
 */
static ssize_t await_room(struct splicing *splicing)
{
	struct pollfd room = { .fd = splicing->pipe, .events = POLLOUT };
	const struct system_call call = { SYS_ppoll, (long)&room, 1, 0, 0, 0, 0 };

	if (wait_look(&room, 1) > 0)
		return 1;
	if (splicing->flags & SPLICE_F_NONBLOCK ||
	    kernel_call(SYS_fcntl, splicing->pipe, F_GETFL, 0, 0) & O_NONBLOCK)
		return -EAGAIN;
	return sleep_in(splicing, &call);
}

/*
 * As much as there is room for: a splice does not wait for more once it has moved some. A FIFO that
 * has a name knows no RWF_NOWAIT; while it polls writable, it has room for so little.
 */
static ssize_t fill_pipe(const struct splicing *splicing, size_t size)
{
	struct iovec iov = { .iov_base = splicing->buffer, .iov_len = size };
	long result = kernel_call6(SYS_pwritev2, splicing->pipe, (long)&iov, 1, -1, -1, RWF_NOWAIT);

	if (result == -EOPNOTSUPP)
		result = kernel_call(SYS_write, splicing->pipe, (long)splicing->buffer,
				     (long)smaller(size, PIPE_BUF), 0);
	return result;
}

/*
 * Looks first and takes only what the pipe has taken: nothing is lost if it takes less. Whether the
 * socket may be waited for its own flag says alone, and not SPLICE_F_NONBLOCK. At the urgent mark
 * there is nothing to be had, for which nobody waits.
 */
static ssize_t splice_out(struct splicing *splicing)
{
	struct iovec iov = { .iov_base = splicing->buffer,
			     .iov_len = smaller(splicing->size, CHUNK) };
	ssize_t result, written;

	do {
		result = await_room(splicing);
		if (result < 0)
			return result;
		result = socket_look_for_splice(splicing->socket, &iov, 1);
		if (result == -ENODATA)
			return atomic_load(&splicing->socket->nonblocking) ? -EAGAIN : 0;
		if (result <= 0)
			return result;
		written = fill_pipe(splicing, (size_t)result);
	} while (written == -EAGAIN); /* somebody else has filled it meanwhile */
	iov.iov_len = written > 0 ? (size_t)written : 0;
	if (iov.iov_len)
		socket_receive(splicing->socket, &iov, 1, MSG_DONTWAIT);
	return written;
}

/* Bytes that have been read out of the pipe cannot be put back: all of them must be sent. */
static ssize_t send_whole(struct splicing *splicing, size_t size)
{
	size_t done = 0;

	while (done < size) {
		struct iovec iov = { .iov_base = splicing->buffer + done, .iov_len = size - done };
		ssize_t sent = socket_send(splicing->socket, &iov, 1,
					   splicing->flags & SPLICE_F_MORE ? MSG_MORE : 0);

		if (sent == -EAGAIN || sent == -EINTR || sent == -ERESTART)
			socket_wait_deaf(splicing->socket, EPOLLOUT | EPOLLERR | EPOLLHUP);
		else if (sent < 0)
			return done ? (ssize_t)done : sent;
		else
			done += (size_t)sent;
	}
	return (ssize_t)done;
}

/*
 * A pipe cannot be looked into, so the socket has to have room before bytes are taken out: what a
 * blocking socket does not take at once it takes in the end.
 */
static ssize_t splice_in(struct splicing *splicing)
{
	struct socket *socket = splicing->socket;
	struct pollfd data = { .fd = splicing->pipe, .events = POLLIN };
	const struct system_call call = { SYS_read,
					  splicing->pipe,
					  (long)splicing->buffer,
					  (long)smaller(splicing->size, CHUNK),
					  0,
					  0,
					  0 };
	ssize_t result;

	if ((splicing->flags & SPLICE_F_NONBLOCK) && wait_look(&data, 1) <= 0)
		return -EAGAIN;
	if (!(socket_readiness(socket) & EPOLLOUT)) {
		if (atomic_load(&socket->nonblocking))
			return -EAGAIN;
		result = socket_wait(socket, EPOLLOUT | EPOLLERR | EPOLLHUP, CLOCK_NEVER);
		if (result < 0)
			return result;
	}
	result = sleep_in(splicing, &call);
	return result > 0 ? send_whole(splicing, (size_t)result) : result;
}

static ssize_t splice_through(struct socket *socket, bool out, int pipe, size_t size,
			      unsigned flags)
{
	struct splicing splicing = { socket, pipe, size, flags, scratch_get(CHUNK) };
	ssize_t result;

	if (!splicing.buffer)
		return -ENOMEM;
	pthread_cleanup_push(scratch_put, splicing.buffer);
	result = out ? splice_out(&splicing) : splice_in(&splicing);
	pthread_cleanup_pop(1);
	return result;
}

static bool is_pipe(int descriptor)
{
	struct stat status;

	return fstat(descriptor, &status) == 0 && S_ISFIFO(status.st_mode);
}

INTERPOSED ssize_t splice(int in, off64_t *in_offset, int out, off64_t *out_offset, size_t size,
			  unsigned flags)
{
	RETURN_TRACED(splice, in, in_offset, out, out_offset, size, flags);

	struct socket *from, *to;
	int source, target;
	ssize_t result;

	if (descriptor_known(in) || descriptor_known(out))
		cancellation_point();
	/* The kernel moves pages; through the stack bytes would be copied. */
	borrow_end_any(in, BORROW_CALL, false);
	borrow_end_any(out, BORROW_CALL, false);
	source = descriptor_of_program(in);
	target = descriptor_of_program(out);
	result = lent_call(socket_get_any(in), in, BORROW_NEITHER, SYS_splice, in, (long)in_offset,
			   target, (long)out_offset, (long)size, flags);
	if (result == LENT_NOT)
		result = lent_call(socket_get_any(out), out, BORROW_NEITHER, SYS_splice, source,
				   (long)in_offset, out, (long)out_offset, (long)size, flags);
	if (result != LENT_NOT && !begins_anew(result))
		return as_libc(result);
	from = socket_get(in);
	to = socket_get(out);
	if (!from && !to)
		return libc()->splice(descriptor_of_program(in), in_offset,
				      descriptor_of_program(out), out_offset, size, flags);
	if ((from && in_offset) || (to && out_offset))
		result = -EINVAL; /* a socket has no places */
	else if (in_offset || out_offset)
		result = -ESPIPE;
	else if (!is_pipe(from ? out : in))
		result = -EINVAL;
	else if (size == 0)
		result = 0;
	else
		result = splice_through(from ? from : to, from != NULL, from ? out : in, size,
					flags);
	if (from && to)
		socket_put(to);
	result = socket_leave(from ? from : to, result);
	return begins_anew(result) ? splice(in, in_offset, out, out_offset, size, flags)
				   : as_libc(result);
}

INTERPOSED_ALIAS(sendfile, sendfile64);
