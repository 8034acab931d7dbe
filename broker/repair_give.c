/* SPDX-License-Identifier: BSD-3-Clause */
/* repair.h's other half: a connection is put back into the kernel's socket. */
#include "broker/repair.h"

#include <errno.h>
#include <limits.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/uio.h>

#include "broker/repair_calls.h"
#include "common/system_call.h"

#define LOOPBACK 1 /* LOOPBACK_IFINDEX of include/net/flow.h */

/* TCP option kinds, as struct tcp_repair_opt wants them: RFC 9293 3.1, RFC 7323, RFC 2018. */
#define OPTION_SEGMENT	  2
#define OPTION_SCALE	  3
#define OPTION_SACK	  4
#define OPTION_TIMESTAMPS 8

#define STATE_CLOSE 7 /* TCP_CLOSE of include/net/tcp_states.h */

/* Sets the timestamp, rounded up to an even number: the kernel's clock is one of milliseconds. */
static int write_timestamp(int descriptor, const struct connection_state *state)
{
	return set_int(descriptor, TCP_TIMESTAMP, (int)((state->timestamp + 1) & ~1u));
}

static socklen_t size_of(const struct sockaddr_storage *name)
{
	return name->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
					   : sizeof(struct sockaddr_in);
}

static int connect_to(int descriptor, const void *name, socklen_t size)
{
	return (int)kernel_call(SYS_connect, descriptor, (long)name, (long)size, 0);
}

/* A name for bind() and connect(): stacks do not know the interface of link-local addresses. */
static struct sockaddr_storage scoped(const struct sockaddr_storage *name, unsigned interface)
{
	struct sockaddr_storage result = *name;
	struct sockaddr_in6 *in6 = (void *)&result;

	if (result.ss_family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&in6->sin6_addr) &&
	    in6->sin6_scope_id == 0)
		in6->sin6_scope_id = interface;
	return result;
}

/* What helps bind() and connect() where the address, the route or the interface has gone. */
struct makeshift {
	bool is_transparent, is_bound;
	int transparent, bound; /* as the program has set them */
};

static int transparent_name(const struct connection_state *state)
{
	return state->local.ss_family == AF_INET6 ? IPV6_TRANSPARENT : IP_TRANSPARENT;
}

static int transparent_level(const struct connection_state *state)
{
	return state->local.ss_family == AF_INET6 ? IPPROTO_IPV6 : IPPROTO_IP;
}

/* A connection outlives its address: ip(7), IP_TRANSPARENT. */
static int allow_any_address(int descriptor, const struct connection_state *state,
			     struct makeshift *makeshift)
{
	makeshift->is_transparent = true;
	return get_int(descriptor, transparent_level(state), transparent_name(state),
		       &makeshift->transparent)
		       ?: kernel_set_int(descriptor, transparent_level(state),
					 transparent_name(state), 1);
}

/* The loopback address as the only stop of a routing header: RFC 8754, section 2. */
static const struct {
	uint8_t next, length, type, stops_left, last_stop, flags;
	uint16_t tag;
	struct in6_addr stop;
} loopback_route = { .length = 2, .type = 4, .stop = IN6ADDR_LOOPBACK_INIT };

static int set_first_stop(int descriptor, const struct connection_state *state, const void *header,
			  size_t size)
{
	return state->local.ss_family != AF_INET6
		       ? 0
		       : kernel_set_option(descriptor, IPPROTO_IPV6, IPV6_RTHDR, header, size);
}

/*
 * A connection outlives its route, too. IPv4 takes a host that it has no route to for a neighbour,
 * if the socket is bound to an interface; IPv6 looks for the route to the first stop of a routing
 * header. Only connect() looks for a route at once; what is sent later is sent when there is one.
 * The loopback interface is always the first one, and up.
 */
static int allow_no_route(int descriptor, const struct connection_state *state,
			  struct makeshift *makeshift)
{
	makeshift->is_bound = true;
	return get_int(descriptor, SOL_SOCKET, SO_BINDTOIFINDEX, &makeshift->bound)
		       ?: set_socket_int(descriptor, SO_BINDTOIFINDEX, LOOPBACK)
		       ?: set_first_stop(descriptor, state, &loopback_route,
					 sizeof(loopback_route));
}

