/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Socket options: Linux's names, ranges and errors. Most are one field of struct socket_options: a
 * row of the table fields[]. What is no option of the stack's (common/option_table.c) is
 * ENOPROTOOPT, and preload asks the twin. Not for TCP_INFO's contents: tcp_info.c.
 */
#include <errno.h>
#include <limits.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include "lwip/priv/tcp_priv.h"

#include "stack/instance_parts.h"
#include "common/option_table.h"
#include "stack/tcp/path.h"
#include "stack/socket/socket.h"
#include "stack/tcp/timestamps.h"

/* Half of what Linux's tcp_rmem allows. */
#define RECEIVE_LOW_WATER_MAX (16 * 1024 * 1024)
/* Linux's SOCK_MIN_RCVBUF and SOCK_MIN_SNDBUF on 64-bit machines */
#define RECEIVE_BUFFER_MIN 2304
#define SEND_BUFFER_MIN	   4608
/*
 * As Linux's tcp_rmem. Half of it is window (melin_receive_window()); receive_window.c lets it
 * grow.
 */
#define RECEIVE_BUFFER_DEFAULT 131072
#define SEND_BUFFER_DEFAULT    (256u * 1024)
#define MSS_MIN		       88
#define MSS_MAX		       32767
#define ECN_BITS	       3
/* The bits of SO_BUF_LOCK's value, as in Linux. */
#define SOCK_SNDBUF_LOCK 1
#define SOCK_RCVBUF_LOCK 2
/* Linux's TCP_FIN_TIMEOUT_MAX, in seconds */
#define LINGER2_MAX 120

#ifndef IP_PROTOCOL
#define IP_PROTOCOL 52 /* Linux 6.4's headers */
#endif

void options_default(struct stack_socket *socket)
{
	const struct sysctl *sysctl = &socket->stack->sysctl;

	socket->options = (struct socket_options){
		.receive_buffer = RECEIVE_BUFFER_DEFAULT,
		.send_buffer = SEND_BUFFER_DEFAULT,
		.receive_low_water = 1,
		.keep_idle = sysctl->keepalive_time,
		.keep_interval = sysctl->keepalive_interval,
		.keep_count = sysctl->keepalive_probes,
		.ttl = -1,
		.traffic_class = -1,
		.hops = -1,
		.fin_timeout = (int)sysctl->fin_timeout,
		.window_clamp = UINT32_MAX,
		.unsent_low_water = sysctl->notsent_lowat,
		.mtu_discover = sysctl->no_pmtu_disc ? IP_PMTUDISC_DONT : IP_PMTUDISC_WANT,
		.mtu_discover6 = IPV6_PMTUDISC_WANT,
	};
	socket->send_buffer.credit = SEND_BUFFER_DEFAULT;
}

void options_inherit(struct stack_socket *child, const struct stack_socket *listener)
{
	child->options = listener->options;
	child->send_buffer.credit = listener->send_buffer.credit;
}

/* tcp(7): TCP_USER_TIMEOUT instead of the number of probes says when keepalive gives up. */
static uint32_t keepalive_probes(const struct socket_options *options)
{
	uint64_t interval = options->keep_interval * 1000ull, idle = options->keep_idle * 1000ull;

	if (!options->user_timeout)
		return options->keep_count;
	if (options->user_timeout <= idle)
		return 1;
	return (uint32_t)((options->user_timeout - idle + interval - 1) / interval);
}

