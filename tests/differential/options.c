/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Differential cases: getsockopt(2) and setsockopt(2). Values that may differ from stack to stack
 * for good reasons (buffer sizes nobody set, segment sizes, times) are printed as "some".
 */
#include "harness.h"

#include <errno.h>
#include <netinet/in.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <unistd.h>

#define AWAIT_MS   5000
#define FIN_WAIT_2 5 /* TCP_FIN_WAIT2 of include/net/tcp_states.h */

enum {
	DEFAULT_VARIES = 1,
	VALUE_VARIES = 2,
	READ_ONLY = 4,
	ONLY_4 = 8,
	ONLY_6 = 16,
	/* The kernel's alone: refused once the flow is decided, which is a limit that we state. */
	ONLY_KERNEL = 32,
};

static const struct option {
	const char *text;
	int level, name;
	unsigned flags;
	int values[6];
	unsigned count;
} options[] = {
	/* First: other options make the kernel forget the route. */
	{ "IP_MTU",
	  IPPROTO_IP,
	  14,
	  ONLY_4 | VALUE_VARIES | DEFAULT_VARIES | READ_ONLY,
	  { 1400 },
	  1 },
	{ "IPV6_MTU", IPPROTO_IPV6, 24, ONLY_6 | VALUE_VARIES | DEFAULT_VARIES, { 1400, 1, 0 }, 3 },
	{ "SO_TYPE", SOL_SOCKET, SO_TYPE, READ_ONLY, { 1 }, 1 },
	{ "SO_PROTOCOL", SOL_SOCKET, SO_PROTOCOL, READ_ONLY, { 1 }, 1 },
	{ "SO_DOMAIN", SOL_SOCKET, SO_DOMAIN, READ_ONLY, { 1 }, 1 },
	{ "SO_ACCEPTCONN", SOL_SOCKET, SO_ACCEPTCONN, READ_ONLY, { 1 }, 1 },
	{ "SO_ERROR", SOL_SOCKET, SO_ERROR, READ_ONLY, { 1 }, 1 },
	{ "SO_KEEPALIVE", SOL_SOCKET, SO_KEEPALIVE, 0, { 1, 7, 0 }, 3 },
	{ "SO_REUSEADDR", SOL_SOCKET, SO_REUSEADDR, 0, { 1, 7, 0 }, 3 },
	{ "SO_REUSEPORT", SOL_SOCKET, SO_REUSEPORT, 0, { 1, 7, 0 }, 3 },
	{ "SO_OOBINLINE", SOL_SOCKET, SO_OOBINLINE, 0, { 1, 7, 0 }, 3 },
	{ "SO_BROADCAST", SOL_SOCKET, SO_BROADCAST, 0, { 1, 0 }, 2 },
	{ "SO_DONTROUTE", SOL_SOCKET, SO_DONTROUTE, 0, { 1, 0 }, 2 },
	{ "SO_PRIORITY", SOL_SOCKET, SO_PRIORITY, 0, { 3, 0, -1 }, 3 },
	{ "SO_RCVLOWAT", SOL_SOCKET, SO_RCVLOWAT, 0, { 7, 0, 1 }, 3 },
	{ "SO_SNDLOWAT", SOL_SOCKET, SO_SNDLOWAT, READ_ONLY, { 7 }, 1 },
	{ "SO_RCVBUF", SOL_SOCKET, SO_RCVBUF, DEFAULT_VARIES, { 50000, 1, 0, 1 << 30 }, 4 },
	{ "SO_SNDBUF", SOL_SOCKET, SO_SNDBUF, DEFAULT_VARIES, { 50000, 1, 0, 1 << 30 }, 4 },
	{ "SO_TIMESTAMP", SOL_SOCKET, SO_TIMESTAMP, 0, { 1, 0 }, 2 },
	{ "SO_MARK", SOL_SOCKET, SO_MARK, 0, { 5, 0 }, 2 },
	{ "SO_INCOMING_CPU", SOL_SOCKET, SO_INCOMING_CPU, DEFAULT_VARIES | VALUE_VARIES, { 0 }, 1 },
	{ "TCP_NODELAY", IPPROTO_TCP, TCP_NODELAY, 0, { 1, 7, 0 }, 3 },
	{ "TCP_CORK", IPPROTO_TCP, TCP_CORK, 0, { 1, 7, 0 }, 3 },
	{ "TCP_QUICKACK", IPPROTO_TCP, TCP_QUICKACK, DEFAULT_VARIES | VALUE_VARIES, { 1, 0 }, 2 },
	{ "TCP_MAXSEG",
	  IPPROTO_TCP,
	  TCP_MAXSEG,
	  DEFAULT_VARIES | VALUE_VARIES,
	  { 1000, 1, 70000 },
	  3 },
	{ "TCP_KEEPIDLE", IPPROTO_TCP, TCP_KEEPIDLE, 0, { 77, 1, 0, 32767, 32768, -1 }, 6 },
	{ "TCP_KEEPINTVL", IPPROTO_TCP, TCP_KEEPINTVL, 0, { 77, 1, 0, 32767, 32768, -1 }, 6 },
	{ "TCP_KEEPCNT", IPPROTO_TCP, TCP_KEEPCNT, 0, { 77, 1, 0, 127, 128, -1 }, 6 },
	{ "TCP_USER_TIMEOUT", IPPROTO_TCP, TCP_USER_TIMEOUT, 0, { 9999, 0, -1 }, 3 },
	{ "TCP_DEFER_ACCEPT", IPPROTO_TCP, TCP_DEFER_ACCEPT, 0, { 1, 5, 0 }, 3 },
	{ "TCP_LINGER2", IPPROTO_TCP, TCP_LINGER2, 0, { 9, 0, -1, 1000 }, 4 },
	{ "TCP_SYNCNT", IPPROTO_TCP, TCP_SYNCNT, 0, { 3, 0, 256 }, 3 },
	{ "TCP_WINDOW_CLAMP",
	  IPPROTO_TCP,
	  TCP_WINDOW_CLAMP,
	  DEFAULT_VARIES | VALUE_VARIES,
	  { 50000, 0 },
	  2 },
	{ "TCP_NOTSENT_LOWAT", IPPROTO_TCP, TCP_NOTSENT_LOWAT, 0, { 16384, 0 }, 2 },
	{ "TCP_THIN_LINEAR_TIMEOUTS", IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS, 0, { 1, 0, 7 }, 3 },
	{ "IP_TOS", IPPROTO_IP, IP_TOS, ONLY_4, { 0x10, 0xff, 0, 256 }, 4 },
	{ "IP_TTL", IPPROTO_IP, IP_TTL, ONLY_4, { 9, 255, 256, 0, -1 }, 5 },
	{ "IP_RECVTTL", IPPROTO_IP, IP_RECVTTL, ONLY_4, { 1, 0 }, 2 },
	{ "IPV6_V6ONLY",
	  IPPROTO_IPV6,
	  IPV6_V6ONLY,
	  ONLY_6 | DEFAULT_VARIES | VALUE_VARIES,
	  { 1, 0, 7 },
	  3 },
	{ "IPV6_TCLASS", IPPROTO_IPV6, IPV6_TCLASS, ONLY_6, { 0x10, 255, 256, -1, -2 }, 5 },
	{ "IPV6_UNICAST_HOPS", IPPROTO_IPV6, IPV6_UNICAST_HOPS, ONLY_6, { 9, 255, 256, -1 }, 4 },
	{ "SO_DEBUG", SOL_SOCKET, 1, 0, { 1, 0 }, 2 },
	{ "SO_NO_CHECK", SOL_SOCKET, 11, 0, { 1, 0 }, 2 },
	{ "SO_BSDCOMPAT", SOL_SOCKET, 14, 0, { 1, 0 }, 2 },
	{ "SO_PASSCRED", SOL_SOCKET, 16, 0, { 1, 0 }, 2 },
	{ "SO_PASSSEC", SOL_SOCKET, 34, 0, { 1, 0 }, 2 },
	{ "SO_TIMESTAMPNS_OLD", SOL_SOCKET, 35, 0, { 1, 0 }, 2 },
	{ "SO_TIMESTAMP_NEW", SOL_SOCKET, 63, 0, { 1, 0 }, 2 },
	{ "SO_TIMESTAMPNS_NEW", SOL_SOCKET, 64, 0, { 1, 0 }, 2 },
	{ "SO_TIMESTAMPING_OLD", SOL_SOCKET, 37, 0, { 24, 0 }, 2 },
	{ "SO_TIMESTAMPING_NEW", SOL_SOCKET, 65, 0, { 24, 0 }, 2 },
	{ "SO_RXQ_OVFL", SOL_SOCKET, 40, 0, { 1, 0 }, 2 },
	{ "SO_WIFI_STATUS", SOL_SOCKET, 41, 0, { 1, 0 }, 2 },
	{ "SO_NOFCS", SOL_SOCKET, 43, 0, { 1, 0 }, 2 },
	{ "SO_SELECT_ERR_QUEUE", SOL_SOCKET, 45, 0, { 1, 0 }, 2 },
	{ "SO_BUSY_POLL", SOL_SOCKET, 46, 0, { 0 }, 1 },
	{ "SO_PREFER_BUSY_POLL", SOL_SOCKET, 69, 0, { 1, 0 }, 2 },
	{ "SO_BUSY_POLL_BUDGET", SOL_SOCKET, 70, 0, { 8 }, 1 },
	{ "SO_BUF_LOCK", SOL_SOCKET, 72, 0, { 1, 3, 4, 0 }, 4 },
	{ "SO_RESERVE_MEM", SOL_SOCKET, 73, 0, { 0 }, 1 },
	{ "SO_TXREHASH", SOL_SOCKET, 74, 0, { 0, 1, -1, 2 }, 4 },
	{ "SO_RCVMARK", SOL_SOCKET, 75, 0, { 1, 0 }, 2 },
	{ "SO_PASSPIDFD", SOL_SOCKET, 76, 0, { 1, 0 }, 2 },
	{ "SO_RCVPRIORITY", SOL_SOCKET, 82, 0, { 1, 0 }, 2 },
	{ "SO_PASSRIGHTS", SOL_SOCKET, 83, 0, { 1, 0 }, 2 },
	{ "SO_INQ", SOL_SOCKET, 84, 0, { 1, 0 }, 2 },
	{ "SO_DETACH_FILTER", SOL_SOCKET, 27, 0, { 0 }, 1 },
	{ "SO_DETACH_REUSEPORT_BPF", SOL_SOCKET, 68, 0, { 0 }, 1 },
	{ "SO_TXTIME", SOL_SOCKET, 61, 0, { 0 }, 1 },
	{ "SO_PEERNAME", SOL_SOCKET, 28, READ_ONLY | DEFAULT_VARIES | VALUE_VARIES, { 0 }, 1 },
	{ "SO_PEERSEC", SOL_SOCKET, 31, READ_ONLY | DEFAULT_VARIES | VALUE_VARIES, { 0 }, 1 },
	{ "SO_PEERCRED", SOL_SOCKET, 17, READ_ONLY | DEFAULT_VARIES | VALUE_VARIES, { 0 }, 1 },
	{ "SO_BPF_EXTENSIONS",
	  SOL_SOCKET,
	  48,
	  READ_ONLY | DEFAULT_VARIES | VALUE_VARIES,
	  { 0 },
	  1 },
	{ "SO_PEERGROUPS", SOL_SOCKET, 59, READ_ONLY | DEFAULT_VARIES | VALUE_VARIES, { 0 }, 1 },
	{ "SO_PEERPIDFD", SOL_SOCKET, 77, READ_ONLY | DEFAULT_VARIES | VALUE_VARIES, { 0 }, 1 },
	{ "SO_GET_FILTER", SOL_SOCKET, 26, READ_ONLY | ONLY_KERNEL, { 0 }, 1 },
	{ "SO_MEMINFO", SOL_SOCKET, 55, READ_ONLY | DEFAULT_VARIES | VALUE_VARIES, { 0 }, 1 },
	{ "SO_INCOMING_NAPI_ID",
	  SOL_SOCKET,
	  56,
	  READ_ONLY | DEFAULT_VARIES | VALUE_VARIES,
	  { 0 },
	  1 },
	{ "SO_COOKIE", SOL_SOCKET, 57, READ_ONLY | DEFAULT_VARIES | VALUE_VARIES, { 0 }, 1 },
	{ "SO_NETNS_COOKIE", SOL_SOCKET, 71, READ_ONLY | DEFAULT_VARIES | VALUE_VARIES, { 0 }, 1 },
	{ "SO_PEEK_OFF", SOL_SOCKET, 42, ONLY_KERNEL, { 5, -1 }, 2 },
	{ "SO_MAX_PACING_RATE", SOL_SOCKET, 47, ONLY_KERNEL, { 100000, -1 }, 2 },
	{ "SO_ZEROCOPY", SOL_SOCKET, 60, ONLY_KERNEL, { 1, 0 }, 2 },
	{ "TCP_COOKIE_TRANSACTIONS", IPPROTO_TCP, 15, 0, { 1 }, 1 },
	{ "TCP_THIN_DUPACK", IPPROTO_TCP, 17, 0, { 1, 0, 2 }, 3 },
	{ "TCP_REPAIR_QUEUE", IPPROTO_TCP, 20, 0, { 1 }, 1 },
	{ "TCP_REPAIR_OPTIONS", IPPROTO_TCP, 22, 0, { 1 }, 1 },
	{ "TCP_FASTOPEN", IPPROTO_TCP, 23, 0, { 5 }, 1 },
	{ "TCP_CC_INFO", IPPROTO_TCP, 26, DEFAULT_VARIES | VALUE_VARIES | ONLY_KERNEL, { 1 }, 1 },
	{ "TCP_SAVED_SYN", IPPROTO_TCP, 28, 0, { 1 }, 1 },
	{ "TCP_REPAIR_WINDOW", IPPROTO_TCP, 29, 0, { 1 }, 1 },
	{ "TCP_FASTOPEN_CONNECT", IPPROTO_TCP, 30, 0, { 2 }, 1 },
	{ "TCP_FASTOPEN_NO_COOKIE", IPPROTO_TCP, 34, 0, { 1, 0, 2 }, 3 },
	{ "TCP_INQ", IPPROTO_TCP, 36, 0, { 1, 0, 2 }, 3 },
	{ "TCP_IS_MPTCP", IPPROTO_TCP, 43, 0, { 1 }, 1 },
	{ "TCP_SAVE_SYN", IPPROTO_TCP, 27, ONLY_KERNEL, { 1, 2, 0 }, 3 },
	{ "TCP_TX_DELAY", IPPROTO_TCP, 37, ONLY_KERNEL, { 1000, 0 }, 2 },
	{ "TCP_RTO_MAX_MS", IPPROTO_TCP, 44, ONLY_KERNEL, { 5000, 120000, 1 }, 3 },
	{ "TCP_RTO_MIN_US", IPPROTO_TCP, 45, ONLY_KERNEL, { 100000, 200000 }, 2 },
	{ "TCP_DELACK_MAX_US", IPPROTO_TCP, 46, 0, { 100000 }, 1 },
	{ "IP_HDRINCL", IPPROTO_IP, 3, ONLY_4, { 1 }, 1 },
	{ "IP_ROUTER_ALERT", IPPROTO_IP, 5, ONLY_4, { 1 }, 1 },
	{ "IP_RECVOPTS", IPPROTO_IP, 6, ONLY_4, { 1, 0 }, 2 },
	{ "IP_RETOPTS", IPPROTO_IP, 7, ONLY_4, { 1, 0 }, 2 },
	{ "IP_PKTINFO", IPPROTO_IP, 8, ONLY_4, { 1, 0 }, 2 },
	{ "IP_MTU_DISCOVER", IPPROTO_IP, 10, ONLY_4, { 0, 1, 2, 3, 4, 5 }, 6 },
	{ "IP_RECVERR", IPPROTO_IP, 11, ONLY_4, { 1, 0 }, 2 },
	{ "IP_RECVTOS", IPPROTO_IP, 13, ONLY_4, { 1, 0 }, 2 },
	{ "IP_FREEBIND", IPPROTO_IP, 15, ONLY_4, { 1, 0 }, 2 },
	{ "IP_PASSSEC", IPPROTO_IP, 18, ONLY_4, { 1, 0 }, 2 },
	{ "IP_TRANSPARENT", IPPROTO_IP, 19, ONLY_4, { 1, 0 }, 2 },
	{ "IP_RECVORIGDSTADDR", IPPROTO_IP, 20, ONLY_4, { 1, 0 }, 2 },
	{ "IP_MINTTL", IPPROTO_IP, 21, ONLY_4, { 5, 255, 256, -1, 0 }, 5 },
	{ "IP_NODEFRAG", IPPROTO_IP, 22, ONLY_4, { 1 }, 1 },
	{ "IP_CHECKSUM", IPPROTO_IP, 23, ONLY_4, { 1, 0 }, 2 },
	{ "IP_BIND_ADDRESS_NO_PORT", IPPROTO_IP, 24, ONLY_4, { 1, 0 }, 2 },
	{ "IP_RECVFRAGSIZE", IPPROTO_IP, 25, ONLY_4, { 1, 0 }, 2 },
	{ "IP_RECVERR_RFC4884", IPPROTO_IP, 26, ONLY_4, { 1, 0 }, 2 },
	{ "IP_MULTICAST_TTL", IPPROTO_IP, 33, ONLY_4 | DEFAULT_VARIES | VALUE_VARIES, { 1 }, 1 },
	{ "IP_MULTICAST_LOOP", IPPROTO_IP, 34, ONLY_4, { 1, 0 }, 2 },
	{ "IP_MULTICAST_ALL", IPPROTO_IP, 49, ONLY_4, { 0, 1 }, 2 },
	{ "IP_UNICAST_IF", IPPROTO_IP, 50, ONLY_4, { 0 }, 1 },
	{ "IP_LOCAL_PORT_RANGE", IPPROTO_IP, 51, ONLY_4, { 0 }, 1 },
	{ "IP_PROTOCOL", IPPROTO_IP, 52, ONLY_4 | DEFAULT_VARIES | VALUE_VARIES, { 6 }, 1 },
	{ "SO_ORIGINAL_DST", IPPROTO_IP, 80, ONLY_4, { 0 }, 1 },
	{ "IPV6_2292PKTINFO", IPPROTO_IPV6, 2, ONLY_6, { 1, 0 }, 2 },
	{ "IPV6_2292HOPOPTS", IPPROTO_IPV6, 3, ONLY_6, { 1, 0 }, 2 },
	{ "IPV6_2292DSTOPTS", IPPROTO_IPV6, 4, ONLY_6, { 1, 0 }, 2 },
	{ "IPV6_2292RTHDR", IPPROTO_IPV6, 5, ONLY_6, { 1, 0 }, 2 },
	{ "IPV6_CHECKSUM", IPPROTO_IPV6, 7, ONLY_6, { 2 }, 1 },
	{ "IPV6_2292HOPLIMIT", IPPROTO_IPV6, 8, ONLY_6, { 1, 0 }, 2 },
	{ "IPV6_NEXTHOP", IPPROTO_IPV6, 9, ONLY_6, { 1 }, 1 },
	{ "IPV6_AUTHHDR", IPPROTO_IPV6, 10, ONLY_6, { 1 }, 1 },
	{ "IPV6_FLOWINFO", IPPROTO_IPV6, 11, ONLY_6, { 1, 0 }, 2 },
	{ "IPV6_MULTICAST_HOPS",
	  IPPROTO_IPV6,
	  18,
	  ONLY_6 | DEFAULT_VARIES | VALUE_VARIES,
	  { 1 },
	  1 },
	{ "IPV6_MULTICAST_LOOP", IPPROTO_IPV6, 19, ONLY_6, { 1, 0 }, 2 },
	{ "IPV6_ROUTER_ALERT", IPPROTO_IPV6, 22, ONLY_6, { 1 }, 1 },
	{ "IPV6_MTU_DISCOVER", IPPROTO_IPV6, 23, ONLY_6, { 0, 1, 2, 3, 6, 5 }, 6 },
	{ "IPV6_RECVERR", IPPROTO_IPV6, 25, ONLY_6, { 1, 0 }, 2 },
	{ "IPV6_MULTICAST_ALL", IPPROTO_IPV6, 29, ONLY_6, { 0, 1 }, 2 },
	{ "IPV6_ROUTER_ALERT_ISOLATE", IPPROTO_IPV6, 30, ONLY_6, { 1 }, 1 },
	{ "IPV6_RECVERR_RFC4884", IPPROTO_IPV6, 31, ONLY_6, { 1, 0 }, 2 },
	{ "IPV6_HDRINCL", IPPROTO_IPV6, 36, ONLY_6, { 1 }, 1 },
	{ "IPV6_RECVPKTINFO", IPPROTO_IPV6, 49, ONLY_6, { 1, 0 }, 2 },
	{ "IPV6_RECVHOPLIMIT", IPPROTO_IPV6, 51, ONLY_6, { 1, 0 }, 2 },
	{ "IPV6_HOPLIMIT", IPPROTO_IPV6, 52, ONLY_6, { 1 }, 1 },
	{ "IPV6_RECVHOPOPTS", IPPROTO_IPV6, 53, ONLY_6, { 1, 0 }, 2 },
	{ "IPV6_RECVRTHDR", IPPROTO_IPV6, 56, ONLY_6, { 1, 0 }, 2 },
	{ "IPV6_RECVDSTOPTS", IPPROTO_IPV6, 58, ONLY_6, { 1, 0 }, 2 },
	{ "IPV6_RECVPATHMTU", IPPROTO_IPV6, 60, ONLY_6, { 1, 0 }, 2 },
	{ "IPV6_DONTFRAG", IPPROTO_IPV6, 62, ONLY_6, { 1, 0 }, 2 },
	{ "IPV6_RECVTCLASS", IPPROTO_IPV6, 66, ONLY_6, { 1, 0 }, 2 },
	{ "IPV6_AUTOFLOWLABEL", IPPROTO_IPV6, 70, ONLY_6, { 0, 1 }, 2 },
	{ "IPV6_ADDR_PREFERENCES", IPPROTO_IPV6, 72, ONLY_6, { 2 }, 1 },
	{ "IPV6_MINHOPCOUNT", IPPROTO_IPV6, 73, ONLY_6, { 5, 255, 256, -1, 0 }, 5 },
	{ "IPV6_RECVORIGDSTADDR", IPPROTO_IPV6, 74, ONLY_6, { 1, 0 }, 2 },
	{ "IPV6_TRANSPARENT", IPPROTO_IPV6, 75, ONLY_6, { 1, 0 }, 2 },
	{ "IPV6_UNICAST_IF", IPPROTO_IPV6, 76, ONLY_6, { 0 }, 1 },
	{ "IPV6_RECVFRAGSIZE", IPPROTO_IPV6, 77, ONLY_6, { 1, 0 }, 2 },
	{ "IPV6_FREEBIND", IPPROTO_IPV6, 78, ONLY_6, { 1, 0 }, 2 },
	{ "IPV6_FLOWINFO_SEND", IPPROTO_IPV6, 33, ONLY_6 | ONLY_KERNEL, { 1, 0 }, 2 },
	{ "unknown of SOL_SOCKET", SOL_SOCKET, 9999, 0, { 1 }, 1 },
	{ "unknown of TCP", IPPROTO_TCP, 9999, 0, { 1 }, 1 },
	{ "unknown of IP", IPPROTO_IP, 9999, ONLY_4, { 1 }, 1 },
	{ "unknown of IPv6", IPPROTO_IPV6, 9999, ONLY_6, { 1 }, 1 },
	{ "unknown level", 7777, 1, 0, { 1 }, 1 },
};

