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

/* More than the 232 bytes of glibc's struct _IO_wide_data, whose size no header tells. */
#define WIDE_DATA_SIZE 1024

/* A socket's st_blksize, by which libc goes; its streams without a descriptor have more. */
#define BUFFER_SIZE 4096

/*
 * Protects streams, streams_opened, standard and original. Nothing that sleeps is called while it
 * is held, and no other lock of melin's is taken, except by a fork (forks_before()).
 */
static pthread_mutex_t streams_lock = PTHREAD_MUTEX_INITIALIZER;

struct stream {
	FILE *file;
	int descriptor;
	unsigned long number; /* how many were opened before it, itself included */
	struct stream *next;
	char buffer[BUFFER_SIZE];
	/* Zero, as those of a stream that libc has just opened, until freopen(3) needs them. */
	_Alignas(16) char wide_data[WIDE_DATA_SIZE];
};

static struct stream *streams; /* the latest first */
static unsigned long streams_opened;
static struct stream *standard[3]; /* what stands in for stdin, stdout, stderr */
static FILE *original[3];	   /* what it stands in for */
static FILE **const variables[] = { &stdin, &stdout, &stderr };

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

/* Where the list has the stream with that FILE, or its end. Under streams_lock. */
static struct stream **link_of(const FILE *file)
{
	struct stream **link = &streams;

	while (*link && (*link)->file != file)
		link = &(*link)->next;
	return link;
}

/*
 * If the stream stands in for a standard one, it does so no longer, and the standard one is
 * returned. Under streams_lock.
 */
static FILE *stand_in_no_more(const struct stream *stream)
{
	for (unsigned i = 0; i < 3; i++) {
		if (standard[i] != stream)
			continue;
		standard[i] = NULL;
		if (*variables[i] == stream->file)
			*variables[i] = original[i];
		return original[i];
	}
	return NULL;
}

/*
 * A program may use its standard stream even after fclose(3): it gets EBADF from libc's own one,
 * which therefore is the one that closes the descriptor.
 */
static int close_with(FILE *before, int descriptor)
{
	int result;

	signals_hold();
	descriptor_remove(descriptor);
	result = fclose(before);
	signals_release();
	return result;
}

static int stream_close(void *cookie)
{
	struct stream *stream = cookie, **link;
	int descriptor = stream->descriptor;
	FILE *before;

	guarded_lock(&streams_lock);
	link = link_of(stream->file);
	if (*link)
		*link = stream->next;
	before = stand_in_no_more(stream);
	guarded_unlock(&streams_lock);
	free(stream);
	if (before && fileno(before) == descriptor)
		return close_with(before, descriptor);
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
	struct stream *stream = calloc(1, sizeof(*stream));
	FILE *file = stream ? fopencookie(stream, mode, functions) : NULL;

	if (!file) {
		free(stream);
		return NULL;
	}
	/* glibc has -2 there for such a stream; but fileno(3) has to tell the descriptor. */
	file->_fileno = descriptor;
	setvbuf(file, stream->buffer, _IOFBF, sizeof(stream->buffer));
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

static void buffer_alike(FILE *file, FILE *model)
{
	if (model->_flags & UNBUFFERED)
		setvbuf(file, NULL, _IONBF, 0);
	else if (__flbf(model))
		setvbuf(file, NULL, _IOLBF, 0);
}

/*
 * The program's standard stream becomes one of melin's, which reads or writes the descriptor,
 * whatever that is later. It buffers as the stream before did, and gets what that has not written
 * yet.
 */
void stream_standard(int descriptor)
{
	struct stream *stream = NULL;
	FILE *file, *before;

	if ((unsigned)descriptor >= 3 || standard[descriptor])
		return;
	before = *variables[descriptor];
	if (!before || fileno(before) != descriptor)
		return; /* closed, or another of the program's */
	file = open_stream(descriptor, descriptor ? "w" : "r", &stream);
	if (!file)
		return;
	guarded_lock(&streams_lock);
	standard[descriptor] = stream;
	original[descriptor] = before;
	*variables[descriptor] = file;
	guarded_unlock(&streams_lock);
	if (!descriptor)
		return;
	buffer_alike(file, before);
	if (__fpending(before)) {
		fwrite(before->_IO_write_base, 1, __fpending(before), file);
		__fpurge(before);
	}
}

void stream_standard_inherited(int descriptor)
{
	/* std::cout of libstdc++ and of libc++ */
	if (!dlsym(RTLD_DEFAULT, "_ZSt4cout") && !dlsym(RTLD_DEFAULT, "_ZNSt3__14coutE"))
		stream_standard(descriptor);
	dlerror(); /* the program's first one must not tell of these names */
}

/*
 * A standard stream is libc's own again. The program may have copies of the pointer to the one that
 * stood in, which stays open for them. Any other of melin's streams becomes one of libc's in its
 * place: glibc's freopen(3) exchanges the functions, and needs only the memory for wide characters
 * that fopencookie(3) leaves out.
 */
static FILE *leave_to_libc(FILE *file)
{
	FILE *before = NULL;
	struct stream **link;

	guarded_lock(&streams_lock);
	link = link_of(file);
	if (*link)
		before = stand_in_no_more(*link);
	if (*link && !before) {
		file->_wide_data = (struct _IO_wide_data *)(*link)->wide_data;
		*link = (*link)->next;
	}
	guarded_unlock(&streams_lock);
	if (before)
		buffer_alike(before, file);
	return before ? before : file;
}

FILE *stream_before_reopen(FILE *file)
{
	int descriptor;

	fflush(file);
	file = leave_to_libc(file);
	descriptor = fileno(file);
	if (descriptor >= 0 && !descriptor_private(descriptor))
		descriptor_remove(descriptor);
	return file;
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
