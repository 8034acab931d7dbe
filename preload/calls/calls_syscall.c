/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Interposed: syscall(2) as libc's function, for the calls that melin serves. A program that
 * makes its system calls by instruction of its own is out of reach.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>

#include "preload/config/config.h"
#include "preload/lifecycle/forks.h"
#include "preload/libc/program_memory.h"
#include "preload/calls/raw_calls.h"
#include "preload/lifecycle/rights.h"
#include "preload/libc/symbols.h"
#include "preload/libc/thread.h"

/* The arguments as the kernel would take them. */
struct arguments {
	long a, b, c, d, e, f;
};

#define INT(x)	   ((int)arguments->x)
#define POINTER(x) ((void *)arguments->x)
#define SIZE(x)	   ((size_t)arguments->x)
#define MASK(x)	   ((const sigset_t *)arguments->x)

/*
 * Calls the interposed function that serves the system call of this number. False: there is none.
 */
static bool serve_transfer(long number, const struct arguments *arguments, long *result)
{
	switch (number) {
	case SYS_read:
		*result = read(INT(a), POINTER(b), SIZE(c));
		return true;
	case SYS_write:
		*result = write(INT(a), POINTER(b), SIZE(c));
		return true;
	case SYS_readv:
		*result = readv(INT(a), POINTER(b), INT(c));
		return true;
	case SYS_writev:
		*result = writev(INT(a), POINTER(b), INT(c));
		return true;
	case SYS_sendto:
		*result = sendto(INT(a), POINTER(b), SIZE(c), INT(d), POINTER(e),
				 (socklen_t)arguments->f);
		return true;
	case SYS_recvfrom:
		*result = recvfrom(INT(a), POINTER(b), SIZE(c), INT(d), POINTER(e), POINTER(f));
		return true;
	case SYS_sendmsg:
		*result = sendmsg(INT(a), POINTER(b), INT(c));
		return true;
	case SYS_recvmsg:
		*result = recvmsg(INT(a), POINTER(b), INT(c));
		return true;
	case SYS_sendmmsg:
		*result = sendmmsg(INT(a), POINTER(b), (unsigned)arguments->c, INT(d));
		return true;
	case SYS_recvmmsg:
		*result = recvmmsg(INT(a), POINTER(b), (unsigned)arguments->c, INT(d), POINTER(e));
		return true;
	case SYS_preadv2:
		*result = preadv2(INT(a), POINTER(b), INT(c), arguments->d, INT(f));
		return true;
	case SYS_pwritev2:
		*result = pwritev2(INT(a), POINTER(b), INT(c), arguments->d, INT(f));
		return true;
	case SYS_sendfile:
		*result = sendfile(INT(a), INT(b), POINTER(c), SIZE(d));
		return true;
	case SYS_splice:
		*result = splice(INT(a), POINTER(b), INT(c), POINTER(d), SIZE(e),
				 (unsigned)arguments->f);
		return true;
	default:
		return false;
	}
}

static bool serve_socket(long number, const struct arguments *arguments, long *result)
{
	switch (number) {
	case SYS_socket:
		*result = socket(INT(a), INT(b), INT(c));
		return true;
	case SYS_bind:
		*result = bind(INT(a), POINTER(b), (socklen_t)arguments->c);
		return true;
	case SYS_listen:
		*result = listen(INT(a), INT(b));
		return true;
	case SYS_connect:
		*result = connect(INT(a), POINTER(b), (socklen_t)arguments->c);
		return true;
#ifdef SYS_accept
	case SYS_accept:
		*result = accept(INT(a), POINTER(b), POINTER(c));
		return true;
#endif
	case SYS_accept4:
		*result = accept4(INT(a), POINTER(b), POINTER(c), INT(d));
		return true;
	case SYS_shutdown:
		*result = shutdown(INT(a), INT(b));
		return true;
	case SYS_getsockname:
		*result = getsockname(INT(a), POINTER(b), POINTER(c));
		return true;
	case SYS_getpeername:
		*result = getpeername(INT(a), POINTER(b), POINTER(c));
		return true;
	case SYS_getsockopt:
		*result = getsockopt(INT(a), INT(b), INT(c), POINTER(d), POINTER(e));
		return true;
	case SYS_setsockopt:
		*result = setsockopt(INT(a), INT(b), INT(c), POINTER(d), (socklen_t)arguments->e);
		return true;
	default:
		return false;
	}
}