static int end_makeshift(int descriptor, const struct connection_state *state,
			 const struct makeshift *makeshift)
{
	int error = 0;

	if (makeshift->is_bound)
		error = set_socket_int(descriptor, SO_BINDTOIFINDEX, makeshift->bound)
				?: set_first_stop(descriptor, state, NULL, 0);
	if (makeshift->is_transparent)
		error = error
				?: kernel_set_int(descriptor, transparent_level(state),
						  transparent_name(state), makeshift->transparent);
	return error;
}

static int bind_to(int descriptor, const struct connection_state *state)
{
	const struct sockaddr_storage local = scoped(&state->local, state->path.interface);
	int error = (int)kernel_call(SYS_bind, descriptor, (long)&local, (long)size_of(&local), 0);

	return error == -EINVAL ? 0 : error;
}

int repair_dissolve(int descriptor)
{
	const struct sockaddr nobody = { .sa_family = AF_UNSPEC };

	return connect_to(descriptor, &nobody, sizeof(nobody));
}

/*
 * In repair mode the kernel sends nothing when a connection is dissolved, and its queues are gone.
 * An accepted socket loses its port as well, but only the first time; afterwards the kernel says
 * EINVAL to bind().
 */
static int disconnect(int descriptor, const struct connection_state *state,
		      struct makeshift *makeshift)
{
	int error = repair_dissolve(descriptor);

	error = error ?: set_int(descriptor, TCP_REPAIR, TCP_REPAIR_ON);
	error = error ?: bind_to(descriptor, state);
	if (error != -EADDRNOTAVAIL)
		return error;
	return allow_any_address(descriptor, state, makeshift) ?: bind_to(descriptor, state);
}

/*
 * Whether connect(2) has failed because there is no route, or one that says "unreachable",
 * "blackhole" or "prohibit".
 */
static bool is_for_want_of_route(int error)
{
	return error == -ENETUNREACH || error == -EHOSTUNREACH || error == -ENODEV ||
	       error == -EINVAL || error == -EACCES;
}

/* The most that TCP_MAXSEG takes, MAX_TCP_WINDOW of net/tcp.h; Ethernet has less. */
#define SEGMENT_MAX 32767

static bool is_over_ipv4(const struct connection_state *state)
{
	const struct sockaddr_in6 *in6 = (const void *)&state->remote;

	return state->remote.ss_family == AF_INET || IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr);
}

/*
 * Whether the kernel can be had to compute its segments anew once it knows what the peer takes:
 * compute_segment().
 */
static bool is_computed_anew(const struct connection_state *state)
{
	return state->advertised_segment && is_over_ipv4(state);
}

/*
 * How far the window may be opened, as the kernel or the program has set it (tcp(7),
 * TCP_WINDOW_CLAMP), is lost when a connection is dissolved. connect() chooses a scale by it, as
 * for a SYN, and TCP_REPAIR_OPTIONS can change that but not take it away: a peer that does not
 * scale would be told of a small part of the window. So without scaling it is never more than the
 * window's field can say, which the kernel sees to itself after a handshake.
 */
static void keep_clamp(int descriptor, const struct connection_state *state, int clamp)
{
	const int most = state->scaled ? INT_MAX : UINT16_MAX;

	set_int(descriptor, TCP_WINDOW_CLAMP, clamp > 0 && clamp < most ? clamp : most);
}

/*
 * connect() computes how large the kernel's segments are, and does not know yet what the peer
 * takes: they would be of 536 bytes, since TCP_REPAIR_OPTIONS does not compute it anew. So the
 * kernel is given TCP_MAXSEG to go by, which means nothing to a connection that is established.
 * The same number becomes what it believes to have announced, from which the length of the options
 * is taken off at a handshake only.
 */
static int connect_again(int descriptor, const struct connection_state *state,
			 struct makeshift *makeshift)
{
	const struct sockaddr_storage remote = scoped(&state->remote, state->path.interface);
	const int segment =
		is_computed_anew(state) ? state->advertised_segment : state->largest_segment;
	int error;

	set_int(descriptor, TCP_MAXSEG, segment < SEGMENT_MAX ? segment : SEGMENT_MAX);
	error = connect_to(descriptor, &remote, size_of(&remote));
	/* Of AF_INET6 one that kept its port is not bound anew: its address matters only now. */
	if (is_for_want_of_route(error) && !makeshift->is_transparent)
		allow_any_address(descriptor, state, makeshift);
	if (is_for_want_of_route(error))
		error = allow_no_route(descriptor, state, makeshift)
				?: connect_to(descriptor, &remote, size_of(&remote));
	set_int(descriptor, TCP_MAXSEG, 0);
	return error;
}

