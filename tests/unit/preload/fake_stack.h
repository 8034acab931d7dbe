/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A melin-stack.so without a stack, for tests of libmelin.so alone: it does what the test tells it
 * and counts what it was asked for. Tests find it with fake_stack(). Not for anything that lwIP or
 * a device does.
 */
#ifndef MELIN_FAKE_STACK_H
#define MELIN_FAKE_STACK_H

#include <stdatomic.h>

#include "stack/stack.h"

/* A socket of the fake stack: what stack.h calls struct stack_socket. */
struct fake_socket {
	void *user;
	_Atomic uint32_t ready; /* EPOLL* bits */
	_Atomic unsigned bytes; /* that receive() will give, all of them 'x' */
	_Atomic unsigned queue; /* connections that accept() will give */
	bool listens, connects;
};

struct fake_stack {
	struct stack_callbacks callbacks;

	/* What the operations answer. */
	_Atomic int open_error, route_error, poll_result;
	_Atomic int device;	   /* what watch_begin() has one thread sleep on; -1: -ENOTSUP */
	_Atomic uint64_t timer_ns; /* after that time watch_begin()'s caller is to poll; 0: never */
	void (*on_poll)(void);

	/* What they were asked. */
	_Atomic unsigned opens, polls, catch_ups, watches, refused_watches, creates, connects,
		listens, releases;
	_Atomic bool is_watched;
	struct fake_socket *_Atomic last; /* the socket that was made last */
};

/* Makes a socket ready and tells libmelin.so, as the stack does when a segment has come. */
void fake_stack_report(struct fake_socket *socket, uint32_t events);

#endif
