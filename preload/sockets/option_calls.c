/* SPDX-License-Identifier: BSD-3-Clause */
/* See option_calls.h. */
#include "preload/sockets/option_calls.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>

#include "common/option_table.h"
#include "preload/config/log.h"
#include "preload/libc/program_memory.h"
#include "preload/libc/symbols.h"
#include "preload/sockets/ancillary.h"
#include "preload/sockets/borrow_info.h"
#include "preload/sockets/pending.h"
#include "preload/sockets/socket_object.h"
#include "preload/sockets/twin_options.h"

/* ---- getsockopt ---- */

/* SO_PEERNAME. With too much room it is refused, as Linux's sock_getsockopt() does. */
static int get_peer_name(struct socket *socket, void *value, const socklen_t *length)
{
	struct sockaddr_storage name;
	socklen_t size = socket->domain == AF_INET ? sizeof(struct sockaddr_in)
						   : sizeof(struct sockaddr_in6);

	if (socket->instance->operations->name(socket->handle, true, &name) < 0)
		return -ENOTCONN;
	if (size < *length)
		return -EINVAL;
	memcpy(value, &name, *length);
	return 0;
}

/*
 * TCP_ZEROCOPY_RECEIVE. As Linux's tcp_zerocopy_receive() when no data fills whole pages: nothing
 * is mapped, and the program is told how many bytes it has to copy.
 */
static int get_zero_copy(struct socket *socket, void *value, socklen_t *length)
{
	struct tcp_zerocopy_receive *receive = value;
	uint32_t there = (uint32_t)ancillary_readable(socket);

	if (*length < offsetof(struct tcp_zerocopy_receive, length) + sizeof(receive->length))
		return -EINVAL;
	if (!there && (socket_readiness(socket) & EPOLLRDHUP))
		return -EIO;
	if (*length > sizeof(*receive))
		*length = sizeof(*receive);
	memset((char *)value + offsetof(struct tcp_zerocopy_receive, length), 0,
	       *length - offsetof(struct tcp_zerocopy_receive, length));
	if (*length >=
	    offsetof(struct tcp_zerocopy_receive, recv_skip_hint) + sizeof(receive->recv_skip_hint))
		receive->recv_skip_hint = there;
	if (*length >= offsetof(struct tcp_zerocopy_receive, inq) + sizeof(receive->inq))
		receive->inq = there;
	return 0;
}

/* Options of a connection that are answered here. -ENOPROTOOPT: it is none of these. */
static int get_from_here(struct socket *socket, int level, int name, void *value, socklen_t *length)
{
	if (atomic_load(&socket->state) != SOCKET_CONNECTION)
		return -ENOPROTOOPT;
	if (level == SOL_SOCKET && name == SO_PEERNAME)
		return get_peer_name(socket, value, length);
	if (level == IPPROTO_TCP && name == TCP_ZEROCOPY_RECEIVE)
		return get_zero_copy(socket, value, length);
	return -ENOPROTOOPT;
}

/*
 * Options of a borrowed connection for which it is given back first: the stack answers some in
 * fewer words than Linux; with others the twin would not be silent any more; and those of the third
 * kind tell and change what borrowing has made of the twin.
 */
enum kernels_call { CALL_GET = 1, CALL_SET = 2, CALL_BOTH = 3 };

static bool is_for_twin_alone(int level, int name, enum kernels_call call)
{
	static const struct {
		int level, name;
		enum kernels_call calls;
	} rows[] = {
		{ IPPROTO_TCP, TCP_CC_INFO, CALL_GET },
		{ IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, CALL_GET },
		{ SOL_SOCKET, SO_KEEPALIVE, CALL_SET },
		{ IPPROTO_TCP, TCP_USER_TIMEOUT, CALL_SET },
		{ SOL_SOCKET, SO_REUSEADDR, CALL_BOTH },
		{ SOL_SOCKET, SO_GET_FILTER, CALL_BOTH }, /* and SO_ATTACH_FILTER */
		{ SOL_SOCKET, SO_DETACH_FILTER, CALL_BOTH },
		{ SOL_SOCKET, SO_LOCK_FILTER, CALL_BOTH },
		{ IPPROTO_TCP, TCP_REPAIR, CALL_BOTH },
		{ IPPROTO_TCP, TCP_REPAIR_QUEUE, CALL_BOTH },
		{ IPPROTO_TCP, TCP_QUEUE_SEQ, CALL_BOTH },
		{ IPPROTO_TCP, TCP_REPAIR_OPTIONS, CALL_BOTH },
		{ IPPROTO_TCP, TCP_TIMESTAMP, CALL_BOTH },
		{ IPPROTO_TCP, TCP_REPAIR_WINDOW, CALL_BOTH },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].level == level && rows[i].name == name)
			return rows[i].calls & call;
	return false;
}