#define COUNT (sizeof(options) / sizeof(options[0]))

static bool applies(const struct option *option, bool decided)
{
	if (decided && (option->flags & ONLY_KERNEL))
		return false;
	if (option->flags & ONLY_4)
		return family() == AF_INET;
	if (option->flags & ONLY_6)
		return family() == AF_INET6;
	return true;
}

static void get(const char *name, int fd, const struct option *option, bool varies)
{
	int value = 0x5a5a5a5a;
	socklen_t length = sizeof(value);
	int result = getsockopt(fd, option->level, option->name, &value, &length);

	if (result < 0)
		note("%s: %s", name, errno_name(errno));
	else if (varies)
		note("%s: length %u, some", name, length);
	else
		note("%s: length %u, %d", name, length, value);
}

static void go_through(int fd, bool decided)
{
	for (size_t i = 0; i < COUNT; i++) {
		const struct option *option = &options[i];

		if (!applies(option, decided))
			continue;
		note("%s", option->text);
		get("default", fd, option, option->flags & DEFAULT_VARIES);
		for (unsigned j = 0; j < option->count; j++) {
			int value = option->values[j];

			errno = 0;
			int result =
				setsockopt(fd, option->level, option->name, &value, sizeof(value));

			note("set %d: %s", value, errno_name(result < 0 ? errno : 0));
			get("then", fd, option, option->flags & VALUE_VARIES);
		}
	}
}

