/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The tap: a packet socket that shows the frames of borrowed connections and no others, and the
 * programs that keep those frames from the kernel. A process may have several taps; they share one
 * map of connections and one program at each interface's ingress. Nothing of it outlives the
 * process. Not for paths, nor for the state of connections.
 *
 * All functions may be called by any thread; none touches errno. Those that say so take tap_lock.
 */
#ifndef MELIN_TAP_SOCKET_H
#define MELIN_TAP_SOCKET_H

#include <stdbool.h>

#include "broker/lender.h"
#include "broker/tap_program.h"

/*
 * Connections of all taps of a process. Memory of the kernel: 40 bytes for each of these, used or
 * not, and about 112 for each that is watched.
 */
#define TAP_CONNECTIONS 16384

struct tap {
	int socket;
	uint32_t number;
	bool rests; /* tap_rest(); tap_lock, for writers */
};

/* For the calling thread's network namespace. Takes the lock. */
enum refusal tap_open(struct tap *tap);
void tap_close(struct tap *tap);

/*
 * A tap costs each frame of the host some 100 ns, whether it shows the frame or not, and so does a
 * program at an interface's ingress. So a tap that has no entries may rest: it sees no frame, and
 * when all taps of the process rest no interface has the program. tap_rest(): 0; -EBUSY: it has
 * entries. tap_wake() undoes it. Each waits until all processors have noticed, some 10 ms. For one
 * thread at a time; take the lock, but not while they wait for the tap's part of it.
 */
int tap_rest(struct tap *tap);
int tap_wake(struct tap *tap);
static inline bool tap_rests(const struct tap *tap)
{
	return __atomic_load_n(&tap->rests, __ATOMIC_RELAXED);
}

/* In the child of a fork: the descriptors of all taps are closed, no lock is taken. */
void tap_abandon(void);

/*
 * Notices the frames of the tuple, in state TAP_WATCHED, after its interface has got its program.
 * *token names the entry from then on. Of two entries with the same tuple the later one
 * counts: the earlier one's token leads nowhere. REFUSAL_BUSY: the tuple is borrowed;
 * REFUSAL_RESTING: the tap rests; REFUSAL_FULL, REFUSAL_RIGHTS, REFUSAL_INTERFACE, REFUSAL_FAILED.
 * Takes the lock.
 */
enum refusal tap_add(const struct tap *tap, const struct loan_tuple *tuple, uint64_t *token);

/* Takes the lock. Nothing, if the token leads nowhere. */
void tap_remove(const struct loan_tuple *tuple, uint64_t token);

/* The entry; NULL: the tuple has been added anew. Without the lock: each field is atomic. */
struct tap_slot *tap_entry(uint64_t token);

/* From the next frame on. What is on its way meanwhile is judged by either state. */
void tap_change(struct tap_slot *slot, enum tap_state state);

/*
 * More frames than this in the microseconds of a change are a flood: they come faster than they can
 * be put in. What is kept of the others is lost, as on a wire.
 */
#define TAP_FLOOD 128

/*
 * Hands each kept frame of the entry to visit() (NULL: to nobody), in the order in which they came,
 * up to TAP_FLOOD of them, and discards all. Takes the lock, if anything is kept for any entry, and
 * calls visit() without it. Returns how many there were, each counted once whose parts are several.
 */
unsigned tap_visit_kept(uint64_t token, void (*visit)(const struct tap_kept *kept));

/* The program that repair_take() wants. */
int tap_silencer(void);

/* Lets a frame come in at an interface, with good checksums and of less than a page. */
int tap_inject(uint32_t interface, const void *frame, size_t size);

#endif
