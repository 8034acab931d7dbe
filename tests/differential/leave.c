/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Differential cases: handlers and threads that leave a call that waits, without returning to it.
 */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>

#define ROUNDS 3

/* What the calls below are about: a connection on which nothing comes, with full buffers or not. */
static struct connection connection;
static int listener, epoll_fd, nested_fd, pipes[2], file;
static char block[70000];

static void by_recv(void)
{
	recv(connection.us, block, 1, 0);
}

static void by_waitall(void)
{
	recv(connection.us, block, sizeof(block), MSG_WAITALL);
}

static void by_read(void)
{
	ssize_t n = read(connection.us, block, 1);

	(void)n;
}

static void by_readv(void)
{
	struct iovec iov[20];

	for (int i = 0; i < 20; i++)
		iov[i] = (struct iovec){ block + i, 1 };
	readv(connection.us, iov, 20);
}

static void by_recvmsg(void)
{
	struct iovec iov = { block, 1 };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };

	recvmsg(connection.us, &message, 0);
}

static void by_recvmmsg(void)
{
	struct iovec iov = { block, 1 };
	struct mmsghdr message = { .msg_hdr = { .msg_iov = &iov, .msg_iovlen = 1 } };

	recvmmsg(connection.us, &message, 1, 0, NULL);
}

static void by_poll(void)
{
	struct pollfd set[40];

	for (int i = 0; i < 40; i++)
		set[i] = (struct pollfd){ i % 3 ? connection.us : pipes[0], POLLIN, 0 };
	poll(set, 40, -1);
}

static void by_ppoll(void)
{
	struct pollfd set = { connection.us, POLLIN, 0 };
	struct timespec limit = { .tv_sec = 10 };
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR2);
	ppoll(&set, 1, &limit, &mask);
}

static void by_select(void)
{
	fd_set set;

	FD_ZERO(&set);
	FD_SET(connection.us, &set);
	FD_SET(pipes[0], &set);
	select(FD_SETSIZE, &set, NULL, NULL, NULL);
}

static void by_pselect(void)
{
	sigset_t mask;
	fd_set set;

	sigemptyset(&mask);
	FD_ZERO(&set);
	FD_SET(connection.us, &set);
	pselect(connection.us + 1, &set, NULL, NULL, NULL, &mask);
}

static void by_epoll_wait(void)
{
	struct epoll_event event;

	epoll_wait(epoll_fd, &event, 1, -1);
}

static void by_epoll_pwait2(void)
{
	struct timespec limit = { .tv_sec = 10 };
	struct epoll_event event;
	sigset_t mask;

	sigemptyset(&mask);
	epoll_pwait2(epoll_fd, &event, 1, &limit, &mask);
}

/* Of an instance that holds a pipe alone. */
static void by_kernel_epoll(void)
{
	struct epoll_event event;

	epoll_wait(nested_fd, &event, 1, -1);
}

static void by_accept(void)
{
	accept(listener, NULL, NULL);
}

static void by_splice(void)
{
	splice(connection.us, NULL, pipes[1], NULL, 100, 0);
}

static void by_splice_in(void)
{
	splice(pipes[0], NULL, connection.us, NULL, 100, 0);
}

static void by_send(void)
{
	send(connection.us, block, sizeof(block), 0);
}

static void by_sendfile(void)
{
	sendfile(connection.us, file, NULL, sizeof(block));
}

static const struct call {
	const char *name;
	void (*run)(void);
	bool fills; /* waits for room */
} calls[] = {
	{ "recv", by_recv, false },
	{ "recv, MSG_WAITALL", by_waitall, false },
	{ "read", by_read, false },
	{ "readv", by_readv, false },
	{ "recvmsg", by_recvmsg, false },
	{ "recvmmsg", by_recvmmsg, false },
	{ "poll", by_poll, false },
	{ "ppoll", by_ppoll, false },
	{ "select", by_select, false },
	{ "pselect", by_pselect, false },
	{ "epoll_wait", by_epoll_wait, false },
	{ "epoll_pwait2", by_epoll_pwait2, false },
	{ "epoll_wait, a pipe", by_kernel_epoll, false },
	{ "accept", by_accept, false },
	{ "splice", by_splice, false },
	{ "splice from a pipe", by_splice_in, false },
	{ "send", by_send, true },
	{ "sendfile", by_sendfile, true },
};

