/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * See contention.h. The kernel keeps for each thread how long it has run, how long it was ready to
 * run and had to wait, and how often it has come to run (sched-stats(5) of the kernel's own
 * documents: /proc/PID/task/TID/schedstat). Where that is not shown nobody is in the way.
 */
#include "preload/waiting/contention.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/syscall.h>

#include "common/own_descriptor.h"
#include "common/system_call.h"
#include "preload/config/config.h"
#include "preload/descriptors/descriptor_room.h"
#include "preload/libc/thread_end.h"
#include "preload/waiting/spin.h"

/* A shorter time tells of one switch of the kernel's threads, and no more. */
#define WINDOW_NS 1000000u

/* A longer one tells of what has been. */
#define STALE_NS 100000000u

static __thread struct contention_usage last;
static __thread enum contention verdict;
static __thread unsigned messages;

void contention_message(void)
{
	messages++;
}

/* ---- the thread's file ---- */

/*
 * The file is kept open from look to look, with a number of melin's: a program may count on the
 * lowest one while no thread of its own opens anything. -1: the file is not kept.
 */
static __thread int kept = -1;

/*
 * So many threads keep their files open: melin has no more than some hundred numbers. Others open
 * theirs for each look.
 */
#define KEPT_MOST 64
static _Atomic int kept_count;

static void close_kept(void)
{
	if (kept < 0)
		return; /* the child of a fork, which has not looked */
	own_descriptor_close(kept);
	kept = -1;
	atomic_fetch_sub(&kept_count, 1);
}

void contention_forked(void)
{
	kept = -1;
	atomic_store(&kept_count, 0);
}

static int open_file(void)
{
	return (int)kernel_call(SYS_openat, AT_FDCWD, (long)"/proc/thread-self/schedstat",
				O_RDONLY | O_CLOEXEC, 0);
}

/* Keeps the thread's file open from now on, if there is room. */
static int keep(int file)
{
	if (file < 0 || atomic_load(&kept_count) >= KEPT_MOST)
		return file;
	if (!thread_end_call(close_kept))
		return file;
	atomic_fetch_add(&kept_count, 1);
	kept = own_descriptor(file);
	return kept;
}

/* The file that is kept, or one that the caller closes. */
static int file_of_thread(void)
{
	int file;

	if (kept >= 0)
		return kept;
	descriptor_room_begin();
	file = keep(open_file());
	descriptor_room_end();
	return file;
}

/* ---- the look ---- */

static void read_usage(struct contention_usage *usage, uint64_t now)
{
	const int file = file_of_thread();
	char text[3 * 24] = "", *end;
	long length;

	*usage = (struct contention_usage){ .at = now, .messages = messages };
	if (file < 0)
		return;
	length = kernel_call(SYS_pread64, file, (long)text, sizeof(text) - 1, 0);
	if (file != kept)
		kernel_close(file);
	text[length > 0 ? length : 0] = '\0';
	usage->ran = strtoull(text, &end, 10);
	usage->waited = strtoull(end, &end, 10);
	usage->turns = strtoull(end, &end, 10);
}

enum contention contention_between(const struct contention_usage *before,
				   const struct contention_usage *after)
{
	/* The child of a fork counts from 0, and what could not be read is 0. */
	if (after->ran < before->ran || after->waited < before->waited ||
	    after->turns < before->turns)
		return CONTENTION_UNKNOWN;

	const uint64_t waited = after->waited - before->waited;
	const uint64_t wanted = after->ran - before->ran + waited;
	const uint32_t messages_got = after->messages - before->messages;

	if (waited * SPIN_OTHERS_SHARE < wanted || !waited)
		return CONTENTION_LOW;
	return messages_got < SPIN_MESSAGES_FEW * (after->turns - before->turns) ? CONTENTION_HIGH
										 : CONTENTION_LOW;
}

enum contention contention_look(uint64_t now)
{
	struct contention_usage usage;

	if (config_get()->spin_us == CONFIG_SPIN_MAX)
		return CONTENTION_LOW; /* the processor is the program's alone */
	if (now - last.at < WINDOW_NS)
		return verdict;
	read_usage(&usage, now);
	verdict = now - last.at < STALE_NS ? contention_between(&last, &usage) : CONTENTION_UNKNOWN;
	last = usage;
	return verdict;
}
