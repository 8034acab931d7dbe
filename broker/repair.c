/* SPDX-License-Identifier: BSD-3-Clause */
/* See repair.h. */
#include "broker/repair.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

#include "common/system_call.h"

#define LOOPBACK 1 /* LOOPBACK_IFINDEX of include/net/flow.h */

#ifndef TCP_IS_MPTCP /* Linux 6.2 */
#define TCP_IS_MPTCP 43
#endif

/*
 * The connection's timestamps count microseconds: Linux 6.7, where a route says so. The lowest bit
 * of TCP_TIMESTAMP stands for that, so that a clock of milliseconds is told and set by twos.
 */
#ifndef TCPI_OPT_USEC_TS
#define TCPI_OPT_USEC_TS 64
#endif

/* TCP option kinds, as struct tcp_repair_opt wants them: RFC 9293 3.1, RFC 7323, RFC 2018. */
#define OPTION_SEGMENT	  2
#define OPTION_SCALE	  3
#define OPTION_SACK	  4
#define OPTION_TIMESTAMPS 8

#define STATE_ESTABLISHED 1 /* TCP_ESTABLISHED and TCP_CLOSE of include/net/tcp_states.h */
#define STATE_CLOSE	  7

/* ---- system calls by instruction ---- */

static int set_int(int descriptor, int name, int value)
{
	return kernel_set_int(descriptor, IPPROTO_TCP, name, value);
}

static int set_socket_int(int descriptor, int name, int value)
{
	return kernel_set_int(descriptor, SOL_SOCKET, name, value);
}

static int get(int descriptor, int level, int name, void *value, socklen_t *size)
{
	return (int)kernel_call5(SYS_getsockopt, descriptor, level, name, (long)value, (long)size);
}

static int get_int(int descriptor, int level, int name, void *value)
{
	socklen_t size = sizeof(int);

	return get(descriptor, level, name, value, &size);
}

/* ---- reading ---- */

enum repair_refusal repair_refusal_of(int error)
{
	switch (error) {
	case 0:
		return REPAIR_FIT;
	case -EPERM:
		return REPAIR_RIGHTS;
	case -ENOTCONN:
		return REPAIR_STATE;
	case -EAGAIN:
		return REPAIR_BUSY;
	case -EBUSY:
		return REPAIR_ULP;
	case -EEXIST:
		return REPAIR_FILTER;
	case -EMSGSIZE:
		return REPAIR_BUFFER;
	default:
		return REPAIR_FAILED;
	}
}

/*
 * From now on no segment reaches the socket, so that the kernel neither acknowledges nor refuses
 * anything.
 */
static int silence(int descriptor, int silencer)
{
	struct sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
	const struct sock_fprog program = { .len = 1, .filter = &nothing };

	if (silencer >= 0)
		return set_socket_int(descriptor, SO_ATTACH_BPF, silencer);
	return kernel_set_option(descriptor, SOL_SOCKET, SO_ATTACH_FILTER, &program,
				 sizeof(program));
}

static int unsilence(int descriptor)
{
	int unused = 0;

	return kernel_set_option(descriptor, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof(unused));
}

static int read_names(int descriptor, struct connection_state *state)
{
	socklen_t size = sizeof(state->local);
	int error =
		(int)kernel_call(SYS_getsockname, descriptor, (long)&state->local, (long)&size, 0);

	size = sizeof(state->remote);
	return error
		       ?: (int)kernel_call(SYS_getpeername, descriptor, (long)&state->remote,
					   (long)&size, 0);
}

/*
 * With ECN (RFC 3168) each end tells the other of marks that routers make, which stacks do not know
 * of: the peer would go on as fast as before.
 */
