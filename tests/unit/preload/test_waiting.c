/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Waiting: how long a call polls, on what it sleeps, who wakes it. Over a stack that does what the
 * test says; in real time, with generous limits.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>

#include "under_melin.h"

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void deliver(struct fake_socket *connection)
{
	atomic_fetch_add(&connection->bytes, 1);
	report(connection, EPOLLIN);
}

/* Another thread, as the background thread does, or a handler, after some milliseconds. */
static void *deliver_later(void *connection)
{
	usleep(100000);
	deliver(connection);
	return NULL;
}

/* Bounded, so that a call which does not poll ends all the same. */
static void wait_for_polls(unsigned polls)
{
	for (int i = 0; i < 60000 && stack->polls < polls; i++)
		usleep(1000);
}

static void *deliver_after_1000_polls(void *connection)
{
	wait_for_polls(1001);
	deliver(connection);
	return NULL;
}

static void *deliver_after_6_polls(void *connection)
{
	wait_for_polls(6);
	deliver(connection);
	return NULL;
}

static void sleeps(void)
{
	struct fake_socket *connection;
	int descriptor = open_connection(&connection, 0);
	uint64_t began = now_ms();
	pthread_t thread;
	unsigned polls;
	char byte = 0;

	stack->polls = 0;
	pthread_create(&thread, NULL, deliver_later, connection);
	tap_ok(recv(descriptor, &byte, 1, 0) == 1 && byte == 'x',
	       "woken by what another thread saw");
	polls = stack->polls;
	tap_ok(polls < 20 && now_ms() - began >= 90, "it slept meanwhile: %u polls", polls);
	pthread_join(thread, NULL);
	close(descriptor);
}

static void spins(void)
{
	struct fake_socket *connection;
	int descriptor = open_connection(&connection, 0);
	pthread_t thread;
	ssize_t received;
	unsigned polls;
	char byte;

	stack->polls = 0;
	pthread_create(&thread, NULL, deliver_after_1000_polls, connection);
	received = recv(descriptor, &byte, 1, 0);
	polls = stack->polls;
	tap_ok(received == 1 && polls > 1000 && stack->watches == 0,
	       "it polls all the time and never sleeps: %u polls", polls);
	pthread_join(thread, NULL);
	close(descriptor);
}

static void times_out(void)
{
	const struct timeval timeout = { .tv_usec = 80000 };
	struct fake_socket *connection;
	int descriptor = open_connection(&connection, 0);
	struct pollfd set = { .fd = descriptor, .events = POLLIN };
	uint64_t began = now_ms();
	char byte;

	setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	tap_ok(recv(descriptor, &byte, 1, 0) < 0 && errno == EAGAIN && now_ms() - began >= 75,
	       "SO_RCVTIMEO");
	began = now_ms();
	tap_ok(poll(&set, 1, 60) == 0 && now_ms() - began >= 55, "poll(2)");
	close(descriptor);
}

/* Who only looks waits for the thread that polls, which may have seen what it asks for. */
static void looks(void)
{
	struct fake_socket *connection;
	int descriptor = open_connection(&connection, 0);
	struct pollfd set = { .fd = descriptor, .events = POLLIN };

	stack->poll_result = -EBUSY;
	stack->catch_ups = 0;
	tap_ok(poll(&set, 1, 0) == 0 && stack->catch_ups == 1, "a look waits for who polls");
	deliver(connection);
	tap_ok(poll(&set, 1, 0) == 1 && set.revents == POLLIN, "and finds what is there");
	stack->poll_result = 0;
	close(descriptor);
}

/* ---- the device ---- */

static struct fake_socket *device_feeds;
static int device[2];

/* What a look at the device brings: the byte in the pipe is the frame. */
static void take_frame(void)
{
	char frame;

	if (device_feeds && read(device[0], &frame, 1) == 1)
		deliver(device_feeds);
}

static void make_device(void)
{
	if (pipe(device) < 0)
		exit(1);
	fcntl(device[0], F_SETFL, O_NONBLOCK);
	stack->device = device[0];
	stack->on_poll = take_frame;
}

static void *frame_comes(void *unused)
{
	(void)unused;
	usleep(100000);
	if (write(device[1], "f", 1) != 1)
		exit(1);
	return NULL;
}

