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

/*
 * Which comes first when a descriptor is closed, the object's end here or the kernel's close. Each
 * may wait (SO_LINGER), with the number free by then.
 */
enum object_end {
	/* The object's: what the kernel has got by it, its close ends. */
	END_BEFORE_KERNEL,
	/* The object's; the kernel's carries nothing, and nobody may use it until it is closed. */
	END_WITH_KERNEL,
	/* The kernel's, which carries nothing, and then the last reference goes. */
	END_AFTER_KERNEL,
};

struct object;

/*
 * What the objects of one kind do when the table and the calls that wait ask them: nobody below the
 * files of that kind looks into its objects.
 */
struct object_operations {
	/*
	 * The program is closing one of its descriptors, the last one or not. The table's reference
	 * is counted still. Several threads may be here with one object (descriptor_succeed()).
	 */
	void (*descriptor_closed)(struct object *object, int descriptor, bool is_last);
	/* That was the last one: the program has closed it. Calls may be running on it. */
	void (*closed)(struct object *object);
	/* How it ends, asked before descriptor_closed() each time. NULL: END_BEFORE_KERNEL. */
	enum object_end (*end)(const struct object *object);
	/* The number by which it is known (descriptor_succeed()). */
	_Atomic int *(*known)(struct object *object);
	/* The last reference is gone, and the memory goes next. May wait, as close(2) does. */
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
	 * How many table entries and running calls have the object; zero if its memory is free.
	 * The acquire with which descriptor_get() takes a reference pairs with the release with
	 * which object_put() drops one.
	 */
	_Atomic uint32_t references;
	/*
	 * How many table entries have it. When there is none any more the program has closed the
	 * object, but calls may still be running on it.
	 */
	_Atomic uint32_t descriptors;
	enum object_kind kind;
	const struct object_operations *operations; /* of its kind; NULL if it is private */
	struct source source; /* epoll items, and threads that wait; wait_lock */
	struct object *next_free;
};

/*
 * The size of the table; descriptors from this number on are libc's alone. It is the highest limit
 * of open descriptors that Linux allows by default (fs.nr_open). The table takes memory only where
 * it has been written to.
 */
#define DESCRIPTOR_LIMIT (1 << 20)

extern _Atomic(struct object *) descriptor_table[DESCRIPTOR_LIMIT];

/*
 * Whether the table has an entry for it. Every interposed call begins with this test, since it
 * costs a descriptor that melin knows nothing of one load only.
 */
static inline bool descriptor_known(int descriptor)
{
	return (unsigned)descriptor < DESCRIPTOR_LIMIT &&
	       atomic_load_explicit(&descriptor_table[descriptor], memory_order_relaxed) != NULL;
}

/*
 * References that are not the table's belong to calls that are running. A signal handler might
 * leave such a call for good (siglongjmp(3)) and its reference with it, so signals are held for
 * each reference (signals.h): whoever gets one here gives it back in the same thread, before it
 * returns to the program.
 */

/*
 * An object of size bytes, all of them zero but for struct object, with one reference, which is the
 * caller's. NULL: no memory.
 */
void *object_allocate(enum object_kind kind, size_t size);

/*
 * A new reference to the object behind a descriptor; NULL if the table has none. For a descriptor
 * of melin's own it is an object of kind OBJECT_PRIVATE, which is no reference and is not given
 * back.
 */
struct object *descriptor_get(int descriptor);
/* The same, but NULL if the object is not of that kind. */
struct object *descriptor_get_kind(int descriptor, enum object_kind kind);
/*
 * For walks: the same for the first descriptor from *descriptor on that has one of that kind, which
 * *descriptor is then. One that is being closed has none, and is not waited for.
 */
struct object *descriptor_get_next(int *descriptor, enum object_kind kind);

/* One more reference to an object of which the caller has one, or which is kept from ending. */
void object_get(struct object *object);

/*
 * Drops a reference. The last one destroys the object. Handlers of signals that have arrived since
 * the reference was taken may run before this returns.
 */
void object_put(struct object *object);