static int read_info(int descriptor, struct connection_state *state, bool *had_gaps)
{
	struct tcp_info info = { 0 };
	socklen_t size = sizeof(info);
	int error = get(descriptor, IPPROTO_TCP, TCP_INFO, &info, &size);

	*had_gaps = info.tcpi_rcv_ooopack > 0;

	if (error)
		return error;
	if (info.tcpi_state != STATE_ESTABLISHED)
		return -ENOTCONN;
	if (info.tcpi_options & (TCPI_OPT_USEC_TS | TCPI_OPT_ECN))
		return -EBUSY;
	state->scaled = info.tcpi_options & TCPI_OPT_WSCALE;
	state->sack = info.tcpi_options & TCPI_OPT_SACK;
	state->timestamps = info.tcpi_options & TCPI_OPT_TIMESTAMPS;
	state->send_scale = info.tcpi_snd_wscale;
	state->receive_scale = info.tcpi_rcv_wscale;
	state->segment = (uint16_t)info.tcpi_snd_mss;
	state->advertised_segment = (uint16_t)info.tcpi_advmss;
	state->congestion_window = info.tcpi_snd_cwnd * info.tcpi_snd_mss;
	/* "Infinite" at first. */
	state->slow_start_threshold = info.tcpi_snd_ssthresh < UINT32_MAX / info.tcpi_snd_mss
					      ? info.tcpi_snd_ssthresh * info.tcpi_snd_mss
					      : UINT32_MAX;
	state->rtt_us = info.tcpi_rtt;
	state->rtt_deviation_us = info.tcpi_rttvar;
	state->least_rtt_us = info.tcpi_min_rtt == UINT32_MAX ? 0 : info.tcpi_min_rtt;
	return 0;
}

/*
 * A receive buffer of fewer bytes (as getsockopt(2) tells) does not hold two segments with the
 * kernel's overhead. Repair forgets how large the peer's segments are; the kernel would measure
 * small ones, believe that its buffer holds little, offer a window for even smaller ones, and not
 * come out of that: 224 bytes at a time, five times a second.
 */
#define RECEIVE_BUFFER_MIN 8192

/*
 * What came behind a gap cannot be read, and the peer has been told that it is here (RFC 2018): if
 * the receive queue is empty, memory in use belongs to such data. A connection that never had a gap
 * has none now. Looked at before the socket is silenced, too: what comes while it is is lost to a
 * connection that is refused then, which has a gap next.
 */
static int refuse_gap(int descriptor, bool had_gaps)
{
	uint32_t memory[SK_MEMINFO_VARS] = { 0 };
	socklen_t size = sizeof(memory);
	int unread = 0;

	if (!had_gaps)
		return 0;
	if (kernel_call(SYS_ioctl, descriptor, SIOCINQ, (long)&unread, 0) < 0 || unread > 0 ||
	    get(descriptor, SOL_SOCKET, SO_MEMINFO, memory, &size) < 0)
		return -EAGAIN;
	return memory[SK_MEMINFO_RMEM_ALLOC] ? -EAGAIN : 0;
}

/* Looks at what can be seen without rights and without a change to the socket. */
static int check(int descriptor, struct connection_state *state)
{
	char upper[16];
	socklen_t size = sizeof(upper), filter = 0;
	bool had_gaps;
	int is_multipath = 0, receive_buffer = 0;
	int error = read_info(descriptor, state, &had_gaps);

	if (error)
		return error;
	if (get(descriptor, IPPROTO_TCP, TCP_ULP, upper, &size) == 0 && size > 0)
		return -EBUSY;
	if (get_int(descriptor, IPPROTO_TCP, TCP_IS_MPTCP, &is_multipath) == 0 && is_multipath)
		return -EBUSY;
	/* Instructions of the filter; one that is attached as eBPF answers with an error. */
	if (get(descriptor, SOL_SOCKET, SO_GET_FILTER, NULL, &filter) < 0 || filter > 0)
		return -EEXIST;
	error = get_int(descriptor, SOL_SOCKET, SO_RCVBUF, &receive_buffer);
	error = error ?: receive_buffer < RECEIVE_BUFFER_MIN ? -EMSGSIZE : 0;
	return error ?: refuse_gap(descriptor, had_gaps);
}

