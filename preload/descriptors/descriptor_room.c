/* SPDX-License-Identifier: BSD-3-Clause */
/* See descriptor_room.h. */
#include "preload/descriptors/descriptor_room.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "common/descriptor_limit.h"
#include "preload/libc/program_memory.h"
#include "common/own_descriptor.h"
#include "common/system_call.h"

/*
 * Protects the variables below and the kernel's limit of this process. No other lock is taken while
 * it is held. Its holder has all signals blocked, since a handler may open a descriptor, too.
 */
static pthread_mutex_t room_lock = PTHREAD_MUTEX_INITIALIZER;
static sigset_t blocked_before; /* the signal mask of the lock's holder before it took the lock */

static unsigned users;	      /* threads between descriptor_room_begin() and _end() */
static bool raised;	      /* if there are users: whether the limit could be raised for them */
static struct rlimit program; /* if it is raised: what it was before */

/* Whether the program has lowered its hard limit, to hard. The kernel's is higher then. */
static bool lowered;
static rlim_t hard;

static _Atomic rlim_t soft = RLIM_INFINITY; /* which the program has set last */

static void lock(void)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_mutex_lock(&room_lock);
	blocked_before = before;
}

static void unlock(void)
{
	const sigset_t before = blocked_before;

	pthread_mutex_unlock(&room_lock);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void descriptor_room_begin(void)
{
	lock();
	if (users++ == 0)
		raised = descriptor_limit_raise(&program);
	unlock();
}

void descriptor_room_end(void)
{
	lock();
	if (--users == 0 && raised)
		descriptor_limit_restore(&program);
	unlock();
}

/* ---- the program's limit ---- */

static int kernel_limit(const struct rlimit *wanted, struct rlimit *before)
{
	return (int)kernel_call(SYS_prlimit64, 0, RLIMIT_NOFILE, (long)wanted, (long)before);
}

/*
 * What the kernel's hard limit has to become when the program asks for a hard limit of wanted. seen
 * is what the program takes for its hard limit now; kernels is the kernel's. If wanted is higher
 * than seen the program may lack the right to raise it: then the value is higher than kernels, too,
 * so that the kernel refuses it.
 */
static rlim_t kernels_hard(rlim_t wanted, rlim_t seen, rlim_t kernels)
{
	if (wanted == seen)
		return kernels;
	if (wanted > seen && wanted <= kernels)
		return wanted + KERNEL_HIDDEN_NUMBERS;
	if (wanted > KERNEL_HIDE_LIMIT - KERNEL_HIDDEN_NUMBERS || (wanted > seen && !lowered))
		return wanted;
	if (wanted > seen || wanted + KERNEL_HIDDEN_NUMBERS < kernels)
		return wanted + KERNEL_HIDDEN_NUMBERS;
	return kernels;
}

/* As descriptor_room_limit(). The caller has the lock, and the limit is not raised. */
static int change(const struct rlimit *wanted, struct rlimit *before)
{
	struct rlimit kernels, limit;
	rlim_t seen;
	int error = kernel_limit(NULL, &kernels);

	if (error < 0)
		return error;
	seen = lowered ? hard : kernels.rlim_max;
	*before = (struct rlimit){ kernels.rlim_cur, seen };
	if (!wanted)
		return 0;
	if (wanted->rlim_cur > wanted->rlim_max)
		return -EINVAL;
	limit.rlim_cur = wanted->rlim_cur;
	limit.rlim_max = kernels_hard(wanted->rlim_max, seen, kernels.rlim_max);
	error = kernel_limit(&limit, NULL);
	if (error < 0)
		return error;
	lowered = limit.rlim_max > wanted->rlim_max;
	hard = wanted->rlim_max;
	atomic_store(&soft, wanted->rlim_cur);
	return 0;
}

rlim_t descriptor_room_at_least(rlim_t usual)
{
	const rlim_t limit = atomic_load_explicit(&soft, memory_order_relaxed);

	return limit < usual ? limit : usual;
}

int descriptor_room_limit(const struct rlimit *wanted, struct rlimit *before)
{
	struct rlimit copy, old;
	int error;

	if ((wanted && !memory_readable(wanted, sizeof(*wanted))) ||
	    (before && !memory_writable(before, sizeof(*before))))
		return -EFAULT;
	if (wanted)
		copy = *wanted; /* the program may have named the same memory as before */
	lock();
	if (users > 0 && raised)
		descriptor_limit_restore(&program);
	error = change(wanted ? &copy : NULL, &old);
	if (users > 0 && raised)
		raised = descriptor_limit_raise(&program);
	unlock();
	if (error == 0 && before)
		*before = old;
	return error;
}

/* ---- fork ---- */

/*
 * The lock is held until after the fork. That another thread opens something meanwhile has to wait
 * only shortly: a start of the stack, which takes long, has been waited for by then
 * (process_stack_before_fork()).
 */
void descriptor_room_before_fork(void)
{
	lock();
	if (users > 0 && raised)
		descriptor_limit_restore(&program);
}

void descriptor_room_after_fork(void)
{
	struct rlimit unchanged;

	if (users > 0 && raised)
		descriptor_limit_raise(&unchanged);
	unlock();
}

void descriptor_room_forked(void)
{
	struct rlimit limit;

	if (users > 0 && raised)
		descriptor_limit_restore(&program);
	users = 0;
	if (!lowered || kernel_limit(NULL, &limit) < 0)
		return;
	limit.rlim_max = hard;
	kernel_limit(&limit, NULL);
	lowered = false;
}
