/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Interposed: stdio on sockets. Inside libc stdio reads and writes without passing through any
 * interposed symbol, so a stream on a stack socket is given functions of ours.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "socket.h"
#include "symbols.h"

static ssize_t stream_read(void *cookie, char *buffer, size_t size)
{
	return read((int)(intptr_t)cookie, buffer, size);
}

static ssize_t stream_write(void *cookie, const char *buffer, size_t size)
{
	ssize_t written = write((int)(intptr_t)cookie, buffer, size);

	return written < 0 ? 0 : written; /* fopencookie(3): 0 is the error, not -1 */
}

static int stream_close(void *cookie)
{
	return close((int)(intptr_t)cookie);
}

/* What fopencookie() takes for granted and fdopen() checks. */
static bool valid_mode(const char *mode)
{
	return mode && (*mode == 'r' || *mode == 'w' || *mode == 'a');
}

INTERPOSED FILE *fdopen(int descriptor, const char *mode)
{
	static const cookie_io_functions_t functions = {
		.read = stream_read,
		.write = stream_write,
		.close = stream_close,
	};
	struct socket *socket = socket_get(descriptor);
	FILE *stream;

	if (!socket)
		return libc()->fdopen(descriptor, mode);
	socket_put(socket);
	if (!valid_mode(mode)) {
		errno = EINVAL;
		return NULL;
	}
	stream = fopencookie((void *)(intptr_t)descriptor, mode, functions);
	/* glibc keeps -2 there for such a stream; fileno(3) of a socket's stream must work. */
	if (stream)
		stream->_fileno = descriptor;
	return stream;
}

INTERPOSED int vdprintf(int descriptor, const char *format, va_list arguments)
{
	char *text;
	int length, done = 0, result;

	if (!descriptor_known(descriptor))
		return libc()->vdprintf(descriptor, format, arguments);
	length = vasprintf(&text, format, arguments);
	if (length < 0)
		return length;
	result = length;
	while (done < length) {
		ssize_t written = write(descriptor, text + done, (size_t)(length - done));

		if (written < 0) {
			result = -1;
			break;
		}
		done += (int)written;
	}
	free(text);
	return result;
}

INTERPOSED int dprintf(int descriptor, const char *format, ...)
{
	va_list arguments;
	int result;

	va_start(arguments, format);
	result = vdprintf(descriptor, format, arguments);
	va_end(arguments);
	return result;
}

/* flag asks for checks of the format that vasprintf() of a fortified build makes as well. */
INTERPOSED int __vdprintf_chk(int descriptor, int flag, const char *format, va_list arguments)
{
	if (!descriptor_known(descriptor))
		return libc()->__vdprintf_chk(descriptor, flag, format, arguments);
	return vdprintf(descriptor, format, arguments);
}

INTERPOSED int __dprintf_chk(int descriptor, int flag, const char *format, ...)
{
	va_list arguments;
	int result;

	va_start(arguments, format);
	result = __vdprintf_chk(descriptor, flag, format, arguments);
	va_end(arguments);
	return result;
}
