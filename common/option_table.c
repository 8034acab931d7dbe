/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table of socket options: option_table.h. Numbers are Linux's on x86-64 and aarch64; newer
 * ones are not in every system's headers, so all are written out (tests/options.bats compares
 * them with the headers). Where a program asks for something that the stack has not, one of three
 * things is right: it makes no difference (TWIN), the kernel carries the flow, or an honest error.
 */
#include "common/option_table.h"

#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>

#define ROW(number, text, ...) [number] = { .name = text, __VA_ARGS__ }

/* The stack's, libmelin.so's, the kernel socket's. */
#define STACK(number, text) ROW(number, text, .service = OPTION_STACK)
/* The stack's, but a connection of the kernel's that asks for it is not borrowed. */
#define STACK_UNLENT(number, text) ROW(number, text, .service = OPTION_STACK, .flows = OPTION_LOAN)
#define PRELOAD(number, text)	   ROW(number, text, .service = OPTION_PRELOAD)
#define TWIN(number, text)	   ROW(number, text, .service = OPTION_TWIN)
/* As TWIN, but Linux itself refuses the option on a connection. */
#define NOT_CONNECTED(number, text, error)                                                         \
	ROW(number, text, .service = OPTION_TWIN, .refusal = (error))

/* The kernel's for connect() and listen(); the error is the later one. */
#define KERNEL(number, text, kind, error)                                                          \
	ROW(number, text, .service = OPTION_KERNEL, .form = (kind), .flows = OPTION_BOTH,          \
	    .refusal = (error))
/* libmelin.so's, if only times of receiving are asked for. */
#define TIMES(number, text)                                                                        \
	ROW(number, text, .service = OPTION_PRELOAD, .form = OPTION_SEND_TIMES,                    \
	    .flows = OPTION_BOTH, .refusal = EOPNOTSUPP)
/* With a value that asks for nothing, and for which flows it matters. */
#define KERNEL_NUMBER(number, text, nothing, which, error)                                         \
	ROW(number, text, .service = OPTION_KERNEL, .form = OPTION_NUMBER, .flows = (which),       \
	    .off = (nothing), .refusal = (error))

