/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is called at the end of threads: of the program's and of melin's own, however they end. Not
 * for the end of the process, at which it is not called.
 */
#ifndef MELIN_THREAD_END_H
#define MELIN_THREAD_END_H

#include <stdbool.h>

/* How many functions there may be. */
#define THREAD_END_FUNCTIONS 2

/*
 * The function is called when the calling thread ends; perhaps also at the end of threads that have
 * asked for another one. False: it is not, because the program has used up all keys of
 * pthread_key_create(3), or there is no memory.
 */
bool thread_end_call(void (*function)(void));

#endif
