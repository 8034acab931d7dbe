/* SPDX-License-Identifier: BSD-3-Clause */
/* See trace_print.h. */
#include "preload/calls/trace_print.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

#include "common/option_table.h"
#include "preload/libc/program_memory.h"

/* As strace(1), which shows so many elements of an array. */
#define ELEMENTS 32

struct value_name {
	unsigned value;
	const char *name;
};

#define NAMED(value)                                                                               \
	{                                                                                          \
		value, #value                                                                      \
	}

static const struct value_name families[] = { NAMED(AF_UNIX), NAMED(AF_INET), NAMED(AF_INET6),
					      NAMED(AF_NETLINK), NAMED(AF_PACKET) };
static const struct value_name types[] = { NAMED(SOCK_STREAM), NAMED(SOCK_DGRAM), NAMED(SOCK_RAW),
					   NAMED(SOCK_SEQPACKET) };
static const struct value_name type_flags[] = { NAMED(SOCK_CLOEXEC), NAMED(SOCK_NONBLOCK) };
static const struct value_name message_flags[] = {
	NAMED(MSG_OOB),	     NAMED(MSG_PEEK),	   NAMED(MSG_DONTROUTE), NAMED(MSG_TRUNC),
	NAMED(MSG_DONTWAIT), NAMED(MSG_WAITALL),   NAMED(MSG_NOSIGNAL),	 NAMED(MSG_MORE),
	NAMED(MSG_ERRQUEUE), NAMED(MSG_FASTOPEN),  NAMED(MSG_ZEROCOPY),	 NAMED(MSG_CMSG_CLOEXEC),
	NAMED(MSG_EOR),	     NAMED(MSG_WAITFORONE)
};
static const struct value_name ways_to_shut[] = { NAMED(SHUT_RD), NAMED(SHUT_WR),
						  NAMED(SHUT_RDWR) };
static const struct value_name levels[] = { NAMED(SOL_SOCKET),
					    { IPPROTO_TCP, "SOL_TCP" },
					    { IPPROTO_IP, "SOL_IP" },
					    { IPPROTO_IPV6, "SOL_IPV6" } };
static const struct value_name commands[] = {
	NAMED(F_DUPFD), NAMED(F_DUPFD_CLOEXEC), NAMED(F_GETFD),	 NAMED(F_SETFD),  NAMED(F_GETFL),
	NAMED(F_SETFL), NAMED(F_GETOWN),	NAMED(F_SETOWN), NAMED(F_GETSIG), NAMED(F_SETSIG),
	NAMED(F_GETLK), NAMED(F_SETLK),		NAMED(F_SETLKW)
};
static const struct value_name controls[] = { NAMED(EPOLL_CTL_ADD), NAMED(EPOLL_CTL_DEL),
					      NAMED(EPOLL_CTL_MOD) };
static const struct value_name poll_events[] = {
	NAMED(POLLIN),	 NAMED(POLLPRI),    NAMED(POLLOUT),    NAMED(POLLERR),	  NAMED(POLLHUP),
	NAMED(POLLNVAL), NAMED(POLLRDNORM), NAMED(POLLWRNORM), NAMED(POLLRDBAND), NAMED(POLLRDHUP)
};
static const struct value_name epoll_events[] = {
	NAMED(EPOLLIN),	     NAMED(EPOLLPRI),	 NAMED(EPOLLOUT),      NAMED(EPOLLERR),
	NAMED(EPOLLHUP),     NAMED(EPOLLRDNORM), NAMED(EPOLLWRNORM),   NAMED(EPOLLRDHUP),
	NAMED(EPOLLONESHOT), NAMED(EPOLLET),	 NAMED(EPOLLEXCLUSIVE)
};

#define LIST(names) names, sizeof(names) / sizeof((names)[0])

void trace_append(struct trace_text *text, const char *format, ...)
{
	const size_t room = sizeof(text->line) - text->length;
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(text->line + text->length, room, format, arguments);
	va_end(arguments);
	if (length > 0)
		text->length += (size_t)length < room ? (size_t)length : room - 1;
}

static void print_name(struct trace_text *text, const struct value_name *names, size_t count,
		       unsigned value)
{
	for (size_t i = 0; i < count; i++) {
		if (names[i].value == value) {
			trace_append(text, "%s", names[i].name);
			return;
		}
	}
	trace_append(text, "%u", value);
}

