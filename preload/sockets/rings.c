/* SPDX-License-Identifier: BSD-3-Clause */
/* See rings.h. */
#include "preload/sockets/rings.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "common/proc_file.h"
#include "common/system_call.h"
#include "preload/config/log.h"
#include "preload/libc/thread.h"

static _Atomic bool found;

static void compare(long descriptor, void *argument)
{
	static const char ring[] = "anon_inode:[io_uring]";
	char path[64], target[sizeof(ring)];
	long length;

	snprintf(path, sizeof(path), "/proc/self/fd/%ld", descriptor);
	length = kernel_call(SYS_readlinkat, AT_FDCWD, (long)path, (long)target, sizeof(target));
	if (length == sizeof(ring) - 1 && memcmp(target, ring, sizeof(ring) - 1) == 0)
		*(bool *)argument = true;
}

/* The process's descriptors, whatever table the thread has. */
static void look(void *any, bool apart)
{
	proc_each_number("/proc/self/fd", apart, compare, any);
}

void rings_look(void)
{
	bool any = false;

	if (atomic_load(&found))
		return;
	thread_run_apart(look, &any);
	if (!any || atomic_exchange(&found, true))
		return;
	log_write(LOG_LEVEL_INFO,
		  "the program has a ring of io_uring(7): only connections that it waits for by "
		  "poll, select or epoll are borrowed");
}

bool rings_any(void)
{
	return atomic_load_explicit(&found, memory_order_relaxed);
}