static void case_fresh(void)
{
	int fd = open_socket(0);

	go_through(fd, false);
	close(fd);
}

static void case_connected(void)
{
	struct connection connection = open_connection();

	go_through(connection.us, true);
	outcome("it still works", send(connection.us, "x", 1, MSG_NOSIGNAL));
	note("drained %zu", drain(connection.them, 1));
	close_connection(connection);
}

static void case_listening(void)
{
	int fd = our_listener(5);

	go_through(fd, true);
	close(fd);
}

/* What accept(2) hands down: each option with the first of its values, one listener for each. */
static void case_inherited(void)
{
	for (size_t i = 0; i < COUNT; i++) {
		const struct option *option = &options[i];
		int listener, us, them;
		struct address address;

		if (!applies(option, true) || (option->flags & READ_ONLY))
			continue;
		listener = our_listener(1);
		if (setsockopt(listener, option->level, option->name, &option->values[0],
			       sizeof(int)) < 0) {
			close(listener);
			continue;
		}
		address = name_of(listener);
		first_use(listener);
		them = them_connect(&address);
		send_all(them, "x", 1); /* TCP_DEFER_ACCEPT waits for it */
		us = accept_one(listener);
		note("%s %d", option->text, option->values[0]);
		get("accepted", us, option, option->flags & VALUE_VARIES);
		close(us);
		close(them);
		close(listener);
	}
}

