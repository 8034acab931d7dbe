/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Interposed: the functions of libc that make a process by a fork of their own, of which nobody is
 * told. In host mode the child has the program's connections until it executes, and afterwards
 * those that are not close-on-exec: they are the kernel's meanwhile. Not for own mode, in which a
 * child never has any.
 */
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>

#include "preload/libc/symbols.h"
#include "preload/sockets/borrow_process.h"

#define AROUND_FORK(call)                                                                          \
	({                                                                                         \
		__typeof__(call) result_;                                                          \
                                                                                                   \
		borrow_before_fork();                                                              \
		result_ = (call);                                                                  \
		borrow_after_fork();                                                               \
		result_;                                                                           \
	})

INTERPOSED int posix_spawn(pid_t *process, const char *path,
			   const posix_spawn_file_actions_t *actions,
			   const posix_spawnattr_t *attributes, char *const arguments[],
			   char *const environment[])
{
	return AROUND_FORK(
		libc()->posix_spawn(process, path, actions, attributes, arguments, environment));
}

INTERPOSED int posix_spawnp(pid_t *process, const char *file,
			    const posix_spawn_file_actions_t *actions,
			    const posix_spawnattr_t *attributes, char *const arguments[],
			    char *const environment[])
{
	return AROUND_FORK(
		libc()->posix_spawnp(process, file, actions, attributes, arguments, environment));
}

INTERPOSED FILE *popen(const char *command, const char *mode)
{
	return AROUND_FORK(libc()->popen(command, mode));
}

/*
 * The child is libc's, which waits for it inside of system(3): the call returns when the command
 * has ended.
 */
INTERPOSED int system(const char *command)
{
	return AROUND_FORK(libc()->system(command));
}
