/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Answers what its standard input says, as an inetd(8) service that is confined as sshd(8)'s first
 * process is: by a filter that kills for all but a few system calls. At the end it says "the end".
 * Arguments: "limit", a limit of 0 bytes for files as well; "twice", a second filter under the
 * first; "listen", a socket as well, which listens behind it; "probe", only calls that install no
 * filter; "when FILE", not before there is such a file.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
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

static void confine(void)
{
	struct sock_filter steps[] = {
		LOAD_NUMBER,   ALLOW(read),	  ALLOW(write),
		ALLOW(close),  ALLOW(exit_group), ALLOW(rt_sigprocmask),
		ALLOW(getpid), ALLOW(futex),	  ALLOW(brk),
		ALLOW(mmap),   ALLOW(munmap),	  ALLOW(clock_gettime),
		ALLOW(prctl),  ALLOW(listen),	  RETURN(SECCOMP_RET_KILL_PROCESS),
	};
	const struct sock_fprog program = { sizeof(steps) / sizeof(steps[0]), steps };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) < 0)
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
	const char *awaited = count > 2 ? arguments[2] : NULL;
	int listener = -1;
	char text[1000];
	ssize_t size;

	if (strcmp(how, "limit") == 0 && setrlimit(RLIMIT_FSIZE, &nothing) < 0)
		return 1;
	if (strcmp(how, "listen") == 0)
		listener = socket(AF_INET, SOCK_STREAM, 0);
	if (strcmp(how, "probe") == 0)
		probe();
	else if (!awaited)
		confine();
	if (strcmp(how, "twice") == 0)
		confine();
	if (listener >= 0 && listen(listener, 1) < 0)
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
