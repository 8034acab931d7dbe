/* SPDX-License-Identifier: BSD-3-Clause */
/* See asynchronous.h. */
#include "preload/sockets/asynchronous.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "preload/libc/monotonic.h"
#include "preload/libc/signals.h"
#include "common/system_call.h"
#include "preload/libc/symbols.h"
#include "preload/libc/thread.h"

/* The lowest priority that a request may have: AIO_PRIO_DELTA_MAX of libc. */
#define PRIORITY_MAX 20

/* How often requests that are libc's are looked at, since their end wakes nobody here. */
#define OTHERS_LOOK_NS 1000000u

struct request {
	struct aiocb *control;
	int operation;
	struct request *next;
};

/* The requests on one descriptor. One thread serves them in turn, as one of libc's does. */
struct queue {
	int descriptor;
	const struct aiocb *current;
	struct request *waiting;
	struct queue *next;
};

/* Protects queues and all that they have. Nothing that sleeps is called while it is held. */
static pthread_mutex_t queues_lock = PTHREAD_MUTEX_INITIALIZER;
static struct queue *queues;

/*
 * How many requests have ended; the futex of those who wait for one. The state of a request is
 * stored before this is raised, so that whoever sees the new number sees that state, too.
 */
static _Atomic uint32_t ended;

static bool in_progress(const struct aiocb *control)
{
	return __atomic_load_n(&control->__error_code, __ATOMIC_ACQUIRE) == EINPROGRESS;
}

/* ---- telling the program ---- */

struct call {
	void (*function)(union sigval);
	union sigval value;
};

static void *run_call(void *argument)
{
	const struct call call = *(struct call *)argument;
	sigset_t none;

	free(argument);
	sigemptyset(&none);
	pthread_sigmask(SIG_SETMASK, &none, NULL);
	call.function(call.value);
	return NULL;
}

/* Runs the program's function (SIGEV_THREAD) on a thread that counts as the program's. */
static void call_on_thread(const struct sigevent *event)
{
	struct call *call = malloc(sizeof(*call));
	pthread_attr_t detached, *attributes = event->sigev_notify_attributes;
	pthread_t thread;

	if (!call)
		return;
	*call = (struct call){ event->sigev_notify_function, event->sigev_value };
	pthread_attr_init(&detached);
	pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
	if (libc()->pthread_create(&thread, attributes ? attributes : &detached, run_call, call))
		free(call);
	pthread_attr_destroy(&detached);
}

static void tell(const struct sigevent *event)
{
	siginfo_t info = { .si_signo = event->sigev_signo, .si_code = SI_ASYNCIO };

	if (event->sigev_notify == SIGEV_THREAD)
		call_on_thread(event);
	if (event->sigev_notify != SIGEV_SIGNAL)
		return;
	info.si_pid = getpid();
	info.si_uid = getuid();
	info.si_value = event->sigev_value;
	kernel_call(SYS_rt_sigqueueinfo, info.si_pid, info.si_signo, (long)&info, 0);
}

/* A request has ended. When its state is stored the control block is the program's again. */
static void end(struct aiocb *control, ssize_t result, int error)
{
	const struct sigevent event = control->aio_sigevent;

	control->__return_value = result;
	__atomic_store_n(&control->__error_code, error, __ATOMIC_RELEASE);
	atomic_fetch_add(&ended, 1);
	kernel_call(SYS_futex, (long)&ended, FUTEX_WAKE_PRIVATE, INT_MAX, 0);
	tell(&event);
}

/* ---- serving ---- */

/* The link to the queue of a descriptor, or to where one would be. With the lock. */
static struct queue **find(int descriptor)
{
	struct queue **link = &queues;

	while (*link && (*link)->descriptor != descriptor)
		link = &(*link)->next;
	return link;
}

/* Takes the next request off a queue. NULL: there is none, and the queue has been freed. */
static struct request *next_request(struct queue *queue)
{
	struct request *request;

	guarded_lock(&queues_lock);
	request = queue->waiting;
	if (request) {
		queue->waiting = request->next;
		queue->current = request->control;
	} else {
		*find(queue->descriptor) = queue->next;
	}
	guarded_unlock(&queues_lock);
	return request;
}

static void serve(struct queue *queue, struct request *request)
{
	struct aiocb *control = request->control;
	void *buffer = (void *)(uintptr_t)control->aio_buf;
	ssize_t result = request->operation == LIO_READ
				 ? read(queue->descriptor, buffer, control->aio_nbytes)
				 : write(queue->descriptor, buffer, control->aio_nbytes);
	const int error = result < 0 ? errno : 0;

	guarded_lock(&queues_lock);
	queue->current = NULL;
	guarded_unlock(&queues_lock);
	end(control, result, error);
}

static void *serve_all(void *argument)
{
	struct queue *queue = argument;
	struct request *request;

	while ((request = next_request(queue))) {
		serve(queue, request);
		free(request);
	}
	free(queue);
	return NULL;
}

/*
 * Puts a request behind the others on its descriptor. If the descriptor has no queue yet it gets
 * *queue, which is NULL then. With the lock.
 */
static int enqueue(struct request *request, struct queue **queue)
{
	struct queue **place = find((*queue)->descriptor);
	struct request **last;

	if (!*place) {
		(*queue)->waiting = request;
		*place = *queue;
		if (thread_start(NULL, serve_all, *queue) < 0) {
			*place = NULL;
			return -EAGAIN;
		}
		*queue = NULL;
		return 0;
	}
	for (last = &(*place)->waiting; *last; last = &(*last)->next)
		;
	*last = request;
	return 0;
}

