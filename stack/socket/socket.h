/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A socket of the stack: Linux's socket semantics over one of lwIP's PCBs. Shared by the files of
 * stack/ that implement them; preload sees an opaque handle.
 */
#ifndef MELIN_SOCKET_H
#define MELIN_SOCKET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "lwip/tcp.h"
#include "stack/tcp/acknowledge.h"
#include "stack/tcp/gap.h"
#include "stack/tcp/index.h"
#include "stack/tcp/output.h"
#include "stack/tcp/recovery.h"
#include "stack/tcp/retry.h"
#include "stack/tcp/segment.h"
#include "stack/stack.h"
#include "stack/ip/path.h"
#include "stack/socket/adopted.h"
#include "stack/socket/tcp_info.h"
#include "stack/socket/urgent.h"

/* What Linux calls sk->sk_state, as far as sockets can tell the difference. */
enum socket_state {
	SOCKET_CLOSED,	     /* never connected, or the connection is over */
	SOCKET_SYN_SENT,     /* connecting */
	SOCKET_SYN_RECEIVED, /* a listener's child that is not established yet */
	SOCKET_CONNECTED,    /* established, or any state after it while there is a PCB */
	SOCKET_LISTENING,
};

/* What Linux calls sock->state: what connect() remembers. */
enum socket_phase {
	PHASE_UNCONNECTED,
	PHASE_CONNECTING,
	PHASE_CONNECTED,
	PHASE_DISCONNECTING,
};

/* Received data that the program has not read: single pbufs linked by ->next. */
struct receive_queue {
	struct pbuf *head, *tail;
	size_t bytes;	    /* unread */
	unsigned buffers;   /* pbufs in the list */
	uint32_t came_us;   /* when the byte came that was taken out last; see receive_stamp() */
	uint16_t offset;    /* bytes of head that are read already */
	uint16_t tail_room; /* bytes that still fit behind tail's, which is a block of ours */
};

struct socket_options {
	bool keepalive, reuse_address, reuse_port, no_delay, cork;
	bool linger;
	uint16_t linger_seconds;
	bool receive_buffer_set, send_buffer_set; /* by the program: no autotuning */
	uint32_t receive_buffer, send_buffer;	  /* as getsockopt tells them */
	int receive_low_water;
	uint32_t keep_idle, keep_interval, keep_count; /* seconds, seconds, probes */
	uint32_t user_timeout;			       /* ms, 0: none */
	uint8_t syn_retries;			       /* TCP_SYNCNT, 0: the system's */
	uint16_t maximum_segment;		       /* TCP_MAXSEG, 0: not set */
	bool quick_ack;
	bool reno;	     /* TCP_CONGESTION was set to that; CUBIC does as much */
	bool urgent_in_line; /* SO_OOBINLINE */
	uint8_t tos;
	int ttl, traffic_class, hops;	      /* -1: the default */
	bool receive_errors, receive_errors6; /* IP_RECVERR, IPV6_RECVERR */
	uint8_t mtu_discover, mtu_discover6;  /* IP_PMTUDISC_*, IPV6_PMTUDISC_* */
	uint8_t least_ttl, least_hops;	      /* IP_MINTTL, IPV6_MINHOPCOUNT; 0: any will do */
	bool times;		   /* SO_TIMESTAMP and its kin: when data came is noted */
	int fin_timeout;	   /* TCP_LINGER2, seconds; negative: none */
	uint32_t defer_accept;	   /* TCP_DEFER_ACCEPT, seconds; 0: not */
	uint32_t window_clamp;	   /* TCP_WINDOW_CLAMP, bytes */
	int unsent_low_water_set;  /* TCP_NOTSENT_LOWAT, bytes; 0: not */
	uint32_t unsent_low_water; /* that, or the system's */
};

struct stack_socket {
	struct stack *stack;
	void *user;
	struct tcp_pcb *pcb; /* NULL: none, or it has died; a tcp_pcb_listen when listening */
	int domain;
	bool v6only;
	bool released; /* preload has let go of it; only a listener's child can be unowned */
	bool owned;    /* preload has the handle */
	enum socket_state state;
	enum socket_phase phase;
	uint8_t shutdown; /* 1: no more reading, 2: no more writing, as Linux's sk_shutdown */
	bool fin_received;
	bool data_refused; /* data came after shutdown both ways: reset when lwIP is done */
	int error;	   /* SO_ERROR, positive */
	int soft_error;	   /* what a timeout will be reported as, positive; 0: ETIMEDOUT */

