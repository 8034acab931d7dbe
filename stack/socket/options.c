/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Socket options: Linux's names, ranges and errors. One table; an option that is not in it is
 * ENOPROTOOPT, and preload asks the twin. Not for TCP_INFO's contents: tcp_info.c.
 */
#include <errno.h>
#include <limits.h>
#include <linux/tcp.h>
#include <netinet/in.h>
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

/* ---- setting ---- */

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
	case SO_KEEPALIVE:
		options->keepalive = value != 0;
		break;
	case SO_OOBINLINE:
		options->urgent_in_line = value != 0;
		break;
	case SO_REUSEADDR:
		options->reuse_address = value != 0;
		break;
	case SO_REUSEPORT:
		options->reuse_port = value != 0;
		break;
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

static int set_range(uint32_t *option, int value, int least, int most)
{
	if (value < least || value > most)
		return -EINVAL;
	*option = (uint32_t)value;
	return 0;
}

static void push(struct stack_socket *socket)
{
	if (socket->pcb && socket->state == SOCKET_CONNECTED)
		tcp_output(socket->pcb);
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
			push(socket);
		}
		return 0;
	case TCP_MAXSEG:
		return set_maximum_segment(socket, value);
	case TCP_KEEPIDLE:
		return set_range(&options->keep_idle, value, 1, 32767);
	case TCP_KEEPINTVL:
		return set_range(&options->keep_interval, value, 1, 32767);
	case TCP_KEEPCNT:
		return set_range(&options->keep_count, value, 1, 127);
	case TCP_USER_TIMEOUT:
		return set_range(&options->user_timeout, value, 0, INT_MAX);
	case TCP_SYNCNT:
		if (value < 1 || value > 127)
			return -EINVAL;
		options->syn_retries = (uint8_t)value;
		return 0;
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

static int set_byte(uint8_t *option, int value)
{
	if (value < 0 || value > UINT8_MAX)
		return -EINVAL;
	*option = (uint8_t)value;
	return 0;
}

/* The values of ip(7) and ipv6(7) are the same; the last one is newer than the manual pages. */
static int set_mtu_discover(uint8_t *option, int value)
{
	if (value < IP_PMTUDISC_DONT || value > IP_PMTUDISC_OMIT)
		return -EINVAL;
	*option = (uint8_t)value;
	return 0;
}

static int set_ip_level(struct stack_socket *socket, int name, int value)
{
	struct socket_options *options = &socket->options;

	switch (name) {
	case IP_TOS:
		options->tos = (uint8_t)((value & ~ECN_BITS) | (options->tos & ECN_BITS));
		return 0;
	case IP_TTL:
		if (value != -1 && (value < 1 || value > 255))
			return -EINVAL;
		options->ttl = value;
		return 0;
	case IP_MINTTL:
		return set_byte(&options->least_ttl, value);
	case IP_RECVERR:
		options->receive_errors = value != 0;
		return 0;
	case IP_MTU_DISCOVER:
		return set_mtu_discover(&options->mtu_discover, value);
	default:
		return -ENOPROTOOPT;
	}
}

static int set_ip6_level(struct stack_socket *socket, int name, int value)
{
	struct socket_options *options = &socket->options;

	if (name == IPV6_MINHOPCOUNT)
		return set_byte(&options->least_hops, value);
	if (name == IPV6_RECVERR) {
		options->receive_errors6 = value != 0;
		return 0;
	}
	if (name == IPV6_MTU_DISCOVER)
		return set_mtu_discover(&options->mtu_discover6, value);
	if (name != IPV6_TCLASS && name != IPV6_UNICAST_HOPS)
		return -ENOPROTOOPT;
	if (value < -1 || value > 255)
		return -EINVAL;
	if (name == IPV6_UNICAST_HOPS)
		options->hops = value;
	else
		options->traffic_class = value < 0 ? 0 : value & ~ECN_BITS;
	return 0;
}

static int set_linger(struct stack_socket *socket, const void *value, socklen_t length)
{
	struct linger linger;

	if (length < sizeof(linger))
		return -EINVAL;
	memcpy(&linger, value, sizeof(linger));
	socket->options.linger = linger.l_onoff != 0;
	socket->options.linger_seconds =
		(uint16_t)(linger.l_linger < 0 || linger.l_linger > 0xffff ? 0xffff
									   : linger.l_linger);
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
	int number;

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
	switch (level) {
	case SOL_SOCKET:
		return set_socket_level(socket, name, number);
	case IPPROTO_TCP:
		return set_tcp_level(socket, name, number);
	case IPPROTO_IP:
		return set_ip_level(socket, name, number);
	case IPPROTO_IPV6:
		return set_ip6_level(socket, name, number);
	default:
		return -ENOPROTOOPT;
	}
}