/* When somebody has begun to watch for it. */
static void *frame_comes_at_last(void *unused)
{
	for (int i = 0; i < 60000 && !stack->is_watched; i++)
		usleep(1000);
	return frame_comes(unused);
}

static void watches(void)
{
	struct fake_socket *connection;
	int descriptor = open_connection(&connection, 0);
	pthread_t thread;
	char byte;

	make_device();
	device_feeds = connection;
	stack->watches = 0;
	pthread_create(&thread, NULL, frame_comes_at_last, NULL);
	tap_ok(recv(descriptor, &byte, 1, 0) == 1 && stack->watches >= 1,
	       "asleep on the device: a frame wakes it");
	tap_ok(!stack->is_watched, "and the device is free to be watched by others");
	pthread_join(thread, NULL);
	stack->on_poll = NULL;
	close(descriptor);
}

static void *receive_one(void *descriptor)
{
	char byte;

	return (void *)(intptr_t)recv(*(int *)descriptor, &byte, 1, 0);
}

/* Two threads sleep; one watches. When that one leaves, the other one has to take over. */
static void hands_over(void)
{
	struct fake_socket *first, *second;
	int one = open_connection(&first, 0), two = open_connection(&second, 0);
	pthread_t threads[2];
	void *results[2];

	make_device();
	stack->watches = 0;
	pthread_create(&threads[0], NULL, receive_one, &one);
	while (!stack->is_watched)
		usleep(1000);
	pthread_create(&threads[1], NULL, receive_one, &two);
	while (!stack->refused_watches)
		usleep(1000);
	tap_ok(stack->watches == 1, "one of the two watches the device");
	usleep(50000);
	deliver(first);
	pthread_join(threads[0], &results[0]);
	for (int i = 0; i < 60000 && !stack->is_watched; i++)
		usleep(1000);
	tap_ok(results[0] == (void *)1 && stack->is_watched,
	       "it leaves, and the other one watches");
	device_feeds = second;
	frame_comes(NULL);
	pthread_join(threads[1], &results[1]);
	tap_ok(results[1] == (void *)1, "a frame wakes that one");
	close(one);
	close(two);
}

static struct {
	int descriptor;
	_Atomic pid_t thread;
} sleeper;

static void *sleep_for_one(void *unused)
{
	(void)unused;
	atomic_store(&sleeper.thread, gettid());
	return receive_one(&sleeper.descriptor);
}

/* Until the thread is in that system call: proc_pid_syscall(5). */
static void wait_until_in(long call)
{
	long number = -1;
	char path[64];
	FILE *file;

	while (!atomic_load(&sleeper.thread))
		usleep(1000);
	snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", atomic_load(&sleeper.thread));
	for (int i = 0; i < 60000 && number != call; i++) {
		usleep(1000);
		file = fopen(path, "r");
		if (!file)
			return; /* not shown here: the thread has had a millisecond */
		if (fscanf(file, "%ld", &number) != 1)
			number = -1;
		fclose(file);
	}
}

/* Who is woken wants the lock next, so that it is woken when the waker has let go of it. */
static void wakes_late(void)
{
	struct fake_socket *connection;
	pthread_t thread;
	void *result;

	sleeper.descriptor = open_connection(&connection, 0);
	for (int way = 0; way < 2; way++) {
		if (way)
			make_device();
		atomic_store(&sleeper.thread, 0);
		pthread_create(&thread, NULL, sleep_for_one, NULL);
		wait_until_in(way ? SYS_ppoll : SYS_futex);
		stack->callbacks.lock_enter();
		deliver(connection);
		usleep(100000);
		tap_ok(pthread_tryjoin_np(thread, &result) == EBUSY,
		       "while the waker has the lock it sleeps on");
		stack->callbacks.lock_leave();
		pthread_join(thread, &result);
		tap_ok(result == (void *)1, "then it is woken");
	}
	close(sleeper.descriptor);
}

/* The stack's next timer ends a sleep, for a poll. */
static void keeps_time(void)
{
	struct fake_socket *connection;
	int descriptor = open_connection(&connection, 0);
	uint64_t began = now_ms();
	pthread_t thread;
	bool received;
	char byte;

	make_device();
	stack->timer_ns = 20000000;
	stack->polls = 0;
	pthread_create(&thread, NULL, deliver_after_6_polls, connection);
	received = recv(descriptor, &byte, 1, 0) == 1;
	/* Some are for timers, 20 ms each; without pauses there would be thousands of polls. */
	tap_ok(received && now_ms() - began >= 40 && now_ms() - began < 50000 &&
		       stack->polls < 100 + (now_ms() - began) / 5,
	       "polled for each timer: %u polls", stack->polls);
	pthread_join(thread, NULL);
	close(descriptor);
}