	ip_addr_t local, remote;
	uint16_t local_port, remote_port;

	struct receive_queue received;
	struct urgent urgent;
	uint32_t pressure_window; /* under memory pressure: the window's most; 0: none */
	uint32_t read_since;	  /* bytes that the program has read since read_start */
	uint64_t read_start;	  /* ns; receive.c's autotuning */
	struct socket_options options;

	/* send.c and output.c */
	uint32_t send_credit;	/* what pcb->snd_buf is when nothing is queued */
	bool blocked;		/* send found no memory */
	bool crossed;		/* the peer's SYN has come before its answer to ours */
	uint64_t connect_since; /* when connect() was called or a SYN came; 0: not known */
	struct output output;
	struct retry retry;
	struct segments segments;
	struct path_limit path;
	struct info_counts info;
	struct acknowledge acknowledge;
	struct recovery recovery;
	struct gap gap;

	struct adopted adopted;
	bool called;	       /* connect() has made the connection */
	uint32_t handshake_us; /* the first round trip, until lwIP's coarse clock has one */

	/* listen.c: of a listener */
	unsigned backlog, queued, embryos;
	uint64_t overflow;   /* when a SYN was last answered by a cookie; ns, 0: never */
	bool overflow_noted; /* in the log */
	struct stack_socket *queue_head, *queue_tail;	/* established, oldest first */
	struct stack_socket *embryo_head, *embryo_tail; /* in SYN_RCVD, oldest first */
	/* of a child */
	struct stack_socket *listener;
	bool deferred; /* established, but accept() gets it only with data: TCP_DEFER_ACCEPT */
	struct stack_socket *next_child, *previous_child;

	/*
	 * Readiness. What others see of it without the lock grows only when the event is reported:
	 * who sees a bit in poll(2) finds it in epoll_wait(2) too. Release pairs with acquire.
	 */
	uint32_t computed;
	_Atomic uint32_t ready;
	_Atomic size_t readable_bytes, unsent_bytes, urgent_bytes;
	uint32_t events; /* to be reported when the lock is let go of */
	bool is_changed;
	struct stack_socket *next_changed;

	struct stack_socket *next, *previous; /* of stack->sockets */
};

/* ---- socket.c: life, readiness, names ---- */
struct stack_socket *socket_new(struct stack *stack, int domain);
void socket_free(struct stack_socket *socket);
/* Recomputes readiness and notes events for the callback. */
void socket_changed(struct stack_socket *socket, uint32_t events);
/* Calls back for all noted events. */
void socket_report(struct stack *stack);
/* Makes the connection end as Linux's tcp_done() does: no PCB, both directions shut. */
void socket_done(struct stack_socket *socket, int error);
/* Gives a fresh PCB this socket's options, window and callbacks. */
void socket_attach(struct stack_socket *socket, struct tcp_pcb *pcb);
/* Lets the PCB go its way without the socket. */
void socket_detach(struct stack_socket *socket);
/* The handshake is done: times, windows. */
void socket_established(struct stack_socket *socket);
/* As Linux's tcp_disconnect(): aborts what there is, the socket is as new. */
void socket_disconnect(struct stack_socket *socket);
static inline struct stack_socket *socket_of(const struct tcp_pcb *pcb)
{
	return pcb->ext_args[EXTRA_SOCKET].data;
}
/* The recovery of a PCB's data; NULL: lwIP's own. */
static inline struct recovery *recovery_of(const struct tcp_pcb *pcb)
{
	struct stack_socket *socket = socket_of(pcb);

	if (!socket)
		return pcb->ext_args[EXTRA_RECOVERY].data;
	return socket->recovery.pcb ? &socket->recovery : NULL;
}
int socket_from_error(err_t error);

int socket_create(struct stack *stack, int domain, bool v6only, void *user,
		  struct stack_socket **socket);
