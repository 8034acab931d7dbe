/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a fork means for the library, for those ways to fork of which pthread_atfork(3) does not
 * tell. Not for what the parts of the library then do: each has its own functions for that.
 */
#ifndef MELIN_FORKS_H
#define MELIN_FORKS_H

/* Only in a process with rules. Between the first and one of the others no lock may be taken. */
void forks_before(void);
void forks_after_in_parent(void);
void forks_after_in_child(void);

#endif
