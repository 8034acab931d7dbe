/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Descriptors of melin's own. Whatever part opens one calls own_descriptor() at once and
 * own_descriptor_close() in the end: that gives it a number which the program does not want, and
 * tells libmelin.so, which keeps the program off it. Not for descriptors that are open for a few
 * system calls only, and not for the limit of their numbers (descriptor_limit.h).
 */
#ifndef MELIN_OWN_DESCRIPTOR_H
#define MELIN_OWN_DESCRIPTOR_H

#include <stdbool.h>

/*
 * Descriptors of melin's own have the last so many numbers below the limit of open descriptors,
 * which libmelin.so raises by as much meanwhile if it may (descriptor_limit.h): the program counts
 * on the low ones, which it gets in order, and may want all of them.
 */
#define KERNEL_HIDDEN_NUMBERS 640

/*
 * No number of melin's is above this: the kernel's table is an array, and is copied with each fork.
 */
#define KERNEL_HIDE_LIMIT (4096 + KERNEL_HIDDEN_NUMBERS)

/* The last of them are for DPDK (dpdk/eal/control_thread.c). */
#define KERNEL_DPDK_NUMBERS 256

/*
 * The first of melin's own numbers, and behind the last. Where the limit is small and could not be
 * raised, only the upper half of the numbers is melin's.
 */
int own_descriptors_begin(void);
int own_descriptors_end(void);

/*
 * Who is told of each descriptor: right after it was opened, and right before it is closed. Each
 * library that has a copy of this file is told its own, before it opens the first; NULL, as it is
 * at first: nobody. told is called by any thread, with any lock held and in signal handlers.
 */
void own_descriptors_tell(void (*told)(int descriptor, bool is_open));

/*
 * What has just been opened is melin's own: it gets one of melin's numbers and is close-on-exec, or
 * stays as it is if there is no room. Returns the number; what is negative is no descriptor and is
 * returned unchanged. errno is kept.
 */
int own_descriptor(int descriptor);

/* The same for one that has to keep its number. */
void own_descriptor_here(int descriptor);

/* Closes it; a negative number is none and is left alone. errno is kept. */
void own_descriptor_close(int descriptor);

#endif
