/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What poll(2) and its kin see of a socket, and the list of the sockets that have news of it. Not
 * for telling preload of the news: report.h.
 */
#ifndef MELIN_READINESS_H
#define MELIN_READINESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

struct stack_socket;

#define READY_INPUT  (EPOLLIN | EPOLLRDNORM)
#define READY_OUTPUT (EPOLLOUT | EPOLLWRNORM)

/*
 * What others see of it without the lock grows only when the event is reported: who sees a bit in
 * poll(2) finds it in epoll_wait(2) too. Release pairs with acquire.
 */
struct readiness {
	uint32_t computed; /* EPOLL* bits as they are; seen by who holds the lock */
	_Atomic uint32_t ready;
	_Atomic size_t readable_bytes, unsent_bytes, urgent_bytes;
	uint32_t events; /* to be reported when the lock is let go of */
	bool is_loud;	 /* and some of them are not quiet: STACK_EVENT_QUIET */
	bool is_changed; /* and the socket is in the list of such, stack->changed */
	struct stack_socket *next_changed;
};

/* Of a new socket: how it starts is no event. */
void readiness_start(struct stack_socket *socket);
/* The socket goes: its events are not reported any more. */
void readiness_end(struct stack_socket *socket);
/*
 * Something about the socket has changed: computes its readiness anew. What has become ready is
 * reported when the lock is let go of, and so are those of events that are true, though they were
 * true before. The lock is held.
 */
void socket_changed(struct stack_socket *socket, uint32_t events);
/* The same with events for which the program gets no signal: STACK_EVENT_QUIET. */
void socket_changed_quietly(struct stack_socket *socket, uint32_t events);

/* Events that do not follow from what the socket is like; to be reported in any case. */
void readiness_note(struct stack_socket *socket, uint32_t events);

/* The table's functions: any thread, without the lock. */
uint32_t readiness_now(const struct stack_socket *socket);
size_t readiness_readable(const struct stack_socket *socket);
size_t readiness_unsent(const struct stack_socket *socket);
size_t readiness_urgent(const struct stack_socket *socket);

#endif
