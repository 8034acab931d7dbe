/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Answers what its standard input says, as an inetd(8) service that is confined as sshd(8)'s first
 * process is: by a filter that kills for all but a few system calls. At the end it says "the end".
 * Arguments: "limit", a limit of 0 bytes for files as well; "twice", a second filter under the
 * first; "strictly", the same by seccomp(2), where prctl(2) and getpid(2) kill; "listen", a socket
 * as well, which listens behind it; "connect ADDRESS", a second one, which connects to that, by an
 * address of the host's; "give-up", calls behind it by which rights and limits are given up;
 * "probe", only calls that install no filter; "when FILE", not before there is such a file;
 * "handle", a handler for a signal behind it, where rt_sigprocmask(2) kills.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EQUALS	     (BPF_JMP | BPF_JEQ | BPF_K)
#define LOAD_NUMBER  BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))
#define RETURN(what) BPF_STMT(BPF_RET | BPF_K, what)
#define ALLOW(call)  BPF_JUMP(EQUALS, SYS_##call, 0, 1), RETURN(SECCOMP_RET_ALLOW)

/* By which a further filter can be installed. */
static unsigned installs = SYS_prctl;
/* What the filter lets through besides. */
static unsigned asks = SYS_getpid;
static unsigned of_signals = SYS_rt_sigprocmask;

static void confine(void)
{
	struct sock_filter steps[] = {
		LOAD_NUMBER,
		ALLOW(read),
		ALLOW(write),
		ALLOW(close),
		ALLOW(exit_group),
		ALLOW(futex),
		ALLOW(brk),
		ALLOW(mmap),
		ALLOW(munmap),
		ALLOW(clock_gettime),
		ALLOW(listen),
		ALLOW(connect),
		ALLOW(poll),
		ALLOW(chroot),
		ALLOW(setuid),
		ALLOW(prlimit64),
		BPF_JUMP(EQUALS, of_signals, 0, 1),
		RETURN(SECCOMP_RET_ALLOW),
		BPF_JUMP(EQUALS, asks, 0, 1),
		RETURN(SECCOMP_RET_ALLOW),
		BPF_JUMP(EQUALS, installs, 0, 1),
		RETURN(SECCOMP_RET_ALLOW),
		RETURN(SECCOMP_RET_KILL_PROCESS),
	};
	const struct sock_fprog program = { sizeof(steps) / sizeof(steps[0]), steps };
	const long result = installs == SYS_prctl
				    ? prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0)
				    : syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);

	if (result < 0)
		exit(1);
}

/* Behind the filter: what is made here waits for nobody, and is waited for. */
static bool connects(int from, int to, const struct sockaddr_in *at)
{
	struct pollfd ready[] = { { .fd = from, .events = POLLOUT },
				  { .fd = to, .events = POLLIN } };

	if (connect(from, (const struct sockaddr *)at, sizeof(*at)) < 0 || poll(ready, 2, -1) != 2)
		return false;
	ready[0].events = POLLIN;
	return poll(ready, 1, 10) == 0 && write(from, "hello", 5) == 5 && close(from) == 0;
}

/* The program has more than one thread: of one alone melin need not keep others away. */
static void *sleep_beside(void *unused)
{
	for (;;)
		pause();
	return unused;
}

/* Gives the listener a name, which the other socket is to connect to. */
static bool prepare(int listener, const char *address, struct sockaddr_in *name)
{
	socklen_t length = sizeof(*name);
	pthread_t beside;

	return inet_pton(AF_INET, address, &name->sin_addr) == 1 &&
	       bind(listener, (const struct sockaddr *)name, length) == 0 &&
	       getsockname(listener, (struct sockaddr *)name, &length) == 0 &&
	       pthread_create(&beside, NULL, sleep_beside, NULL) == 0;
}

static void give_up(void)
{
	const struct rlimit few = { 1000, 1000 };

	if (setrlimit(RLIMIT_NPROC, &few) < 0 || chroot("/") < 0 || setuid(65534) < 0)
		exit(1);
}

static void handle(void)
{
	static const struct sigaction ignored = { .sa_handler = SIG_IGN };
	struct sigaction old;

	if (sigaction(SIGALRM, &ignored, NULL) < 0 || sigaction(SIGALRM, NULL, &old) < 0 ||
	    old.sa_handler != SIG_IGN)
		exit(1);
}

/*
 * exit(3), but where lines are counted (make coverage): there it would write the counters, whose
 * files the filter does not know.
 */
static void leave(int status)
{
#ifdef MELIN_COVERAGE
	_exit(status);
#else
	exit(status);
#endif
}

static bool fails(long result, int error)
{
	return result == -1 && errno == error;
}

/* As libseccomp finds out what there is; and a filter that the kernel does not take. */
static void probe(void)
{
	struct sock_filter nonsense = BPF_STMT(0xffff, 0);
	const struct sock_fprog program = { 1, &nonsense };

	if (!fails(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL, 0, 0), EFAULT) ||
	    !fails(syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 1, NULL), EINVAL) ||
	    !fails(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, NULL), EFAULT) ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    !fails(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0), EINVAL) ||
	    !fails(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program), EINVAL))
		exit(1);
}

int main(int count, char *arguments[])
{
	const struct rlimit nothing = { 0, 0 };
	const char *how = count > 1 ? arguments[1] : "";
	const char *awaited = count > 2 && strcmp(how, "when") == 0 ? arguments[2] : NULL;
	struct sockaddr_in name = { .sin_family = AF_INET };
	int listener = -1, client = -1;
	char text[1000];
	ssize_t size;

	if (strcmp(how, "limit") == 0 && setrlimit(RLIMIT_FSIZE, &nothing) < 0)
		return 1;
	if (strcmp(how, "listen") == 0 || strcmp(how, "connect") == 0)
		listener = socket(AF_INET, SOCK_STREAM, 0);
	if (strcmp(how, "connect") == 0) {
		client = socket(AF_INET, SOCK_STREAM, 0);
		if (!prepare(listener, arguments[2], &name))
			return 1;
	}
	if (strcmp(how, "strictly") == 0)
		installs = asks = SYS_seccomp;
	if (strcmp(how, "handle") == 0)
		of_signals = SYS_rt_sigaction;
	if (strcmp(how, "probe") != 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return 1;
	if (strcmp(how, "probe") == 0)
		probe();
	else if (!awaited)
		confine();
	if (strcmp(how, "twice") == 0 || strcmp(how, "strictly") == 0)
		confine();
	if (strcmp(how, "give-up") == 0)
		give_up();
	if (strcmp(how, "handle") == 0)
		handle();
	if (listener >= 0 && listen(listener, 1) < 0)
		leave(1);
	if (client >= 0 && !connects(client, listener, &name))
		leave(1);
	while ((size = read(STDIN_FILENO, text, sizeof(text))) > 0) {
		if (awaited && access(awaited, F_OK) == 0) {
			confine();
			awaited = NULL;
		}
		if (write(STDOUT_FILENO, text, (size_t)size) != size)
			leave(1);
	}
	if (write(STDOUT_FILENO, "the end\n", 8) != 8)
		leave(1);
	leave(0);
}
