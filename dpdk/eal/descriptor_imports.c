/* SPDX-License-Identifier: BSD-3-Clause */
/* See descriptor_imports.h. Each function here stands in for libc's of that name. */
#include "dpdk/eal/descriptor_imports.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "common/own_descriptor.h"
#include "dpdk/eal/imports.h"

static int own_socket(int domain, int type, int protocol)
{
	return own_descriptor(socket(domain, type, protocol));
}

static int own_accept(int listener, struct sockaddr *peer, socklen_t *length)
{
	return own_descriptor(accept(listener, peer, length));
}

static int own_eventfd(unsigned value, int flags)
{
	return own_descriptor(eventfd(value, flags));
}

static int own_epoll_create(int size)
{
	return own_descriptor(epoll_create(size));
}

static int own_epoll_create1(int flags)
{
	return own_descriptor(epoll_create1(flags));
}

static int own_timerfd_create(int clock, int flags)
{
	return own_descriptor(timerfd_create(clock, flags));
}

static int own_memfd_create(const char *name, unsigned flags)
{
	return own_descriptor(memfd_create(name, flags));
}

static int own_open(const char *path, int flags, ...)
{
	va_list arguments;
	unsigned mode;

	va_start(arguments, flags);
	mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, unsigned) : 0;
	va_end(arguments);
	return own_descriptor(open(path, flags, mode));
}

static int own_pipe(int ends[2])
{
	if (pipe(ends) < 0)
		return -1;
	ends[0] = own_descriptor(ends[0]);
	ends[1] = own_descriptor(ends[1]);
	return 0;
}

static void own_rights(struct cmsghdr *header)
{
	const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);

	if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
		return;
	for (size_t i = 0; i < count; i++) {
		unsigned char *place = CMSG_DATA(header) + i * sizeof(int);
		int descriptor;

		memcpy(&descriptor, place, sizeof(descriptor));
		descriptor = own_descriptor(descriptor);
		memcpy(place, &descriptor, sizeof(descriptor));
	}
}

/* net_memif's peers send each other their memory. */
static ssize_t own_recvmsg(int socket, struct msghdr *message, int flags)
{
	const ssize_t size = recvmsg(socket, message, flags);
	struct cmsghdr *header = size < 0 ? NULL : CMSG_FIRSTHDR(message);

	for (; header; header = CMSG_NXTHDR(message, header))
		own_rights(header);
	return size;
}

static int own_close(int descriptor)
{
	if (descriptor < 0) {
		errno = EBADF;
		return -1;
	}
	own_descriptor_close(descriptor);
	return 0;
}

void descriptor_imports_prepare(const char *driver)
{
	static const struct {
		const char *symbol;
		void *function;
	} functions[] = {
		{ "socket", (void *)own_socket },
		{ "accept", (void *)own_accept },
		{ "eventfd", (void *)own_eventfd },
		{ "epoll_create", (void *)own_epoll_create },
		{ "epoll_create1", (void *)own_epoll_create1 },
		{ "timerfd_create", (void *)own_timerfd_create },
		{ "memfd_create", (void *)own_memfd_create },
		{ "open", (void *)own_open },
		{ "open64", (void *)own_open },
		{ "pipe", (void *)own_pipe },
		{ "recvmsg", (void *)own_recvmsg },
		{ "close", (void *)own_close },
	};
	/* net_vhost is a thin layer over a library that has all of it. */
	const char *const libraries[] = { "librte_eal.so", "librte_vhost.so", driver };

	for (size_t i = 0; i < sizeof(libraries) / sizeof(libraries[0]) && libraries[i]; i++)
		for (size_t k = 0; k < sizeof(functions) / sizeof(functions[0]); k++)
			imports_replace(libraries[i], functions[k].symbol, functions[k].function);
}