static void case_lengths(void)
{
	struct connection connection = open_connection();
	int fds[] = { open_socket(0), connection.us };

	for (int which = 0; which < 2; which++) {
		int fd = fds[which];

		note("%s", which ? "connected" : "fresh");
		for (size_t i = 0; i < COUNT; i++) {
			const struct option *option = &options[i];
			unsigned char bytes[16];
			char line[200];
			size_t used = 0;
			static const socklen_t lengths[] = { 0, 1, 2, 3, 5, 16, (socklen_t)-1 };

			if (!applies(option, which == 1))
				continue;
			for (size_t j = 0; j < sizeof(lengths) / sizeof(lengths[0]); j++) {
				socklen_t length = lengths[j];

				memset(bytes, 0, sizeof(bytes));
				if (getsockopt(fd, option->level, option->name, bytes, &length) < 0)
					used += (size_t)sprintf(line + used, " %s",
								errno_name(errno));
				else
					used += (size_t)sprintf(line + used, " %u", length);
			}
			note("get %s:%s", option->text, line);
			used = 0;
			memset(bytes, 0, sizeof(bytes));
			/* Times of sending are the kernel's only. */
			bytes[0] = !strncmp(option->text, "SO_TIMESTAMPING", 15) ? 8 : 1;
			for (size_t j = 0; j < sizeof(lengths) / sizeof(lengths[0]); j++) {
				int result = setsockopt(fd, option->level, option->name, bytes,
							lengths[j]);

				used += (size_t)sprintf(line + used, " %s",
							result < 0 ? errno_name(errno) : "good");
			}
			note("set %s:%s", option->text, line);
		}
	}
	close(fds[0]);
	close_connection(connection);
}

