/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The moments at which the program gives up what a start of the stack needs: privileges, its view
 * of the file system, a namespace, system calls. If the program has a socket by then that the stack
 * would serve, the stack starts while it still may. Not for the calls themselves (calls_rights.c).
 *
 * Any thread may call these functions while it holds no lock of melin's. They take long if the
 * stack starts, and errno may change.
 */
#ifndef MELIN_RIGHTS_H
#define MELIN_RIGHTS_H

#include <stdbool.h>
#include <sys/types.h>

/* Before a change of the effective user. */
void rights_before_user(uid_t effective);
/* Before capset(2) with these arguments, which the kernel has not checked yet. */
void rights_before_capabilities(const void *header, const void *data);
/* Before the process gets another view of the file system (chroot(2)) or another network. */
void rights_before_moving(void);
/*
 * After one of these calls: a thread that keeps rights (keeper.h) gives up those that a start does
 * not need. Takes no lock.
 */
void rights_after_losing(void);
/* Before unshare(2) and setns(2) with these CLONE_NEW* flags. */
void rights_before_unshare(int flags);
void rights_before_setns(int type);
/*
 * Before setrlimit(2) of RLIMIT_NPROC, after which a process without privileges may be allowed no
 * more threads.
 */
void rights_before_threads(void);
/*
 * Around a call that may filter the program's system calls (seccomp(2)): a start after that might
 * end the program. Behind a filter neither makes a system call. The first returns whether it has
 * prepared anything, for the second, which is called whether or not the filter is installed.
 * strict: it is strict mode that is wanted, which the kernel allows everybody.
 */
bool rights_before_seccomp(bool strict);
void rights_after_seccomp(bool prepared, bool installed);

#endif