/* ---- signals ---- */

static struct fake_socket *handler_feeds;
static volatile sig_atomic_t handled;

static void handler(int number)
{
	(void)number;
	handled++;
	if (handler_feeds)
		deliver(handler_feeds);
}

static pthread_t receiver;
static atomic_bool has_ended; /* the call that is interrupted; it may begin later than the signal */

static void *signal_until_ended(void *unused)
{
	(void)unused;
	do {
		usleep(100000);
		pthread_kill(receiver, SIGUSR1);
	} while (!atomic_load(&has_ended));
	return NULL;
}

/* Whether a call that waits returns that, while signals come. */
static bool returns(int descriptor, ssize_t result, int error)
{
	pthread_t thread;
	bool is_so;
	char byte;

	handled = 0;
	atomic_store(&has_ended, false);
	receiver = pthread_self();
	pthread_create(&thread, NULL, signal_until_ended, NULL);
	is_so = recv(descriptor, &byte, 1, 0) == result && (result >= 0 || errno == error);
	atomic_store(&has_ended, true);
	is_so = is_so && handled >= 1;
	pthread_join(thread, NULL);
	return is_so;
}

static void interrupted(void)
{
	struct fake_socket *connection;
	int descriptor = open_connection(&connection, 0);
	struct sigaction action = { .sa_handler = handler };
	char byte;

	for (int way = 0; way < 2; way++) {
		stack->device = way ? device[0] : -1; /* asleep on a futex, or in ppoll(2) */
		if (way)
			make_device();
		action.sa_flags = 0;
		sigaction(SIGUSR1, &action, NULL);
		handler_feeds = NULL;
		tap_ok(returns(descriptor, -1, EINTR), "a handler ends the wait");
		action.sa_flags = SA_RESTART;
		sigaction(SIGUSR1, &action, NULL);
		handler_feeds = connection;
		tap_ok(returns(descriptor, 1, 0),
		       "with SA_RESTART it goes on, and what the handler brought is received");
		while (atomic_load(&connection->bytes) > 0 && recv(descriptor, &byte, 1, 0) == 1)
			continue; /* what more signals have brought */
	}
	close(descriptor);
}

/* Descriptors of the kernel's in the same set. */
static void mixed(void)
{
	struct fake_socket *connection;
	int descriptor = open_connection(&connection, 0), ends[2];
	struct pollfd set[2] = { { .fd = descriptor, .events = POLLIN }, { .events = POLLIN } };
	pthread_t thread;

	if (pipe(ends) < 0)
		exit(1);
	set[1].fd = ends[0];
	device[1] = ends[1];
	pthread_create(&thread, NULL, frame_comes, NULL);
	tap_ok(poll(set, 2, 60000) == 1 && set[1].revents == POLLIN && !set[0].revents,
	       "asleep: woken by the kernel's");
	pthread_join(thread, NULL);
	deliver(connection);
	tap_ok(poll(set, 2, 60000) == 2 && set[0].revents == POLLIN, "both are ready");
	close(descriptor);
}

#define FLOWS "MELIN_FLOWS=connect:127.0.0.0/8:80"

static const struct run runs[] = {
	{ "sleep at once", { FLOWS, "MELIN_SPIN_US=0" }, sleeps },
	{ "poll for ever", { FLOWS, "MELIN_SPIN_US=max" }, spins },
	{ "time out", { FLOWS }, times_out },
	{ "look", { FLOWS }, looks },
	{ "watch", { FLOWS }, watches },
	{ "hand over", { FLOWS, "MELIN_SPIN_US=0" }, hands_over },
	{ "wake-ups", { FLOWS, "MELIN_SPIN_US=0" }, wakes_late },
	{ "timers", { FLOWS, "MELIN_SPIN_US=0" }, keeps_time },
	{ "signals", { FLOWS, "MELIN_SPIN_US=0" }, interrupted },
	{ "mixed sets", { FLOWS }, mixed },
};

int main(int argc, char **argv)
{
	return run_all(argc, argv, runs, sizeof(runs) / sizeof(runs[0]));
}
