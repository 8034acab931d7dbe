/* SPDX-License-Identifier: BSD-3-Clause */
/* What socket_server.c and its customers say to each other over a SOCK_SEQPACKET Unix socket. */
#ifndef MELIN_SOCKET_SERVER_H
#define MELIN_SOCKET_SERVER_H

#include <sys/socket.h>

enum socket_kind {
	SOCKET_LISTEN,	/* bind to the address and listen */
	SOCKET_CONNECT, /* connect to the address */
};

struct socket_order {
	enum socket_kind kind;
	int backlog;
	struct sockaddr_storage address;
	socklen_t length;
};

/* Sent with the descriptor, and again, without, once the socket server has closed its own copy. */
struct socket_answer {
	int error;
};

#endif
