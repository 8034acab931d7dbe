/* SPDX-License-Identifier: BSD-3-Clause */
/* Differential cases: signal handlers that use sockets, and calls in a storm of signals. */
#include "harness.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#define BULK (2 << 20)

static volatile sig_atomic_t signals, elsewhere;
static pthread_t main_thread;
static int handler_fd;
static char block[BULK];

static void count_signal(int number)
{
	(void)number;
	signals++;
	if (!pthread_equal(pthread_self(), main_thread))
		elsewhere++;
}

static void storm(bool on, int flags, void (*handler)(int))
{
	struct sigaction action = { .sa_handler = on ? handler : SIG_IGN, .sa_flags = flags };
	struct itimerval timer = { .it_value = { .tv_usec = on ? 1000 : 0 },
				   .it_interval = { .tv_usec = on ? 1000 : 0 } };

	main_thread = pthread_self();
	if (on) {
		signals = elsewhere = 0;
		sigaction(SIGALRM, &action, NULL);
		setitimer(ITIMER_REAL, &timer, NULL);
	} else {
		setitimer(ITIMER_REAL, &timer, NULL);
		sigaction(SIGALRM, &action, NULL);
		note("signals: %s, in other threads: %d", signals > 0 ? "some" : "none",
		     (int)elsewhere);
	}
}

static void send_block_slowly(int fd)
{
	for (size_t sent = 0; sent < BULK; sent += BULK / 16) {
		send_all(fd, block + sent, BULK / 16);
		pause_ms(10);
	}
}

static void receive_block_slowly(int fd)
{
	for (int i = 0; i < 16; i++) {
		pause_ms(10);
		drain(fd, BULK / 16);
	}
}

static void send_x_later(int fd)
{
	send_all(fd, "x", 1);
}

static void receive_through(int fd, bool by_poll)
{
	static char got[BULK];
	size_t there = 0;
	int other = 0;

	while (there < BULK) {
		struct pollfd entry = { .fd = fd, .events = POLLIN };
		ssize_t n;

		if (by_poll && poll(&entry, 1, -1) < 0) {
			if (errno != EINTR)
				other++;
			continue;
		}
		n = recv(fd, got + there, BULK - there, 0);
		if (n > 0)
			there += (size_t)n;
		else if (n == 0)
			break;
		else if (errno != EINTR)
			other++;
	}
	note("other errors: %d", other);
	show("data", got, (long)there);
}

static void case_storm_receive(void)
{
	for (int i = 0; i < BULK; i++)
		block[i] = (char)(i * 17 + i / 255);
	for (int i = 0; i < 4; i++) {
		struct connection connection = open_connection();
		pthread_t thread = later(0, send_block_slowly, connection.them);

		note("%s, %s", i & 1 ? "SA_RESTART" : "interrupting", i & 2 ? "poll" : "recv");
		storm(true, i & 1 ? SA_RESTART : 0, count_signal);
		receive_through(connection.us, i & 2);
		storm(false, 0, NULL);
		join(thread);
		close_connection(connection);
	}
}

static void case_storm_send(void)
{
	for (int i = 0; i < 2; i++) {
		struct connection connection = open_connection();
		pthread_t thread = later(0, receive_block_slowly, connection.them);
		size_t sent = 0;
		int other = 0;

		note("%s", i ? "SA_RESTART" : "interrupting");
		storm(true, i ? SA_RESTART : 0, count_signal);
		while (sent < BULK) {
			ssize_t n = send(connection.us, block + sent, BULK - sent, 0);

			if (n > 0)
				sent += (size_t)n;
			else if (errno != EINTR)
				other++;
		}
		pause_ms(20);
		storm(false, 0, NULL);
		join(thread);
		note("sent %zu, other errors %d", sent, other);
		close_connection(connection);
	}
}

static int accepted;

static void connect_20(int listener)
{
	struct address address = name_of(listener);

	for (int i = 0; i < 20; i++) {
		int fd = them_connect(&address);

		pause_ms(3);
		close(fd);
	}
}

static void accept_20(int listener)
{
	for (int i = 0; i < 20; i++) {
		int fd = accept(listener, NULL, NULL);

		if (fd >= 0)
			accepted++;
		close(fd);
	}
}