static void case_pointers(void)
{
	struct connection connection = open_connection();
	int value = 0;
	socklen_t length = sizeof(value);

	outcome("get, bad value",
		getsockopt(connection.us, IPPROTO_TCP, TCP_NODELAY, bad_pointer(), &length));
	outcome("get, bad length",
		getsockopt(connection.us, IPPROTO_TCP, TCP_NODELAY, &value, bad_pointer()));
	outcome("set, bad value",
		setsockopt(connection.us, IPPROTO_TCP, TCP_NODELAY, bad_pointer(), sizeof(value)));
	outcome("SO_ERROR, bad value",
		getsockopt(connection.us, SOL_SOCKET, SO_ERROR, bad_pointer(), &length));
	outcome("SO_LINGER, bad value", setsockopt(connection.us, SOL_SOCKET, SO_LINGER,
						   bad_pointer(), sizeof(struct linger)));
	outcome("closed", getsockopt(900, SOL_SOCKET, SO_ERROR, &value, &length));
	outcome("standard input", setsockopt(0, SOL_SOCKET, SO_KEEPALIVE, &value, sizeof(value)));
	close_connection(connection);
}

static void case_linger_long(void)
{
	static const int seconds[] = { 65535, 65536, 100000, 1 << 30, -1, 0 };
	struct connection connection = open_talking();

	for (size_t i = 0; i < sizeof(seconds) / sizeof(seconds[0]); i++) {
		struct linger linger = { 1, seconds[i] };
		socklen_t length = sizeof(linger);

		outcome("set",
			setsockopt(connection.us, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
		outcome("get", getsockopt(connection.us, SOL_SOCKET, SO_LINGER, &linger, &length));
		note("%d %d", linger.l_onoff, linger.l_linger);
	}
	close_connection(connection);
}

static void case_linger(void)
{
	struct connection connection = open_connection();
	int fds[] = { open_socket(0), connection.us };

	for (int i = 0; i < 2; i++) {
		struct linger linger = { -1, -1 };
		socklen_t length = sizeof(linger);

		outcome("get", getsockopt(fds[i], SOL_SOCKET, SO_LINGER, &linger, &length));
		note("%d %d, length %u", linger.l_onoff, linger.l_linger, length);
		linger = (struct linger){ 5, 7 };
		outcome("set", setsockopt(fds[i], SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
		outcome("get", getsockopt(fds[i], SOL_SOCKET, SO_LINGER, &linger, &length));
		note("%d %d, length %u", linger.l_onoff, linger.l_linger, length);
		linger.l_onoff = 0;
		outcome("off", setsockopt(fds[i], SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
		outcome("get", getsockopt(fds[i], SOL_SOCKET, SO_LINGER, &linger, &length));
		note("%d %d, length %u", linger.l_onoff, linger.l_linger, length);
		outcome("short", setsockopt(fds[i], SOL_SOCKET, SO_LINGER, &linger, 4));
		length = 4;
		outcome("get, short", getsockopt(fds[i], SOL_SOCKET, SO_LINGER, &linger, &length));
		note("length %u", length);
	}
	close(fds[0]);
	close_connection(connection);
}

static void case_times(void)
{
	static const struct timeval times[] = { { 1, 500000 }, { 0, 1 },       { 0, 0 },
						{ -1, 0 },     { 0, 1000000 }, { 0, -1 } };
	struct connection connection = open_connection();
	int fds[] = { open_socket(0), connection.us };

	for (int i = 0; i < 4; i++) {
		int fd = fds[i / 2], name = i % 2 ? SO_SNDTIMEO : SO_RCVTIMEO;
		struct timeval value = { 7, 7 };
		socklen_t length = sizeof(value);

		note("%s, %s", i / 2 ? "connected" : "fresh",
		     i % 2 ? "SO_SNDTIMEO" : "SO_RCVTIMEO");
		outcome("get", getsockopt(fd, SOL_SOCKET, name, &value, &length));
		note("%ld %ld, length %u", (long)value.tv_sec, (long)value.tv_usec, length);
		for (size_t j = 0; j < sizeof(times) / sizeof(times[0]); j++) {
			outcome_at("set", (int)j,
				   setsockopt(fd, SOL_SOCKET, name, &times[j], sizeof(times[j])));
			length = sizeof(value);
			must("get", getsockopt(fd, SOL_SOCKET, name, &value, &length));
			note("%ld %s", (long)value.tv_sec,
			     value.tv_usec == 0	      ? "0"
			     : value.tv_usec < 100000 ? "a little"
						      : "much");
		}
		outcome("short", setsockopt(fd, SOL_SOCKET, name, &value, 8));
	}
	close(fds[0]);
	close_connection(connection);
}

static void case_congestion(void)
{
	struct connection connection = open_connection();
	int fds[] = { open_socket(0), connection.us };

	for (int i = 0; i < 2; i++) {
		char name[32] = "";
		socklen_t length = sizeof(name);

		outcome("get", getsockopt(fds[i], IPPROTO_TCP, TCP_CONGESTION, name, &length));
		note("length %u, a name: %s", length, name[0] ? "yes" : "no");
		outcome("set reno", setsockopt(fds[i], IPPROTO_TCP, TCP_CONGESTION, "reno", 4));
		outcome("set nonsense",
			setsockopt(fds[i], IPPROTO_TCP, TCP_CONGESTION, "nonsense", 8));
		outcome("set nothing", setsockopt(fds[i], IPPROTO_TCP, TCP_CONGESTION, "", 0));
	}
	close(fds[0]);
	close_connection(connection);
}

static void await_acknowledged(int fd)
{
	int64_t end = now_ms() + AWAIT_MS;
	int left = 1;

	while (left > 0 && now_ms() < end) {
		must("SIOCOUTQ", ioctl(fd, SIOCOUTQ, &left));
		pause_ms(1);
	}
}

static void await_state(int fd, int state)
{
	int64_t end = now_ms() + AWAIT_MS;
	struct tcp_info info = { 0 };
	socklen_t length = sizeof(info);

	while (info.tcpi_state != state && now_ms() < end) {
		must("TCP_INFO", getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length));
		pause_ms(1);
	}
}

static void show_info(const char *name, int fd)
{
	struct tcp_info info;
	socklen_t length = sizeof(info);
	int result;

	memset(&info, 0, sizeof(info));
	result = getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length);
	outcome(name, result);
	note("length %s, state %u, unacked %u, retransmits %u",
	     length == sizeof(info) ? "all" : "less", info.tcpi_state, info.tcpi_unacked,
	     info.tcpi_retransmits);
	if (info.tcpi_state == 1) /* established */
		note("mss %d %d, cwnd %d, rtt %d, rto %d, pmtu %d", info.tcpi_snd_mss > 0,
		     info.tcpi_rcv_mss > 0, info.tcpi_snd_cwnd > 0, info.tcpi_rtt > 0,
		     info.tcpi_rto > 0, info.tcpi_pmtu > 0);
}

static void case_info(void)
{
	struct connection connection = open_connection();
	int fd = open_socket(0), listener = our_listener(5);
	struct tcp_info info;
	socklen_t length = 20;

	show_info("fresh", fd);
	show_info("listening", listener);
	send_all(connection.us, "hello", 5);
	note("drained %zu", drain(connection.them, 5));
	send_all(connection.them, "hello", 5);
	note("drained %zu", drain(connection.us, 5));
	await_acknowledged(connection.us);
	show_info("connected", connection.us);
	outcome("short", getsockopt(connection.us, IPPROTO_TCP, TCP_INFO, &info, &length));
	note("length %u", length);
	outcome("set", setsockopt(connection.us, IPPROTO_TCP, TCP_INFO, &info, sizeof(info)));
	shutdown(connection.us, SHUT_WR);
	await_state(connection.us, FIN_WAIT_2); /* its acknowledgement may be delayed */
	show_info("shut down", connection.us);
	close(connection.them);
	await(connection.us, POLLHUP);
	show_info("both ways", connection.us);
	close(connection.us);
	connection = open_connection();
	shutdown(connection.them, SHUT_WR);
	await(connection.us, POLLRDHUP);
	show_info("they shut down", connection.us);
	close_connection(connection);
	close(fd);
	close(listener);
}

static void show_counts(const char *name, int fd)
{
	struct tcp_info info;
	socklen_t length = sizeof(info);

	memset(&info, 0, sizeof(info));
	must("TCP_INFO", getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length));
	note("%s: acknowledged %llu, received %llu, sent %llu, again %llu, not yet %u", name,
	     (unsigned long long)info.tcpi_bytes_acked,
	     (unsigned long long)info.tcpi_bytes_received, (unsigned long long)info.tcpi_bytes_sent,
	     (unsigned long long)info.tcpi_bytes_retrans, info.tcpi_notsent_bytes);
	note("segments with data %u in, %u out, delivered %u, unacked %u, lost %u, retrans %u %u",
	     info.tcpi_data_segs_in, info.tcpi_data_segs_out, info.tcpi_delivered,
	     info.tcpi_unacked, info.tcpi_lost, info.tcpi_retrans, info.tcpi_total_retrans);
	note("segments: as many in as with data %d, out %d",
	     info.tcpi_segs_in >= info.tcpi_data_segs_in,
	     info.tcpi_segs_out >= info.tcpi_data_segs_out);
	/* Of equal round trips the variance comes down to 0, over the kernel, too. */
	note("rtt %d, variance %d, least %d, rate %d, window %d, reordering %u, limit %llx",
	     info.tcpi_rtt > 0,
	     info.tcpi_rttvar<10000000, info.tcpi_min_rtt> 0 &&
		     info.tcpi_min_rtt <= info.tcpi_rtt + info.tcpi_rttvar * 8,
	     info.tcpi_delivery_rate > 0, info.tcpi_snd_wnd > 0, info.tcpi_reordering,
	     (unsigned long long)info.tcpi_max_pacing_rate);
	note("since data was sent %s, came %s, an acknowledgement %s",
	     info.tcpi_last_data_sent < 10000 ? "not long" : "long",
	     info.tcpi_last_data_recv < 10000 ? "not long" : "long",
	     info.tcpi_last_ack_recv < 10000 ? "not long" : "long");
}

static void ping_pong(struct connection connection, unsigned rounds)
{
	for (unsigned i = 0; i < rounds; i++) {
		send_all(connection.us, "hello, world", 12);
		drain(connection.them, 12);
		send_all(connection.them, "hello", 5);
		drain(connection.us, 5);
	}
	await_acknowledged(connection.us);
	settle();
}

/* With Nagle's algorithm off on both sides each of the small writes is a segment. */
static void case_counts(void)
{
	static const socklen_t lengths[] = { 0, 1, 8, 100, 104, 192, 232, 1000 };
	struct connection connection = open_connection();
	char room[1000];
	int on = 1;

	must("NODELAY", setsockopt(connection.us, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)));
	must("NODELAY", setsockopt(connection.them, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)));
	settle();
	show_counts("fresh", connection.us);
	ping_pong(connection, 3);
	show_counts("3 rounds", connection.us);
	ping_pong(connection, 2);
	show_counts("5 rounds", connection.us);
	shutdown(connection.them, SHUT_WR);
	await(connection.us, POLLRDHUP);
	show_counts("they end", connection.us);
	send_all(connection.us, "more", 4);
	drain(connection.them, 4);
	shutdown(connection.us, SHUT_WR);
	await(connection.them, POLLRDHUP);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		socklen_t length = lengths[i];

		outcome("TCP_INFO",
			getsockopt(connection.us, IPPROTO_TCP, TCP_INFO, room, &length));
		if (lengths[i] <= 232)
			note("room for %u: %u", lengths[i], length);
		else /* newer kernels know more */
			note("room for %u: %s", lengths[i], length >= 232 ? "enough" : "too few");
	}
	close_connection(connection);
}

