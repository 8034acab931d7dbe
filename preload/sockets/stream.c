/* SPDX-License-Identifier: BSD-3-Clause */
/* See stream.h. */
#include "preload/sockets/stream.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <unistd.h>

#include "preload/libc/signals.h"
#include "preload/sockets/socket_object.h"

/* glibc's _IO_UNBUFFERED, a bit of FILE's _flags, which no function of glibc's tells. */
#define UNBUFFERED 0x0002

/*
 * Protects streams, streams_opened and standard. Nothing that sleeps is called while it is held,
 * and no other lock of melin's is taken, except by a fork (forks_before()).
 */
static pthread_mutex_t streams_lock = PTHREAD_MUTEX_INITIALIZER;

struct stream {
	FILE *file;
	int descriptor;
	unsigned long number; /* how many were opened before it, itself included */
	struct stream *next;
};

static struct stream *streams; /* the latest first */
static unsigned long streams_opened;
static struct stream *standard[3]; /* what stands in for stdin, stdout, stderr */

static ssize_t stream_read(void *cookie, char *buffer, size_t size)
{
	return read(((struct stream *)cookie)->descriptor, buffer, size);
}

static ssize_t write_once(int descriptor, const char *buffer, size_t size)
{
	struct socket *socket = socket_get_any(descriptor);
	ssize_t written;

	/*
	 * When a child flushes a stream on its parent's connection, the twin refuses the data: the
	 * SIGPIPE for that must not end the child.
	 */
	if (socket && atomic_load(&socket->state) == SOCKET_CONNECTION && !socket_instance(socket))
		written = send(descriptor, buffer, size, MSG_NOSIGNAL);
	else
		written = write(descriptor, buffer, size);
	if (socket)
		socket_put(socket);
	return written;
}

/*
 * Writes everything, as libc's own streams do, since what this leaves of a buffer is lost for libc.
 */
static ssize_t stream_write(void *cookie, const char *buffer, size_t size)
{
	const int descriptor = ((struct stream *)cookie)->descriptor;
	size_t done = 0;

	while (done < size) {
		ssize_t written = write_once(descriptor, buffer + done, size - done);

		if (written <= 0)
			break;
		done += (size_t)written;
	}
	return (ssize_t)done; /* fopencookie(3): an error is a smaller number, and never -1 */
}

/*
 * Without this function libc's error would be EINVAL, with which fflush(3) of a stream that has
 * unread input fails. With ESPIPE it does not.
 */
static int stream_seek(void *cookie, off64_t *offset, int whence)
{
	(void)cookie;
	(void)offset;
	(void)whence;
	errno = ESPIPE;
	return -1;
}

static int stream_close(void *cookie)
{
	struct stream *stream = cookie;
	int descriptor = stream->descriptor;
	bool stays = false;

	guarded_lock(&streams_lock);
	for (struct stream **link = &streams; *link; link = &(*link)->next) {
		if (*link == stream) {
			*link = stream->next;
			break;
		}
	}
	for (unsigned i = 0; i < 3; i++)
		stays |= standard[i] == stream;
	guarded_unlock(&streams_lock);
	if (!stays)
		free(stream);
	return close(descriptor);
}

/* Stores the stream's entry in *result, unless result is NULL. */
static FILE *open_stream(int descriptor, const char *mode, struct stream **result)
{
	static const cookie_io_functions_t functions = {
		.read = stream_read,
		.write = stream_write,
		.seek = stream_seek,
		.close = stream_close,
	};
	struct stream *stream = malloc(sizeof(*stream));
	FILE *file = stream ? fopencookie(stream, mode, functions) : NULL;

	if (!file) {
		free(stream);
		return NULL;
	}
	/* glibc has -2 there for such a stream; but fileno(3) has to tell the descriptor. */
	file->_fileno = descriptor;
	stream->file = file;
	stream->descriptor = descriptor;
	guarded_lock(&streams_lock);
	stream->number = ++streams_opened;
	stream->next = streams;
	streams = stream;
	guarded_unlock(&streams_lock);
	if (result)
		*result = stream;
	return file;
}

FILE *stream_open(int descriptor, const char *mode)
{
	return open_stream(descriptor, mode, NULL);
}

/*
 * The program's standard stream becomes one of melin's, which reads or writes the descriptor,
 * whatever that is later. It buffers as the stream before did, and gets what that has not written
 * yet.
 */
void stream_standard(int descriptor)
{
	FILE **const variables[] = { &stdin, &stdout, &stderr };
	struct stream *stream = NULL;
	FILE *file, *before;

	if ((unsigned)descriptor >= 3 || standard[descriptor])
		return;
	file = open_stream(descriptor, descriptor ? "w" : "r", &stream);
	if (!file)
		return;
	guarded_lock(&streams_lock);
	standard[descriptor] = stream;
	before = *variables[descriptor];
	*variables[descriptor] = file;
	guarded_unlock(&streams_lock);
	if (!before || !descriptor)
		return;
	if (descriptor == STDERR_FILENO || (before->_flags & UNBUFFERED))
		setvbuf(file, NULL, _IONBF, 0);
	else if (__flbf(before))
		setvbuf(file, NULL, _IOLBF, 0);
	if (__fpending(before)) {
		fwrite(before->_IO_write_base, 1, __fpending(before), file);
		__fpurge(before);
	}
}

void stream_standard_inherited(int descriptor)
{
	if (!dlsym(RTLD_DEFAULT, "_ZSt4cout")) /* std::cout */
		stream_standard(descriptor);
}

bool stream_stands_in(int descriptor)
{
	bool stands_in;

	guarded_lock(&streams_lock);
	stands_in = standard[descriptor];
	guarded_unlock(&streams_lock);
	return stands_in;
}

/*
 * Locks the latest stream with a lower number than *number that no thread is using, so that
 * fclose(3) in another thread has to wait, and stores its number. NULL: there is none.
 */
static FILE *lock_stream_before(unsigned long *number)
{
	FILE *file = NULL;

	guarded_lock(&streams_lock);
	for (struct stream *stream = streams; stream; stream = stream->next) {
		if (stream->number < *number && ftrylockfile(stream->file) == 0) {
			file = stream->file;
			*number = stream->number;
			break;
		}
	}
	guarded_unlock(&streams_lock);
	return file;
}

/*
 * As libc, it leaves out streams that a thread is using, which may sleep for long. The flushing
 * itself may sleep.
 */
void stream_flush_all(void)
{
	unsigned long number = ULONG_MAX;
	FILE *file;

	while ((file = lock_stream_before(&number))) {
		fflush_unlocked(file);
		funlockfile(file);
	}
}

void stream_before_fork(void)
{
	guarded_lock(&streams_lock);
}

void stream_after_fork(void)
{
	guarded_unlock(&streams_lock);
}
