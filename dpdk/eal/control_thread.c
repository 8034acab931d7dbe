/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * See control_thread.h. Descriptors are handled by raw system calls here: the program's close()
 * and dup() may be wrappers (libmelin.so's own), and those keep account of the program's table
 * only.
 */
#include "dpdk/eal/control_thread.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "dpdk/eal/journal.h"
#include "common/own_descriptor.h"
#include "common/system_call.h"

/* Numbers for DPDK: a start opens below 40, and there are more with more queues. */
#define RANGE KERNEL_DPDK_NUMBERS

/*
 * So many numbers behind the last one in use are reserved, for what DPDK opens and closes in
 * passing.
 */
#define SPARE 24

/* Below this limit, if it could not be raised, the program may need every number. */
#define LIMIT_MIN 512

struct control_thread {
	pthread_t thread;
	/*
	 * The mutex protects the three below; changed is signalled with each change of them. The
	 * thread holds it while it works: of melin's locks work may take the journal's and
	 * memif_guard.c's.
	 */
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	void (*work)(void *argument);
	void *argument;
	bool stop;

	/* Set before the thread starts or by it before its first work. */
	bool own_table, apart;
	int base;	/* the first of DPDK's numbers; 0 in the program's table */
	int channel[2]; /* program's end, thread's end; -1 */

	/* Program's side only. */
	bool given[RANGE]; /* base + i is open in the program's table, by us */
};

/* As syscall(2), which is libmelin.so's and would look into the program's table. */
static long raw(long number, long a, long b, long c)
{
	long result = kernel_call(number, a, b, c, 0);

	if (result >= 0)
		return result;
	errno = (int)-result;
	return -1;
}

static void raw_close(int descriptor)
{
	raw(SYS_close, descriptor, 0, 0);
}

static bool is_open(int descriptor)
{
	return raw(SYS_fcntl, descriptor, F_GETFD, 0) >= 0;
}

static bool is_unused(int base)
{
	for (int i = 0; i < RANGE; i++) {
		if (is_open(base + i))
			return false;
	}
	return true;
}

/* The first of RANGE unused numbers among melin's, as close to the end as possible, or 0. */
static int choose_base(void)
{
	const int end = own_descriptors_end(), begin = own_descriptors_begin();

	for (int base = end - RANGE; end >= LIMIT_MIN && base >= begin; base--) {
		if (is_unused(base))
			return base;
	}
	return 0;
}

/*
 * On the thread: leaves the program's table with nothing but the channel, moves that to the base
 * and fills all numbers below with the read end of a pipe that nobody writes to.
 */
static int leave_table(struct control_thread *control)
{
	int channel = control->channel[1], ends[2] = { -1, -1 }, filler;

	if (raw(SYS_close_range, channel + 1, ~0U, CLOSE_RANGE_UNSHARE) < 0)
		return -errno;
	if (channel > 0)
		raw(SYS_close_range, 0, channel - 1, 0);
	control->channel[1] = (int)raw(SYS_fcntl, channel, F_DUPFD_CLOEXEC, control->base);
	raw_close(channel);
	if (control->channel[1] < 0 || raw(SYS_pipe2, (long)ends, O_CLOEXEC, 0) < 0)
		return -errno;
	raw_close(ends[1]);
	do {
		filler = (int)raw(SYS_fcntl, ends[0], F_DUPFD_CLOEXEC, 0);
	} while (filler >= 0 && filler < control->base);
	if (filler < 0)
		return -errno;
	raw_close(filler);
	return 0;
}

/*
 * EAL waits for a thread that it has made by looking again after a microsecond, and its start
 * computes for some 30 ms. In the program's real-time class (sched(7)), on the only processor of
 * both, neither the new thread nor the program would come to run. EAL's threads get this one's
 * class.
 */
static void leave_real_time(void)
{
	const struct sched_param ordinary = { 0 };
	const int policy = sched_getscheduler(0) & ~SCHED_RESET_ON_FORK;

	if (policy == SCHED_FIFO || policy == SCHED_RR)
		sched_setscheduler(0, SCHED_OTHER, &ordinary);
}

static void *thread_main(void *argument)
{
	struct control_thread *control = argument;

	pthread_setname_np(pthread_self(), "melin-dpdk");
	leave_real_time();
	pthread_mutex_lock(&control->mutex);
	while (!control->stop) {
		if (control->work) {
			control->work(control->argument);
			control->work = NULL;
			pthread_cond_broadcast(&control->changed);
		} else {
			pthread_cond_wait(&control->changed, &control->mutex);
		}
	}
	pthread_mutex_unlock(&control->mutex);
	return NULL;
}

void control_run(struct control_thread *control, void (*work)(void *argument), void *argument)
{
	pthread_mutex_lock(&control->mutex);
	control->work = work;
	control->argument = argument;
	pthread_cond_broadcast(&control->changed);
	while (control->work)
		pthread_cond_wait(&control->changed, &control->mutex);
	pthread_mutex_unlock(&control->mutex);
}

static void leave_table_work(void *argument)
{
	struct control_thread *control = argument;
	int error = leave_table(control);

	if (error == 0)
		return;
	/*
	 * The thread may have no usable table of descriptors now; the caller ends it and starts
	 * another.
	 */
	control->own_table = false;
	journal_add(LOG_LEVEL_DEBUG, "no descriptor table of its own for DPDK: %s",
		    strerrordesc_np(-error));
}

static int start_thread(struct control_thread *control)
{
	sigset_t all, program;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &program);
	error = pthread_create(&control->thread, NULL, thread_main, control);
	pthread_sigmask(SIG_SETMASK, &program, NULL);
	return -error;
}