static void case_storm_accept(void)
{
	int listener = our_listener(20), other = 0;
	pthread_t thread = later(0, connect_20, listener);

	accepted = 0;
	storm(true, 0, count_signal);
	while (accepted < 20) {
		int fd = accept(listener, NULL, NULL);

		if (fd >= 0) {
			accepted++;
			close(fd);
		} else if (errno != EINTR) {
			other++;
		}
	}
	storm(false, 0, NULL);
	join(thread);
	note("accepted %d, other errors %d", accepted, other);
	close(listener);
}

static void case_storm_connect(void)
{
	int listener = their_listener(20), good = 0;
	struct address address = name_of(listener);
	pthread_t thread = later(0, accept_20, listener);

	accepted = 0;
	storm(true, SA_RESTART, count_signal);
	for (int i = 0; i < 20; i++) {
		int fd = open_socket(0);

		if (connect(fd, (struct sockaddr *)&address.storage, address.length) == 0)
			good++;
		pause_ms(2);
		close(fd);
	}
	storm(false, 0, NULL);
	join(thread);
	note("connected %d, accepted %d", good, accepted);
	close(listener);
}

static void case_storm_wait(void)
{
	struct connection connection = open_connection();
	int epoll = epoll_create1(0), interrupted = 0, n = -1;
	struct epoll_event event = { .events = EPOLLIN };
	pthread_t thread;
	fd_set set;
	char byte;

	must("epoll_ctl", epoll_ctl(epoll, EPOLL_CTL_ADD, connection.us, &event));
	thread = later(200, send_x_later, connection.them);
	storm(true, SA_RESTART, count_signal);
	while ((n = epoll_wait(epoll, &event, 1, -1)) < 0 && errno == EINTR)
		interrupted++;
	storm(false, 0, NULL);
	join(thread);
	note("epoll_wait: %d, interrupted %s", n, interrupted ? "often" : "never");
	outcome("recv", recv(connection.us, &byte, 1, 0));
	thread = later(200, send_x_later, connection.them);
	interrupted = 0;
	storm(true, SA_RESTART, count_signal);
	do {
		FD_ZERO(&set);
		FD_SET(connection.us, &set);
		n = select(connection.us + 1, &set, NULL, NULL, NULL);
		interrupted += n < 0;
	} while (n < 0 && errno == EINTR);
	storm(false, 0, NULL);
	join(thread);
	note("select: %d, interrupted %s", n, interrupted ? "often" : "never");
	close(epoll);
	close_connection(connection);
}

/* ---- handlers that use sockets themselves ---- */

static int handler_results[8];
static volatile int handler_count;

static void use_socket(int number)
{
	struct pollfd entry = { .fd = handler_fd, .events = POLLOUT };
	int saved = errno;

	(void)number;
	if (handler_count < 2) {
		handler_results[handler_count * 4] = (int)write(handler_fd, "w", 1);
		handler_results[handler_count * 4 + 1] = (int)send(handler_fd, "s", 1, 0);
		handler_results[handler_count * 4 + 2] = poll(&entry, 1, 0);
		handler_results[handler_count * 4 + 3] =
			(int)recv(handler_fd, &entry, 1, MSG_DONTWAIT);
	}
	handler_count++;
	errno = saved;
}

/* The handler's calls are made while recv() waits, however late the timer is. */
static void send_x_after_handler(int fd)
{
	for (int i = 0; i < 500 && handler_count < 2; i++)
		pause_ms(10);
	send_x_later(fd);
}

static void case_handler_uses(void)
{
	struct sigaction action = { .sa_handler = use_socket, .sa_flags = SA_RESTART };
	struct connection connection = open_connection(), other = open_connection();
	struct itimerval timer = { .it_value = { .tv_usec = 50000 },
				   .it_interval = { .tv_usec = 50000 } };
	char buffer[16] = { 0 };

	for (int same = 0; same < 2; same++) {
		pthread_t thread;

		note("%s socket", same ? "the same" : "another");
		handler_fd = same ? connection.us : other.us;
		handler_count = 0;
		thread = later(100, send_x_after_handler, connection.them);
		memset(handler_results, 0, sizeof(handler_results));
		sigaction(SIGALRM, &action, NULL);
		setitimer(ITIMER_REAL, &timer, NULL);
		outcome("recv", recv(connection.us, buffer, 1, 0));
		setitimer(ITIMER_REAL, &(struct itimerval){ 0 }, NULL);
		join(thread);
		for (int i = 0; i < 8; i++)
			note("handler's call %d: %d", i, handler_results[i]);
		outcome("they get",
			recv(same ? connection.them : other.them, buffer, 4, MSG_WAITALL));
		show("data", buffer, 4);
	}
	signal(SIGALRM, SIG_IGN);
	close_connection(connection);
	close_connection(other);
}