void options_apply(struct stack_socket *socket)
{
	const struct socket_options *options = &socket->options;
	struct tcp_pcb *pcb = socket->pcb;
	bool v6;

	if (!pcb || pcb->state == LISTEN)
		return;
	v6 = IP_IS_V6_VAL(pcb->remote_ip);
	socket->path.may_fragment = path_may_fragment(socket);
	pcb->tos =
		v6 ? (u8_t)(options->traffic_class < 0 ? 0 : options->traffic_class) : options->tos;
	pcb->ttl = (u8_t)((v6 ? options->hops : options->ttl) < 0
				  ? TCP_TTL
				  : (v6 ? options->hops : options->ttl));
	if (options->keepalive)
		ip_set_option(pcb, SOF_KEEPALIVE);
	else
		ip_reset_option(pcb, SOF_KEEPALIVE);
	pcb->keep_idle = options->keep_idle * 1000;
	pcb->keep_intvl = options->keep_interval * 1000;
	pcb->keep_cnt = keepalive_probes(options);
	melin_index_unpark(pcb); /* the index has noted when the keepalive before this was due */
}

/* ---- options that are one field ---- */

struct field {
	int level, name;
	size_t offset, size; /* in struct socket_options; 1 or sizeof(int) bytes */
	int least, most;     /* what it may be set to */
};

#define NUMBER(level, name, field, least, most)                                                    \
	{                                                                                          \
		level, name, offsetof(struct socket_options, field),                               \
			sizeof(((struct socket_options *)NULL)->field), least, most                \
	}
/* Any number but 0 switches it on. */
#define FLAG(level, name, field) NUMBER(level, name, field, INT_MIN, INT_MAX)
/* The field is what getsockopt(2) tells; the functions below set it. */
#define TOLD(level, name, field) NUMBER(level, name, field, 0, 0)

static const struct field fields[] = {
	TOLD(IPPROTO_TCP, TCP_NODELAY, no_delay),
	TOLD(IPPROTO_TCP, TCP_CORK, cork),
	TOLD(IPPROTO_TCP, TCP_QUICKACK, quick_ack),
	NUMBER(IPPROTO_TCP, TCP_KEEPIDLE, keep_idle, 1, 32767),
	NUMBER(IPPROTO_TCP, TCP_KEEPINTVL, keep_interval, 1, 32767),
	NUMBER(IPPROTO_TCP, TCP_KEEPCNT, keep_count, 1, 127),
	NUMBER(IPPROTO_TCP, TCP_USER_TIMEOUT, user_timeout, 0, INT_MAX),
	NUMBER(IPPROTO_TCP, TCP_SYNCNT, syn_retries, 1, 127),
	TOLD(IPPROTO_TCP, TCP_LINGER2, fin_timeout),
	TOLD(IPPROTO_TCP, TCP_NOTSENT_LOWAT, unsent_low_water_set),
	FLAG(SOL_SOCKET, SO_KEEPALIVE, keepalive),
	FLAG(SOL_SOCKET, SO_OOBINLINE, urgent_in_line),
	FLAG(SOL_SOCKET, SO_REUSEADDR, reuse_address),
	FLAG(SOL_SOCKET, SO_REUSEPORT, reuse_port),
	TOLD(SOL_SOCKET, SO_RCVBUF, receive_buffer),
	TOLD(SOL_SOCKET, SO_RCVLOWAT, receive_low_water),
	TOLD(IPPROTO_IP, IP_TOS, tos),
	NUMBER(IPPROTO_IP, IP_MINTTL, least_ttl, 0, UINT8_MAX),
	FLAG(IPPROTO_IP, IP_RECVERR, receive_errors),
	/* The values of ip(7) and ipv6(7) are the same; the last is newer than these pages. */
	NUMBER(IPPROTO_IP, IP_MTU_DISCOVER, mtu_discover, IP_PMTUDISC_DONT, IP_PMTUDISC_OMIT),
	NUMBER(IPPROTO_IPV6, IPV6_UNICAST_HOPS, hops, -1, 255),
	NUMBER(IPPROTO_IPV6, IPV6_MINHOPCOUNT, least_hops, 0, UINT8_MAX),
	FLAG(IPPROTO_IPV6, IPV6_RECVERR, receive_errors6),
	NUMBER(IPPROTO_IPV6, IPV6_MTU_DISCOVER, mtu_discover6, IP_PMTUDISC_DONT, IP_PMTUDISC_OMIT),
};

