/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Socket options between the twin and the stack. Not for what an option does: that is the
 * stack's business, or the waiting calls' for time-outs.
 */
#include "options.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/time.h>

#include "log.h"
#include "memory.h"
#include "socket.h"
#include "symbols.h"

enum option_form {
	OPTION_PLAIN,	/* read from the twin, given to the stack */
	OPTION_DOUBLED, /* the kernel reports twice what was set */
	OPTION_TIMEOUT, /* preload's own: how long a blocking call waits */
	OPTION_TWIN,	/* the twin's alone; here because accept() inherits it */
};

/*
 * What a flow takes along, if the program set it while the twin was still the socket. Reading
 * it back from the twin needs no memory of values and gets the kernel's own checks and clamps.
 */
static const struct option {
	int level, name;
	enum option_form form;
} taken_along[] = {
	{ SOL_SOCKET, SO_KEEPALIVE, OPTION_PLAIN },
	{ SOL_SOCKET, SO_LINGER, OPTION_PLAIN },
	{ SOL_SOCKET, SO_RCVBUF, OPTION_DOUBLED },
	{ SOL_SOCKET, SO_SNDBUF, OPTION_DOUBLED },
	{ SOL_SOCKET, SO_RCVLOWAT, OPTION_PLAIN },
	{ SOL_SOCKET, SO_REUSEADDR, OPTION_PLAIN },
	{ SOL_SOCKET, SO_REUSEPORT, OPTION_PLAIN },
	{ SOL_SOCKET, SO_RCVTIMEO, OPTION_TIMEOUT },
	{ SOL_SOCKET, SO_SNDTIMEO, OPTION_TIMEOUT },
	{ IPPROTO_TCP, TCP_NODELAY, OPTION_PLAIN },
	{ IPPROTO_TCP, TCP_CORK, OPTION_PLAIN },
	{ IPPROTO_TCP, TCP_QUICKACK, OPTION_PLAIN },
	{ IPPROTO_TCP, TCP_MAXSEG, OPTION_PLAIN },
	{ IPPROTO_TCP, TCP_KEEPIDLE, OPTION_PLAIN },
	{ IPPROTO_TCP, TCP_KEEPINTVL, OPTION_PLAIN },
	{ IPPROTO_TCP, TCP_KEEPCNT, OPTION_PLAIN },
	{ IPPROTO_TCP, TCP_USER_TIMEOUT, OPTION_PLAIN },
	{ IPPROTO_IP, IP_TOS, OPTION_PLAIN },
	{ IPPROTO_IP, IP_TTL, OPTION_PLAIN },
	{ IPPROTO_IPV6, IPV6_TCLASS, OPTION_PLAIN },
	{ IPPROTO_IPV6, IPV6_UNICAST_HOPS, OPTION_PLAIN },
	{ IPPROTO_IP, IP_RECVERR, OPTION_PLAIN },
	{ IPPROTO_IP, IP_MTU_DISCOVER, OPTION_PLAIN },
	{ IPPROTO_IPV6, IPV6_RECVERR, OPTION_PLAIN },
	{ IPPROTO_IPV6, IPV6_MTU_DISCOVER, OPTION_PLAIN },
	{ SOL_SOCKET, SO_OOBINLINE, OPTION_PLAIN },
	{ SOL_SOCKET, SO_MARK, OPTION_TWIN },
	{ IPPROTO_TCP, TCP_LINGER2, OPTION_TWIN },
	{ IPPROTO_TCP, TCP_SYNCNT, OPTION_PLAIN },
	{ IPPROTO_TCP, TCP_WINDOW_CLAMP, OPTION_TWIN },
	{ IPPROTO_TCP, TCP_NOTSENT_LOWAT, OPTION_TWIN },
};
#define OPTIONS (sizeof(taken_along) / sizeof(taken_along[0]))
_Static_assert(OPTIONS <= 64, "options_set has a bit for each");

static const struct option *find(int level, int name)
{
	for (size_t i = 0; i < OPTIONS; i++)
		if (taken_along[i].level == level && taken_along[i].name == name)
			return &taken_along[i];
	return NULL;
}

/* Who sets it waits for completions on the error queue, which only the kernel has. */
static bool is_kernel_only(int level, int name)
{
	return level == SOL_SOCKET && name == SO_ZEROCOPY;
}

void options_remember(struct socket *socket, int level, int name)
{
	const struct option *option = find(level, name);

	if (option)
		socket->options_set |= 1ull << (option - taken_along);
	if (is_kernel_only(level, name))
		socket->kernel_only = true;
}

void options_assume(struct socket *socket)
{
	for (size_t i = 0; i < OPTIONS; i++)
		if (taken_along[i].form != OPTION_DOUBLED && taken_along[i].form != OPTION_TWIN &&
		    taken_along[i].name != TCP_MAXSEG && taken_along[i].name != TCP_SYNCNT)
			socket->options_set |= 1ull << i;
}

static _Atomic uint64_t *timeout_field(struct socket *socket, int name)
{
	return name == SO_RCVTIMEO ? &socket->receive_timeout : &socket->send_timeout;
}

/* The kernel has checked the value; read it back from there. */
static void adopt_timeout(struct socket *socket, int twin, int name)
{
	struct timeval value = { 0 };
	socklen_t length = sizeof(value);

	if (libc()->getsockopt(twin, SOL_SOCKET, name, &value, &length) == 0)
		atomic_store(timeout_field(socket, name), (uint64_t)value.tv_sec * 1000000000u +
								  (uint64_t)value.tv_usec * 1000u);
}