static bool is_read_from_kernel(const struct socket *socket, int level, int name)
{
	return atomic_load(&socket->borrowed) && is_for_twin_alone(level, name, CALL_GET);
}

/*
 * What the twin tells as it is: which algorithm and how large buffers the kernel has for the
 * connection, and that there are no options of IPv6 on a socket of IPv4.
 */
static bool is_told_by_twin(const struct socket *socket, int level, int name)
{
	if (level == IPPROTO_IPV6 && socket->domain == AF_INET)
		return true;
	return atomic_load(&socket->borrowed) &&
	       ((level == IPPROTO_TCP && name == TCP_CONGESTION) ||
		(level == SOL_SOCKET &&
		 (name == SO_RCVBUF || name == SO_SNDBUF || name == SO_BUF_LOCK)));
}

static bool is_borrowed_info(const struct socket *socket, int level, int name)
{
	return level == IPPROTO_TCP && name == TCP_INFO && atomic_load(&socket->borrowed);
}

int option_call_get(struct socket *socket, int twin, int level, int name, void *value,
		    socklen_t *length)
{
	int result = -ENOPROTOOPT;

	if (!memory_writable(length, sizeof(*length)))
		return -EFAULT;
	/*
	 * The kernel refuses a negative length at all levels but this one, which takes it for a
	 * large one.
	 */
	if ((int)*length < 0 && level == IPPROTO_IPV6)
		*length = sizeof(int);
	if ((int)*length > 0 && !memory_writable(value, *length))
		return -EFAULT;
	if (is_read_from_kernel(socket, level, name))
		return -ESTALE;
	if ((int)*length >= 0 && is_borrowed_info(socket, level, name))
		return borrow_info_get(socket, twin, value, length);
	if (socket_is_carried(socket) && (int)*length >= 0 &&
	    !is_told_by_twin(socket, level, name)) {
		result = get_from_here(socket, level, name, value, length);
		if (result == -ENOPROTOOPT)
			result = socket->instance->operations->get_option(socket->handle, level,
									  name, value, length);
	}
	if (result != -ENOPROTOOPT && result != -ESTALE)
		return result;
	return libc()->getsockopt(twin, level, name, value, length) < 0 ? -errno : 0;
}

/* ---- setsockopt ---- */

/* Logs that an option which melin does not know has no effect on the stack's flow. */
static void log_unknown_once(int level, int name)
{
	static _Atomic int last_level = -1, last_name = -1;

	if (atomic_exchange(&last_level, level) == level &&
	    atomic_exchange(&last_name, name) == name)
		return;
	atomic_store(&last_name, name);
	log_write(LOG_LEVEL_INFO, "setsockopt: level %d, option %d: set on the twin only", level,
		  name);
}

/*
 * Whether the twin need not be asked whether the value is right: for options that programs switch
 * before and after each message, and that are one number, of which every value is right.
 */
static bool needs_no_check(int level, int name, socklen_t length)
{
	return level == IPPROTO_TCP && length >= sizeof(int) && (int)length > 0 &&
	       (name == TCP_NODELAY || name == TCP_CORK || name == TCP_QUICKACK);
}

/* What kind of flow the socket has, OPTION_LISTEN or OPTION_CONNECT; 0: it is not decided yet. */
static unsigned decided_flow(const struct socket *socket)
{
	switch (atomic_load(&socket->state)) {
	case SOCKET_PENDING:
	case SOCKET_AWAITING:
	case SOCKET_LISTENER:
		return OPTION_LISTEN;
	case SOCKET_CONNECTION:
		return OPTION_CONNECT;
	default:
		return 0;
	}
}