/* NAME|NAME, and what is left over as a number; of nothing a 0. */
static void print_flags(struct trace_text *text, const struct value_name *names, size_t count,
			unsigned flags)
{
	const char *between = "";

	for (size_t i = 0; i < count; i++) {
		if (!(flags & names[i].value))
			continue;
		trace_append(text, "%s%s", between, names[i].name);
		flags &= ~names[i].value;
		between = "|";
	}
	if (flags || !*between)
		trace_append(text, flags ? "%s%#x" : "%s%u", between, flags);
}

static void print_pointer(struct trace_text *text, long pointer)
{
	trace_append(text, pointer ? "%#lx" : "NULL", (unsigned long)pointer);
}

static void print_type(struct trace_text *text, unsigned type)
{
	const unsigned flags = SOCK_CLOEXEC | SOCK_NONBLOCK;

	/* accept4() has the flags alone. */
	if (type & ~flags)
		print_name(text, LIST(types), type & ~flags);
	if ((type & ~flags) && (type & flags))
		trace_append(text, "|");
	if (!(type & ~flags) || (type & flags))
		print_flags(text, LIST(type_flags), type & flags);
}

static void print_option(struct trace_text *text, int level, int name)
{
	const struct option *option = option_find(level, name);

	if (option && *option->name)
		trace_append(text, "%s", option->name);
	else
		trace_append(text, "%d", name);
}

static void print_address(struct trace_text *text, long pointer, socklen_t length)
{
	struct sockaddr_storage address = { .ss_family = AF_UNSPEC };
	const struct sockaddr_in *ipv4 = (const struct sockaddr_in *)&address;
	const struct sockaddr_in6 *ipv6 = (const struct sockaddr_in6 *)&address;
	char name[INET6_ADDRSTRLEN];

	if (!pointer || length < sizeof(address.ss_family) || length > sizeof(address) ||
	    !memory_copy_in(&address, (const void *)pointer, length)) {
		print_pointer(text, pointer);
	} else if (address.ss_family == AF_INET && length >= sizeof(*ipv4)) {
		inet_ntop(AF_INET, &ipv4->sin_addr, name, sizeof(name));
		trace_append(text, "%s:%u", name, ntohs(ipv4->sin_port));
	} else if (address.ss_family == AF_INET6 && length >= sizeof(*ipv6)) {
		inet_ntop(AF_INET6, &ipv6->sin6_addr, name, sizeof(name));
		trace_append(text, "[%s]:%u", name, ntohs(ipv6->sin6_port));
	} else {
		trace_append(text, "{");
		print_name(text, LIST(families), address.ss_family);
		trace_append(text, "}");
	}
}

/* Of an address that the call writes: a pointer to the length is the next argument. */
static void print_written_address(struct trace_text *text, const long *argument, long result)
{
	socklen_t length;

	if (result < 0 || !argument[0] ||
	    !memory_copy_in(&length, (const void *)argument[1], sizeof(length)))
		print_pointer(text, argument[0]);
	else
		print_address(text, argument[0], length);
}

static void print_length(struct trace_text *text, long pointer)
{
	socklen_t length;

	if (pointer && memory_copy_in(&length, (const void *)pointer, sizeof(length)))
		trace_append(text, "[%u]", length);
	else
		print_pointer(text, pointer);
}

/* The value of an option, if it is an int, as most are. */
static void print_int(struct trace_text *text, long pointer, socklen_t size)
{
	int value;

	if (pointer && size == sizeof(value) &&
	    memory_copy_in(&value, (const void *)pointer, sizeof(value)))
		trace_append(text, "[%d]", value);
	else
		print_pointer(text, pointer);
}

static void print_written_int(struct trace_text *text, const long *argument, long result)
{
	socklen_t size;

	if (result < 0 || !memory_copy_in(&size, (const void *)argument[1], sizeof(size)))
		print_pointer(text, argument[0]);
	else
		print_int(text, argument[0], size);
}

static void print_poll_set(struct trace_text *text, const long *argument)
{
	const struct pollfd *set = (const struct pollfd *)argument[0];
	const unsigned long count = (unsigned long)argument[1];
	struct pollfd one;

	trace_append(text, "[");
	for (unsigned long i = 0; i < count && i < ELEMENTS; i++) {
		if (!memory_copy_in(&one, &set[i], sizeof(one)))
			break;
		trace_append(text, "%s{%d, ", i ? ", " : "", one.fd);
		print_flags(text, LIST(poll_events), (unsigned short)one.events);
		if (one.revents) {
			trace_append(text, " -> ");
			print_flags(text, LIST(poll_events), (unsigned short)one.revents);
		}
		trace_append(text, "}");
	}
	trace_append(text, count > ELEMENTS ? ", ...]" : "]");
}