static const struct field *find_field(int level, int name)
{
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (fields[i].level == level && fields[i].name == name)
			return &fields[i];
	return NULL;
}

static int set_field(struct socket_options *options, int level, int name, int value)
{
	const struct field *field = find_field(level, name);
	char *place;

	if (!field)
		return -ENOPROTOOPT;
	if (value < field->least || value > field->most)
		return -EINVAL;
	if (field->least == INT_MIN) /* FLAG */
		value = value != 0;
	place = (char *)options + field->offset;
	if (field->size == 1)
		*(uint8_t *)place = (uint8_t)value;
	else
		*(int *)place = value;
	return 0;
}

static int get_field(const struct socket_options *options, int level, int name, int *value)
{
	const struct field *field = find_field(level, name);
	const char *place;

	if (!field)
		return -ENOPROTOOPT;
	place = (const char *)options + field->offset;
	*value = field->size == 1 ? *(const uint8_t *)place : *(const int *)place;
	return 0;
}

/* ---- setting: the functions for a level return -ENOPROTOOPT for what may be one field ---- */

/* forced: beyond what the system allows, by CAP_NET_ADMIN, which the kernel has looked at. */
static void set_receive_buffer(struct stack_socket *socket, int value, bool forced)
{
	uint32_t most = forced ? INT_MAX / 2 : socket->stack->sysctl.rmem_max;
	uint32_t wanted = LWIP_MIN((uint32_t)value, most);
	uint32_t size = wanted * 2 > RECEIVE_BUFFER_MIN ? wanted * 2 : RECEIVE_BUFFER_MIN;

	socket->options.receive_buffer_set = true;
	receive_window_resize(socket, size);
}

static void set_send_buffer(struct stack_socket *socket, int value, bool forced)
{
	uint32_t most = forced ? INT_MAX / 2 : socket->stack->sysctl.wmem_max;
	uint32_t wanted = LWIP_MIN((uint32_t)value, most);
	uint32_t size = wanted * 2 > SEND_BUFFER_MIN ? wanted * 2 : SEND_BUFFER_MIN;

	socket->options.send_buffer = size;
	socket->options.send_buffer_set = true;
	send_buffer_set_credit(socket, size);
}

/* SO_BUF_LOCK of socket(7): a size that is locked is not tuned. */
static void set_buffer_locks(struct socket_options *options, uint32_t credit, int locks)
{
	if ((locks & SOCK_SNDBUF_LOCK) && !options->send_buffer_set)
		options->send_buffer = credit;
	options->send_buffer_set = locks & SOCK_SNDBUF_LOCK;
	options->receive_buffer_set = locks & SOCK_RCVBUF_LOCK;
}

/* As tcp_set_rcvlowat(): not more than what the buffer can hold. */
static int low_water(const struct socket_options *options, int value)
{
	int most = options->receive_buffer_set ? (int)options->receive_buffer / 2
					       : RECEIVE_LOW_WATER_MAX;

	if (value < 0 || value > most)
		return most;
	return value ? value : 1;
}

static int set_socket_level(struct stack_socket *socket, int name, int value)
{
	struct socket_options *options = &socket->options;

	switch (name) {
	case SO_RCVBUF:
	case SO_RCVBUFFORCE:
		set_receive_buffer(socket, value, name == SO_RCVBUFFORCE);
		break;
	case SO_SNDBUF:
	case SO_SNDBUFFORCE:
		set_send_buffer(socket, value, name == SO_SNDBUFFORCE);
		break;
	case SO_BUF_LOCK:
		set_buffer_locks(options, socket->send_buffer.credit, value);
		break;
	case SO_TIMESTAMP_OLD:
		if (value && !options->times)
			receive_queue_stamp(socket);
		options->times = value != 0;
		break;
	case SO_RCVLOWAT:
		options->receive_low_water = low_water(options, value);
		break;
	default:
		return -ENOPROTOOPT;
	}
	return 0;
}

