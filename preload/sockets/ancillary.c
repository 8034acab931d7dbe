/* SPDX-License-Identifier: BSD-3-Clause */
/* See ancillary.h. */
#include "preload/sockets/ancillary.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/time.h>

#include "preload/libc/program_memory.h"
#include "preload/sockets/socket_object.h"
#include "preload/libc/symbols.h"
#include "common/system_call.h"

/*
 * The options that ask for the time of arrival, in the order in which the twin is asked for them.
 * Their control messages have the same numbers. If SO_TIMESTAMPNS_NEW is set the kernel says so of
 * SO_TIMESTAMP_NEW as well, which therefore comes later.
 */
static const int stamps[] = { SO_TIMESTAMPNS_NEW, SO_TIMESTAMPNS_OLD, SO_TIMESTAMP_NEW,
			      SO_TIMESTAMP_OLD };

bool ancillary_is_of_times(int name)
{
	for (size_t i = 0; i < sizeof(stamps) / sizeof(stamps[0]); i++)
		if (stamps[i] == name)
			return true;
	return name == SO_TIMESTAMPING_OLD || name == SO_TIMESTAMPING_NEW;
}

/* SOF_TIMESTAMPING_OPT_RX_FILTER of Linux 6.12, for which older headers have no name. */
#define RX_FILTER (1 << 17)

/*
 * As Linux's tcp_recv_timestamp(): of SO_TIMESTAMPING's flags RX_SOFTWARE makes the kernel note
 * times, as SO_TIMESTAMP does, and SOFTWARE makes it tell them. RAW_HARDWARE has nothing to tell,
 * since the device has no clock that is used.
 */
static int times_kind(int twin, bool stamped)
{
	int flags = kernel_get_int(twin, SOL_SOCKET, SO_TIMESTAMPING_OLD);

	if (!(flags & SOF_TIMESTAMPING_SOFTWARE))
		return 0;
	if (!(flags & SOF_TIMESTAMPING_RX_SOFTWARE) && (!stamped || (flags & RX_FILTER)))
		return 0;
	return kernel_get_int(twin, SOL_SOCKET, SO_TIMESTAMPING_NEW) ? SO_TIMESTAMPING_NEW
								     : SO_TIMESTAMPING_OLD;
}

void ancillary_adopt(struct socket *socket, int twin)
{
	int stamp = 0;

	for (size_t i = 0; i < sizeof(stamps) / sizeof(stamps[0]) && !stamp; i++)
		if (kernel_get_int(twin, SOL_SOCKET, stamps[i]))
			stamp = stamps[i];
	socket->ancillary.stamp = (uint8_t)stamp;
	socket->ancillary.times = (uint8_t)times_kind(twin, stamp);
	socket->ancillary.readable = kernel_get_int(twin, IPPROTO_TCP, TCP_INQ) != 0;
}

bool ancillary_needs_times(const struct socket *socket)
{
	return socket->ancillary.stamp || socket->ancillary.times;
}

size_t ancillary_readable(const struct socket *socket)
{
	const struct stack_operations *operations = socket->instance->operations;
	size_t readable = operations->readable(socket->handle);
	size_t mark = operations->urgent(socket->handle);
	int in_line = 0;
	socklen_t length = sizeof(in_line);

	if (mark >= readable)
		return readable;
	operations->get_option(socket->handle, SOL_SOCKET, SO_OOBINLINE, &in_line, &length);
	return in_line ? readable : mark;
}

/*
 * Adds a control message, cut to the room that is left of the buffer, as Linux's put_cmsg() does.
 */
static void put(struct msghdr *message, size_t *used, int level, int type, const void *data,
		size_t size)
{
	struct cmsghdr header = { .cmsg_level = level,
				  .cmsg_type = type,
				  .cmsg_len = CMSG_LEN(size) };
	size_t room = message->msg_controllen - *used;
	char *to = message->msg_control;

	if (!to || room < sizeof(header)) {
		message->msg_flags |= MSG_CTRUNC;
		return;
	}
	to += *used;
	if (room < header.cmsg_len) {
		message->msg_flags |= MSG_CTRUNC;
		header.cmsg_len = room;
	}
	memcpy(to, &header, sizeof(header));
	memcpy(to + CMSG_LEN(0), data, header.cmsg_len - CMSG_LEN(0));
	*used += room < CMSG_SPACE(size) ? room : CMSG_SPACE(size);
}

