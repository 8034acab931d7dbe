/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Answers what its standard input says, as an inetd(8) service that is confined as sshd(8)'s first
 * process is: by a filter that kills for all but a few system calls, and, if there is an argument,
 * a limit of 0 bytes for files. At the end it says "the end".
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EQUALS	     (BPF_JMP | BPF_JEQ | BPF_K)
#define LOAD_NUMBER  BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))
#define RETURN(what) BPF_STMT(BPF_RET | BPF_K, what)
#define ALLOW(call)  BPF_JUMP(EQUALS, SYS_##call, 0, 1), RETURN(SECCOMP_RET_ALLOW)

static void confine(void)
{
	struct sock_filter steps[] = {
		LOAD_NUMBER,
		ALLOW(read),
		ALLOW(write),
		ALLOW(close),
		ALLOW(exit_group),
		ALLOW(rt_sigprocmask),
		ALLOW(getpid),
		ALLOW(futex),
		ALLOW(brk),
		ALLOW(mmap),
		ALLOW(munmap),
		ALLOW(clock_gettime),
		RETURN(SECCOMP_RET_KILL_PROCESS),
	};
	const struct sock_fprog program = { sizeof(steps) / sizeof(steps[0]), steps };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) < 0)
		exit(1);
}

int main(int count, char *arguments[])
{
	const struct rlimit nothing = { 0, 0 };
	char text[1000];
	ssize_t size;

	(void)arguments;
	if (count > 1 && setrlimit(RLIMIT_FSIZE, &nothing) < 0)
		return 1;
	confine();
	while ((size = read(STDIN_FILENO, text, sizeof(text))) > 0)
		if (write(STDOUT_FILENO, text, (size_t)size) != size)
			return 1;
	if (write(STDOUT_FILENO, "the end\n", 8) != 8)
		return 1;
	return 0;
}