static int set_maximum_segment(struct stack_socket *socket, int value)
{
	if (value && (value < MSS_MIN || value > MSS_MAX))
		return -EINVAL;
	socket->options.maximum_segment = (uint16_t)value;
	return 0;
}

/* TCP_WINDOW_CLAMP: a window that was announced is not taken back, it only stops growing. */
static void set_window_clamp(struct stack_socket *socket, int value)
{
	uint32_t clamp = value > 0 ? (uint32_t)value : UINT32_MAX;

	if (socket->pcb && socket->state == SOCKET_CONNECTED)
		clamp = LWIP_MAX(clamp, TCP_WND_MAX(socket->pcb));
	socket->options.window_clamp = clamp;
}

static int set_tcp_level(struct stack_socket *socket, int name, int value)
{
	struct socket_options *options = &socket->options;

	switch (name) {
	case TCP_NODELAY:
		options->no_delay = value != 0;
		if (options->no_delay)
			output_push(socket, true);
		return 0;
	case TCP_CORK:
		options->cork = value != 0;
		if (!options->cork)
			output_push(socket, options->no_delay);
		return 0;
	case TCP_QUICKACK:
		options->quick_ack = value != 0;
		if (value && socket->pcb && socket->state == SOCKET_CONNECTED &&
		    (socket->pcb->flags & TF_ACK_DELAY)) {
			tcp_ack_now(socket->pcb);
			tcp_output(socket->pcb);
		}
		return 0;
	case TCP_MAXSEG:
		return set_maximum_segment(socket, value);
	case TCP_LINGER2:
		options->fin_timeout = value > LINGER2_MAX ? LINGER2_MAX : value;
		return 0;
	case TCP_DEFER_ACCEPT:
		options->defer_accept = value > 0 ? (uint32_t)value : 0;
		return 0;
	case TCP_WINDOW_CLAMP:
		set_window_clamp(socket, value);
		return 0;
	case TCP_NOTSENT_LOWAT:
		options->unsent_low_water_set = value;
		options->unsent_low_water =
			value ? (uint32_t)value : socket->stack->sysctl.notsent_lowat;
		return 0;
	default:
		return -ENOPROTOOPT;
	}
}

static int set_ip_levels(struct socket_options *options, int level, int name, int value)
{
	if (level == IPPROTO_IP && name == IP_TOS) {
		options->tos = (uint8_t)((value & ~ECN_BITS) | (options->tos & ECN_BITS));
	} else if (level == IPPROTO_IP && name == IP_TTL) {
		if (value != -1 && (value < 1 || value > 255))
			return -EINVAL;
		options->ttl = value;
	} else if (level == IPPROTO_IPV6 && name == IPV6_TCLASS) {
		if (value < -1 || value > 255)
			return -EINVAL;
		options->traffic_class = value < 0 ? 0 : value & ~ECN_BITS;
	} else {
		return -ENOPROTOOPT;
	}
	return 0;
}

static int set_linger(struct stack_socket *socket, const void *value, socklen_t length)
{
	struct linger linger;

	if (length < sizeof(linger))
		return -EINVAL;
	memcpy(&linger, value, sizeof(linger));
	socket->options.linger = linger.l_onoff != 0;
	socket->options.linger_seconds = linger.l_linger;
	return 0;
}

/* TCP_CONGESTION: CUBIC is what there is, and it includes Reno. Others are not accepted. */
static int set_congestion(struct socket_options *options, const void *value, socklen_t length)
{
	char name[16] = "";

	if (length < 1)
		return -EINVAL;
	memcpy(name, value, length < sizeof(name) - 1 ? length : sizeof(name) - 1);
	if (strcmp(name, "cubic") != 0 && strcmp(name, "reno") != 0)
		return -ENOENT;
	options->reno = !strcmp(name, "reno");
	return 0;
}