static bool serve_descriptor(long number, const struct arguments *arguments, long *result)
{
	switch (number) {
	case SYS_close:
		*result = close(INT(a));
		return true;
	case SYS_close_range:
		*result = close_range((unsigned)arguments->a, (unsigned)arguments->b, INT(c));
		return true;
	case SYS_dup:
		*result = dup(INT(a));
		return true;
#ifdef SYS_dup2
	case SYS_dup2:
		*result = dup2(INT(a), INT(b));
		return true;
#endif
	case SYS_dup3:
		*result = dup3(INT(a), INT(b), INT(c));
		return true;
	case SYS_fcntl:
		*result = fcntl(INT(a), INT(b), arguments->c);
		return true;
	case SYS_ioctl:
		*result = ioctl(INT(a), (unsigned long)arguments->b, arguments->c);
		return true;
	case SYS_prlimit64:
		*result = prlimit(INT(a), (enum __rlimit_resource)arguments->b, POINTER(c),
				  POINTER(d));
		return true;
#ifdef SYS_setrlimit
	case SYS_setrlimit:
		*result = setrlimit((enum __rlimit_resource)arguments->a, POINTER(b));
		return true;
	case SYS_getrlimit:
		*result = getrlimit((enum __rlimit_resource)arguments->a, POINTER(b));
		return true;
#endif
	default:
		return false;
	}
}

/*
 * A ring carries out calls on sockets, epoll_ctl() among them (libuv's does), that nobody sees
 * here: the program would wait for ever. Refused as by the kernel with io_uring_disabled=2, which
 * is what programs are prepared for.
 */
static bool refuse_ring(long number, long *result)
{
	if (number != SYS_io_uring_setup)
		return false;
	errno = EPERM;
	*result = -1;
	return true;
}

static bool serve_wait(long number, const struct arguments *arguments, long *result)
{
	switch (number) {
	case SYS_epoll_create1:
		*result = epoll_create1(INT(a));
		return true;
	case SYS_epoll_ctl:
		*result = epoll_ctl(INT(a), INT(b), INT(c), POINTER(d));
		return true;
	case SYS_epoll_pwait:
		*result = raw_epoll_pwait(INT(a), POINTER(b), INT(c), INT(d), MASK(e), SIZE(f));
		return true;
	case SYS_ppoll:
		*result = raw_ppoll(POINTER(a), (nfds_t)arguments->b, POINTER(c), MASK(d), SIZE(e));
		return true;
	case SYS_pselect6:
		*result = raw_pselect6(INT(a), POINTER(b), POINTER(c), POINTER(d), POINTER(e),
				       POINTER(f));
		return true;
	case SYS_rt_sigaction:
		return raw_rt_sigaction(INT(a), POINTER(b), POINTER(c), SIZE(d), result);
#ifdef SYS_poll
	case SYS_poll:
		*result = poll(POINTER(a), (nfds_t)arguments->b, INT(c));
		return true;
	case SYS_select:
		*result = select(INT(a), POINTER(b), POINTER(c), POINTER(d), POINTER(e));
		return true;
	case SYS_epoll_create:
		*result = epoll_create(INT(a));
		return true;
	case SYS_epoll_wait:
		*result = epoll_wait(INT(a), POINTER(b), INT(c), INT(d));
		return true;
#endif
	case SYS_epoll_pwait2:
		*result =
			raw_epoll_pwait2(INT(a), POINTER(b), INT(c), POINTER(d), MASK(e), SIZE(f));
		return true;
	default:
		return false;
	}
}

/* Whether the call makes a process with a memory of its own. */
static bool is_fork(long number, const struct arguments *arguments)
{
	const struct clone_args *extended = POINTER(a);

	switch (number) {
#ifdef SYS_fork
	case SYS_fork:
	case SYS_vfork:
		return true;
#endif
	case SYS_clone:
		return !(arguments->a & CLONE_VM);
	case SYS_clone3:
		return memory_readable(extended, sizeof(extended->flags)) &&
		       !(extended->flags & CLONE_VM);
	default:
		return false;
	}
}

/* libc runs no handlers of pthread_atfork(3) for a fork by syscall(2): melin's are run by hand. */
static bool serve_fork(long number, const struct arguments *arguments, long *result)
{
	if (!is_fork(number, arguments))
		return false;
#ifdef SYS_vfork
	/* As our vfork(): and nobody could return from here twice on one stack. */
	if (number == SYS_vfork)
		number = SYS_fork;
#endif
	forks_before();
	*result = libc()->syscall(number, arguments->a, arguments->b, arguments->c, arguments->d,
				  arguments->e);
	if (*result == 0)
		forks_after_in_child();
	else
		forks_after_in_parent();
	return true;
}