static int read_window(int descriptor, struct connection_state *state)
{
	struct tcp_repair_window window;
	socklen_t size = sizeof(window);
	int error = get(descriptor, IPPROTO_TCP, TCP_REPAIR_WINDOW, &window, &size);

	state->send_wl1 = window.snd_wl1;
	state->send_window = window.snd_wnd;
	state->send_window_max = window.max_window;
	state->receive_window = window.rcv_wnd;
	state->receive_window_start = window.rcv_wup;
	return error;
}

/*
 * In repair a queue can only be peeked at. Stores in *waiting how many bytes the queue has; what is
 * read ends before urgent data.
 */
static ssize_t peek(int descriptor, void *to, size_t size, int *waiting)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec part = { .iov_base = to, .iov_len = size };
	struct msghdr message = { .msg_iov = &part,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	ssize_t got =
		kernel_call(SYS_recvmsg, descriptor, (long)&message, MSG_PEEK | MSG_DONTWAIT, 0);

	*waiting = -1;
	for (struct cmsghdr *each = CMSG_FIRSTHDR(&message); got > 0 && each;
	     each = CMSG_NXTHDR(&message, each))
		if (each->cmsg_level == IPPROTO_TCP && each->cmsg_type == TCP_CM_INQ)
			memcpy(waiting, CMSG_DATA(each), sizeof(*waiting));
	return got == -EAGAIN ? 0 : got;
}

/*
 * The same, with TCP_INQ set, by which the kernel tells how much the queue has (tcp(7)). The option
 * is the program's, and is as it was afterwards.
 */
static ssize_t peek_counted(int descriptor, void *to, size_t size, int *waiting)
{
	int before = 0, error = get_int(descriptor, IPPROTO_TCP, TCP_INQ, &before);
	ssize_t got;

	error = error ?: before ? 0 : set_int(descriptor, TCP_INQ, 1);
	if (error)
		return error;
	got = peek(descriptor, to, size, waiting);
	if (!before)
		set_int(descriptor, TCP_INQ, 0);
	return got;
}

/* Stores in *number the sequence number behind the last byte of the queue. */
static int read_number(int descriptor, int queue, uint32_t *number)
{
	int error = set_int(descriptor, TCP_REPAIR_QUEUE, queue);

	return error ?: get_int(descriptor, IPPROTO_TCP, TCP_QUEUE_SEQ, number);
}

/*
 * Reads the receive queue, which has been chosen last. The mark that urgent data leaves in the
 * queue cannot be carried over, and neither SIOCINQ nor peeking tells of what is behind it, not
 * even when the program has taken the urgent byte already (tcp(7), "Out-of-band data"). So the
 * connection stays until the program has read past the mark.
 */
static int read_received(int descriptor, struct connection_state *state)
{
	int size = 0, at_mark = 0, waiting = -1;
	int error = (int)kernel_call(SYS_ioctl, descriptor, SIOCATMARK, (long)&at_mark, 0);
	ssize_t got;

	error = error ?: (int)kernel_call(SYS_ioctl, descriptor, SIOCINQ, (long)&size, 0);
	if (error || at_mark)
		return error ?: -EAGAIN;
	if (!size)
		return 0;
	state->receive_data = malloc((size_t)size);
	if (!state->receive_data)
		return -ENOMEM;
	got = peek_counted(descriptor, state->receive_data, (size_t)size, &waiting);
	if (got != size || waiting != size)
		return got < 0 ? (int)got : -EAGAIN;
	state->receive_size = (size_t)size;
	return 0;
}

/* Never an earlier one than has been sent: the peer would drop the segment (RFC 7323 5.3). */
static int read_timestamp(int descriptor, struct connection_state *state)
{
	int value = 0, error = get_int(descriptor, IPPROTO_TCP, TCP_TIMESTAMP, &value);

	state->timestamp = (uint32_t)value | 1;
	return error;
}

/* Sets the timestamp, rounded up to an even number: the kernel's clock is one of milliseconds. */
static int write_timestamp(int descriptor, const struct connection_state *state)
{
	return set_int(descriptor, TCP_TIMESTAMP, (int)((state->timestamp + 1) & ~1u));
}