#define CALLS (sizeof(calls) / sizeof(calls[0]))

static void begin(const struct call *call)
{
	struct epoll_event event = { .events = EPOLLIN };
	char name[] = "/tmp/melin-leave-XXXXXX";

	connection = open_connection();
	listener = our_listener(5);
	epoll_fd = epoll_create1(0);
	nested_fd = epoll_create1(0);
	must("pipe", pipe(pipes));
	must("epoll_ctl", epoll_ctl(epoll_fd, EPOLL_CTL_ADD, connection.us, &event));
	must("epoll_ctl", epoll_ctl(nested_fd, EPOLL_CTL_ADD, pipes[0], &event));
	file = mkstemp(name);
	must("mkstemp", file);
	unlink(name);
	must("write", write(file, block, sizeof(block)));
	lseek(file, 0, SEEK_SET);
	if (call->fills) {
		fill(connection.us);
		set_nonblocking(connection.us, false);
	}
}

static void overwrite_stack(void)
{
	volatile char area[30000];

	for (unsigned i = 0; i < sizeof(area); i++)
		area[i] = 0x5a;
}

/* The connection works as before, and close() ends it: nobody holds it any more. */
static void end(const char *name, const struct call *call)
{
	struct pollfd entry = { connection.us, POLLIN, 0 };
	struct epoll_event event;
	int good = 0;
	char byte;

	if (call->fills) {
		shutdown(connection.us, SHUT_WR);
		note("%s: the rest %s", name,
		     drain(connection.them, SIZE_MAX) > 0 ? "comes" : "is lost");
	} else {
		for (int i = 0; i < 10; i++) {
			send_all(connection.them, "x", 1);
			good += poll(&entry, 1, 3000) == 1 &&
				epoll_wait(epoll_fd, &event, 1, 3000) == 1 &&
				recv(connection.us, &byte, 1, 0) == 1 &&
				send(connection.us, "y", 1, 0) == 1 &&
				recv(connection.them, &byte, 1, 0) == 1;
		}
		note("%s: good round trips: %d", name, good);
	}
	close(epoll_fd);
	close(nested_fd);
	close(connection.us);
	close(listener);
	close(pipes[0]);
	close(pipes[1]);
	close(file);
	await(connection.them, POLLIN);
	outcome(name, recv(connection.them, &byte, 1, 0));
	close(connection.them);
}

/* ---- by siglongjmp() ---- */

static sigjmp_buf back;
static bool handler_waits;

static void jump(int number)
{
	struct pollfd set = { connection.us, POLLPRI, 0 };
	char byte;

	(void)number;
	if (handler_waits) {
		poll(&set, 1, 5);
		recv(connection.us, &byte, 1, MSG_DONTWAIT);
		epoll_wait(epoll_fd, &(struct epoll_event){ 0 }, 1, 5);
	}
	siglongjmp(back, 1);
}

static void leave_by_jump(const struct call *call, int flags)
{
	static const struct itimerval soon = { .it_value.tv_usec = 15000 };
	struct sigaction action = { .sa_handler = jump, .sa_flags = flags };

	begin(call);
	must("sigaction", sigaction(SIGALRM, &action, NULL));
	for (volatile int i = 0; i < ROUNDS; i++) {
		if (sigsetjmp(back, 1)) {
			overwrite_stack();
			continue;
		}
		setitimer(ITIMER_REAL, &soon, NULL);
		call->run();
		note("%s has returned", call->name);
	}
	end(call->name, call);
}

static void case_jump(void)
{
	handler_waits = false;
	for (unsigned i = 0; i < CALLS; i++)
		leave_by_jump(&calls[i], 0);
}

static void case_jump_restart(void)
{
	handler_waits = false;
	for (unsigned i = 0; i < CALLS; i++)
		leave_by_jump(&calls[i], SA_RESTART | SA_NODEFER);
}

