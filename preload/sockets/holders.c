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
#include "preload/libc/thread.h"

#define PATH_SIZE 64
/* The path of a control group is shorter, as a rule; of a longer one the beginning is compared. */
#define TEXT_SIZE 512

/* melin-broker(8), as its comm has it. */
#define BROKER_NAME "melin-broker"

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
	bool parent_seen;
	bool apart; /* the one that looks has a table of descriptors of its own */
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

static void hold_inherited(const struct look *look)
{
	for (unsigned i = 0; i < look->count; i++)
		look->files[i].held |= look->files[i].inherited;
}

/* A file of /proc that is one line or a few, the same for both. */
static bool is_same(const char *name, long process, const char *text)
{
	char path[PATH_SIZE], other[TEXT_SIZE];

	snprintf(path, sizeof(path), "/proc/%ld/%s", process, name);
	return proc_read(path, other, sizeof(other)) > 0 && strcmp(other, text) == 0;
}

/* What a parent has left behind gets another one, but stays in the control group. */
static bool is_in_our_group(long process)
{
	char ours[TEXT_SIZE];

	proc_read("/proc/self/cgroup", ours, sizeof(ours));
	return !*ours || is_same("cgroup", process, ours);
}

/* One that may not be looked at. The program's broker, which is none of its users, has no file. */
static void look_from_outside(const struct look *look, long process)
{
	const long parent = process_parent(process);
	const bool is_sibling = parent == look->parent;

	if (is_same("comm", process, BROKER_NAME "\n"))
		return;
	if (parent == look->process || (is_sibling && is_in_our_group(process)))
		hold_all(look);
	else if (is_sibling || process == look->parent)
		hold_inherited(look);
}

static void look_at(long process, void *argument)
{
	struct look *look = argument;
	char path[PATH_SIZE];
	int result;

	if (process == look->process)
		return;
	look->parent_seen |= process == look->parent;
	look->other = process;
	snprintf(path, sizeof(path), "/proc/%ld/fd", process);
	result = proc_each_number(path, look->apart, compare, look);
	/* Strangers' are none of ours: no descriptor gets there unseen but by a relative. */
	if (result == -EACCES || result == -EPERM)
		look_from_outside(look, process);
}

/* A folder for each process is opened. */
static void look_at_all(void *argument, bool apart)
{
	struct look *look = argument;

	look->apart = apart;
	if (proc_each_number("/proc", look->apart, look_at, look) < 0)
		hold_all(look);
	if (!look->parent_seen)
		hold_inherited(look);
}

void holders_look(struct holders_file *files, unsigned count)
{
	struct look look = { .files = files, .count = count };

	if (!count)
		return;
	look.process = kernel_call(SYS_getpid, 0, 0, 0, 0);
	look.parent = kernel_call(SYS_getppid, 0, 0, 0, 0);
	thread_run_apart(look_at_all, &look);
}