const struct option melin_option_table[OPTION_LEVELS][OPTION_NUMBERS] = {
	[OPTION_SOCKET] = {
		TWIN(1, "SO_DEBUG"), /* the kernel's own tracing, of which nothing is left */
		STACK(2, "SO_REUSEADDR"),
		TWIN(3, "SO_TYPE"), /* to be read only */
		STACK(4, "SO_ERROR"),
		/* The stack has a gateway, which this forbids; a flow's way stays. */
		KERNEL_NUMBER(5, "SO_DONTROUTE", 0, OPTION_CONNECT, 0),
		TWIN(6, "SO_BROADCAST"), /* TCP has none */
		STACK(7, "SO_SNDBUF"),
		STACK(8, "SO_RCVBUF"),
		STACK(9, "SO_KEEPALIVE"),
		STACK(10, "SO_OOBINLINE"),
		TWIN(11, "SO_NO_CHECK"), /* UDP's */
		TWIN(12, "SO_PRIORITY"), /* of a queueing discipline, which the device has not */
		STACK(13, "SO_LINGER"),
		TWIN(14, "SO_BSDCOMPAT"), /* has no effect in Linux either */
		STACK(15, "SO_REUSEPORT"),
		TWIN(16, "SO_PASSCRED"), /* Unix sockets' */
		TWIN(17, "SO_PEERCRED"), /* Unix sockets' */
		STACK(18, "SO_RCVLOWAT"),
		TWIN(19, "SO_SNDLOWAT"), /* to be read only */
		PRELOAD(20, "SO_RCVTIMEO_OLD"),
		PRELOAD(21, "SO_SNDTIMEO_OLD"),
		TWIN(22, "SO_SECURITY_AUTHENTICATION"), /* not in Linux either, as the next two */
		TWIN(23, "SO_SECURITY_ENCRYPTION_TRANSPORT"),
		TWIN(24, "SO_SECURITY_ENCRYPTION_NETWORK"),
		KERNEL(25, "SO_BINDTODEVICE", OPTION_DEVICE, EOPNOTSUPP),
		KERNEL(26, "SO_ATTACH_FILTER", OPTION_BYTES, EOPNOTSUPP),
		TWIN(27, "SO_DETACH_FILTER"), /* there is none to detach */
		PRELOAD(28, "SO_PEERNAME"),
		PRELOAD(29, "SO_TIMESTAMP_OLD"),
		STACK(30, "SO_ACCEPTCONN"),
		TWIN(31, "SO_PEERSEC"), /* labels of the kernel's packets, to be read only */
		STACK(32, "SO_SNDBUFFORCE"),
		STACK(33, "SO_RCVBUFFORCE"),
		TWIN(34, "SO_PASSSEC"), /* Unix sockets' and netlink's */
		PRELOAD(35, "SO_TIMESTAMPNS_OLD"),
		/*
		 * Chooses among the kernel's routes. Afterwards, and for a listener's answers,
		 * what is left of it is the host's firewall, which the stack's frames do not pass.
		 */
		KERNEL_NUMBER(36, "SO_MARK", 0, OPTION_CONNECT, 0),
		TIMES(37, "SO_TIMESTAMPING_OLD"),
		TWIN(38, "SO_PROTOCOL"),	 /* to be read only */
		TWIN(39, "SO_DOMAIN"),		 /* to be read only */
		TWIN(40, "SO_RXQ_OVFL"),	 /* datagrams' */
		TWIN(41, "SO_WIFI_STATUS"),	 /* of datagrams on wireless interfaces */
		KERNEL_NUMBER(42, "SO_PEEK_OFF", -1, OPTION_BOTH, EOPNOTSUPP),
		TWIN(43, "SO_NOFCS"),		 /* packet sockets' */
		TWIN(44, "SO_LOCK_FILTER"),	 /* there is no filter to lock */
		TWIN(45, "SO_SELECT_ERR_QUEUE"), /* the queue of errors is always empty */
		TWIN(46, "SO_BUSY_POLL"),	 /* MELIN_SPIN_US is how the stack polls */
		KERNEL_NUMBER(47, "SO_MAX_PACING_RATE", -1, OPTION_BOTH, EOPNOTSUPP),
		TWIN(48, "SO_BPF_EXTENSIONS"), /* to be read only */
		TWIN(49, "SO_INCOMING_CPU"),   /* a hint for the kernel's queues */
		KERNEL(50, "SO_ATTACH_BPF", OPTION_BYTES, EOPNOTSUPP),
		ROW(51, "SO_ATTACH_REUSEPORT_CBPF", .service = OPTION_KERNEL,
		    .form = OPTION_ONCE_SET, .flows = OPTION_LISTEN, .refusal = EOPNOTSUPP),
		ROW(52, "SO_ATTACH_REUSEPORT_EBPF", .service = OPTION_KERNEL,
		    .form = OPTION_ONCE_SET, .flows = OPTION_LISTEN, .refusal = EOPNOTSUPP),
		TWIN(53, "SO_CNX_ADVICE"), /* doubts the kernel's route */
		TWIN(55, "SO_MEMINFO"),	   /* to be read only: of the kernel's own socket */
		TWIN(56, "SO_INCOMING_NAPI_ID"), /* to be read only: of the kernel's queues */
		TWIN(57, "SO_COOKIE"),		 /* to be read only */
		TWIN(59, "SO_PEERGROUPS"),	 /* Unix sockets' */
		KERNEL_NUMBER(60, "SO_ZEROCOPY", 0, OPTION_BOTH, EOPNOTSUPP),
		TWIN(61, "SO_TXTIME"), /* TCP times its segments itself */
		KERNEL(62, "SO_BINDTOIFINDEX", OPTION_DEVICE, EOPNOTSUPP),
		PRELOAD(63, "SO_TIMESTAMP_NEW"),
		PRELOAD(64, "SO_TIMESTAMPNS_NEW"),
		TIMES(65, "SO_TIMESTAMPING_NEW"),
		PRELOAD(66, "SO_RCVTIMEO_NEW"),
		PRELOAD(67, "SO_SNDTIMEO_NEW"),
		TWIN(68, "SO_DETACH_REUSEPORT_BPF"), /* there is none to detach */
		TWIN(69, "SO_PREFER_BUSY_POLL"),     /* as SO_BUSY_POLL */
		TWIN(70, "SO_BUSY_POLL_BUDGET"),     /* as SO_BUSY_POLL */
		TWIN(71, "SO_NETNS_COOKIE"),	     /* to be read only */
		STACK(72, "SO_BUF_LOCK"),
		TWIN(73, "SO_RESERVE_MEM"), /* of the kernel's memory */
		TWIN(74, "SO_TXREHASH"),    /* a hint for the kernel's choice among equal routes */
		TWIN(75, "SO_RCVMARK"),	    /* datagrams' */
		TWIN(76, "SO_PASSPIDFD"),   /* Unix sockets' */
		TWIN(77, "SO_PEERPIDFD"),   /* Unix sockets' */
		TWIN(78, "SO_DEVMEM_LINEAR"), /* a kind of control message */
		TWIN(79, "SO_DEVMEM_DMABUF"), /* a kind of control message */
		TWIN(80, "SO_DEVMEM_DONTNEED"), /* gives back what only the kernel hands out */
		TWIN(82, "SO_RCVPRIORITY"),	/* datagrams' */
		TWIN(83, "SO_PASSRIGHTS"),	/* Unix sockets' */
		TWIN(84, "SO_INQ"),		/* Unix sockets' */
	},
	[OPTION_TCP] = {
		STACK(1, "TCP_NODELAY"),
		STACK(2, "TCP_MAXSEG"),
		STACK(3, "TCP_CORK"),
		STACK(4, "TCP_KEEPIDLE"),
		STACK(5, "TCP_KEEPINTVL"),
		STACK(6, "TCP_KEEPCNT"),
		STACK(7, "TCP_SYNCNT"),
		STACK(8, "TCP_LINGER2"),
		STACK(9, "TCP_DEFER_ACCEPT"),
		STACK(10, "TCP_WINDOW_CLAMP"),
		STACK(11, "TCP_INFO"),
		STACK(12, "TCP_QUICKACK"),
		ROW(13, "TCP_CONGESTION", .service = OPTION_STACK, .form = OPTION_ALGORITHM,
		    .flows = OPTION_BOTH, .refusal = ENOENT),
		KERNEL(14, "TCP_MD5SIG", OPTION_ONCE_SET, ENOPROTOOPT),
		TWIN(15, "TCP_COOKIE_TRANSACTIONS"), /* not in Linux any more */
		/*
		 * It asks that a connection with little in flight sends again sooner, and changes
		 * nothing else: the stack sends again soon enough.
		 */
		TWIN(16, "TCP_THIN_LINEAR_TIMEOUTS"),
		TWIN(17, "TCP_THIN_DUPACK"), /* has no effect in Linux either */
		/* A connection that is given back to the kernel would begin its time anew. */
		STACK_UNLENT(18, "TCP_USER_TIMEOUT"),
		KERNEL_NUMBER(19, "TCP_REPAIR", 0, OPTION_BOTH, EPERM),
		TWIN(20, "TCP_REPAIR_QUEUE"),	/* under TCP_REPAIR only, as the next two */
		TWIN(21, "TCP_QUEUE_SEQ"),
		TWIN(22, "TCP_REPAIR_OPTIONS"),
		/* A server need not give out cookies: its clients greet in the usual way then. */
		NOT_CONNECTED(23, "TCP_FASTOPEN", EINVAL),
		TWIN(24, "TCP_TIMESTAMP"), /* under TCP_REPAIR only */
		STACK(25, "TCP_NOTSENT_LOWAT"),
		STACK(26, "TCP_CC_INFO"),
		KERNEL_NUMBER(27, "TCP_SAVE_SYN", 0, OPTION_LISTEN, EOPNOTSUPP),
		TWIN(28, "TCP_SAVED_SYN"),     /* to be read only: nothing was saved */
		TWIN(29, "TCP_REPAIR_WINDOW"), /* under TCP_REPAIR only */
		KERNEL_NUMBER(30, "TCP_FASTOPEN_CONNECT", 0, OPTION_CONNECT, EINVAL),
		/* ENOENT is a kernel's answer without it: libraries do TLS themselves then. */
		KERNEL(31, "TCP_ULP", OPTION_BYTES, ENOENT),
		KERNEL(32, "TCP_MD5SIG_EXT", OPTION_ONCE_SET, ENOPROTOOPT),
		TWIN(33, "TCP_FASTOPEN_KEY"), /* as TCP_FASTOPEN */
		NOT_CONNECTED(34, "TCP_FASTOPEN_NO_COOKIE", EINVAL), /* as TCP_FASTOPEN */
		PRELOAD(35, "TCP_ZEROCOPY_RECEIVE"),
		PRELOAD(36, "TCP_INQ"),
		KERNEL_NUMBER(37, "TCP_TX_DELAY", 0, OPTION_BOTH, EOPNOTSUPP),
		/* As Linux on a connection that has begun without keys. */
		KERNEL(38, "TCP_AO_ADD_KEY", OPTION_ONCE_SET, EISCONN),
		KERNEL(39, "TCP_AO_DEL_KEY", OPTION_ONCE_SET, EISCONN),
		KERNEL(40, "TCP_AO_INFO", OPTION_ONCE_SET, EISCONN),
		TWIN(41, "TCP_AO_GET_KEYS"), /* to be read only */
		TWIN(42, "TCP_AO_REPAIR"),   /* under TCP_REPAIR only */
		TWIN(43, "TCP_IS_MPTCP"),    /* to be read only */
		KERNEL_NUMBER(44, "TCP_RTO_MAX_MS", 120000, OPTION_BOTH, EOPNOTSUPP),
		KERNEL_NUMBER(45, "TCP_RTO_MIN_US", 200000, OPTION_BOTH, EOPNOTSUPP),
		/* Of 200 ms at most; the stack waits for 10 at most. */
		TWIN(46, "TCP_DELACK_MAX_US"),
	},
	/* TCP hands no control messages of IP's to the program: those switches change nothing. */
	[OPTION_IP] = {
		STACK(1, "IP_TOS"),
		STACK(2, "IP_TTL"),
		TWIN(3, "IP_HDRINCL"), /* raw sockets' */
		KERNEL(4, "IP_OPTIONS", OPTION_BYTES, EOPNOTSUPP),
		TWIN(5, "IP_ROUTER_ALERT"),    /* raw sockets' */
		TWIN(6, "IP_RECVOPTS"),	       /* control messages, as the next five */
		TWIN(7, "IP_RETOPTS"),
		TWIN(8, "IP_PKTINFO"),
		TWIN(9, "IP_PKTOPTIONS"),
		STACK(10, "IP_MTU_DISCOVER"),
		/* The queue of errors is the kernel's: option_table.h. */
		STACK_UNLENT(11, "IP_RECVERR"),
		TWIN(12, "IP_RECVTTL"),
		TWIN(13, "IP_RECVTOS"),
		STACK(14, "IP_MTU"),
		TWIN(15, "IP_FREEBIND"), /* done with when connect() comes */
		KERNEL(16, "IP_IPSEC_POLICY", OPTION_ONCE_SET, EOPNOTSUPP),
		KERNEL(17, "IP_XFRM_POLICY", OPTION_ONCE_SET, EOPNOTSUPP),
		TWIN(18, "IP_PASSSEC"),	    /* control messages */
		TWIN(19, "IP_TRANSPARENT"), /* from a foreign address the kernel connects anyway */
		TWIN(20, "IP_ORIGDSTADDR"), /* control messages */
		STACK(21, "IP_MINTTL"),
		TWIN(22, "IP_NODEFRAG"), /* raw sockets' */
		TWIN(23, "IP_CHECKSUM"), /* control messages */
		TWIN(24, "IP_BIND_ADDRESS_NO_PORT"), /* done with when connect() comes */
		TWIN(25, "IP_RECVFRAGSIZE"),	     /* control messages */
		TWIN(26, "IP_RECVERR_RFC4884"),	     /* more of IP_RECVERR's words */
		TWIN(32, "IP_MULTICAST_IF"),	     /* TCP has no multicast: to 49 */
		TWIN(33, "IP_MULTICAST_TTL"),
		TWIN(34, "IP_MULTICAST_LOOP"),
		TWIN(35, "IP_ADD_MEMBERSHIP"),
		TWIN(36, "IP_DROP_MEMBERSHIP"),
		TWIN(37, "IP_UNBLOCK_SOURCE"),
		TWIN(38, "IP_BLOCK_SOURCE"),
		TWIN(39, "IP_ADD_SOURCE_MEMBERSHIP"),
		TWIN(40, "IP_DROP_SOURCE_MEMBERSHIP"),
		TWIN(41, "IP_MSFILTER"),
		TWIN(42, "MCAST_JOIN_GROUP"),
		TWIN(43, "MCAST_BLOCK_SOURCE"),
		TWIN(44, "MCAST_UNBLOCK_SOURCE"),
		TWIN(45, "MCAST_LEAVE_GROUP"),
		TWIN(46, "MCAST_JOIN_SOURCE_GROUP"),
		TWIN(47, "MCAST_LEAVE_SOURCE_GROUP"),
		TWIN(48, "MCAST_MSFILTER"),
		TWIN(49, "IP_MULTICAST_ALL"),
		TWIN(50, "IP_UNICAST_IF"), /* datagrams' */
		/* A listener's port is the kernel's choice in any case. */
		KERNEL_NUMBER(51, "IP_LOCAL_PORT_RANGE", 0, OPTION_CONNECT, 0),
		STACK(52, "IP_PROTOCOL"),
		TWIN(80, "SO_ORIGINAL_DST"), /* to be read only: nobody has redirected the flow */
	},
	[OPTION_IPV6] = {
		/* Makes an IPv4 socket of one that has an IPv4 peer. */
		NOT_CONNECTED(1, "IPV6_ADDRFORM", EOPNOTSUPP),
		TWIN(2, "IPV6_2292PKTINFO"), /* control messages, as the next five */
		TWIN(3, "IPV6_2292HOPOPTS"),
		TWIN(4, "IPV6_2292DSTOPTS"),
		TWIN(5, "IPV6_2292RTHDR"),
		TWIN(6, "IPV6_2292PKTOPTIONS"),
		TWIN(7, "IPV6_CHECKSUM"), /* raw sockets' */
		TWIN(8, "IPV6_2292HOPLIMIT"),
		TWIN(9, "IPV6_NEXTHOP"),   /* not in Linux */
		TWIN(10, "IPV6_AUTHHDR"),  /* not in Linux */
		TWIN(11, "IPV6_FLOWINFO"), /* control messages */
		STACK(16, "IPV6_UNICAST_HOPS"),
		TWIN(17, "IPV6_MULTICAST_IF"), /* TCP has no multicast: to 21 */
		TWIN(18, "IPV6_MULTICAST_HOPS"),
		TWIN(19, "IPV6_MULTICAST_LOOP"),
		TWIN(20, "IPV6_ADD_MEMBERSHIP"),
		TWIN(21, "IPV6_DROP_MEMBERSHIP"),
		TWIN(22, "IPV6_ROUTER_ALERT"), /* raw sockets' */
		STACK(23, "IPV6_MTU_DISCOVER"),
		STACK(24, "IPV6_MTU"),
		STACK_UNLENT(25, "IPV6_RECVERR"), /* as IP_RECVERR */
		NOT_CONNECTED(26, "IPV6_V6ONLY", EINVAL), /* read when the flow is decided */
		TWIN(27, "IPV6_JOIN_ANYCAST"),		  /* datagrams', as the next two */
		TWIN(28, "IPV6_LEAVE_ANYCAST"),
		TWIN(29, "IPV6_MULTICAST_ALL"),
		TWIN(30, "IPV6_ROUTER_ALERT_ISOLATE"), /* raw sockets' */
		TWIN(31, "IPV6_RECVERR_RFC4884"),      /* more of IPV6_RECVERR's words */
		KERNEL(32, "IPV6_FLOWLABEL_MGR", OPTION_ONCE_SET, EOPNOTSUPP),
		KERNEL_NUMBER(33, "IPV6_FLOWINFO_SEND", 0, OPTION_BOTH, EOPNOTSUPP),
		KERNEL(34, "IPV6_IPSEC_POLICY", OPTION_ONCE_SET, EOPNOTSUPP),
		KERNEL(35, "IPV6_XFRM_POLICY", OPTION_ONCE_SET, EOPNOTSUPP),
		TWIN(36, "IPV6_HDRINCL"),     /* raw sockets' */
		TWIN(42, "MCAST_JOIN_GROUP"), /* TCP has no multicast: to 48 */
		TWIN(43, "MCAST_BLOCK_SOURCE"),
		TWIN(44, "MCAST_UNBLOCK_SOURCE"),
		TWIN(45, "MCAST_LEAVE_GROUP"),
		TWIN(46, "MCAST_JOIN_SOURCE_GROUP"),
		TWIN(47, "MCAST_LEAVE_SOURCE_GROUP"),
		TWIN(48, "MCAST_MSFILTER"),
		TWIN(49, "IPV6_RECVPKTINFO"), /* control messages, as most to 66 */
		TWIN(50, "IPV6_PKTINFO"),     /* the sender's address: datagrams' in Linux */
		TWIN(51, "IPV6_RECVHOPLIMIT"),
		TWIN(52, "IPV6_HOPLIMIT"),
		TWIN(53, "IPV6_RECVHOPOPTS"),
		KERNEL(54, "IPV6_HOPOPTS", OPTION_BYTES, EOPNOTSUPP), /* extension headers */
		KERNEL(55, "IPV6_RTHDRDSTOPTS", OPTION_BYTES, EOPNOTSUPP),
		TWIN(56, "IPV6_RECVRTHDR"),
		KERNEL(57, "IPV6_RTHDR", OPTION_BYTES, EOPNOTSUPP),
		TWIN(58, "IPV6_RECVDSTOPTS"),
		KERNEL(59, "IPV6_DSTOPTS", OPTION_BYTES, EOPNOTSUPP),
		TWIN(60, "IPV6_RECVPATHMTU"),
		STACK(61, "IPV6_PATHMTU"),
		TWIN(62, "IPV6_DONTFRAG"),    /* datagrams': TCP's segments fit */
		TWIN(63, "IPV6_USE_MIN_MTU"), /* not in Linux */
		TWIN(66, "IPV6_RECVTCLASS"),
		STACK(67, "IPV6_TCLASS"),
		TWIN(70, "IPV6_AUTOFLOWLABEL"),	  /* a hint for routers; the stack gives none */
		TWIN(72, "IPV6_ADDR_PREFERENCES"), /* the stack has no temporary addresses */
		STACK(73, "IPV6_MINHOPCOUNT"),
		TWIN(74, "IPV6_ORIGDSTADDR"), /* control messages */
		TWIN(75, "IPV6_TRANSPARENT"), /* as IP_TRANSPARENT */
		TWIN(76, "IPV6_UNICAST_IF"),  /* datagrams' */
		TWIN(77, "IPV6_RECVFRAGSIZE"), /* control messages */
		TWIN(78, "IPV6_FREEBIND"),     /* as IP_FREEBIND */
		TWIN(80, "IP6T_SO_ORIGINAL_DST"), /* as SO_ORIGINAL_DST */
	},
};

static const int levels[OPTION_LEVELS] = { SOL_SOCKET, IPPROTO_TCP, IPPROTO_IP, IPPROTO_IPV6 };

const struct option *option_find(int level, int name)
{
	if (name < 0 || name >= OPTION_NUMBERS)
		return NULL;
	for (int i = 0; i < OPTION_LEVELS; i++) {
		const struct option *option = &melin_option_table[i][name];

		if (levels[i] == level)
			return option->service == OPTION_UNKNOWN ? NULL : option;
	}
	return NULL;
}

void option_numbers(const struct option *option, int *level, int *name)
{
	long row = option - &melin_option_table[0][0];

	*level = levels[row / OPTION_NUMBERS];
	*name = (int)(row % OPTION_NUMBERS);
}
