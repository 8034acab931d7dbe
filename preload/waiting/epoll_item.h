/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inside epoll: the item, shared by epoll.c and epoll_wait.c alone. All of it is protected by
 * wait_lock.
 */
#ifndef MELIN_EPOLL_ITEM_H
#define MELIN_EPOLL_ITEM_H

#include "preload/waiting/epoll.h"

struct epoll_item {
	struct watch watch; /* on the target's source; first, so that it is the item's address */
	struct epoll *epoll;
	struct object *target; /* socket or epoll; its closing discards the item */
	int descriptor;	       /* the number that the program registered */
	/*
	 * KERNEL: registered in the kernel with the program's data, and only remembered here.
	 * STACK: known here alone. MIXED: the kernel half is registered under the epoll's tag.
	 */
	enum object_form form;
	uint32_t events;
	uint64_t data;	   /* the program's, never looked at */
	bool queued;	   /* on the ready list */
	bool disabled;	   /* EPOLLONESHOT has fired */
	bool kernel_ready; /* MIXED: the kernel half has reported since the last look */
	bool pending;	   /* a listener before its first use here */
	struct epoll_item *next_ready;
	struct epoll_item *next, **link; /* epoll->items or epoll->mixed */
};

/* What epoll_wait would report for it now; 0: nothing. */
uint32_t epoll_item_readiness(const struct epoll_item *item);
/* Appends it to the ready list unless it is there. */
void epoll_item_queue(struct epoll_item *item);
/* The program waits for the listeners in it: their first use, if it is one. No lock is held. */
void epoll_use_listeners(struct epoll *epoll);

#endif
