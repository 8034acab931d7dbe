/* SPDX-License-Identifier: BSD-3-Clause */
/* See holders.h. */
#include "preload/sockets/holders.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/proc_file.h"
#include "common/system_call.h"

#define PATH_SIZE 64

bool holders_file(int descriptor, struct holders_file *file)
{
	struct stat status;

	if (kernel_call(SYS_fstat, descriptor, (long)&status, 0, 0) < 0 ||
	    !S_ISSOCK(status.st_mode))
		return false;
	*file = (struct holders_file){ .inode = status.st_ino };
	return true;
}

/* One look. */
struct look {
	struct holders_file *files;
	unsigned count;
	long process, parent; /* this one's */
	long other;	      /* the one that is being looked at */
};

static void compare(long descriptor, void *argument)
{
	const struct look *look = argument;
	char path[PATH_SIZE], target[PATH_SIZE];
	ino_t inode;
	long length;

	snprintf(path, sizeof(path), "/proc/%ld/fd/%ld", look->other, descriptor);
	length =
		kernel_call(SYS_readlinkat, AT_FDCWD, (long)path, (long)target, sizeof(target) - 1);
	if (length < 0)
		return;
	target[length] = '\0';
	if (strncmp(target, "socket:[", 8) != 0)
		return;
	inode = strtoul(target + 8, NULL, 10);
	for (unsigned i = 0; i < look->count; i++)
		if (look->files[i].inode == inode)
			look->files[i].held = true;
}

static void hold_all(const struct look *look)
{
	for (unsigned i = 0; i < look->count; i++)
		look->files[i].held = true;
}

static void look_at(long process, void *argument)
{
	struct look *look = argument;
	char path[PATH_SIZE];
	int result;

	if (process == look->process)
		return;
	look->other = process;
	snprintf(path, sizeof(path), "/proc/%ld/fd", process);
	result = proc_each_number(path, compare, look);
	/* Strangers' are none of ours: no descriptor gets there unseen but by a relative. */
	if ((result == -EACCES || result == -EPERM) &&
	    (process == look->parent || process_parent(process) == look->process ||
	     process_parent(process) == look->parent))
		hold_all(look);
}

void holders_look(struct holders_file *files, unsigned count)
{
	struct look look = { .files = files, .count = count };

	look.process = kernel_call(SYS_getpid, 0, 0, 0, 0);
	look.parent = kernel_call(SYS_getppid, 0, 0, 0, 0);
	if (count && proc_each_number("/proc", look_at, &look) < 0)
		hold_all(&look);
}