/* What the stack does not know is the twin's to answer, wrong lengths included. */
static bool is_known(int level, int name)
{
	const struct option *option = option_find(level, name);

	if (level == SOL_SOCKET && name == SO_TIMESTAMP_OLD)
		return true; /* any of its kin: libmelin.so knows which */
	return option && option->service == OPTION_STACK;
}

static int set(struct stack_socket *socket, int level, int name, const void *value,
	       socklen_t length)
{
	int number, status;

	if (!is_known(level, name))
		return -ENOPROTOOPT;
	if (length > INT_MAX)
		return -EINVAL;
	if (level == SOL_SOCKET && name == SO_LINGER)
		return set_linger(socket, value, length);
	if (level == IPPROTO_TCP && name == TCP_CONGESTION)
		return set_congestion(&socket->options, value, length);
	/* ip(7): these may be a byte; for TOS even nothing will do. */
	if (level == IPPROTO_IP && length == 0)
		number = 0;
	else if (level == IPPROTO_IP && length < sizeof(number))
		number = *(const uint8_t *)value;
	else if (length < sizeof(number))
		return -EINVAL;
	else
		memcpy(&number, value, sizeof(number));
	if (level == SOL_SOCKET)
		status = set_socket_level(socket, name, number);
	else if (level == IPPROTO_TCP)
		status = set_tcp_level(socket, name, number);
	else
		status = set_ip_levels(&socket->options, level, name, number);
	return status == -ENOPROTOOPT ? set_field(&socket->options, level, name, number) : status;
}

int options_set(struct stack_socket *socket, int level, int name, const void *value,
		socklen_t length)
{
	int status = set(socket, level, name, value, length);

	if (status == 0)
		options_apply(socket);
	/* As tcp_set_rcvlowat(): as much may be there as it says now, which is news each time. */
	socket_changed(socket,
		       level == SOL_SOCKET && name == SO_RCVLOWAT && status == 0 ? READY_INPUT : 0);
	return status;
}

/* ---- getting: likewise ---- */

static int get_socket_level(struct stack_socket *socket, int name, int *value)
{
	const struct socket_options *options = &socket->options;

	switch (name) {
	case SO_ERROR:
		*value = socket->error ? socket->error : socket->soft_error;
		if (!socket->error)
			socket->soft_error = 0;
		socket->error = 0;
		break;
	case SO_ACCEPTCONN:
		*value = socket->state == SOCKET_LISTENING;
		break;
	case SO_SNDBUF:
		*value = (int)(options->send_buffer_set ? options->send_buffer
							: socket->send_buffer.credit);
		break;
	case SO_BUF_LOCK:
		*value = (options->send_buffer_set ? SOCK_SNDBUF_LOCK : 0) |
			 (options->receive_buffer_set ? SOCK_RCVBUF_LOCK : 0);
		break;
	default:
		return -ENOPROTOOPT;
	}
	return 0;
}

static int maximum_segment(const struct stack_socket *socket)
{
	const int without_connection = 536;

	if (socket->pcb && socket->state != SOCKET_LISTENING)
		return timestamps_full_segment(socket->pcb);
	if (socket->options.maximum_segment)
		return socket->options.maximum_segment;
	return socket->info.last.segment ? socket->info.last.segment : without_connection;
}

static int get_tcp_level(const struct stack_socket *socket, int name, int *value)
{
	const struct socket_options *options = &socket->options;

	switch (name) {
	case TCP_MAXSEG:
		*value = maximum_segment(socket);
		break;
	case TCP_SYNCNT:
		*value = options->syn_retries ? options->syn_retries
					      : (int)socket->stack->sysctl.syn_retries;
		break;
	default:
		return -ENOPROTOOPT;
	}
	return 0;
}

/* ip(7), ipv6(7): what is known of the path, of a socket only that is or was connected. */
static int get_mtu(const struct stack_socket *socket, int *value)
{
	if (socket->state == SOCKET_LISTENING || (!socket->pcb && !socket->info.last.mtu))
		return -ENOTCONN;
	*value = socket->pcb ? (int)path_mtu_of(socket) : socket->info.last.mtu;
	return 0;
}

