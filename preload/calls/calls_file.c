/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Interposed: calls on files, for one reason: on a descriptor of melin's own they say EBADF. The
 * stack's sockets are the kernel's twins to them. Not for calls that a socket serves.
 */
#include <sys/file.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "preload/descriptors/descriptors.h"
#include "preload/libc/symbols.h"

#define ON_FILE(type, name, parameters, ...)                                                       \
	INTERPOSED type name parameters                                                            \
	{                                                                                          \
		return libc()->name(descriptor_of_program(descriptor), ##__VA_ARGS__);             \
	}

ON_FILE(int, fstat, (int descriptor, struct stat *status), status)
ON_FILE(off_t, lseek, (int descriptor, off_t offset, int whence), offset, whence)
ON_FILE(int, fsync, (int descriptor))
ON_FILE(int, fdatasync, (int descriptor))
ON_FILE(int, ftruncate, (int descriptor, off_t length), length)
ON_FILE(int, flock, (int descriptor, int operation), operation)
ON_FILE(int, fchmod, (int descriptor, mode_t mode), mode)
ON_FILE(int, fchown, (int descriptor, uid_t user, gid_t group), user, group)
/*
 * libc calls ioctl(2) inside of these functions, which cannot be interposed: so the functions are.
 */
ON_FILE(int, isatty, (int descriptor))
ON_FILE(char *, ttyname, (int descriptor))
ON_FILE(int, ttyname_r, (int descriptor, char *name, size_t size), name, size)
ON_FILE(int, tcgetattr, (int descriptor, struct termios *state), state)
ON_FILE(int, tcsetattr, (int descriptor, int when, const struct termios *state), when, state)

INTERPOSED_ALIAS(fstat, fstat64);
INTERPOSED_ALIAS(lseek, lseek64);
INTERPOSED_ALIAS(ftruncate, ftruncate64);