/* Makes the object the descriptor's. The table takes a reference of its own. */
void descriptor_install(int descriptor, struct object *object);

/*
 * Takes the descriptor out of the table; if it was the last one of its object, that is closed. It
 * has to be called before the kernel's descriptor is closed: afterwards another thread may have got
 * the same number for something new.
 */
void descriptor_remove(int descriptor);

/* The same, if the descriptor is that object's still, to which the caller has a reference. */
void descriptor_remove_of(int descriptor, struct object *object);

/*
 * Whether the table has that object there. Who closes a number takes it out of the table first
 * (sequentially consistent) and then waits for who is changing the object.
 */
bool descriptor_has(int descriptor, const struct object *object);

/*
 * For descriptor_closed(): the number by which an object is known gets another value, if it is the
 * one that goes. Of the last number it is that one, which is open until descriptor_closed() and
 * closed() have returned. False: other threads are closing all the others right now, and it is to
 * be tried again after descriptor_pause(), with *tries 0 at first, until the last one is there.
 */
bool descriptor_succeed(const struct object *object, _Atomic int *known, int descriptor,
			bool is_last);
void descriptor_pause(unsigned *tries);

/*
 * Around the kernel's close of a descriptor, or what puts another one in its place: the same, but
 * calls of other threads by this number wait for its end, lest they find a twin that carries
 * nothing. They then find what the number is by that time, which for a closed one is EBADF. The
 * caller holds signals, and asks the kernel for nothing that may wait in between.
 */
struct closing {
	int descriptor;	       /* whose calls wait, or -1 */
	int outer;	       /* what this thread was closing before, or -1 */
	struct object *object; /* to which a reference goes, or NULL */
};
void descriptor_close_begin(int descriptor, struct closing *closing);
void descriptor_close_end(const struct closing *closing);

/* The highest number that was ever in the table: where walks over it may end. */
int descriptor_highest(void);

/*
 * A thread is about to get a table of the kernel's for itself (CLONE_FILES of unshare(2)): from now
 * on what is closed in one table may be open in another.
 */
void descriptor_tables_part(void);
bool descriptor_tables_have_parted(void);

/* In the child of a fork: from now on melin knows of no descriptor, not even of its own ones. */
void descriptor_forget_all(void);

/* One of the descriptors of an object, or -1. It searches the whole table. */
int descriptor_find(const struct object *object);

/*
 * Marks a descriptor as melin's own, takes the mark off again, and tells whether it is there. The
 * second leaves alone what is not marked.
 */
void descriptor_protect(int descriptor);
void descriptor_unprotect(int descriptor);
bool descriptor_private(int descriptor);
/* The first two, for own_descriptors_tell() (common/own_descriptor.h). */
void descriptor_told(int descriptor, bool is_open);

/*
 * The number by which libc is to be called for a descriptor that the caller has named. If it is one
 * of melin's own and the caller is the program, that is a number which nobody has, so that the
 * kernel refuses it as if melin's descriptor were not there (EBADF, POLLNVAL). melin itself, and
 * DPDK and libbpf below it, call interposed functions, too, and get what they name: they are told
 * apart by their holding signals (signals.h) or running on threads of melin's own (thread.h). held:
 * how often an interposed function that the program has called holds signals by now.
 */
int descriptor_not_melins(int descriptor, int held);
static inline int descriptor_of_program(int descriptor)
{
	return __builtin_expect(descriptor_known(descriptor), 0)
		       ? descriptor_not_melins(descriptor, 0)
		       : descriptor;
}

/* Makes an eventfd(2) of melin's own, or returns -1. Any thread and any handler may call this. */
int descriptor_own_eventfd(unsigned value);

/* Around fork(): in the child the list of free objects is whole, and its lock free. */
void descriptor_before_fork(void);
void descriptor_after_fork(void);

/*
 * For the child of fork(): closes every descriptor that is marked as melin's own. Numbers that
 * other threads of the parent's were closing are nobody's; no object is known by one of them.
 */
void descriptor_close_private(void);
/* The child that this thread forks next keeps that one; -1: none, as at first. */
void descriptor_keep_private(int descriptor);

#endif
