/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the differential program "fork" share. */
#ifndef MELIN_FORK_H
#define MELIN_FORK_H

#include "harness.h"

#include <sys/types.h>

/* A byte goes from a to b; the outcome at b has that name. */
void ping(const char *name, int a, int b);

/* Waits for the child and notes how it has ended. */
void reap(pid_t child);

/* Accepts a connection of the other side's, over which both talk. */
void serve_one(int listener);

/* A listener that nothing has been done with: nobody knows yet whose it will be. */
int listener_unused(void);

/* The cases of fork_listeners.c. */
void case_listener_for_the_child(void);
void case_bound_by_the_parent(void);
void case_socket_by_the_parent(void);
void case_listener_for_both(void);
void case_listener_for_the_parent(void);

#endif