/* The kernel reads no more of a set than count says: the set need not be whole. */
static void print_set(struct trace_text *text, int count, long pointer)
{
	const char *between = "";
	fd_set set;

	FD_ZERO(&set);
	if (!pointer || count < 0 || count > FD_SETSIZE ||
	    !memory_copy_in(&set, (const void *)pointer, (size_t)(count + 7) / 8)) {
		print_pointer(text, pointer);
		return;
	}
	trace_append(text, "[");
	for (int each = 0; each < count; each++) {
		if (!FD_ISSET(each, &set))
			continue;
		trace_append(text, "%s%d", between, each);
		between = " ";
	}
	trace_append(text, "]");
}

static void print_epoll_events(struct trace_text *text, long pointer, long count)
{
	const struct epoll_event *events = (const struct epoll_event *)pointer;
	struct epoll_event one;

	for (long i = 0; i < count && i < ELEMENTS; i++) {
		if (!memory_copy_in(&one, &events[i], sizeof(one)))
			break;
		trace_append(text, "%s{", i ? ", " : "");
		print_flags(text, LIST(epoll_events), one.events);
		trace_append(text, ", %#llx}", (unsigned long long)one.data.u64);
	}
	if (count > ELEMENTS)
		trace_append(text, ", ...");
}

/* struct timespec and struct timeval are two longs. */
static void print_time(struct trace_text *text, long pointer)
{
	struct timespec time;

	_Static_assert(sizeof(struct timeval) == sizeof(struct timespec), "two longs");
	if (pointer && memory_copy_in(&time, (const void *)pointer, sizeof(time)))
		trace_append(text, "{%ld, %ld}", time.tv_sec, time.tv_nsec);
	else
		print_pointer(text, pointer);
}

/* Of those letters that stand for something that the argument points to. */
static void print_pointed_to(struct trace_text *text, char letter, const long *all, size_t index,
			     long result)
{
	const long *argument = &all[index];

	switch (letter) {
	case 'a':
		print_address(text, argument[0], (socklen_t)argument[1]);
		break;
	case 'A':
		print_written_address(text, argument, result);
		break;
	case 'i':
		print_int(text, argument[0], (socklen_t)argument[1]);
		break;
	case 'I':
		print_written_int(text, argument, result);
		break;
	case 'L':
		print_length(text, argument[0]);
		break;
	case 'P':
		print_poll_set(text, argument);
		break;
	case 'S':
		print_set(text, (int)all[0], argument[0]);
		break;
	case 'E':
		print_epoll_events(text, argument[0], argument[0] ? 1 : 0);
		break;
	case 'W':
		trace_append(text, "[");
		print_epoll_events(text, argument[0], result);
		trace_append(text, "]");
		break;
	default: /* T, V */
		print_time(text, argument[0]);
		break;
	}
}

static void print_argument(struct trace_text *text, char letter, const long *all, size_t index,
			   long result)
{
	const long value = all[index];

	switch (letter) {
	case 'd':
	case 'D':
	case 's':
	case 'n':
		trace_append(text, "%d", (int)value);
		break;
	case 'z':
		trace_append(text, "%lu", (unsigned long)value);
		break;
	case 'x':
		trace_append(text, "%#x", (unsigned)value);
		break;
	case 'X':
		trace_append(text, "%#lx", (unsigned long)value);
		break;
	case 'm':
		print_flags(text, LIST(message_flags), (unsigned)value);
		break;
	case 'k':
		print_type(text, (unsigned)value);
		break;
	case 'f':
		print_name(text, LIST(families), (unsigned)value);
		break;
	case 'H':
		print_name(text, LIST(ways_to_shut), (unsigned)value);
		break;
	case 'o':
		print_name(text, LIST(levels), (unsigned)value);
		break;
	case 'O':
		print_option(text, (int)all[index - 1], (int)value);
		break;
	case 'c':
		print_name(text, LIST(commands), (unsigned)value);
		break;
	case 'C':
		print_name(text, LIST(controls), (unsigned)value);
		break;
	default:
		print_pointed_to(text, letter, all, index, result);
		break;
	}
}

void trace_arguments(struct trace_text *text, const char *letters, const long *arguments,
		     long result)
{
	const char *between = "";

	for (size_t i = 0; letters[i]; i++) {
		if (letters[i] == '-')
			continue;
		trace_append(text, "%s", between);
		print_argument(text, letters[i], arguments, i, result);
		between = ", ";
	}
}

void trace_result(struct trace_text *text, long result, int error)
{
	const char *name = strerrorname_np(error);

	if (result != -1)
		trace_append(text, " = %ld", result);
	else
		trace_append(text, " = -1 %s (%s)", name ? name : "E?", strerrordesc_np(error));
}
