/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How a program ends, or a child of it, behind a filter for system calls that kills for whatever
 * tells who the caller is, or sends a signal to itself by that: melin must not need any of it.
 * Arguments: "signal NUMBER", "second NUMBER" (the first is handled) and "fault", by which it ends,
 * with a stack of melin's that has been started for a listener at port 7000; "handled CALL", with
 * such a stack a handler runs while that call waits; "queued CALL", and then another one on top of
 * it while the handler makes such a call itself, both on the alternate stack; "once CALL", a
 * handler for one signal only, by the second of which the program ends; "child", one that shares
 * its memory and ends before it, with a connection that no rule takes.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#define KILL(call)                                                                                 \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##call, 0, 1),                                     \
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)

static pid_t process;

static bool confine(void)
{
	struct sock_filter steps[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		KILL(getpid),
		KILL(gettid),
		KILL(getuid),
		KILL(tgkill),
		KILL(rt_tgsigqueueinfo),
		KILL(rt_sigaction),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { sizeof(steps) / sizeof(steps[0]), steps };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
}

/* A listener, and the name by which to connect to it. */
static int listener_at(uint32_t address, uint16_t port, struct sockaddr_in *name)
{
	const int reuse = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t length = sizeof(*name);

	*name = (struct sockaddr_in){ .sin_family = AF_INET,
				      .sin_port = htons(port),
				      .sin_addr.s_addr = htonl(address) };
	if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof(reuse)) < 0 ||
	    bind(listener, (struct sockaddr *)name, length) < 0 || listen(listener, 1) < 0 ||
	    getsockname(listener, (struct sockaddr *)name, &length) < 0)
		return -1;
	return listener;
}

/* A program that limits its threads after this has a stack before, if it has a listener. */
static bool start_stack(void)
{
	const struct rlimit few = { 1000, 1000 };
	struct sockaddr_in name;

	return listener_at(INADDR_ANY, 7000, &name) >= 0 && setrlimit(RLIMIT_NPROC, &few) == 0;
}

static int end_by_signal(int number)
{
	if (!start_stack() || !confine())
		return 1;
	kill(process, number);
	return 2;
}

static void again(int number)
{
	kill(process, number);
}

/* By a handler for one signal only, which sends it once more. */
static int end_by_second(int number)
{
	const struct sigaction action = { .sa_handler = again, .sa_flags = (int)SA_RESETHAND };

	return sigaction(number, &action, NULL) < 0 ? 1 : end_by_signal(number);
}

static int end_by_fault(void)
{
	volatile char *volatile nowhere = NULL;

	if (!start_stack() || !confine())
		return 1;
	*nowhere = 1;
	return 2;
}

static volatile sig_atomic_t caught;

static void note(int number)
{
	caught = number;
}

/* Behind the filter: whether the call that waits, of that name, is ended by a handler. */
static bool wait_in(const char *call, int listener)
{
	struct epoll_event event = { .events = EPOLLIN };
	struct pollfd set = { .fd = listener, .events = POLLIN };
	const int epoll = epoll_create1(0);
	int result = 0;

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) < 0 || !confine())
		return false;
	if (strcmp(call, "accept") == 0)
		result = accept(listener, NULL, NULL);
	else if (strcmp(call, "poll") == 0)
		result = poll(&set, 1, -1);
	else
		result = epoll_wait(epoll, &event, 1, -1);
	return result < 0 && errno == EINTR;
}

/* A handler runs while a call waits for a listener. */
static int handle(const char *call)
{
	const struct sigaction action = { .sa_handler = note };
	struct sockaddr_in name;
	const int listener = listener_at(INADDR_ANY, 7000, &name);
	const struct rlimit few = { 1000, 1000 };
	/* More than once, since the first one may come before the call waits. */
	const struct itimerval soon = { .it_value = { .tv_usec = 200000 },
					.it_interval = { .tv_usec = 200000 } };

	if (setrlimit(RLIMIT_NPROC, &few) < 0 || sigaction(SIGALRM, &action, NULL) < 0 ||
	    setitimer(ITIMER_REAL, &soon, NULL) < 0)
		return 1;
	return wait_in(call, listener) && caught == SIGALRM ? 0 : 2;
}