static void close_it(int number)
{
	(void)number;
	close(handler_fd);
}

static void case_handler_closes(void)
{
	struct sigaction action = { .sa_handler = close_it };
	struct connection connection = open_connection(), other = open_connection();
	char byte;

	sigaction(SIGUSR1, &action, NULL);
	handler_fd = other.us;
	raise(SIGUSR1);
	await(other.them, POLLIN);
	outcome("they see", recv(other.them, &byte, 1, 0));
	outcome("recv on closed", recv(other.us, &byte, 1, 0));
	sigaction(SIGALRM, &action, NULL);
	handler_fd = connection.us;
	signal_later(100, SIGALRM);
	outcome("recv, closed by a handler", recv(connection.us, &byte, 1, 0));
	outcome("recv again", recv(connection.us, &byte, 1, 0));
	await(connection.them, POLLIN);
	outcome("they see", recv(connection.them, &byte, 1, 0));
	close(connection.them);
	close(other.them);
	signal(SIGALRM, SIG_IGN);
	signal(SIGUSR1, SIG_IGN);
}

static int storm_fd, storm_sent;

static void send_in_storm(int number)
{
	int saved = errno;

	(void)number;
	signals++;
	if (send(storm_fd, "h", 1, MSG_DONTWAIT | MSG_NOSIGNAL) == 1)
		storm_sent++;
	errno = saved;
}

/* The handler enters the library while the main thread is anywhere inside it. */
static void case_handler_storm(void)
{
	struct connection connection = open_connection(), other = open_connection();
	int good = 0;
	size_t heard;

	storm_fd = other.us;
	storm_sent = 0;
	storm(true, SA_RESTART, send_in_storm);
	for (int i = 0; i < 5000; i++) {
		char out = (char)i, in = 0;

		if (send(connection.us, &out, 1, 0) == 1 && recv(connection.them, &in, 1, 0) == 1 &&
		    in == out)
			good++;
	}
	pause_ms(20);
	storm(false, 0, NULL);
	heard = drain(other.them, (size_t)storm_sent);
	note("good %d, the handler's bytes: %s", good,
	     heard == (size_t)storm_sent && heard > 0 ? "all" : "not all");
	close_connection(connection);
	close_connection(other);
}

static void case_program_is_left_alone(void)
{
	struct connection connection = open_connection();
	sigset_t mask;
	int blocked = 0;
	struct sigaction action;

	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	for (int i = 1; i < 32; i++)
		blocked += sigismember(&mask, i) == 1;
	note("blocked signals: %d", blocked);
	for (int i = 1; i < 32; i++) {
		if (i == SIGALRM || i == SIGUSR1 || i == SIGKILL || i == SIGSTOP)
			continue;
		if (sigaction(i, NULL, &action) == 0 && action.sa_handler != SIG_DFL)
			note("signal %d is not as it was", i);
	}
	close_connection(connection);
}

static void tell_action(const char *what, const struct sigaction *action)
{
	note("%s: %s, flags %x, SIGUSR2 %d, SIGKILL %d", what,
	     action->sa_handler == count_signal ? "ours"
	     : action->sa_handler == SIG_DFL	? "default"
	     : action->sa_handler == SIG_IGN	? "ignored"
						: "another",
	     (unsigned)action->sa_flags & ~0x04000000u /* libc's own business */,
	     sigismember(&action->sa_mask, SIGUSR2), sigismember(&action->sa_mask, SIGKILL));
}