static void case_jump_nested(void)
{
	static char memory[65536];
	stack_t own = { .ss_sp = memory, .ss_size = sizeof(memory) };

	must("sigaltstack", sigaltstack(&own, NULL));
	handler_waits = true;
	for (unsigned i = 0; i < CALLS; i++)
		if (!calls[i].fills)
			leave_by_jump(&calls[i], i & 1 ? SA_ONSTACK : 0);
	own.ss_flags = SS_DISABLE;
	sigaltstack(&own, NULL);
}

static sigjmp_buf anywhere;

static void jump_anywhere(int number)
{
	(void)number;
	siglongjmp(anywhere, 1);
}

/* Out of calls that do not wait, at whatever instruction. */
static void case_jump_anywhere(void)
{
	struct sigaction action = { .sa_handler = jump_anywhere };
	struct itimerval timer = { { 0, 700 }, { 0, 700 } };
	static volatile int jumps, calls_made;
	int64_t until = now_ms() + 1000;

	begin(&calls[0]);
	jumps = calls_made = 0;
	sigaction(SIGALRM, &action, NULL);
	if (sigsetjmp(anywhere, 1))
		jumps++;
	setitimer(ITIMER_REAL, &timer, NULL);
	while (now_ms() < until) {
		struct pollfd set = { connection.us, POLLIN | POLLOUT, 0 };
		socklen_t length = sizeof(int);
		int value;

		poll(&set, 1, 0);
		recv(connection.us, block, 10, MSG_DONTWAIT);
		getsockopt(connection.us, SOL_SOCKET, SO_ERROR, &value, &length);
		epoll_wait(epoll_fd, &(struct epoll_event){ 0 }, 1, 0);
		calls_made++;
	}
	signal(SIGALRM, SIG_IGN);
	setitimer(ITIMER_REAL, &(struct itimerval){ 0 }, NULL);
	note("jumps: %s, calls: %s", jumps > 10 ? "many" : "few", calls_made > 10 ? "many" : "few");
	end("anywhere", &calls[0]);
}

/* ---- by the end of the thread ---- */

static void exit_thread(int number)
{
	(void)number;
	pthread_exit(NULL);
}

static bool asynchronously;

static void *wait_in(void *argument)
{
	const struct call *call = &calls[*(const unsigned *)argument];
	int before = -1;

	if (asynchronously) {
		pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &before);
		if (before != PTHREAD_CANCEL_DEFERRED)
			note("the type was %d", before);
	}
	call->run();
	return NULL;
}

static void end_thread(unsigned which, bool by_cancel)
{
	const struct call *call = &calls[which];
	pthread_t thread;
	void *result;

	begin(call);
	for (int i = 0; i < 2; i++) {
		must("pthread_create", -pthread_create(&thread, NULL, wait_in, &which));
		pause_ms(20);
		if (by_cancel)
			pthread_cancel(thread);
		else
			pthread_kill(thread, SIGUSR1);
		pthread_join(thread, &result);
	}
	note("%s", by_cancel && result == PTHREAD_CANCELED ? "cancelled" : "ended");
	end(call->name, call);
}

static void case_thread_exit(void)
{
	struct sigaction action = { .sa_handler = exit_thread };

	asynchronously = false;
	sigaction(SIGUSR1, &action, NULL);
	for (unsigned i = 0; i < CALLS; i++)
		end_thread(i, false);
	signal(SIGUSR1, SIG_DFL);
}

static void case_cancel(void)
{
	asynchronously = false;
	for (unsigned i = 0; i < CALLS; i++)
		if (calls[i].run != by_sendfile) /* libc does not make it a cancellation point */
			end_thread(i, true);
}

static void case_cancel_asynchronously(void)
{
	asynchronously = true;
	for (unsigned i = 0; i < CALLS; i++)
		end_thread(i, true);
	asynchronously = false;
}

/*
 * A thread that is to be cancelled already ends at the next of pthreads(7)'s cancellation points,
 * with nothing done there, even if the call would not wait.
 */
static int here; /* how far a thread got; note() is a cancellation point itself */

static void by_nothing(void)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT, .data.fd = 7 };
	socklen_t length = sizeof(int);
	int value;

	/* None of these is one. */
	getsockopt(connection.us, SOL_SOCKET, SO_ERROR, &value, &length);
	epoll_ctl(epoll_fd, EPOLL_CTL_MOD, connection.us, &event);
	ioctl(connection.us, FIONREAD, &value);
	listen(listener, 3);
	here = value;
	pthread_testcancel();
}

