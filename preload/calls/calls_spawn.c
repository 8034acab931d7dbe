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

INTERPOSED int posix_spawn(pid_t *process, const char *path,
			   const posix_spawn_file_actions_t *actions,
			   const posix_spawnattr_t *attributes, char *const arguments[],
			   char *const environment[])
{
	int result;

	borrow_before_fork();
	result = libc()->posix_spawn(process, path, actions, attributes, arguments, environment);
	borrow_after_fork();
	return result;
}

INTERPOSED int posix_spawnp(pid_t *process, const char *file,
			    const posix_spawn_file_actions_t *actions,
			    const posix_spawnattr_t *attributes, char *const arguments[],
			    char *const environment[])
{
	int result;

	borrow_before_fork();
	result = libc()->posix_spawnp(process, file, actions, attributes, arguments, environment);
	borrow_after_fork();
	return result;
}

INTERPOSED FILE *popen(const char *command, const char *mode)
{
	FILE *stream;

	borrow_before_fork();
	stream = libc()->popen(command, mode);
	borrow_after_fork();
	return stream;
}

/*
 * The child is libc's, which waits for it inside of system(3): the call returns when the command
 * has ended.
 */
INTERPOSED int system(const char *command)
{
	int status;

	borrow_before_fork();
	status = libc()->system(command);
	borrow_after_fork();
	return status;
}