/* Old programs call siginterrupt() and sigset() all the same. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

/* What sigaction() and its relatives tell of what was set before. */
static void case_old_action(void)
{
	static const int flags[] = { 0,
				     SA_SIGINFO,
				     SA_RESTART,
				     (int)SA_RESETHAND,
				     SA_NODEFER | SA_ONSTACK,
				     (int)SA_RESETHAND | SA_SIGINFO };
	static const int numbers[] = { SIGUSR1, SIGSEGV, SIGTERM, SIGCHLD };
	struct connection connection = open_connection();
	struct sigaction action = { .sa_handler = count_signal }, old;
	static const int wrong[] = { 0, -1, 32, 33, 65, 1000, SIGKILL, SIGSTOP };

	sigfillset(&action.sa_mask);
	for (unsigned k = 0; k < 4; k++) {
		const int number = numbers[k];

		note("signal %d", number);
		for (unsigned i = 0; i < 6; i++) {
			action.sa_flags = flags[i];
			action.sa_handler = count_signal;
			outcome("set", sigaction(number, &action, &old));
			tell_action("before", &old);
			sigaction(number, NULL, &old);
			tell_action("now", &old);
			raise(number);
			sigaction(number, NULL, &old);
			tell_action("after it came", &old);
		}
		action.sa_handler = SIG_IGN;
		sigaction(number, &action, &old);
		tell_action("before", &old);
		action.sa_handler = SIG_DFL;
		sigaction(number, &action, &old);
		tell_action("before", &old);
		note("signal: %s", signal(number, count_signal) == SIG_DFL ? "default" : "?");
		sigaction(number, NULL, &old);
		tell_action("signal", &old);
		siginterrupt(number, 1);
		sigaction(number, NULL, &old);
		tell_action("siginterrupt", &old);
		siginterrupt(number, 0);
		note("sysv: %s", sysv_signal(number, SIG_DFL) == count_signal ? "ours" : "?");
		sigaction(number, NULL, &old);
		tell_action("sysv_signal", &old);
		note("sigset: %s", sigset(number, count_signal) == SIG_DFL ? "default" : "?");
		note("sigset: %s", sigset(number, SIG_HOLD) == count_signal ? "ours" : "?");
		note("sigset: %s", sigset(number, SIG_DFL) == SIG_HOLD ? "held" : "?");
		sigaction(number, NULL, &old);
		tell_action("sigset", &old);
	}
	action.sa_handler = count_signal;
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		outcome("wrong number", sigaction(wrong[i], &action, NULL));
		outcome("only asked", sigaction(wrong[i], NULL, &old));
		note("signal: %s", signal(wrong[i], count_signal) == SIG_ERR ? "refused" : "taken");
	}
	close_connection(connection);
}

/* rt_sigaction(2) itself, which has a form of its own. */
static void case_raw_action(void)
{
	struct {
		void (*handler)(int);
		unsigned long flags;
		void (*restorer)(void);
		uint64_t mask;
	} raw = { .handler = count_signal, .flags = SA_RESTART }, old;
	struct connection connection = open_connection();
	struct sigaction action;
	pthread_t thread;
	char byte;

	/* Only what libc has set can be called on this machine: it knows the way back. */
	sigaction(SIGUSR1, &(struct sigaction){ .sa_handler = count_signal }, NULL);
	outcome("asked", syscall(SYS_rt_sigaction, SIGUSR1, NULL, &old, 8));
	raw.restorer = old.restorer;
	raw.flags |= old.flags & 0x04000000;
	note("%s, flags %lx", old.handler == count_signal ? "ours" : "another",
	     old.flags & ~0x04000000ul);
	outcome("set", syscall(SYS_rt_sigaction, SIGUSR1, &raw, &old, 8));
	sigaction(SIGUSR1, NULL, &action);
	tell_action("now", &action);
	signals = 0;
	raise(SIGUSR1);
	note("it came %d times", (int)signals);
	thread = later(50, send_x_later, connection.them);
	main_thread = pthread_self();
	outcome("recv", recv(connection.us, &byte, 1, 0));
	join(thread);
	outcome("size", syscall(SYS_rt_sigaction, SIGUSR1, NULL, &old, 16));
	outcome("bad", syscall(SYS_rt_sigaction, SIGUSR1, bad_pointer(), NULL, 8));
	outcome("bad old", syscall(SYS_rt_sigaction, SIGUSR1, NULL, bad_pointer(), 8));
	outcome("number", syscall(SYS_rt_sigaction, 65, NULL, &old, 8));
	outcome("SIGKILL", syscall(SYS_rt_sigaction, SIGKILL, &raw, NULL, 8));
	signal(SIGUSR1, SIG_DFL);
	close_connection(connection);
}

static volatile sig_atomic_t seen_mask, seen_code, seen_value, blocked_after;
static stack_t own_stack;
static volatile sig_atomic_t on_own_stack;