static void end_thread(struct control_thread *control)
{
	pthread_mutex_lock(&control->mutex);
	control->stop = true;
	pthread_cond_broadcast(&control->changed);
	pthread_mutex_unlock(&control->mutex);
	pthread_join(control->thread, NULL);
	control->stop = false;
}

/*
 * Gives the thread a descriptor table of its own; if that fails, the thread is replaced by one that
 * shares the program's table. Numbers that the program uses are left out of the new table, even
 * though nobody else uses it: libmelin.so knows a descriptor of the program's by its number,
 * whichever table the caller has.
 */
static int give_table(struct control_thread *control, bool apart)
{
	int program_end;

	control->apart = apart;
	control->base = choose_base();
	if (control->base == 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control->channel) < 0)
		return 0;
	control->channel[0] = own_descriptor(control->channel[0]);
	program_end = control->channel[1];
	control->own_table = true;
	control_run(control, leave_table_work, control);
	raw_close(program_end);
	if (control->own_table)
		return 0;
	own_descriptor_close(control->channel[0]);
	control->channel[0] = control->channel[1] = -1;
	control->base = 0;
	end_thread(control);
	return start_thread(control);
}

int control_start(enum control_table table, struct control_thread **result)
{
	struct control_thread *control = calloc(1, sizeof(*control));
	int error;

	if (!control)
		return -ENOMEM;
	pthread_mutex_init(&control->mutex, NULL);
	pthread_cond_init(&control->changed, NULL);
	control->channel[0] = control->channel[1] = -1;
	error = start_thread(control);
	if (error == 0 && table != CONTROL_IN_PROGRAMS)
		error = give_table(control, table == CONTROL_APART);
	if (error) {
		free(control);
		return error;
	}
	*result = control;
	return 0;
}

bool control_has_table(const struct control_thread *control)
{
	return control->own_table;
}

/* ---- descriptors for the program ---- */

struct offer {
	struct control_thread *control;
	bool (*wanted)(int descriptor);
	bool open[RANGE];
	int error;
};