static int get_ip_levels(const struct stack_socket *socket, int level, int name, int *value)
{
	const struct socket_options *options = &socket->options;

	if (level == IPPROTO_IP && name == IP_TTL)
		*value = options->ttl < 0 ? TCP_TTL : options->ttl;
	else if (level == IPPROTO_IPV6 && name == IPV6_TCLASS)
		*value = options->traffic_class < 0 ? 0 : options->traffic_class;
	else if (level == IPPROTO_IPV6 && name == IPV6_UNICAST_HOPS)
		*value = options->hops < 0 ? TCP_TTL : options->hops;
	else if (level == IPPROTO_IP && name == IP_PROTOCOL)
		*value = socket->local_port; /* so does Linux, on sockets that are not raw */
	else if ((level == IPPROTO_IP && name == IP_MTU) ||
		 (level == IPPROTO_IPV6 && name == IPV6_MTU))
		return get_mtu(socket, value);
	else
		return -ENOPROTOOPT;
	return 0;
}

static int copy_out(void *value, socklen_t *length, const void *from, socklen_t size)
{
	if (*length < size)
		size = *length;
	memcpy(value, from, size);
	*length = size;
	return 0;
}

/* IPV6_PATHMTU: IPV6_MTU in the structure of RFC 3542, whose address Linux leaves empty. */
static int get_path_mtu(const struct stack_socket *socket, void *value, socklen_t *length)
{
	struct ip6_mtuinfo info = { 0 };
	int mtu, status;

	if (*length < sizeof(info))
		return -EINVAL;
	status = get_mtu(socket, &mtu);
	if (status)
		return status;
	info.ip6m_mtu = (uint32_t)mtu;
	return copy_out(value, length, &info, sizeof(info));
}

static int get(struct stack_socket *socket, int level, int name, void *value, socklen_t *length)
{
	static const char cubic[16] = "cubic", reno[16] = "reno";
	struct linger linger;
	int number = 0;
	int status;

	if (*length > INT_MAX &&
	    (level == SOL_SOCKET || level == IPPROTO_TCP || level == IPPROTO_IP))
		return -EINVAL; /* IPv6 takes it for a large one */
	if (level == SOL_SOCKET && name == SO_LINGER) {
		linger.l_onoff = socket->options.linger;
		linger.l_linger = socket->options.linger_seconds;
		return copy_out(value, length, &linger, sizeof(linger));
	}
	if (level == IPPROTO_TCP && name == TCP_CONGESTION)
		return copy_out(value, length, socket->options.reno ? reno : cubic, sizeof(reno));
	if (level == IPPROTO_TCP && name == TCP_INFO)
		return info_get(socket, value, length);
	if (level == IPPROTO_TCP && name == TCP_CC_INFO)
		return copy_out(value, length, "", 0); /* CUBIC and Reno tell nothing, as Linux's */
	if (level == IPPROTO_IPV6 && name == IPV6_PATHMTU)
		return get_path_mtu(socket, value, length);
	if (level == SOL_SOCKET)
		status = get_socket_level(socket, name, &number);
	else if (level == IPPROTO_TCP)
		status = get_tcp_level(socket, name, &number);
	else
		status = get_ip_levels(socket, level, name, &number);
	if (status == -ENOPROTOOPT)
		status = get_field(&socket->options, level, name, &number);
	if (status)
		return status;
	/* ip(7): small values fit the byte that a short length asks for. */
	if (level == IPPROTO_IP && *length > 0 && *length < sizeof(number) && number >= 0 &&
	    number <= UINT8_MAX)
		return copy_out(value, length, &(uint8_t){ (uint8_t)number }, 1);
	return copy_out(value, length, &number, sizeof(number));
}

int options_get(struct stack_socket *socket, int level, int name, void *value, socklen_t *length)
{
	int status = get(socket, level, name, value, length);

	socket_changed(socket, 0);
	return status;
}