/*
 * Lets the kernel send the acknowledgement that it has put off, if the program has read all. It
 * would send it in the middle of the loan: with a time that may be ahead of the stack's next
 * segment, which the peer would drop then (RFC 7323 5.3), and with more room than the stack knows
 * that the peer has.
 */
static int acknowledge(int descriptor)
{
	return set_int(descriptor, TCP_QUICKACK, 1);
}

static int read_all(int descriptor, struct connection_state *state)
{
	bool had_gaps = false;
	int segment = 0, error;

	error = read_names(descriptor, state);
	error = error ?: read_info(descriptor, state, &had_gaps);
	/* The send queue is empty, so its end is what the peer has acknowledged. */
	error = error ?: read_number(descriptor, TCP_SEND_QUEUE, &state->send_unacknowledged);
	error = error ?: read_number(descriptor, TCP_RECV_QUEUE, &state->receive_next);
	error = error ?: read_received(descriptor, state);
	error = error ?: refuse_gap(descriptor, had_gaps);
	error = error ?: acknowledge(descriptor);
	error = error ?: read_window(descriptor, state);
	error = error ?: get_int(descriptor, IPPROTO_TCP, TCP_MAXSEG, &segment);
	error = error ?: read_timestamp(descriptor, state);
	state->largest_segment = (uint16_t)segment;
	return error;
}

/*
 * The socket's timers would send again what is not acknowledged, whatever else happens: a
 * connection that has some is refused.
 */
static int refuse_unacknowledged(int descriptor)
{
	int unacknowledged = 0;
	int error = (int)kernel_call(SYS_ioctl, descriptor, SIOCOUTQ, (long)&unacknowledged, 0);

	return error ? error : unacknowledged ? -EAGAIN : 0;
}

int repair_take(int descriptor, int silencer, struct connection_state *state)
{
	int reuse = 0, keepalive = 0, error;

	memset(state, 0, sizeof(*state));
	error = check(descriptor, state) ?: refuse_unacknowledged(descriptor);
	error = error ?: get_int(descriptor, SOL_SOCKET, SO_REUSEADDR, &reuse);
	error = error ?: get_int(descriptor, SOL_SOCKET, SO_KEEPALIVE, &keepalive);
	if (error)
		return error;
	error = set_int(descriptor, TCP_REPAIR, TCP_REPAIR_ON);
	if (error)
		return error;
	state->reuse_address = reuse;
	state->keepalive = keepalive;
	/*
	 * The kernel's socket would probe the peer, hear no answer and give up, so its keepalive is
	 * switched off.
	 */
	if (keepalive)
		error = set_socket_int(descriptor, SO_KEEPALIVE, 0);
	error = error ?: silence(descriptor, silencer);
	/*
	 * The queues do not move any more, so that what the program has written meanwhile is seen
	 * now.
	 */
	if (error == 0)
		error = refuse_unacknowledged(descriptor) ?: read_all(descriptor, state);
	if (error == 0)
		return 0;
	repair_cancel(descriptor, state);
	connection_state_clear(state);
	return error;
}

/*
 * The end of repair takes SO_REUSEADDR away. It leaves the choice of a queue, by which
 * TCP_QUEUE_SEQ would answer the program from then on.
 */
int repair_cancel(int descriptor, const struct connection_state *state)
{
	int error = set_int(descriptor, TCP_REPAIR_QUEUE, TCP_NO_QUEUE);

	error = error ?: set_int(descriptor, TCP_REPAIR, TCP_REPAIR_OFF_NO_WP);
	if (state->reuse_address)
		error = error ?: set_socket_int(descriptor, SO_REUSEADDR, 1);
	if (state->keepalive)
		error = error ?: set_socket_int(descriptor, SO_KEEPALIVE, 1);
	unsilence(descriptor);
	return error;
}