static void by_peek(void)
{
	recv(connection.us, block, 1, MSG_PEEK | MSG_DONTWAIT);
}

static void by_one_byte(void)
{
	send(connection.us, "z", 1, 0);
}

static void by_close(void)
{
	close(connection.us);
}

static void by_poll_at_once(void)
{
	struct pollfd set = { connection.us, POLLIN, 0 };

	poll(&set, 1, 0);
}

static void by_epoll_at_once(void)
{
	struct epoll_event event;

	epoll_wait(epoll_fd, &event, 1, 0);
}

static void *cancelled_before(void *call)
{
	pthread_cancel(pthread_self());
	((const struct call *)call)->run();
	here = -1;
	return NULL;
}

static void case_cancel_before(void)
{
	static struct call at_once[] = {
		{ "nothing", by_nothing, false },
		{ "peek", by_peek, false },
		{ "a byte", by_one_byte, false },
		{ "close", by_close, false },
		{ "poll", by_poll_at_once, false },
		{ "epoll", by_epoll_at_once, false },
		{ "recv", by_recv, false },
		{ "read", by_read, false },
		{ "readv", by_readv, false },
		{ "recvmsg", by_recvmsg, false },
		{ "recvmmsg", by_recvmmsg, false },
		{ "poll of many", by_poll, false },
		{ "select", by_select, false },
		{ "pselect", by_pselect, false },
		{ "epoll_wait", by_epoll_wait, false },
		{ "splice", by_splice, false },
		{ "accept", by_accept, false },
	};

	for (unsigned i = 0; i < sizeof(at_once) / sizeof(at_once[0]); i++) {
		pthread_t thread;
		void *result;

		here = 0;
		begin(&at_once[i]);
		send_all(connection.them, "x", 1);
		await(connection.us, POLLIN);
		must("pthread_create",
		     -pthread_create(&thread, NULL, cancelled_before, &at_once[i]));
		pthread_join(thread, &result);
		note("%s: %s", at_once[i].name, result == PTHREAD_CANCELED ? "cancelled" : "ended");
		note("%d", here);
		outcome("recv", recv(connection.us, block, 10, 0));
		end(at_once[i].name, &at_once[i]);
	}
}

/* At any moment of calls that do not wait: nobody is left with what another one needs. */
static void *call_on(void *unused)
{
	struct pollfd set = { connection.us, POLLIN, 0 };
	struct epoll_event event;

	for (;;) {
		poll(&set, 1, 0);
		recv(connection.us, block, 10, MSG_DONTWAIT);
		send(connection.us, "y", 1, MSG_DONTWAIT);
		epoll_wait(epoll_fd, &event, 1, 0);
	}
	return unused;
}

static void *take_all(void *unused)
{
	while (recv(connection.them, block, sizeof(block) / 2, 0) > 0)
		;
	return unused;
}

static void case_cancel_anywhere(void)
{
	int cancelled = 0;
	pthread_t taker;

	begin(&calls[0]);
	must("pthread_create", -pthread_create(&taker, NULL, take_all, NULL));
	for (int i = 0; i < 200; i++) {
		pthread_t thread;
		void *result;

		must("pthread_create", -pthread_create(&thread, NULL, call_on, NULL));
		for (volatile int spin = 0; spin < i * 5000; spin++)
			;
		pthread_cancel(thread);
		pthread_join(thread, &result);
		cancelled += result == PTHREAD_CANCELED;
	}
	note("cancelled %d times", cancelled);
	send_all(connection.them, "x", 1);
	await(connection.us, POLLIN);
	outcome("recv", recv(connection.us, block, 10, 0));
	shutdown(connection.us, SHUT_WR);
	pthread_join(taker, NULL);
	close_connection(connection);
	close(listener);
	close(epoll_fd);
	close(nested_fd);
	close(pipes[0]);
	close(pipes[1]);
	close(file);
}

/* ---- for another context, and back ---- */

static ucontext_t waiting, other;
static struct connection second;