static void look_around(int number, siginfo_t *info, void *context)
{
	sigset_t mask;
	char here;

	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	seen_mask = sigismember(&mask, number) + 2 * sigismember(&mask, SIGUSR2);
	seen_code = info->si_code;
	seen_value = info->si_value.sival_int;
	blocked_after = sigismember(&((ucontext_t *)context)->uc_sigmask, number);
	on_own_stack = &here >= (char *)own_stack.ss_sp &&
		       &here < (char *)own_stack.ss_sp + own_stack.ss_size;
	signals++;
}

static void queue_it(int fd)
{
	(void)fd;
	sigqueue(getpid(), SIGRTMIN + 3, (union sigval){ .sival_int = 77 });
}

/* What a handler sees of the world when it ends a wait. */
static void case_in_handler(void)
{
	static const int flags[] = { SA_SIGINFO, SA_SIGINFO | SA_NODEFER, SA_SIGINFO | SA_ONSTACK };
	static char memory[65536];
	struct connection connection = open_connection();
	struct pollfd entry = { connection.us, POLLIN, 0 };

	own_stack = (stack_t){ .ss_sp = memory, .ss_size = sizeof(memory) };
	sigaltstack(&own_stack, NULL);
	for (int i = 0; i < 3; i++) {
		struct sigaction action = { .sa_sigaction = look_around, .sa_flags = flags[i] };
		pthread_t thread;
		char byte;

		sigaddset(&action.sa_mask, SIGUSR2);
		sigaction(SIGRTMIN + 3, &action, NULL);
		signals = 0;
		for (int by_poll = 0; by_poll < 2; by_poll++) {
			thread = later(50, queue_it, 0);
			if (by_poll)
				outcome("poll", poll(&entry, 1, 5000));
			else
				outcome("recv", recv(connection.us, &byte, 1, 0));
			join(thread);
			note("mask %d, code %d, value %d, then blocked %d, own stack %d, times %d",
			     (int)seen_mask, (int)seen_code, (int)seen_value, (int)blocked_after,
			     (int)on_own_stack, (int)signals);
		}
	}
	own_stack.ss_flags = SS_DISABLE;
	sigaltstack(&own_stack, NULL);
	close_connection(connection);
}

/* How a child ends that does this with SIGTERM, and then gets it. */
static void no_handler(const char *what, void (*handler)(int), int flags)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = flags }, old;
	int status = 0;
	pid_t child;

	child = fork();
	if (child == 0) {
		/* Over a handler: what stands in front of that must go as well. */
		signal(SIGTERM, count_signal);
		sigaction(SIGTERM, &action, NULL);
		sigaction(SIGTERM, NULL, &old);
		raise(SIGTERM);
		_exit(old.sa_handler == handler &&
				      (old.sa_flags & SA_SIGINFO) == (flags & SA_SIGINFO)
			      ? 7
			      : 8);
	}
	must("fork", child);
	waitpid(child, &status, 0);
	if (WIFSIGNALED(status))
		note("%s: signal %d", what, WTERMSIG(status));
	else
		note("%s: status %d", what, WEXITSTATUS(status));
}

static void case_no_handler(void)
{
	struct connection connection = open_connection();

	no_handler("SIG_DFL", SIG_DFL, 0);
	no_handler("SIG_IGN", SIG_IGN, 0);
	no_handler("SIG_DFL, SA_SIGINFO", SIG_DFL, SA_SIGINFO);
	no_handler("SIG_IGN, SA_SIGINFO", SIG_IGN, SA_SIGINFO);
	no_handler("SIG_DFL, all flags", SIG_DFL, SA_SIGINFO | SA_RESTART | SA_NODEFER);
	no_handler("SIG_IGN, all flags", SIG_IGN, SA_SIGINFO | SA_RESETHAND | SA_ONSTACK);
	close_connection(connection);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "storm, receive", case_storm_receive, 60 },
		{ "storm, send", case_storm_send, 60 },
		{ "storm, accept", case_storm_accept, 30 },
		{ "storm, connect", case_storm_connect, 30 },
		{ "storm, wait", case_storm_wait, 30 },
		{ "handler uses", case_handler_uses, 0 },
		{ "handler closes", case_handler_closes, 0 },
		{ "handler storm", case_handler_storm, 60 },
		{ "program is left alone", case_program_is_left_alone, 0 },
		{ "no handler", case_no_handler, 0 },
		{ "old action", case_old_action, 0 },
		{ "raw action", case_raw_action, 0 },
		{ "in handler", case_in_handler, 0 },
	};

	return run_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