int options_set(struct stack_socket *socket, int level, int name, const void *value,
		socklen_t length)
{
	int status = set(socket, level, name, value, length);

	if (status == 0)
		options_apply(socket);
	socket_changed(socket, 0);
	return status;
}

/* ---- getting ---- */

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
	case SO_KEEPALIVE:
		*value = options->keepalive;
		break;
	case SO_OOBINLINE:
		*value = options->urgent_in_line;
		break;
	case SO_REUSEADDR:
		*value = options->reuse_address;
		break;
	case SO_REUSEPORT:
		*value = options->reuse_port;
		break;
	case SO_RCVBUF:
		*value = (int)options->receive_buffer;
		break;
	case SO_SNDBUF:
		*value = (int)(options->send_buffer_set ? options->send_buffer
							: socket->send_buffer.credit);
		break;
	case SO_RCVLOWAT:
		*value = options->receive_low_water;
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
	return socket->options.maximum_segment ? socket->options.maximum_segment
					       : without_connection;
}

static int get_tcp_level(const struct stack_socket *socket, int name, int *value)
{
	const struct socket_options *options = &socket->options;

	switch (name) {
	case TCP_NODELAY:
		*value = options->no_delay;
		break;
	case TCP_CORK:
		*value = options->cork;
		break;
	case TCP_QUICKACK:
		*value = options->quick_ack;
		break;
	case TCP_MAXSEG:
		*value = maximum_segment(socket);
		break;
	case TCP_KEEPIDLE:
		*value = (int)options->keep_idle;
		break;
	case TCP_KEEPINTVL:
		*value = (int)options->keep_interval;
		break;
	case TCP_KEEPCNT:
		*value = (int)options->keep_count;
		break;
	case TCP_USER_TIMEOUT:
		*value = (int)options->user_timeout;
		break;
	case TCP_LINGER2:
		*value = options->fin_timeout;
		break;
	case TCP_NOTSENT_LOWAT:
		*value = options->unsent_low_water_set;
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

/* ip(7), ipv6(7): what is known of the path, of a connected socket only. */
static int get_mtu(const struct stack_socket *socket, int *value)
{
	if (!socket->pcb || socket->state == SOCKET_LISTENING)
		return -ENOTCONN;
	*value = (int)path_mtu_of(socket);
	return 0;
}

static int get_ip_levels(const struct stack_socket *socket, int level, int name, int *value)
{
	const struct socket_options *options = &socket->options;

	if (level == IPPROTO_IP && name == IP_TOS)
		*value = options->tos;
	else if (level == IPPROTO_IP && name == IP_TTL)
		*value = options->ttl < 0 ? TCP_TTL : options->ttl;
	else if (level == IPPROTO_IPV6 && name == IPV6_TCLASS)
		*value = options->traffic_class < 0 ? 0 : options->traffic_class;
	else if (level == IPPROTO_IPV6 && name == IPV6_UNICAST_HOPS)
		*value = options->hops < 0 ? TCP_TTL : options->hops;
	else if (level == IPPROTO_IP && name == IP_PROTOCOL)
		*value = socket->local_port; /* so does Linux, on sockets that are not raw */
	else if (level == IPPROTO_IP && name == IP_MINTTL)
		*value = options->least_ttl;
	else if (level == IPPROTO_IPV6 && name == IPV6_MINHOPCOUNT)
		*value = options->least_hops;
	else if (level == IPPROTO_IP && name == IP_RECVERR)
		*value = options->receive_errors;
	else if (level == IPPROTO_IPV6 && name == IPV6_RECVERR)
		*value = options->receive_errors6;
	else if (level == IPPROTO_IP && name == IP_MTU_DISCOVER)
		*value = options->mtu_discover;
	else if (level == IPPROTO_IPV6 && name == IPV6_MTU_DISCOVER)
		*value = options->mtu_discover6;
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

static uint32_t known_mtu(const struct stack_socket *socket)
{
	int mtu = 0;

	return get_mtu(socket, &mtu) ? 0 : (uint32_t)mtu;
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
	int status = -ENOPROTOOPT;

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
		return info_get(socket, known_mtu(socket), value, length);
	if (level == IPPROTO_TCP && name == TCP_CC_INFO)
		return copy_out(value, length, "", 0); /* CUBIC and Reno tell nothing, as Linux's */
	if (level == IPPROTO_IPV6 && name == IPV6_PATHMTU)
		return get_path_mtu(socket, value, length);
	if (level == SOL_SOCKET)
		status = get_socket_level(socket, name, &number);
	else if (level == IPPROTO_TCP)
		status = get_tcp_level(socket, name, &number);
	else if (level == IPPROTO_IP || level == IPPROTO_IPV6)
		status = get_ip_levels(socket, level, name, &number);
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
