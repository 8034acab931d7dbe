/* SPDX-License-Identifier: BSD-3-Clause */
/* See broker_start.h. */
#include "broker/broker_start.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "broker/broker_protocol.h"
#include "common/own_descriptor.h"
#include "common/system_call.h"

/*
 * The stack of each of the two processes on the way, which share the program's memory: a few calls
 * deep, none of them large.
 */
#define STACK_SIZE 16384

/* All signals, libc's own too, as the kernel counts them. */
#define ALL_SIGNALS UINT64_MAX

/*
 * libc's clone() by the name under which libmelin.so does not interpose it: the function runs on
 * the stack given, and its value is the process's status.
 */
/* NOLINTNEXTLINE(bugprone-reserved-identifier) */
int __clone(int (*function)(void *argument), void *stack, int flags, void *argument, ...);

/* Shared by the three processes until the broker's program has begun. */
struct start {
	const char *path;
	char *how;
	int door; /* the broker's end */
	char *stack;
	long error;
};

/* The process that becomes the broker. What is not about descriptors the broker does itself. */
static int become_broker(void *argument)
{
	static char name[] = "melin-broker";
	struct start *start = argument;
	char *const arguments[] = { name, start->how, NULL }, *const environment[] = { NULL };

	kernel_call(SYS_setsid, 0, 0, 0, 0);
	if (start->door == BROKER_DOOR)
		kernel_call(SYS_fcntl, start->door, F_SETFD, 0, 0);
	else
		start->error = kernel_call(SYS_dup3, start->door, BROKER_DOOR, 0, 0);
	if (start->error >= 0)
		start->error = kernel_call(SYS_close_range, BROKER_DOOR + 1, UINT32_MAX, 0, 0);
	for (int standard = 0; standard < BROKER_DOOR; standard++)
		kernel_call(SYS_close, standard, 0, 0, 0);
	if (start->error >= 0)
		start->error = kernel_call(SYS_execve, (long)start->path, (long)arguments,
					   (long)environment, 0);
	return 1;
}

/*
 * The process in between, by whose end the broker loses its parent. That end has no signal and
 * comes at once: a wait(2) without __WCLONE or __WALL, in another thread of the program, does not
 * see it.
 */
static int stand_between(void *argument)
{
	struct start *start = argument;

	/* The broker's program is nothing that a tracer of this one has asked for. */
	if (__clone(become_broker, start->stack + STACK_SIZE,
		    CLONE_VM | CLONE_VFORK | CLONE_UNTRACED, start) < 0)
		start->error = -errno;
	return 0;
}

/* A program that adopts the orphans among its descendants must not get this one. */
static int adopt_orphans(int whether)
{
	int before = 0;

	kernel_call(SYS_prctl, PR_GET_CHILD_SUBREAPER, (long)&before, 0, 0);
	if (before != whether)
		kernel_call(SYS_prctl, PR_SET_CHILD_SUBREAPER, whether, 0, 0);
	return before;
}

/* The caller sleeps (CLONE_VFORK) until the broker's program has begun or has not. */
static void start_orphan(struct start *start)
{
	const int error_before = errno, adopts = adopt_orphans(0);
	const int between = __clone(stand_between, start->stack + 2 * STACK_SIZE,
				    CLONE_VM | CLONE_VFORK | CLONE_UNTRACED, start);

	if (between < 0)
		start->error = -errno;
	else
		kernel_call(SYS_wait4, between, 0, __WCLONE, 0);
	if (adopts)
		adopt_orphans(1);
	errno = error_before;
}

static long run(struct start *start)
{
	const uint64_t all = ALL_SIGNALS;
	uint64_t before;

	start->stack = mmap(NULL, 2 * STACK_SIZE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (start->stack == MAP_FAILED)
		return -ENOMEM;
	kernel_call(SYS_rt_sigprocmask, SIG_BLOCK, (long)&all, (long)&before, sizeof(all));
	start_orphan(start);
	kernel_call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&before, 0, sizeof(before));
	munmap(start->stack, 2 * STACK_SIZE);
	return start->error;
}

static int start_as(char *how, const char *path)
{
	struct start start = { .path = path, .how = how };
	int ends[2];
	long error =
		kernel_call(SYS_socketpair, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, (long)ends);

	if (error < 0)
		return (int)error;
	start.door = ends[1];
	error = run(&start);
	kernel_call(SYS_close, ends[1], 0, 0, 0);
	if (error >= 0)
		return own_descriptor(ends[0]);
	kernel_call(SYS_close, ends[0], 0, 0, 0);
	return (int)error;
}

int broker_start(const char *path)
{
	static char how[] = "--door";

	return start_as(how, path);
}

int broker_start_witness(const char *path)
{
	static char how[] = "--witness";

	return start_as(how, path);
}