/*
 * Of IPv4 the size of segments depends on the options of its header, and is computed when they are
 * set, be they the same as before. Of IPv6 there is no such call: there the announced size differs
 * by the length of TCP's options. If that fails, behind a filter for system calls, say, or for want
 * of memory, the segments stay small, which is no reason to lose the connection.
 */
static void compute_segment(int descriptor, const struct connection_state *state)
{
	uint8_t options[40];
	socklen_t size = sizeof(options);

	if (is_computed_anew(state) && get(descriptor, IPPROTO_IP, IP_OPTIONS, options, &size) == 0)
		kernel_set_option(descriptor, IPPROTO_IP, IP_OPTIONS, options, size);
}

static int set_number(int descriptor, int queue, uint32_t number)
{
	return set_int(descriptor, TCP_REPAIR_QUEUE, queue)
		       ?: set_int(descriptor, TCP_QUEUE_SEQ, (int)number);
}

static int write_options(int descriptor, const struct connection_state *state)
{
	struct tcp_repair_opt options[4];
	unsigned count = 0;

	options[count++] = (struct tcp_repair_opt){ .opt_code = OPTION_SEGMENT,
						    .opt_val = state->largest_segment };
	if (state->scaled)
		options[count++] =
			(struct tcp_repair_opt){ .opt_code = OPTION_SCALE,
						 .opt_val = state->send_scale |
							    (uint32_t)state->receive_scale << 16 };
	if (state->sack)
		options[count++] = (struct tcp_repair_opt){ .opt_code = OPTION_SACK };
	if (state->timestamps)
		options[count++] = (struct tcp_repair_opt){ .opt_code = OPTION_TIMESTAMPS };
	return kernel_set_option(descriptor, IPPROTO_TCP, TCP_REPAIR_OPTIONS, options,
				 count * sizeof(options[0]));
}

/* The kernel allocates memory for each write in one piece, so that pieces have to be small. */
#define WRITE_MAX (32 << 10)

static ssize_t write_some(int descriptor, const uint8_t *data, size_t size, int flags)
{
	struct iovec part = { .iov_base = (void *)(uintptr_t)data,
			      .iov_len = size < WRITE_MAX ? size : WRITE_MAX };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

	return kernel_call(SYS_sendmsg, descriptor, (long)&message,
			   flags | MSG_NOSIGNAL | MSG_DONTWAIT, 0);
}

/*
 * Makes room for so many bytes more in the buffer of the queue, which the stack's may exceed. The
 * kernel would go on tuning the size if the program has not set it, so it is told that nobody has.
 */
static int grow(int descriptor, int queue, size_t size)
{
	const bool sends = queue == TCP_SEND_QUEUE;
	int before = 0, locks = 0, error;

	error = get_int(descriptor, SOL_SOCKET, sends ? SO_SNDBUF : SO_RCVBUF, &before);
	error = error ?: get_int(descriptor, SOL_SOCKET, SO_BUF_LOCK, &locks);
	/*
	 * The kernel counts whole buffers, which are larger than the data in them, and doubles the
	 * size that it is told.
	 */
	error = error
			?: set_socket_int(descriptor, sends ? SO_SNDBUFFORCE : SO_RCVBUFFORCE,
					  before / 2 + (int)size);
	return error ?: set_socket_int(descriptor, SO_BUF_LOCK, locks);
}

/* A full receive queue answers with ENOMEM, since Linux 6.17 with ENOBUFS. */
static bool is_full(ssize_t error)
{
	return error == -EAGAIN || error == -ENOMEM || error == -ENOBUFS;
}

/*
 * Writes these bytes into the queue, which gets in_all bytes in the end. The queue has been chosen,
 * or the connection is established. The kernel takes a piece whole that begins within the buffer,
 * so the queue may be over-full by far: the buffer is made large enough for what is in it already,
 * too.
 */
static int write_whole(int descriptor, int queue, const uint8_t *data, size_t size, size_t in_all,
		       int flags)
{
	int error = 0, grown = 0;

	while (error == 0 && size > 0) {
		ssize_t done = write_some(descriptor, data, size, flags);

		if (done > 0) {
			data += done;
			size -= (size_t)done;
		} else if (is_full(done)) {
			error = grown++ < 2 ? grow(descriptor, queue, in_all) : -ENOBUFS;
		} else {
			error = done < 0 ? (int)done : -ENOBUFS;
		}
	}
	return error;
}

