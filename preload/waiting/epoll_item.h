/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An item is what a program has added to an epoll instance, as far as melin serves or remembers it.
 * wait_lock protects items. Only for epoll.c and epoll_wait.c.
 */
#ifndef MELIN_EPOLL_ITEM_H
#define MELIN_EPOLL_ITEM_H

#include "preload/waiting/epoll.h"

struct epoll_item {
	struct watch watch; /* on the target's source; first, so that it is the item's address */
	struct epoll *epoll;
	struct object *target; /* when it is closed the item is discarded */
	int descriptor;	       /* the number that the program registered */
	/*
	 * KERNEL: registered in the kernel with the program's data, and only remembered here.
	 * STACK: known here alone. MIXED: the kernel half is registered under the epoll's tag.
	 */
	enum object_form form;
	uint32_t events;
	uint64_t data; /* the program's, which may be anything */
	bool queued;   /* on the ready list */
	bool disabled; /* EPOLLONESHOT has fired */
	/*
	 * FORM_KERNEL, and disabled when it came back there: the kernel does not have it, since it
	 * would report errors all the same. EPOLL_CTL_MOD, which arms it, registers it.
	 */
	bool unregistered;
	/* FORM_KERNEL: it is registered by this number of melin's; 0: by the program's, or not. */
	int stand_in;
	uint64_t call;	   /* the last call of epoll_wait() that has reported it */
	bool kernel_ready; /* MIXED: the kernel half has reported since the last look */
	bool pending;	   /* a listener before its first use here */
	struct epoll_item *next_ready;
	LIST_ENTRY(epoll_item) every; /* of epoll->items or epoll->mixed */
};

/* The events that epoll_wait(2) would report for the item now, 0 if none. */
uint32_t epoll_item_readiness(const struct epoll_item *item);
/* Appends the item to the ready list, unless it is on it. */
void epoll_item_queue(struct epoll_item *item);
/*
 * The program waits for the listeners in the instance: if that is their first use, the stack
 * starts. No lock is held.
 */
void epoll_use_listeners(struct epoll *epoll);

#endif