/*
 * exit_group(2) is what _exit(2) calls. exit(2) ends the thread, and the process with its last one:
 * libc then knows nothing of it, and the threads of melin's would go on alone.
 */
static void serve_end(long number, const struct arguments *arguments)
{
	if (number == SYS_exit_group || (number == SYS_exit && thread_is_last()))
		_exit(INT(a));
}

/* False: no call by which rights are given up. Otherwise it is to be made after this. */
static bool note_rights(long number, const struct arguments *arguments)
{
	switch (number) {
	case SYS_setuid:
		rights_before_user((uid_t)arguments->a);
		break;
	case SYS_setreuid:
	case SYS_setresuid:
		rights_before_user((uid_t)arguments->b);
		break;
	case SYS_capset:
		rights_before_capabilities(POINTER(a), POINTER(b));
		break;
	case SYS_chroot:
	case SYS_pivot_root:
#ifdef SYS_landlock_restrict_self
	case SYS_landlock_restrict_self:
#endif
		rights_before_moving();
		break;
	case SYS_unshare:
		rights_before_unshare(INT(a));
		break;
	case SYS_setns:
		rights_before_setns(INT(b));
		break;
	default:
		return false;
	}
	return true;
}

static bool serve_rights(long number, const struct arguments *arguments, long *result)
{
	if (!note_rights(number, arguments))
		return false;
	*result = libc()->syscall(number, arguments->a, arguments->b, arguments->c);
	rights_after_losing();
	return true;
}

static bool serve_exec(long number, const struct arguments *arguments, long *result)
{
	switch (number) {
	case SYS_execve:
		*result = execve(POINTER(a), POINTER(b), POINTER(c));
		return true;
	case SYS_execveat:
		*result = execveat(INT(a), POINTER(b), POINTER(c), POINTER(d), INT(e));
		return true;
	default:
		return false;
	}
}

/* Not a probe, which fails: strict mode with an argument, or no filter. */
static bool may_filter(const struct arguments *arguments)
{
	switch (arguments->a) {
	case SECCOMP_SET_MODE_STRICT:
		return !arguments->b && !arguments->c;
	case SECCOMP_SET_MODE_FILTER:
		return arguments->c;
	default:
		return false;
	}
}

/* A listener's descriptor. Otherwise a positive result is a thread that has hindered it. */
static bool has_filtered(const struct arguments *arguments, long result)
{
	return result == 0 || (result > 0 && (arguments->b & SECCOMP_FILTER_FLAG_NEW_LISTENER));
}

/* Filters for system calls: seccomp(2) has no function in libc. */
static bool serve_seccomp(long number, const struct arguments *arguments, long *result)
{
	bool prepared;

	if (number == SYS_prctl) {
		*result = prctl(INT(a), arguments->b, arguments->c, arguments->d, arguments->e);
		return true;
	}
	if (number != SYS_seccomp || !may_filter(arguments))
		return false;
	prepared = rights_before_seccomp();
	*result = libc()->syscall(number, arguments->a, arguments->b, arguments->c);
	rights_after_seccomp(prepared, has_filtered(arguments, *result));
	return true;
}

INTERPOSED long syscall(long number, ...)
{
	struct arguments arguments;
	va_list list;
	long result;

	va_start(list, number);
	arguments.a = va_arg(list, long);
	arguments.b = va_arg(list, long);
	arguments.c = va_arg(list, long);
	arguments.d = va_arg(list, long);
	arguments.e = va_arg(list, long);
	arguments.f = va_arg(list, long);
	va_end(list);
	if (config_active())
		serve_end(number, &arguments);
	if (config_active() &&
	    (serve_transfer(number, &arguments, &result) ||
	     serve_socket(number, &arguments, &result) ||
	     serve_descriptor(number, &arguments, &result) ||
	     serve_wait(number, &arguments, &result) || refuse_ring(number, &result) ||
	     serve_fork(number, &arguments, &result) || serve_exec(number, &arguments, &result) ||
	     serve_seccomp(number, &arguments, &result) ||
	     serve_rights(number, &arguments, &result)))
		return result;
	return libc()->syscall(number, arguments.a, arguments.b, arguments.c, arguments.d,
			       arguments.e, arguments.f);
}
