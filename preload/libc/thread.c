/* SPDX-License-Identifier: BSD-3-Clause */
/* See thread.h. */
#include "preload/libc/thread.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <ucontext.h>

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
	thread_own_begin();
	creation->error = pthread_create(creation->thread ? creation->thread : &started,
					 &attributes, creation->function, creation->argument);
	thread_own_end();
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
	} *room = mmap(NULL, CREATION_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);

	if (room == MAP_FAILED) {
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
	munmap(room, CREATION_STACK);
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