static void change_over(int number)
{
	(void)number;
	swapcontext(&waiting, &other);
}

static void other_context(void)
{
	struct pollfd set = { second.us, POLLIN, 0 };
	char byte = 0;

	send_all(second.them, "s", 1);
	outcome("meanwhile, poll", poll(&set, 1, 3000));
	outcome("meanwhile, recv", recv(second.us, &byte, 1, 0));
	send_all(connection.them, "x", 1);
	swapcontext(&other, &waiting);
}

static void case_coroutine(void)
{
	struct sigaction action = { .sa_handler = change_over, .sa_flags = SA_RESTART };
	static const struct itimerval soon = { .it_value.tv_usec = 50000 };
	static char memory[262144];
	char byte = 0;

	begin(&calls[0]);
	second = open_connection();
	getcontext(&other);
	other.uc_stack.ss_sp = memory;
	other.uc_stack.ss_size = sizeof(memory);
	makecontext(&other, other_context, 0);
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &soon, NULL);
	outcome("recv", recv(connection.us, &byte, 1, 0));
	note("byte %c", byte);
	signal(SIGALRM, SIG_IGN);
	close_connection(second);
	end("coroutine", &calls[0]);
}

/* ---- what another thread closes meanwhile ---- */

static void close_it(int fd)
{
	close(fd);
}

static void replace_it(int fd)
{
	dup2(pipes[0], fd);
}

static void send_x(int fd)
{
	send_all(fd, "x", 1);
}

static void (*action_meanwhile)(int);

/* The call goes on with what it has begun with, and ends when something comes. */
static void act_and_send(int fd)
{
	action_meanwhile(fd);
	pause_ms(50);
	send_x(connection.them);
}

static void wait_while(void (*action)(int), const char *what)
{
	struct epoll_event event = { .events = EPOLLIN };
	struct pollfd set[2];
	pthread_t thread;
	char byte = 0;

	begin(&calls[0]);
	note("%s", what);
	action_meanwhile = action;
	thread = later(50, act_and_send, connection.us);
	outcome("recv", recv(connection.us, &byte, 1, 0));
	join(thread);
	close(connection.us);
	close(connection.them);

	connection = open_connection();
	set[0] = (struct pollfd){ connection.us, POLLIN, 0 };
	set[1] = (struct pollfd){ pipes[0], POLLIN, 0 };
	thread = later(50, act_and_send, connection.us);
	outcome("poll", poll(set, 2, 5000));
	note("%s, %s", poll_bits((uint32_t)set[0].revents), poll_bits((uint32_t)set[1].revents));
	join(thread);
	close(connection.us);
	close(connection.them);

	connection = open_connection();
	must("epoll_ctl", epoll_ctl(epoll_fd, EPOLL_CTL_ADD, connection.us, &event));
	must("epoll_ctl", epoll_ctl(epoll_fd, EPOLL_CTL_ADD, pipes[0], &event));
	thread = later(50, act_and_send, epoll_fd);
	outcome("epoll_wait", epoll_wait(epoll_fd, &event, 1, 5000));
	join(thread);
	drain(connection.us, 1);
	if (action == replace_it)
		close(epoll_fd);
	epoll_fd = epoll_create1(0);
	event.events = EPOLLIN;
	must("epoll_ctl", epoll_ctl(epoll_fd, EPOLL_CTL_ADD, connection.us, &event));
	end(what, &calls[0]);
}

static void case_closed(void)
{
	wait_while(close_it, "closed");
	wait_while(replace_it, "replaced");
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "jump", case_jump, 60 },
		{ "jump, restart", case_jump_restart, 60 },
		{ "jump, nested", case_jump_nested, 60 },
		{ "jump anywhere", case_jump_anywhere, 30 },
		{ "thread exit", case_thread_exit, 60 },
		{ "cancel", case_cancel, 60 },
		{ "cancel asynchronously", case_cancel_asynchronously, 60 },
		{ "cancel before", case_cancel_before, 60 },
		{ "cancel anywhere", case_cancel_anywhere, 60 },
		{ "coroutine", case_coroutine, 0 },
		{ "closed", case_closed, 30 },
	};

	return run_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
