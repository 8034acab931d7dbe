/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a socket of the stack is made of: a few fields for all, and a part for each file that keeps
 * more, so that it lies above all folders; all of them use it. Not for what is done with sockets:
 * socket/socket.h.
 */
#ifndef MELIN_SOCKET_PARTS_H
#define MELIN_SOCKET_PARTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "lwip/tcp.h"

#include "stack/tcp/path.h"
#include "stack/socket/accept_queue.h"
#include "stack/tcp/adopted.h"
#include "stack/socket/close.h"
#include "stack/socket/connect.h"
#include "stack/socket/listen.h"
#include "stack/socket/options.h"
#include "stack/socket/pcb.h"
#include "stack/socket/readiness.h"
#include "stack/socket/receive.h"
#include "stack/socket/receive_queue.h"
#include "stack/socket/receive_window.h"
#include "stack/socket/send.h"
#include "stack/socket/send_buffer.h"
#include "stack/socket/send_pair.h"
#include "stack/tcp/tcp_info.h"
#include "stack/socket/urgent.h"
#include "stack/stack.h"
#include "stack/tcp/acknowledge.h"
#include "stack/tcp/gap.h"
#include "stack/tcp/index.h"
#include "stack/socket/output.h"
#include "stack/tcp/recovery.h"
#include "stack/events/retry.h"
#include "stack/events/segment.h"

/* What Linux calls sk->sk_state, as far as sockets can tell the difference. */
enum socket_state {
	SOCKET_CLOSED,	     /* never connected, or the connection is over */
	SOCKET_SYN_SENT,     /* connecting */
	SOCKET_SYN_RECEIVED, /* a listener's child that is not established yet */
	SOCKET_CONNECTED,    /* established, or any state after it while there is a PCB */
	SOCKET_LISTENING,
	SOCKET_GIVEN, /* the kernel has the connection: what is asked of it is -ESTALE */
};

/* What Linux calls sock->state: what connect() remembers. */
enum socket_phase {
	PHASE_UNCONNECTED,
	PHASE_CONNECTING,
	PHASE_CONNECTED,
};

/* stack_socket.shutdown: Linux's RCV_SHUTDOWN and SEND_SHUTDOWN. */
#define SHUT_RECEIVE 1
#define SHUT_SEND    2
#define SHUT_BOTH    (SHUT_RECEIVE | SHUT_SEND)

/* What all files of stack/ use, and a part for each file that keeps more: see its header. */
struct stack_socket {
	struct stack *stack;
	void *user;	     /* what stack_callbacks.event() is given; NULL: nobody is told */
	struct tcp_pcb *pcb; /* NULL: none, or it has died; a tcp_pcb_listen when listening */
	int domain;
	bool v6only;
	bool released;	  /* preload has let go of it; only a listener's child can be unowned */
	bool owned;	  /* preload has the handle */
	bool is_borrowed; /* from the kernel, by a tap: adopted */
	enum socket_state state : 8;
	enum socket_phase phase : 8;
	uint8_t shutdown; /* SHUT_RECEIVE, SHUT_SEND: no more reading, no more writing */
	bool fin_received;
	bool deferred;	   /* established, but accept() gets it only with data: TCP_DEFER_ACCEPT */
	bool data_refused; /* data came after shutdown both ways: reset when lwIP is done */
	int error;	   /* SO_ERROR, positive */
	int soft_error;	   /* what a timeout will be reported as, positive; 0: ETIMEDOUT */

	ip_addr_t local, remote;
	uint16_t local_port, remote_port;
	struct path_limit path;

	struct readiness readiness;
	struct socket_options options;
	struct receive_queue received;
	struct receive_window window;
	struct send_buffer send_buffer;
	struct handshake handshake;
	struct listen_place place;
	struct output output;
	struct send_pair send_pair;
	struct retry retry;
	struct segments segments;
	struct info_counts info;
	struct acknowledge acknowledge;
	struct recovery recovery;
	struct gap gap;
	struct urgent urgent;
	union {
		struct accept_queue accept_queue; /* of a listener */
		struct adopted adopted;		  /* of any other */
	};
	LIST_ENTRY(stack_socket) every; /* of stack->sockets */
};

/* The socket of a connection or a listener of lwIP's; NULL: it has none, or none any more. */
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

#endif
