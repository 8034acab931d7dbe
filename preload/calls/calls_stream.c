/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Interposed: the functions that open a stdio stream on a descriptor, or print to one. Not for the
 * streams themselves: stream.h.
 */
#include "preload/sockets/stream.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "preload/sockets/socket_object.h"
#include "preload/libc/symbols.h"

/* What fopencookie() takes for granted and fdopen() checks. */
static bool valid_mode(const char *mode)
{
	return mode && (*mode == 'r' || *mode == 'w' || *mode == 'a');
}

/* A socket whose flow is not decided yet counts, too: connect(2) may come later. */
static bool may_be_stack(int descriptor)
{
	struct socket *socket = socket_get_any(descriptor);
	bool may = socket && atomic_load(&socket->state) != SOCKET_KERNEL;

	if (socket)
		socket_put(socket);
	return may;
}

INTERPOSED FILE *fdopen(int descriptor, const char *mode)
{
	if (!may_be_stack(descriptor)) {
		FILE *file = libc()->fdopen(descriptor_of_program(descriptor), mode);

		/* fclose(3) will close it by a call that nobody sees here. */
		if (file && descriptor_known(descriptor) && !descriptor_private(descriptor))
			descriptor_remove(descriptor);
		return file;
	}
	if (!valid_mode(mode)) {
		errno = EINVAL;
		return NULL;
	}
	return stream_open(descriptor, mode);
}

INTERPOSED FILE *freopen(const char *path, const char *mode, FILE *stream)
{
	return libc()->freopen(path, mode, stream_before_reopen(stream));
}

INTERPOSED int vdprintf(int descriptor, const char *format, va_list arguments)
{
	char *text;
	int length, done = 0, result;

	if (!descriptor_known(descriptor))
		return libc()->vdprintf(descriptor_of_program(descriptor), format, arguments);
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

/* libc's perror() writes to a duplicate of stderr's descriptor, by a call that nobody sees here. */
INTERPOSED void perror(const char *text)
{
	const int error = errno;
	char room[128];

	if (!descriptor_known(STDERR_FILENO))
		libc()->perror(text);
	else
		fprintf(stderr, "%s%s%s\n", text ? text : "", text && *text ? ": " : "",
			strerror_r(error, room, sizeof(room)));
}

/* flag asks for checks of the format that vasprintf() of a fortified build makes as well. */
INTERPOSED int __vdprintf_chk(int descriptor, int flag, const char *format, va_list arguments)
{
	if (!descriptor_known(descriptor))
		return libc()->__vdprintf_chk(descriptor_of_program(descriptor), flag, format,
					      arguments);
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

INTERPOSED_ALIAS(freopen, freopen64);