/*
 * In repair what is written into the receive queue has been received, and what is written into the
 * send queue has been sent.
 */
static int write_queue(int descriptor, int queue, const uint8_t *data, size_t size, size_t in_all)
{
	int error = size ? set_int(descriptor, TCP_REPAIR_QUEUE, queue) : 0;

	return error ?: write_whole(descriptor, queue, data, size, in_all, 0);
}

/*
 * Writes the bytes of send_data from one place to another. The last one that is urgent is written
 * as such, so that the kernel goes on telling the peer of it.
 */
static int write_sent(int descriptor, const struct connection_state *state, size_t from, size_t to)
{
	const uint8_t *data = state->send_data;
	const size_t all = state->send_size;
	const size_t urgent = state->urgent_end - state->send_unacknowledged;
	int error = 0;

	if (state->sends_urgent && urgent > from && urgent <= to) {
		error = write_whole(descriptor, TCP_SEND_QUEUE, data + from, urgent - 1 - from, all,
				    0);
		error = error
				?: write_whole(descriptor, TCP_SEND_QUEUE, data + urgent - 1, 1,
					       all, MSG_OOB);
		from = urgent;
	}
	return error ?: write_whole(descriptor, TCP_SEND_QUEUE, data + from, to - from, all, 0);
}

/* The number of the first byte in receive_data. */
static uint32_t first_unread(const struct connection_state *state)
{
	return state->receive_next - (uint32_t)state->receive_size;
}

/* So many bytes are unread before the urgent one that is among them; if none is, all are. */
static size_t size_before_mark(const struct connection_state *state)
{
	const uint32_t before = state->urgent_number - first_unread(state);

	return repair_has_mark(state) ? before : state->receive_size;
}

bool repair_has_mark(const struct connection_state *state)
{
	return (state->urgent == CONNECTION_URGENT_THERE ||
		state->urgent == CONNECTION_URGENT_READ) &&
	       state->urgent_number - first_unread(state) < state->receive_size;
}

/*
 * The kernel refuses a window before the receive queue is filled. What is not in the queue yet is
 * within the window.
 */
static int write_window(int descriptor, const struct connection_state *state)
{
	const uint32_t missing = (uint32_t)(state->receive_size - size_before_mark(state));
	const struct tcp_repair_window window = {
		.snd_wl1 = state->send_wl1,
		.snd_wnd = state->send_window,
		.max_window = state->send_window_max,
		.rcv_wnd = state->receive_window + missing,
		.rcv_wup = state->receive_window_start - missing,
	};

	return kernel_set_option(descriptor, IPPROTO_TCP, TCP_REPAIR_WINDOW, &window,
				 sizeof(window));
}

static int write_all(int descriptor, const struct connection_state *state)
{
	struct makeshift makeshift = { 0 };
	int clamp = 0, error;

	get_int(descriptor, IPPROTO_TCP, TCP_WINDOW_CLAMP, &clamp);
	error = disconnect(descriptor, state, &makeshift);
	if (!error)
		keep_clamp(descriptor, state, clamp);
	error = error ?: set_number(descriptor, TCP_SEND_QUEUE, state->send_unacknowledged);
	error = error ?: set_number(descriptor, TCP_RECV_QUEUE, first_unread(state));
	error = error ?: connect_again(descriptor, state, &makeshift);
	error = error ?: end_makeshift(descriptor, state, &makeshift);
	error = error ?: write_options(descriptor, state);
	if (!error)
		compute_segment(descriptor, state);
	if (state->timestamps)
		error = error ?: write_timestamp(descriptor, state);
	error = error
			?: write_queue(descriptor, TCP_RECV_QUEUE, state->receive_data,
				       size_before_mark(state), state->receive_size);
	error = error ?: set_int(descriptor, TCP_REPAIR_QUEUE, TCP_SEND_QUEUE);
	error = error ?: write_sent(descriptor, state, 0, connection_state_sent(state));
	return error ?: write_window(descriptor, state);
}

