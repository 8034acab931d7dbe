/* SPDX-License-Identifier: BSD-3-Clause */
/* What factory.c and its customers say to each other over a SOCK_SEQPACKET Unix socket. */
#ifndef MELIN_FACTORY_H
#define MELIN_FACTORY_H

#include <sys/socket.h>

enum factory_kind {
	FACTORY_LISTEN,	 /* bind to the address and listen */
	FACTORY_CONNECT, /* connect to the address */
};

struct factory_order {
	enum factory_kind kind;
	int backlog;
	struct sockaddr_storage address;
	socklen_t length;
};

/* Sent with the descriptor, and again, without, once the factory has closed its own copy. */
struct factory_answer {
	int error;
};

#endif
