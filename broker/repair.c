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

#include "broker/repair_calls.h"
#include "common/system_call.h"

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

#define STATE_ESTABLISHED 1 /* TCP_ESTABLISHED of include/net/tcp_states.h */

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

int repair_read_end(int descriptor, struct connection_state *state)
{
	bool had_gaps;
	int error;

	memset(state, 0, sizeof(*state));
	error = read_names(descriptor, state) ?: read_info(descriptor, state, &had_gaps);
	error = error ?: read_number(descriptor, TCP_SEND_QUEUE, &state->send_unacknowledged);
	error = error ?: read_number(descriptor, TCP_RECV_QUEUE, &state->receive_next);
	return error ?: read_timestamp(descriptor, state);
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