bool repair_is_destroyed(int descriptor)
{
	struct tcp_info info = { 0 };
	socklen_t size = sizeof(info);

	return get(descriptor, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 &&
	       info.tcpi_state == STATE_CLOSE;
}

/*
 * The first of the two tells the peer by a RST; the second, in repair mode, leaves the error that
 * tcp_abort() leaves.
 */
void repair_destroy(int descriptor)
{
	repair_dissolve(descriptor);
	set_int(descriptor, TCP_REPAIR, TCP_REPAIR_ON);
	repair_dissolve(descriptor);
	set_int(descriptor, TCP_REPAIR, TCP_REPAIR_OFF_NO_WP);
}

/*
 * The connection is lost. Outside repair mode its end goes to the peer as a RST; in it the peer
 * hears nothing. So that the program hears of ECONNABORTED the mode ends, if that is still allowed.
 * -EPERM would say that nothing has been changed, so that a call that is not allowed is -EACCES.
 */
static int give_up(int descriptor, int error)
{
	repair_dissolve(descriptor);
	set_int(descriptor, TCP_REPAIR, TCP_REPAIR_OFF_NO_WP);
	return error == -EPERM ? -EACCES : error;
}

/* A message that recvmmsg(2) cannot take, for that error; false: none is known. */
static bool make_bad(struct msghdr *message, int error)
{
	struct iovec *const nowhere = (struct iovec *)(uintptr_t)1;

	*message = (struct msghdr){ .msg_iov = nowhere, .msg_iovlen = 1 };
	if (error == EMSGSIZE)
		message->msg_iovlen = IOV_MAX + 1;
	else if (error == EINVAL)
		*message = (struct msghdr){ .msg_name = nowhere, .msg_namelen = (socklen_t)-1 };
	return error == EFAULT || error == EMSGSIZE || error == EINVAL;
}

/*
 * Only recvmmsg(2) itself gives a socket such an error, by its second message, if the first one
 * succeeds. In repair mode a look at the send queue does, whatever is in there; it copies all of
 * it, which is what the state has.
 */
static int leave_error(int descriptor, const struct connection_state *state)
{
	struct iovec part = { .iov_base = state->send_data, .iov_len = state->send_size };
	struct mmsghdr messages[2] = { { .msg_hdr = { .msg_iov = &part, .msg_iovlen = 1 } } };

	if (!make_bad(&messages[1].msg_hdr, state->left_error) ||
	    set_int(descriptor, TCP_REPAIR, TCP_REPAIR_ON) < 0)
		return 0;
	if (set_int(descriptor, TCP_REPAIR_QUEUE, TCP_SEND_QUEUE) == 0)
		kernel_call5(SYS_recvmmsg, descriptor, (long)messages, 2, MSG_PEEK | MSG_DONTWAIT,
			     0);
	return repair_cancel(descriptor, state);
}

int repair_give(int descriptor, const struct connection_state *state)
{
	/*
	 * Repair mode is on already; setting it anew only tells whether the rights are still there.
	 */
	int error = set_int(descriptor, TCP_REPAIR, TCP_REPAIR_ON);

	if (error == -EPERM)
		return error;
	error = error ?: write_all(descriptor, state);
	if (error)
		return give_up(descriptor, error);
	error = repair_cancel(descriptor, state);
	/* It is established and silent, as before: whoever has the rights still can begin anew. */
	if (error == -EPERM && kernel_get_int(descriptor, IPPROTO_TCP, TCP_REPAIR))
		return error;
	error = error
			?: write_sent(descriptor, state, connection_state_sent(state),
				      state->send_size);
	if (error == 0 && state->left_error)
		error = leave_error(descriptor, state);
	/* The connection must not go on with a hole in its data. */
	return error ? give_up(descriptor, error) : 0;
}

/* What the socket does not have yet. It has the urgent byte if that has come in. */
static int write_rest(int descriptor, const struct connection_state *state)
{
	uint32_t number = 0, done;
	int error = read_number(descriptor, TCP_RECV_QUEUE, &number);

	done = number - first_unread(state);
	if (error || done > state->receive_size)
		return error ?: -EPROTO;
	return write_queue(descriptor, TCP_RECV_QUEUE, state->receive_data + done,
			   state->receive_size - done, state->receive_size);
}

int repair_give_rest(int descriptor, const struct connection_state *state)
{
	uint8_t byte;
	int error = set_int(descriptor, TCP_REPAIR, TCP_REPAIR_ON);

	error = error ?: write_rest(descriptor, state);
	error = error ?: repair_cancel(descriptor, state);
	if (error)
		return give_up(descriptor, error);
	if (state->urgent == CONNECTION_URGENT_READ)
		kernel_call5(SYS_recvfrom, descriptor, (long)&byte, 1, MSG_OOB | MSG_DONTWAIT, 0);
	return 0;
}