/* The value as the kernel has taken it, checked and clamped. */
static void give_to_stack(struct socket *socket, int twin, const struct option *option)
{
	union {
		int number;
		struct linger linger;
	} value = { 0 };
	socklen_t length = sizeof(value);

	if (libc()->getsockopt(twin, option->level, option->name, &value, &length) < 0)
		return;
	if (option->form == OPTION_DOUBLED)
		value.number /= 2;
	socket->instance->operations->set_option(socket->handle, option->level, option->name,
						 &value, length);
}

void options_adopt(struct socket *socket, int twin)
{
	for (size_t i = 0; i < OPTIONS; i++) {
		const struct option *option = &taken_along[i];

		if (!(socket->options_set & (1ull << i)))
			continue;
		if (option->form == OPTION_TIMEOUT)
			adopt_timeout(socket, twin, option->name);
		else if (option->form != OPTION_TWIN)
			give_to_stack(socket, twin, option);
	}
}

void options_inherit(const struct socket *listener, int listener_twin, struct socket *socket,
		     int twin)
{
	for (size_t i = 0; i < OPTIONS; i++) {
		const struct option *option = &taken_along[i];
		char value[sizeof(struct timeval)];
		socklen_t length = sizeof(value);

		/* What the stack knows it inherits itself. */
		if (!(listener->options_set & (1ull << i)) ||
		    (option->form != OPTION_TIMEOUT && option->form != OPTION_TWIN))
			continue;
		if (libc()->getsockopt(listener_twin, option->level, option->name, value,
				       &length) == 0)
			libc()->setsockopt(twin, option->level, option->name, value, length);
		socket->options_set |= 1ull << i;
	}
}

/* The options of IP fit a byte, and the kernel fills only that if there is no room for more. */
static void shorten(int level, socklen_t asked, socklen_t *length)
{
	if (level == IPPROTO_IP && asked > 0 && asked < sizeof(int))
		*length = 1;
}

int options_get(struct socket *socket, int twin, int level, int name, void *value,
		socklen_t *length)
{
	int result = -ENOPROTOOPT;
	socklen_t asked;

	if (!memory_writable(length, sizeof(*length)) ||
	    ((int)*length > 0 && !memory_writable(value, *length)))
		return -EFAULT;
	asked = *length;
	/* The kernel has an opinion on each level about a negative length. */
	if (socket_instance(socket) && (int)asked >= 0)
		result = socket->instance->operations->get_option(socket->handle, level, name,
								  value, length);
	if (result == 0)
		shorten(level, asked, length);
	if (result != -ENOPROTOOPT)
		return result;
	return libc()->getsockopt(twin, level, name, value, length) < 0 ? -errno : 0;
}

/* An option that only the kernel knows changes nothing for a flow that it does not carry. */
static void log_unknown_once(int level, int name)
{
	static _Atomic int last_level = -1, last_name = -1;

	if (atomic_exchange(&last_level, level) == level &&
	    atomic_exchange(&last_name, name) == name)
		return;
	atomic_store(&last_name, name);
	log_write(STACK_LOG_INFO, "setsockopt: level %d, option %d: set on the twin only", level,
		  name);
}

/*
 * What programs switch before and after each message: one number that any value fits, so that there
 * is nothing that the kernel would have to check.
 */
static bool needs_no_check(int level, int name, socklen_t length)
{
	return level == IPPROTO_TCP && length >= sizeof(int) && (int)length > 0 &&
	       (name == TCP_NODELAY || name == TCP_CORK || name == TCP_QUICKACK);
}

/*
 * The kernel checks and clamps, with its own limits and errors; the stack gets what came of it. The
 * kernel half of a dual listener gives its connections the same.
 */
static int set_decided(struct socket *socket, int twin, int level, int name, const void *value,
		       socklen_t length)
{
	const struct option *option = find(level, name);
	int result = 0;

	if (level == IPPROTO_IPV6 && name == IPV6_V6ONLY)
		return -EINVAL; /* too late: the twin may not know */
	if (is_kernel_only(level, name))
		return -EOPNOTSUPP;
	if (!socket->dual && needs_no_check(level, name, length))
		return socket->instance->operations->set_option(socket->handle, level, name, value,
								length);
	if (libc()->setsockopt(twin, level, name, value, length) < 0)
		return -errno;
	options_remember(socket, level, name);
	if (!option)
		result = socket->instance->operations->set_option(socket->handle, level, name,
								  value, length);
	else if (option->form == OPTION_PLAIN || option->form == OPTION_DOUBLED)
		give_to_stack(socket, twin, option);
	if (result == -ENOPROTOOPT)
		log_unknown_once(level, name);
	return 0;
}

int options_set(struct socket *socket, int twin, int level, int name, const void *value,
		socklen_t length)
{
	const struct option *option = find(level, name);

	if ((int)length > 0 && !memory_readable(value, length))
		return -EFAULT;
	if (socket_instance(socket) && !(option && option->form == OPTION_TIMEOUT))
		return set_decided(socket, twin, level, name, value, length);
	if (libc()->setsockopt(twin, level, name, value, length) < 0)
		return -errno;
	options_remember(socket, level, name);
	if (option && option->form == OPTION_TIMEOUT)
		adopt_timeout(socket, twin, name);
	return 0;
}