static void case_before_the_flow(void)
{
	int listener = their_listener(5), fd = open_socket(0), peer, on = 1, size = 40000, value;
	struct address address = name_of(listener);
	socklen_t length = sizeof(value);

	outcome("NODELAY", setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)));
	outcome("KEEPALIVE", setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)));
	outcome("SNDBUF", setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)));
	outcome("RCVBUF", setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)));
	outcome("KEEPIDLE", setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &size, 0) +
				    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &(int){ 55 }, 4));
	must("connect", connect(fd, (struct sockaddr *)&address.storage, address.length));
	peer = accept_one(listener);
	getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, &length);
	note("NODELAY %d", value);
	getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, &length);
	note("KEEPALIVE %d", value);
	getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &value, &length);
	note("SNDBUF %d", value);
	getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &value, &length);
	note("RCVBUF %d", value);
	getsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &value, &length);
	note("KEEPIDLE %d", value);

	size_t bytes = fill(fd);

	note("the small buffers hold %s", bytes > 0 ? "something" : "nothing");
	note("drained %s", drain(peer, bytes) == bytes ? "all" : "not all");
	close(fd);
	close(peer);
	close(listener);
}

/*
 * What is corked is sent after 200 ms all the same (tcp(7)): a look that comes so late says
 * nothing, and another one is taken.
 */