static void put_times(struct socket *socket, struct msghdr *message, size_t *used)
{
	struct scm_timestamping times = { 0 };
	struct timespec came;
	struct timeval value;

	if (socket->instance->operations->received_at(socket->handle, &came) < 0)
		return;
	value = (struct timeval){ .tv_sec = came.tv_sec, .tv_usec = came.tv_nsec / 1000 };
	times.ts[0] = came;
	switch (socket->ancillary.stamp) {
	case SO_TIMESTAMP_OLD:
	case SO_TIMESTAMP_NEW:
		put(message, used, SOL_SOCKET, socket->ancillary.stamp, &value, sizeof(value));
		break;
	case SO_TIMESTAMPNS_OLD:
	case SO_TIMESTAMPNS_NEW:
		put(message, used, SOL_SOCKET, socket->ancillary.stamp, &came, sizeof(came));
		break;
	}
	if (socket->ancillary.times)
		put(message, used, SOL_SOCKET, socket->ancillary.times, &times, sizeof(times));
}

/*
 * TCP_INQ. As in Linux's tcp_inq_hint(), the end of the stream counts as one more byte: the peer's
 * end, and not the program's shutdown() or a reset, after which nothing comes either.
 */
static void put_readable(struct socket *socket, struct msghdr *message, size_t *used)
{
	const struct stack_operations *operations = socket->instance->operations;
	int readable = (int)operations->readable(socket->handle);

	if ((operations->readiness(socket->handle) & EPOLLRDHUP) &&
	    operations->ended(socket->handle) > 0)
		readable++;
	put(message, used, IPPROTO_TCP, TCP_CM_INQ, &readable, sizeof(readable));
}

void ancillary_put(struct socket *socket, struct msghdr *message)
{
	bool any = ancillary_needs_times(socket);
	size_t used = 0;

	/* As in Linux nothing tells that there was a control message for a bad pointer. */
	const bool bad = (any || socket->ancillary.readable) && message->msg_control &&
			 !memory_writable(message->msg_control, message->msg_controllen);

	if (any && !bad)
		put_times(socket, message, &used);
	if (socket->ancillary.readable && !bad)
		put_readable(socket, message, &used);
	message->msg_controllen = used;
}

static int check_number(const struct cmsghdr *header, int *number)
{
	if (header->cmsg_len != CMSG_LEN(sizeof(*number)))
		return -EINVAL;
	memcpy(number, CMSG_DATA(header), sizeof(*number));
	return 0;
}

static int check_one(const struct cmsghdr *header)
{
	int number = 0, result;

	switch (header->cmsg_type) {
	case SO_MARK:
	case SO_PRIORITY:
		return check_number(header, &number);
	case SO_TIMESTAMPING_OLD:
	case SO_TIMESTAMPING_NEW:
		result = check_number(header, &number);
		if (result || !number)
			return result;
		return number & ~ANCILLARY_SEND_TIMES ? -EINVAL : -EOPNOTSUPP;
	case SCM_TXTIME:
		return header->cmsg_len == CMSG_LEN(sizeof(uint64_t)) ? 0 : -EINVAL;
	case SCM_RIGHTS:
	case SCM_CREDENTIALS:
		return 0; /* it is for Unix sockets: the kernel does not look at it here */
	default:
		return -EINVAL;
	}
}

int ancillary_check(const struct msghdr *message)
{
	const char *end = (const char *)message->msg_control + message->msg_controllen;
	struct cmsghdr *header;
	int result = 0;

	if (!message->msg_controllen)
		return 0;
	if (!memory_readable(message->msg_control, message->msg_controllen))
		return -EFAULT;
	for (header = CMSG_FIRSTHDR(message); header && result == 0;
	     header = CMSG_NXTHDR((struct msghdr *)(uintptr_t)message, header)) {
		if (header->cmsg_len < sizeof(*header) ||
		    header->cmsg_len > (size_t)(end - (const char *)header))
			return -EINVAL;
		if (header->cmsg_level == SOL_SOCKET)
			result = check_one(header);
	}
	return result;
}