/* A descriptor travels with the number that it has on the other side. */
static int send_descriptor(int channel, int descriptor)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { .header = { .cmsg_len = CMSG_LEN(sizeof(int)),
				  .cmsg_level = SOL_SOCKET,
				  .cmsg_type = SCM_RIGHTS } };
	struct iovec iov = { .iov_base = &descriptor, .iov_len = sizeof(descriptor) };
	struct msghdr message = { .msg_iov = &iov,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };

	memcpy(CMSG_DATA(&control.header), &descriptor, sizeof(descriptor));
	return raw(SYS_sendmsg, channel, (long)&message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno
											  : 0;
}

/* Returns 1 and both numbers, 0 when nothing waits, or a negative errno value. */
static int receive_descriptor(int channel, int *descriptor, int *number)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { .iov_base = number, .iov_len = sizeof(*number) };
	struct msghdr message = { .msg_iov = &iov,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };

	if (raw(SYS_recvmsg, channel, (long)&message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) < 0)
		return errno == EAGAIN ? 0 : -errno;
	if (message.msg_controllen < sizeof(control.header))
		return -EMFILE; /* no room for it in the program's table */
	memcpy(descriptor, CMSG_DATA(&control.header), sizeof(*descriptor));
	return 1;
}

static void offer_work(void *argument)
{
	struct offer *offer = argument;
	struct control_thread *control = offer->control;
	int i;

	for (i = 0; i < RANGE; i++) {
		int descriptor = control->base + i;

		offer->open[i] = is_open(descriptor);
		if (!offer->open[i] || descriptor == control->channel[1] || control->given[i] ||
		    !offer->wanted(descriptor))
			continue;
		offer->error = send_descriptor(control->channel[1], descriptor);
		if (offer->error)
			return;
	}
}

/* Puts a descriptor at DPDK's number in the program's table, where that is still unused. */
static int place(struct control_thread *control, int descriptor, int number)
{
	int index = number - control->base;

	if (is_open(number))
		return -EBUSY;
	if (raw(SYS_dup3, descriptor, number, O_CLOEXEC) < 0)
		return -errno;
	own_descriptor_here(number);
	control->given[index] = true;
	return 0;
}

static int take_offered(struct control_thread *control)
{
	int descriptor = -1, number = -1, error;

	/* The channel holds a dozen or so of messages; offer_work() stops when it is full. */
	while ((error = receive_descriptor(control->channel[0], &descriptor, &number)) > 0) {
		error = place(control, descriptor, number);
		raw_close(descriptor);
		if (error)
			return error;
	}
	return error;
}

/*
 * A number that DPDK has open, or may open next, must not be given to the program: both tables have
 * it reserved.
 */
static void reserve(struct control_thread *control, const struct offer *offer)
{
	int i, last = 0, ends[2];

	for (i = 0; i < RANGE; i++) {
		if (offer->open[i])
			last = i;
	}
	if (raw(SYS_pipe2, (long)ends, O_CLOEXEC, 0) < 0)
		return;
	for (i = 0; i < RANGE && i <= last + SPARE; i++) {
		if (!control->given[i])
			place(control, ends[0], control->base + i);
	}
	raw_close(ends[0]);
	raw_close(ends[1]);
}

int control_share(struct control_thread *control, bool (*wanted)(int descriptor))
{
	struct offer offer = { .control = control, .wanted = wanted };
	int error;

	if (!control->own_table || control->apart)
		return 0;
	control_run(control, offer_work, &offer);
	error = take_offered(control);
	if (offer.error || error)
		return offer.error ? offer.error : error;
	reserve(control, &offer);
	return 0;
}

void control_visit(struct control_thread *control, void (*visit)(int descriptor, void *context),
		   void *context)
{
	int first = control->base, end = first + RANGE, i;

	if (!control->own_table)
		end = own_descriptors_end();
	for (i = first; i < end; i++) {
		if (is_open(i))
			visit(i, context);
	}
}

void control_abandon(struct control_thread *control)
{
	int i;

	for (i = 0; i < RANGE; i++) {
		if (control->given[i])
			own_descriptor_close(control->base + i);
	}
	own_descriptor_close(control->channel[0]);
	free(control);
}

void control_stop(struct control_thread *control)
{
	end_thread(control);
	control_abandon(control);
}