/* ---- putting back ---- */

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
	const int on = 1;

	makeshift->is_transparent = true;
	return get_int(descriptor, transparent_level(state), transparent_name(state),
		       &makeshift->transparent)
		       ?: kernel_set_option(descriptor, transparent_level(state),
					    transparent_name(state), &on, sizeof(on));
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
				?: kernel_set_option(descriptor, transparent_level(state),
						     transparent_name(state),
						     &makeshift->transparent, sizeof(int));
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
 * by the length of TCP's options.
 */
static int compute_segment(int descriptor, const struct connection_state *state)
{
	uint8_t options[40];
	socklen_t size = sizeof(options);

	if (!is_computed_anew(state))
		return 0;
	return get(descriptor, IPPROTO_IP, IP_OPTIONS, options, &size)
		       ?: kernel_set_option(descriptor, IPPROTO_IP, IP_OPTIONS, options, size);
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

static ssize_t write_some(int descriptor, const uint8_t *data, size_t size)
{
	struct iovec part = { .iov_base = (void *)(uintptr_t)data,
			      .iov_len = size < WRITE_MAX ? size : WRITE_MAX };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

	return kernel_call(SYS_sendmsg, descriptor, (long)&message, MSG_NOSIGNAL | MSG_DONTWAIT, 0);
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
static int write_whole(int descriptor, int queue, const uint8_t *data, size_t size, size_t in_all)
{
	int error = 0, grown = 0;

	while (error == 0 && size > 0) {
		ssize_t done = write_some(descriptor, data, size);

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

	return error ?: write_whole(descriptor, queue, data, size, in_all);
}

static size_t sent_size(const struct connection_state *state)
{
	return state->send_unsent < state->send_size ? state->send_size - state->send_unsent : 0;
}

/* The kernel refuses a window before the receive queue is filled. */
static int write_window(int descriptor, const struct connection_state *state)
{
	const struct tcp_repair_window window = {
		.snd_wl1 = state->send_wl1,
		.snd_wnd = state->send_window,
		.max_window = state->send_window_max,
		.rcv_wnd = state->receive_window,
		.rcv_wup = state->receive_window_start,
	};

	return kernel_set_option(descriptor, IPPROTO_TCP, TCP_REPAIR_WINDOW, &window,
				 sizeof(window));
}

static int write_all(int descriptor, const struct connection_state *state)
{
	struct makeshift makeshift = { 0 };
	int error = disconnect(descriptor, state, &makeshift);

	error = error ?: set_number(descriptor, TCP_SEND_QUEUE, state->send_unacknowledged);
	error = error
			?: set_number(descriptor, TCP_RECV_QUEUE,
				      state->receive_next - (uint32_t)state->receive_size);
	error = error ?: connect_again(descriptor, state, &makeshift);
	error = error ?: end_makeshift(descriptor, state, &makeshift);
	error = error ?: write_options(descriptor, state);
	error = error ?: compute_segment(descriptor, state);
	if (state->timestamps)
		error = error ?: write_timestamp(descriptor, state);
	error = error
			?: write_queue(descriptor, TCP_RECV_QUEUE, state->receive_data,
				       state->receive_size, state->receive_size);
	error = error
			?: write_queue(descriptor, TCP_SEND_QUEUE, state->send_data,
				       sent_size(state), state->send_size);
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

int repair_give(int descriptor, const struct connection_state *state)
{
	/*
	 * Repair mode is on already; setting it anew only tells whether the rights are still there.
	 */
	int error = set_int(descriptor, TCP_REPAIR, TCP_REPAIR_ON);

	if (error == -EPERM)
		return error;
	error = error ?: write_all(descriptor, state);
	if (error) {
		repair_dissolve(descriptor);
		return error;
	}
	error = repair_cancel(descriptor, state);
	if (error)
		return error;
	error = write_whole(descriptor, TCP_SEND_QUEUE, state->send_data + sent_size(state),
			    state->send_size - sent_size(state), state->send_size);
	/* The connection must not go on with a hole in its data. */
	if (error)
		repair_dissolve(descriptor);
	return error;
}
