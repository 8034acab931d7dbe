/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the library does around a fork, for those ways to fork that do not run the handlers of
 * pthread_atfork(3). Not for what each part of the library does then: they have functions for that.
 */
#ifndef MELIN_FORKS_H
#define MELIN_FORKS_H

/*
 * Called only in a process with rules. The first takes all locks of melin's, and the second and the
 * third release them: in between no lock of melin's may be asked for.
 */
void forks_before(void);
void forks_after_in_parent(void);
void forks_after_in_child(void);

/*
 * Instead of the third in a child that shares its parent's table of descriptors, but not its memory
 * (CLONE_FILES of clone(2)): it has no melin from now on, since what that closed or opened would be
 * so in the parent.
 */
void forks_after_in_sharing_child(void);

#endif