static ssize_t look_at_corked(struct connection connection, void *buffer, size_t size)
{
	ssize_t seen = 0;

	for (int i = 0; i < 50; i++) {
		int64_t start = now_ms();

		send_all(connection.us, "abc", 3);
		send_all(connection.us, "def", 3);
		pause_ms(40);
		seen = recv(connection.them, buffer, size, MSG_DONTWAIT);
		if (now_ms() - start < 150)
			break;
		drain(connection.them, seen > 0 ? 6 - (size_t)seen : 6);
		errno = 0;
	}
	return seen;
}

static void case_cork(void)
{
	struct connection connection = open_connection();
	int on = 1, off = 0;
	char buffer[16] = { 0 };

	outcome("cork", setsockopt(connection.us, IPPROTO_TCP, TCP_CORK, &on, sizeof(on)));
	outcome("held back", look_at_corked(connection, buffer, sizeof(buffer)));
	outcome("uncork", setsockopt(connection.us, IPPROTO_TCP, TCP_CORK, &off, sizeof(off)));
	await_bytes(connection.them, 6);
	outcome("sent", recv(connection.them, buffer, 16, MSG_DONTWAIT));
	show("data", buffer, 6);
	outcome("cork", setsockopt(connection.us, IPPROTO_TCP, TCP_CORK, &on, sizeof(on)));
	send_all(connection.us, "ghi", 3);
	outcome("close", close(connection.us));
	outcome("sent", recv(connection.them, buffer, 16, MSG_WAITALL));
	show("data", buffer, 3);
	close(connection.them);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "fresh", case_fresh, 0 },
		{ "connected", case_connected, 0 },
		{ "listening", case_listening, 0 },
		{ "inherited", case_inherited, 60 },
		{ "lengths", case_lengths, 0 },
		{ "pointers", case_pointers, 0 },
		{ "linger", case_linger, 0 },
		{ "linger long", case_linger_long, 0 },
		{ "times", case_times, 0 },
		{ "congestion", case_congestion, 0 },
		{ "info", case_info, 0 },
		{ "counts", case_counts, 0 },
		{ "before the flow", case_before_the_flow, 0 },
		{ "cork", case_cork, 0 },
	};

	return run_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