void socket_release(struct stack_socket *socket);
/* What release() does to the connection; the memory stays. */
void socket_end(struct stack_socket *socket);
uint32_t readiness_now(const struct stack_socket *socket);
size_t readiness_readable(const struct stack_socket *socket);
size_t readiness_unsent(const struct stack_socket *socket);
size_t readiness_urgent(const struct stack_socket *socket);
int socket_address(const struct stack_socket *socket, bool peer, struct sockaddr_storage *name);
int socket_shut_down(struct stack_socket *socket, int how);

/* ---- connect.c ---- */
int connect_advance(struct stack_socket *socket, const struct sockaddr *local,
		    const struct sockaddr *remote);

/* ---- listen.c ---- */
int listen_start(struct stack_socket *socket, const struct sockaddr *local, int backlog);
int listen_accept(struct stack_socket *listener, struct stack_socket **socket,
		  struct sockaddr_storage *peer);
/* Ends listening: children that nobody has accepted are reset. */
void listen_stop(struct stack_socket *listener);
/* Whether accept() knows nothing of it yet: it may end without a word. */
bool listen_is_embryo(const struct stack_socket *child);
/* A child's connection has died before accept(). Returns whether the socket is gone. */
bool listen_forget_child(struct stack_socket *child);
/*
 * A segment of no connection for a listener. Returns whether it has been dealt with; otherwise lwIP
 * does: a SYN makes an embryo, an ACK is answered by a reset.
 */
bool listen_segment(struct tcp_pcb *listening, struct tcp_hdr *header, struct pbuf *payload);
/*
 * A segment with a wrong acknowledgement for a half-open connection: its SYN may have been answered
 * by a cookie before it came a second time. Returns whether it has been dealt with; child and its
 * PCB may be gone then.
 */
bool listen_take_cookie(struct stack_socket *child, struct tcp_hdr *header, struct pbuf *payload);
/* A connection that a peer has begun ends without a word; nothing if it is established. */
void listen_drop_embryo(struct stack_socket *child);
/* TCP_DEFER_ACCEPT: data has come for a connection that waited for it. */
void listen_data_came(struct stack_socket *child);
/* The same, because it has waited long enough; now is the clock's time. */
void listen_check_deferred(struct stack_socket *child, uint64_t now);
/* Whether a segment that would establish child must be ignored: the queue is full. */
bool listen_is_full(const struct stack_socket *child);

/* ---- receive.c ---- */
ssize_t receive_data(struct stack_socket *socket, const struct iovec *iov, size_t count, int flags);
void receive_queue_add(struct stack_socket *socket, struct pbuf *data);
/* All that is unread, which stays. */
void receive_queue_copy(const struct receive_queue *queue, uint8_t *to);
/* SO_TIMESTAMP: notes that what is in the queue has come now; later data is noted as it comes. */
void receive_queue_stamp(struct stack_socket *socket);
int receive_time(const struct stack_socket *socket, struct timespec *time);
void receive_queue_clear(struct receive_queue *queue);
/* The unread byte at that distance, which must be there. */
uint8_t receive_queue_byte(const struct receive_queue *queue, size_t distance);
/* Before a connection is established: the window that there is memory for. */
void receive_clamp_window(struct stack_socket *socket);
/* Takes the next byte out as if it had been read. */
void receive_drop_one(struct stack_socket *socket);

/* ---- send.c ---- */
ssize_t send_data(struct stack_socket *socket, const struct iovec *iov, size_t count, int flags);
size_t send_queued(const struct stack_socket *socket);
bool send_has_room(const struct stack_socket *socket);
/* Sets the credit after SO_SNDBUF or by autotuning. */
void send_set_credit(struct stack_socket *socket, uint32_t credit);

/* ---- options.c ---- */
void options_default(struct stack_socket *socket);
/* What accept() hands down. */
void options_inherit(struct stack_socket *child, const struct stack_socket *listener);
/* A larger receive buffer, and the window with it. */
void options_grow_receive_buffer(struct stack_socket *socket, uint32_t size);
/* Puts them into the PCB. */
void options_apply(struct stack_socket *socket);
int options_get(struct stack_socket *socket, int level, int name, void *value, socklen_t *length);
int options_set(struct stack_socket *socket, int level, int name, const void *value,
		socklen_t length);

/* ---- adopt.c ---- */
int adopt_connection(struct stack *stack, int domain, bool v6only, void *user,
		     const struct connection_state *state, struct stack_socket **result);
int adopt_give(struct stack_socket *socket, struct connection_state *state);

#endif
