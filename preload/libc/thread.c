/* SPDX-License-Identifier: BSD-3-Clause */
/* See thread.h. */
#include "preload/libc/thread.h"

#include <dlfcn.h>
#include <errno.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <ucontext.h>

#include "common/stack_memory.h"
#include "common/system_call.h"
#include "preload/libc/symbols.h"

/* ---- melin's threads and libc's count ---- */

/*
 * libc's count of threads. It is no interface for programs, but one for debuggers
 * (libthread_db), which find it by this name; that has kept it there since NPTL began. Where it
 * is missing, a process whose main thread has left by pthread_exit(3) does not end by itself.
 */
static const char libc_count_name[] = "__nptl_nthreads";

/* More than a process can have threads (PID_MAX_LIMIT of Linux). */
#define MANY_THREADS (1u << 22)

/* Not 0 while what the thread makes is melin's own: always in an own thread. */
static __thread int own_depth __attribute__((tls_model("initial-exec")));

struct own_thread {
	void *(*function)(void *);
	void *argument;
};

/* NULL if this libc has none. */
static unsigned *libc_count(void)
{
	static unsigned *address; /* the same whoever looks it up */
	unsigned *found = __atomic_load_n(&address, __ATOMIC_RELAXED);

	if (!found) {
		found = dlsym(RTLD_DEFAULT, libc_count_name);
		__atomic_store_n(&address, found, __ATOMIC_RELAXED);
	}
	return found;
}

static void count(unsigned number)
{
	if (libc_count())
		__atomic_fetch_add(libc_count(), number, __ATOMIC_SEQ_CST);
}

/*
 * Whether the program has made a thread since this process began. While one of melin's begins or
 * ends, libc's count is too high for a moment: a program without threads need not ask it.
 */
static bool program_has_threads;

void thread_of_program(void)
{
	__atomic_store_n(&program_has_threads, true, __ATOMIC_RELAXED);
}

bool thread_is_last(void)
{
	if (!__atomic_load_n(&program_has_threads, __ATOMIC_RELAXED))
		return true;
	return libc_count() && __atomic_load_n(libc_count(), __ATOMIC_SEQ_CST) == 1;
}

void thread_forked(void)
{
	program_has_threads = false;
	if (libc_count())
		__atomic_store_n(libc_count(), 1, __ATOMIC_SEQ_CST);
}

bool thread_is_own(void)
{
	return own_depth > 0;
}

void thread_process_ends(void)
{
	count(MANY_THREADS);
}

/* libc is about to take this thread off the count. */
static void own_ends(void *unused)
{
	(void)unused;
	count(1);
}

static void *run_own(void *argument)
{
	const struct own_thread own = *(struct own_thread *)argument;
	void *volatile result = NULL;

	free(argument);
	own_depth++;
	pthread_cleanup_push(own_ends, NULL);
	result = own.function(own.argument);
	pthread_cleanup_pop(1);
	return result;
}

/*
 * The creator takes the thread off the count, not the thread itself: the creator is the program's,
 * or works for a thread of the program's that waits for it, so that the count does not get to zero
 * while nobody looks at it.
 */
int thread_create_own(pthread_t *thread, const pthread_attr_t *attributes,
		      void *(*function)(void *), void *argument)
{
	struct own_thread *own = malloc(sizeof(*own));
	int error;

	if (!own)
		return EAGAIN;
	*own = (struct own_thread){ function, argument };
	error = libc()->pthread_create(thread, attributes, run_own, own);
	if (error)
		free(own);
	else
		count(-1u);
	return error;
}

/* ---- threads that melin starts ---- */

/* The dynamic linker's, DPDK's and libbpf's start need some 50 KB. */
#define STACK_SIZE (512 * 1024)

struct job {
	void (*function)(void *argument);
	void *argument;
};

/*
 * What pthread_create(3) itself takes: the first time it calls functions of the dynamic linker's,
 * which saves every vector register on the stack to find them. Some machines have 10 KB of these.
 */
#define CREATION_STACK (32 * 1024)

struct creation {
	pthread_t *thread; /* NULL: nobody joins it */
	void *(*function)(void *argument);
	void *argument;
	int error;
};

static void create(struct creation *creation)
{
	pthread_attr_t attributes;
	pthread_t started;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_SIZE);
	if (!creation->thread)
		pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	own_depth++;
	creation->error = pthread_create(creation->thread ? creation->thread : &started,
					 &attributes, creation->function, creation->argument);
	own_depth--;
	pthread_attr_destroy(&attributes);
}

/* makecontext(3) hands on ints alone: the two halves of an address. */
static void create_there(unsigned high, unsigned low)
{
	create((struct creation *)((uintptr_t)high << 32 | low));
}

/* On a stack of its own. With all signals blocked: no handler may take the caller's for free. */
static void create_aside(struct creation *creation)
{
	const uintptr_t address = (uintptr_t)creation;
	struct room {
		ucontext_t here, there;
		char stack[];
	} *room = stack_memory_new(CREATION_STACK);

	if (!room) {
		create(creation);
		return;
	}
	getcontext(&room->there);
	room->there.uc_stack.ss_sp = room->stack;
	room->there.uc_stack.ss_size = CREATION_STACK - sizeof(*room);
	room->there.uc_link = &room->here;
	makecontext(&room->there, (void (*)(void))create_there, 2, (unsigned)(address >> 32),
		    (unsigned)address);
	swapcontext(&room->here, &room->there);
	stack_memory_free(room, CREATION_STACK);
}

int thread_start(pthread_t *thread, void *(*function)(void *), void *argument)
{
	struct creation creation = { .thread = thread, .function = function, .argument = argument };
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	create_aside(&creation);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -creation.error;
}

static void *do_job(void *argument)
{
	const struct job *job = argument;

	job->function(job->argument);
	return NULL;
}

void thread_run(void (*function)(void *), void *argument)
{
	struct job job = { function, argument };
	int saved = errno, cancellation;
	pthread_t thread;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancellation);
	if (thread_start(&thread, do_job, &job) == 0)
		pthread_join(thread, NULL);
	else
		function(argument);
	pthread_setcancelstate(cancellation, NULL);
	errno = saved;
}

struct job_apart {
	void (*function)(void *argument, bool apart);
	void *argument;
	long caller; /* whose table is to be left */
};

static void do_job_apart(void *argument)
{
	const struct job_apart *job = argument;
	const bool apart = kernel_call(SYS_gettid, 0, 0, 0, 0) != job->caller &&
			   kernel_call(SYS_close_range, 0, ~0U, CLOSE_RANGE_UNSHARE, 0) == 0;

	job->function(job->argument, apart);
}

void thread_run_apart(void (*function)(void *argument, bool apart), void *argument)
{
	struct job_apart job = { function, argument, kernel_call(SYS_gettid, 0, 0, 0, 0) };

	thread_run(do_job_apart, &job);
}