/* ---- what handlers on the alternate stack find ---- */

#define QUEUED (SIGRTMIN + 3)

static char alternate[65536];
static int nested_listener;
static pid_t sender;
static volatile sig_atomic_t came, as_sent;

static bool is_on_alternate(const void *here)
{
	return (const char *)here >= alternate &&
	       (const char *)here < alternate + sizeof(alternate);
}

static void find(int number, siginfo_t *info, void *context)
{
	const ucontext_t *interrupted = context;
	struct pollfd set = { .fd = nested_listener, .events = POLLIN };

	as_sent += number == QUEUED && info->si_code == SI_QUEUE && info->si_pid == sender &&
		   info->si_value.sival_int == 77 && is_on_alternate(&set) &&
		   interrupted->uc_stack.ss_sp == alternate;
	if (++came == 1 && nested_listener >= 0)
		poll(&set, 1, -1);
}

/* A child that sends the signal again and again, since one may come before the call waits. */
static void send_often(unsigned times)
{
	const pid_t parent = process;

	sender = fork();
	if (sender != 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (unsigned i = 0; i < times; i++) {
		usleep(300000);
		sigqueue(parent, QUEUED, (union sigval){ .sival_int = 77 });
	}
	_exit(0);
}

static int find_on_alternate(const char *call, int flags)
{
	const struct sigaction action = { .sa_sigaction = find,
					  .sa_flags = SA_SIGINFO | SA_ONSTACK | flags };
	const stack_t stack = { .ss_sp = alternate, .ss_size = sizeof(alternate) };
	const bool is_once = flags & (int)SA_RESETHAND;
	struct sockaddr_in name;
	const int listener = listener_at(INADDR_ANY, 7000, &name);
	const struct rlimit few = { 1000, 1000 };

	nested_listener = is_once ? -1 : listener;
	if (setrlimit(RLIMIT_NPROC, &few) < 0 || sigaltstack(&stack, NULL) < 0 ||
	    sigaction(QUEUED, &action, NULL) < 0)
		return 1;
	send_often(is_once ? 2 : 100);
	if (!wait_in(call, listener) || as_sent != came)
		return 2;
	if (is_once)
		poll(NULL, 0, 60000);
	return came >= 2 && !is_on_alternate(&name) ? 0 : 3;
}

static int end_at_once(void *unused)
{
	(void)unused;
	_exit(7);
}

static bool child_ends(void)
{
	static char stack[65536] __attribute__((aligned(16)));
	int status = 0;
	const pid_t child =
		clone(end_at_once, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, NULL);

	return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
	       WEXITSTATUS(status) == 7;
}

static int end_after_child(void)
{
	const int client = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in name;

	if (listener_at(INADDR_LOOPBACK, 0, &name) < 0 ||
	    connect(client, (struct sockaddr *)&name, sizeof(name)) < 0 || !confine())
		return 1;
	return child_ends() ? 0 : 2;
}

int main(int count, char *arguments[])
{
	const char *how = count > 1 ? arguments[1] : "";

	process = getpid();
	if (strcmp(how, "signal") == 0 && count > 2)
		return end_by_signal(atoi(arguments[2]));
	if (strcmp(how, "second") == 0 && count > 2)
		return end_by_second(atoi(arguments[2]));
	if (strcmp(how, "handled") == 0 && count > 2)
		return handle(arguments[2]);
	if (strcmp(how, "queued") == 0 && count > 2)
		return find_on_alternate(arguments[2], SA_NODEFER);
	if (strcmp(how, "once") == 0 && count > 2)
		return find_on_alternate(arguments[2], (int)SA_RESETHAND);
	if (strcmp(how, "fault") == 0)
		return end_by_fault();
	return strcmp(how, "child") == 0 ? end_after_child() : 1;
}