/* Whether a connection of own mode has ended, as Linux sees it. */
static bool has_ended(const struct socket *socket)
{
	struct tcp_info info = { 0 };
	socklen_t length = sizeof(info);

	socket->instance->operations->get_option(socket->handle, IPPROTO_TCP, TCP_INFO, &info,
						 &length);
	return info.tcpi_state == 7 /* TCP_CLOSE */;
}

/*
 * Linux takes no clamp away from a window that is in use, which the twin of a connection of own
 * mode does not know of.
 */
static bool takes_clamp_away(const struct socket *socket, int level, int name, const void *value,
			     socklen_t length)
{
	int clamp = 1;

	if (level != IPPROTO_TCP || name != TCP_WINDOW_CLAMP || (int)length < (int)sizeof(clamp) ||
	    atomic_load(&socket->state) != SOCKET_CONNECTION || atomic_load(&socket->borrowed))
		return false;
	memcpy(&clamp, value, sizeof(clamp));
	return clamp == 0 && !has_ended(socket);
}

/*
 * An option that only the kernel serves comes too late when the flow is the stack's: then this is
 * the errno value for the program. 0: the option can be set.
 */
static int refused(struct socket *socket, const struct option *option, int name, const void *value,
		   socklen_t length)
{
	unsigned flow = decided_flow(socket);

	if (!flow || !option->refusal)
		return 0;
	if (!option->flows)
		return flow == OPTION_CONNECT ? option->refusal : 0;
	if (!(option->flows & flow) || (int)length < 0 ||
	    !twin_options_asks_kernel(option, name, value, length))
		return 0;
	/*
	 * A listener that nobody has used is not in the stack yet, and can still be the kernel's.
	 */
	if (flow == OPTION_LISTEN && pending_leave(socket, option->name))
		return 0;
	return option->refusal;
}

/*
 * The twin gets the option first: the kernel checks the value, and the kernel half of a dual
 * listener needs the option for its own connections.
 */
static int set_checked(struct socket *socket, int twin, const struct option *option, int level,
		       int name, const void *value, socklen_t length)
{
	if (libc()->setsockopt(twin, level, name, value, length) < 0)
		return -errno;
	if (option)
		twin_options_changed(socket, twin, option, level, name, value);
	else if (socket_is_carried(socket))
		log_unknown_once(level, name);
	return 0;
}

/* Of a borrowed connection: what melin does not know, and what only the kernel serves, too. */
static bool is_for_kernel(const struct socket *socket, const struct option *option, int level,
			  int name, int error)
{
	return atomic_load(&socket->borrowed) &&
	       (!option || error || is_for_twin_alone(level, name, CALL_SET));
}

/* With these the kernel keeps a connection, since it would not get the times back with it. */
static bool asks_for_times(int level, int name, const void *value, socklen_t length)
{
	int on = 0;

	return level == SOL_SOCKET && ancillary_is_of_times(name) && length >= sizeof(on) &&
	       memory_copy_in(&on, value, sizeof(on)) && on;
}

bool option_call_keeps(const struct socket *socket, int level, int name, const void *value,
		       socklen_t length)
{
	const struct option *option;

	if (atomic_load(&socket->state) != SOCKET_LENDABLE && !atomic_load(&socket->borrowed))
		return false;
	if (asks_for_times(level, name, value, length))
		return true;
	option = option_find(level, name);
	return option && (option->flows & (OPTION_CONNECT | OPTION_LOAN)) && (int)length > 0 &&
	       memory_readable(value, length) &&
	       twin_options_asks_kernel(option, name, value, length);
}

int option_call_set(struct socket *socket, int twin, int level, int name, const void *value,
		    socklen_t length)
{
	const struct option *option;
	int error;

	if ((int)length > 0 && !memory_readable(value, length))
		return -EFAULT;
	if (needs_no_check(level, name, length) && !socket->listener.dual &&
	    !atomic_load(&socket->borrowed) && socket_is_carried(socket))
		return socket->instance->operations->set_option(socket->handle, level, name, value,
								length);
	option = option_find(level, name);
	error = option ? refused(socket, option, name, value, length) : 0;
	if (is_for_kernel(socket, option, level, name, error))
		return -ESTALE;
	if (error)
		return -error;
	if (takes_clamp_away(socket, level, name, value, length))
		return -EINVAL;
	return set_checked(socket, twin, option, level, name, value, length);
}
