/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The moments at which the program gives up what a start of the stack needs: privileges, its view
 * of the file system, a namespace, system calls. If a flow can be seen by then that the stack
 * would serve, it starts while it may. Not for the calls themselves (calls_rights.c).
 *
 * Any thread, holding no lock of melin's; takes long when the stack starts. errno may change.
 */
#ifndef MELIN_RIGHTS_H
#define MELIN_RIGHTS_H

#include <sys/types.h>

/* Before a change of the effective user. */
void rights_before_user(uid_t effective);
/* Before capset(2) with these arguments, which need not be valid. */
void rights_before_capabilities(const void *header, const void *data);
/* Before the file system looks different (chroot(2)) or another network is the process's. */
void rights_before_moving(void);
/* When such a call has been made: nothing is kept that is not for a start. Takes no lock. */
void rights_after_losing(void);
/* Before unshare(2) and setns(2) with these CLONE_NEW* flags. */
void rights_before_unshare(int flags);
void rights_before_setns(int type);
/* Before and after a filter for system calls: later starts might end the program. */
void rights_before_seccomp(void);
void rights_after_seccomp(void);

#endif
