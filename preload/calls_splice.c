/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Interposed: sendfile(2) to and splice(2) between a stack socket and something of the kernel's.
 * Through memory: the kernel has no pages of ours to hand on.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include "clock.h"
#include "memory.h"
#include "result.h"
#include "socket.h"
#include "symbols.h"

/* What one pass carries through memory: as much as a pipe holds by default. */
#define CHUNK (64 * 1024)

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* ---- sendfile ---- */

/* Reads at *offset, or at the file's own position and moves that as far as was sent. */
static ssize_t send_file(struct socket *socket, int file, off64_t *offset, size_t size)
{
	char *buffer = malloc(CHUNK); /* threads' stacks can be small */
	size_t done = 0;
	ssize_t result = 0;

	if (!buffer)
		return -ENOMEM;
	while (done < size) {
		off64_t from = offset ? *offset : lseek64(file, 0, SEEK_CUR);
		struct iovec iov = { .iov_base = buffer };
		ssize_t sent;

		result = from < 0 && !offset
				 ? -1
				 : pread64(file, buffer, smaller(size - done, CHUNK), from);
		if (result <= 0) {
			/* What cannot be read at a place (a pipe) cannot be sent. */
			result = result == 0 ? 0 : errno == ESPIPE ? -EINVAL : -errno;
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
			lseek64(file, from + sent, SEEK_SET);
		if (sent < result)
			break; /* the buffer is full and the socket does not block */
	}
	free(buffer);
	return done ? (ssize_t)done : result;
}

INTERPOSED ssize_t sendfile64(int descriptor, int file, off64_t *offset, size_t size)
{
	struct socket *socket = socket_get(descriptor);
	ssize_t result;

	if (!socket)
		return libc()->sendfile64(descriptor_of_program(descriptor),
					  descriptor_of_program(file), offset, size);
	result = !offset || memory_writable(offset, sizeof(*offset))
			 ? send_file(socket, file, offset, size)
			 : -EFAULT;
	socket_put(socket);
	return as_libc(result);
}

_Static_assert(sizeof(off_t) == sizeof(off64_t), "one sendfile serves both names");

INTERPOSED ssize_t sendfile(int descriptor, int file, off_t *offset, size_t size)
{
	if (!descriptor_known(descriptor))
		return libc()->sendfile(descriptor_of_program(descriptor),
					descriptor_of_program(file), offset, size);
	return sendfile64(descriptor, file, (off64_t *)offset, size);
}

/* ---- splice ---- */

/* Looks first and takes only what the pipe has taken: nothing is lost if it takes less. */
static ssize_t splice_out(struct socket *socket, int pipe, size_t size, unsigned flags)
{
	int dont_wait = flags & SPLICE_F_NONBLOCK ? MSG_DONTWAIT : 0;
	struct pollfd room = { .fd = pipe, .events = POLLOUT };
	char *buffer = malloc(CHUNK);
	struct iovec iov = { .iov_base = buffer, .iov_len = smaller(size, CHUNK) };
	ssize_t result, written;

	if (!buffer)
		return -ENOMEM;
	result = socket_receive(socket, &iov, 1, MSG_PEEK | dont_wait);
	if (result > 0) {
		if (dont_wait && libc()->poll(&room, 1, 0) <= 0) {
			result = -EAGAIN;
		} else {
			/* A pipe that polls writable has room for a page; more could block. */
			written = libc()->write(pipe, buffer,
						dont_wait ? smaller((size_t)result, PIPE_BUF)
							  : (size_t)result);
			result = written < 0 ? -errno : written;
			iov.iov_len = written > 0 ? (size_t)written : 0;
			if (iov.iov_len)
				socket_receive(socket, &iov, 1, MSG_DONTWAIT);
		}
	}
	free(buffer);
	return result;
}

/*
 * A pipe cannot be looked into, so the socket has to have room before bytes are taken out: what a
 * blocking socket does not take at once it takes in the end.
 */
static ssize_t splice_in(struct socket *socket, int pipe, size_t size, unsigned flags)
{
	bool waits = !atomic_load(&socket->nonblocking) && !(flags & SPLICE_F_NONBLOCK);
	char *buffer;
	struct iovec iov;
	struct pollfd data = { .fd = pipe, .events = POLLIN };
	size_t done = 0;
	ssize_t result;

	if (!(socket_readiness(socket) & EPOLLOUT)) {
		if (!waits)
			return -EAGAIN;
		result = socket_wait(socket, EPOLLOUT | EPOLLERR | EPOLLHUP, CLOCK_NEVER);
		if (result < 0)
			return result;
	}
	if ((flags & SPLICE_F_NONBLOCK) && libc()->poll(&data, 1, 0) <= 0)
		return -EAGAIN;
	buffer = malloc(CHUNK);
	if (!buffer)
		return -ENOMEM;
	result = libc()->read(pipe, buffer, smaller(size, CHUNK));
	if (result < 0)
		result = -errno;
	while (result > 0 && done < (size_t)result) {
		ssize_t sent;

		iov = (struct iovec){ .iov_base = buffer + done, .iov_len = (size_t)result - done };
		sent = socket_send(socket, &iov, 1, flags & SPLICE_F_MORE ? MSG_MORE : 0);
		if (sent == -EAGAIN) /* the rest is out of the pipe already: it must go */
			socket_wait(socket, EPOLLOUT | EPOLLERR | EPOLLHUP, CLOCK_NEVER);
		else if (sent < 0)
			result = done ? (ssize_t)done : sent;
		else
			done += (size_t)sent;
	}
	free(buffer);
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
	struct socket *from = socket_get(in), *to = socket_get(out);
	ssize_t result;

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
	else if (from)
		result = splice_out(from, out, size, flags);
	else
		result = splice_in(to, in, size, flags);
	if (from)
		socket_put(from);
	if (to)
		socket_put(to);
	return as_libc(result);
}
