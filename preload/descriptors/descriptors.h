/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table from descriptor numbers to what melin knows of them: sockets (socket_object.h), epoll
 * instances (epoll.h), and descriptors of melin's own that the program must not touch.
 * Read without a lock, from any thread and from signal handlers. Not for what an object does.
 *
 * An object is an open file in the kernel's sense: duplicates of a descriptor share it.
 */
#ifndef MELIN_DESCRIPTORS_H
#define MELIN_DESCRIPTORS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "preload/descriptors/source.h"

enum object_kind {
	OBJECT_SOCKET,
	OBJECT_EPOLL,
	OBJECT_PRIVATE, /* melin's own descriptor, which the program does not have */
};

/* Which of the two carries what is waited for on an object: the twin, the stack, or each a half. */
enum object_form {
	FORM_KERNEL,
	FORM_STACK,
	FORM_MIXED,
	/*
	 * begin_wait() only: the twin, as long as the waiting call has its reference, and a call
	 * without one must not be made.
	 */
	FORM_LENT,
};

struct object;

/*
 * What the objects of one kind do when the table and the calls that wait ask them: nobody below the
 * files of that kind looks into its objects.
 */
struct object_operations {
	/* The program is closing one of its descriptors. References are counted as before still. */
	void (*descriptor_closed)(struct object *object, int descriptor);
	/* That was the last one: the program has closed it. Calls may be running on it. */
	void (*closed)(struct object *object);
	/* The last reference is gone, and the memory goes next. */
	void (*destroy)(struct object *object);
	/* EPOLL* bits of the stack's half. locked: the caller has wait_lock. */
	uint32_t (*readiness)(struct object *object, bool locked);
	/* The form of an epoll item for it. wait_lock is held. */
	enum object_form (*form)(const struct object *object);
	/*
	 * poll() or select() is going to wait for it by this descriptor: if this is the first use
	 * of a listener it starts now. Returns its form for this wait. No lock is held.
	 */
	enum object_form (*begin_wait)(struct object *object, int descriptor);
	/*
	 * Where the form of a connection may change at any time (borrow.h), else NULL. has_left:
	 * what was FORM_STACK is no longer; the wait begins anew. settle: returns when nobody is
	 * changing it; no lock is held.
	 */
	bool (*has_left)(const struct object *object);
	void (*settle)(const struct object *object);
	/*
	 * The first use of a listener (pending.h), for epoll; NULL for a kind that has none.
	 * is_unused: whether it is still to come. use, with wait_lock held: the program uses it
	 * from now on; true if its stack has not started, which use_all() does next, with no lock.
	 */
	bool (*is_unused)(const struct object *object);
	bool (*use)(struct object *object);
	void (*use_all)(void);
};

/* Once for each kind of object, before there is one. */
void object_register(enum object_kind kind, const struct object_operations *operations);

/*
 * Objects live in memory that is never given back (object_allocate() recycles it), so that a
 * reader may look at the reference count of one that has just been freed.
 */
struct object {
	/*
	 * Table entries plus calls that are running on the object. Zero: free memory. Taken with
	 * acquire in descriptor_get(), dropped with release in object_put(): they pair.
	 */
	_Atomic uint32_t references;
	/* Table entries alone; at zero the program has closed it, running calls may go on. */
	_Atomic uint32_t descriptors;
	enum object_kind kind;
	const struct object_operations *operations; /* of its kind; NULL if it is private */
	struct source source; /* epoll items, and threads that wait; wait_lock */
	struct object *next_free;
};

/*
 * Descriptors from this number on are never looked at. fs.nr_open is 1,048,576 by default; the
 * table is zero pages until touched.
 */
#define DESCRIPTOR_LIMIT (1 << 20)

extern _Atomic(struct object *) descriptor_table[DESCRIPTOR_LIMIT];

/* The cheap test that every interposed call begins with: one load for a foreign descriptor. */
static inline bool descriptor_known(int descriptor)
{
	return (unsigned)descriptor < DESCRIPTOR_LIMIT &&
	       atomic_load_explicit(&descriptor_table[descriptor], memory_order_relaxed) != NULL;
}

/*
 * A reference outside of the table is a running call's. Signals are held for each (signals.h), so
 * that no handler leaves a call with one: whoever gets a reference here gives it back in this
 * thread, before it returns to the program.
 */

/* A zeroed object of size bytes with one reference (the caller's), or NULL (ENOMEM). */
void *object_allocate(enum object_kind kind, size_t size);

/* A new reference to what the table holds, or NULL. */
struct object *descriptor_get(int descriptor);
/* The same, NULL unless it is of that kind. */
struct object *descriptor_get_kind(int descriptor, enum object_kind kind);

/* One more of an object that has one. */
void object_get(struct object *object);

/* Drops a reference; the last one destroys the object. Handlers that have waited may run. */
void object_put(struct object *object);

/* Puts the object into a free slot; the table takes a reference of its own. */
void descriptor_install(int descriptor, struct object *object);

/*
 * Empties a slot. Call it before the kernel's descriptor is closed (the number can come back at
 * once). Does what closing means when it was the last descriptor of its object.
 */
void descriptor_remove(int descriptor);

/* No number above this one was ever in the table. */
int descriptor_highest(void);

/* Any number that the table has for an object, or -1. A search, for rare cases. */
int descriptor_find(const struct object *object);

/* Marks or unmarks a descriptor as melin's own. */
void descriptor_protect(int descriptor);
void descriptor_unprotect(int descriptor);
bool descriptor_private(int descriptor);

/*
 * The number to give libc for one that the program has named: for a descriptor of melin's own one
 * that nobody has, so that the kernel refuses it as if melin's were not there (EBADF, POLLNVAL).
 * Calls of melin's own, and of DPDK and libbpf below it, get what they name: they come with
 * signals held (signals.h) or on threads of melin's own (thread.h). held: how often the program's
 * own call holds them already.
 */
int descriptor_not_melins(int descriptor, int held);
static inline int descriptor_of_program(int descriptor)
{
	return __builtin_expect(descriptor_known(descriptor), 0)
		       ? descriptor_not_melins(descriptor, 0)
		       : descriptor;
}

/*
 * Moves a descriptor that melin opened to one of melin's numbers (common/system_call.h), marked as
 * its own; -1 on failure. Between descriptor_room_begin() and _end().
 */
int descriptor_hide(int descriptor);

/* A non-blocking eventfd(2) of melin's own, or -1. Any thread, and handlers. */
int descriptor_own_eventfd(unsigned value);

/*
 * The stack and DPDK open descriptors too, all of high numbers (common/system_call.h): what appears
 * up there between the two calls is marked as melin's own, so that a program that closes everything
 * leaves the device alone, except for what another thread of the program may have opened. The
 * third takes the marks off again.
 */
void descriptor_watch_begin(void);
void descriptor_watch_end(void);
void descriptor_unprotect_watched(void);
/*
 * Marks what lies open up there and may be melin's: for descriptors that were opened and hidden
 * without the above. Takes some 100 us.
 */
void descriptor_protect_hidden(void);

/* Around fork(): the free objects are not in the middle of a change. */
void descriptor_before_fork(void);
void descriptor_after_fork(void);

/* For the child of fork(): closes every descriptor that is marked as melin's own. */
void descriptor_close_private(void);

#endif