static int begin(struct aiocb *control, int operation)
{
	struct request *request = calloc(1, sizeof(*request));
	struct queue *queue = calloc(1, sizeof(*queue));
	int error = -EAGAIN;

	if (request && queue) {
		request->control = control;
		request->operation = operation;
		queue->descriptor = control->aio_fildes;
		guarded_lock(&queues_lock);
		error = enqueue(request, &queue);
		guarded_unlock(&queues_lock);
	}
	if (error)
		free(request);
	free(queue);
	return error;
}

int asynchronous_begin(struct aiocb *control, int operation)
{
	int error = -EINVAL;

	control->__return_value = 0;
	control->__error_code = EINPROGRESS;
	if (control->aio_reqprio >= 0 && control->aio_reqprio <= PRIORITY_MAX)
		error = begin(control, operation);
	if (error) {
		control->__return_value = -1;
		control->__error_code = -error;
	}
	return error;
}

/*
 * The link to a request in a queue that is still to begin, or to the NULL at the end; control NULL:
 * the link to the first one. With the lock.
 */
static struct request **find_waiting(struct queue *queue, const struct aiocb *control)
{
	struct request **link = &queue->waiting;

	while (*link && control && (*link)->control != control)
		link = &(*link)->next;
	return link;
}

bool asynchronous_has(const struct aiocb *control)
{
	struct queue *queue;
	bool has = false;

	guarded_lock(&queues_lock);
	for (queue = queues; queue && !has; queue = queue->next)
		has = queue->current == control || *find_waiting(queue, control);
	guarded_unlock(&queues_lock);
	return has;
}

int asynchronous_cancel(int descriptor, const struct aiocb *control)
{
	struct request *taken = NULL, **link, *request;
	int result = AIO_ALLDONE;
	struct queue *queue;

	guarded_lock(&queues_lock);
	queue = *find(descriptor);
	while (queue && *(link = find_waiting(queue, control))) {
		request = *link;
		*link = request->next;
		request->next = taken;
		taken = request;
	}
	if (taken)
		result = AIO_CANCELED;
	if (queue && queue->current && (!control || queue->current == control))
		result = AIO_NOTCANCELED;
	guarded_unlock(&queues_lock);
	while ((request = taken)) {
		taken = request->next;
		end(request->control, -1, ECANCELED);
		free(request);
	}
	return result;
}

/* ---- waiting ---- */

/*
 * Whether an entry of a list is no request. LIO_NOP is one for lio_listio(3) alone, which waits for
 * all.
 */
static bool is_none(const struct aiocb *control, bool all)
{
	return !control || (all && control->aio_lio_opcode == LIO_NOP);
}

static bool enough(const struct aiocb *const *list, int count, bool all)
{
	int requests = 0, done = 0;

	for (int i = 0; i < count; i++) {
		requests += !is_none(list[i], all);
		done += !is_none(list[i], all) && !in_progress(list[i]);
	}
	return done >= (all ? requests : 1) || !requests;
}

/* Sleeps until a request ends, or until then; a cancellation point. 0 or -EINTR. */
static int sleep_until(uint64_t until, uint32_t seen)
{
	const uint64_t now = clock_monotonic(), left = until > now ? until - now : 0;
	const struct timespec timeout = { (time_t)(left / 1000000000u),
					  (long)(left % 1000000000u) };
	long result;
	int type;

	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &type);
	result = kernel_call(SYS_futex, (long)&ended, FUTEX_WAIT_PRIVATE, (long)seen,
			     until == CLOCK_NEVER ? 0 : (long)&timeout);
	pthread_setcanceltype(type, NULL);
	return result == -EINTR ? -EINTR : 0;
}

int asynchronous_wait(const struct aiocb *const *list, int count, bool all, bool others,
		      const struct timespec *timeout)
{
	const uint64_t deadline = clock_deadline_timespec(timeout);

	for (;;) {
		const uint32_t seen = atomic_load(&ended);
		const uint64_t now = clock_monotonic();
		uint64_t until = deadline;

		if (enough(list, count, all))
			return 0;
		if (now >= deadline)
			return -EAGAIN;
		if (others && until > now + OTHERS_LOOK_NS)
			until = now + OTHERS_LOOK_NS;
		if (sleep_until(until, seen) < 0)
			return enough(list, count, all) ? 0 : -EINTR;
	}
}

struct later {
	struct sigevent event;
	int count;
	const struct aiocb *list[];
};

static void *tell_later(void *argument)
{
	struct later *later = argument;

	while (asynchronous_wait(later->list, later->count, true, true, NULL) < 0)
		;
	tell(&later->event);
	free(later);
	return NULL;
}

int asynchronous_tell_later(struct aiocb *const *list, int count, const struct sigevent *event)
{
	struct later *later = malloc(sizeof(*later) + (size_t)count * sizeof(later->list[0]));

	if (!later)
		return -EAGAIN;
	later->event = *event;
	later->count = count;
	for (int i = 0; i < count; i++)
		later->list[i] = list[i];
	if (thread_start(NULL, tell_later, later) == 0)
		return 0;
	free(later);
	return -EAGAIN;
}

/* ---- fork ---- */

void asynchronous_before_fork(void)
{
	guarded_lock(&queues_lock);
}

void asynchronous_after_fork(void)
{
	guarded_unlock(&queues_lock);
}

void asynchronous_forked(void)
{
	queues = NULL; /* the child does not have their threads */
}
