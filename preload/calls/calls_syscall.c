/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Interposed: syscall(2) as libc's function, for the calls that melin serves. A program that
 * makes its system calls by instruction of its own is out of reach.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
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
#include "preload/sockets/borrow.h"
#include "preload/libc/symbols.h"
#include "preload/libc/thread.h"

/* calls_descriptor.c's: libc may have it without a header, or not at all. */
int pidfd_getfd(int process, int descriptor, unsigned flags);

/* The arguments as the kernel would take them. */
struct arguments {
	long a, b, c, d, e, f;
};

#define INT(x)	   ((int)arguments->x)
#define POINTER(x) ((void *)arguments->x)
#define SIZE(x)	   ((size_t)arguments->x)
#define MASK(x)	   ((const sigset_t *)arguments->x)

/* A row of the table below: the system call, and the call by which it is served. */
#define SERVE(name, call)                                                                          \
	case SYS_##name:                                                                           \
		*result = (call);                                                                  \
		return true

/*
 * Calls the interposed function that serves the system call of this number. False: there is none.
 */
static bool serve_by_function(long number, const struct arguments *arguments, long *result)
{
	switch (number) {
		SERVE(read, read(INT(a), POINTER(b), SIZE(c)));
		SERVE(write, write(INT(a), POINTER(b), SIZE(c)));
		SERVE(readv, readv(INT(a), POINTER(b), INT(c)));
		SERVE(writev, writev(INT(a), POINTER(b), INT(c)));
		SERVE(sendto, sendto(INT(a), POINTER(b), SIZE(c), INT(d), POINTER(e),
				     (socklen_t)arguments->f));
		SERVE(recvfrom,
		      recvfrom(INT(a), POINTER(b), SIZE(c), INT(d), POINTER(e), POINTER(f)));
		SERVE(sendmsg, sendmsg(INT(a), POINTER(b), INT(c)));
		SERVE(recvmsg, recvmsg(INT(a), POINTER(b), INT(c)));
		SERVE(sendmmsg, sendmmsg(INT(a), POINTER(b), (unsigned)arguments->c, INT(d)));
		SERVE(recvmmsg,
		      recvmmsg(INT(a), POINTER(b), (unsigned)arguments->c, INT(d), POINTER(e)));
		SERVE(preadv2, preadv2(INT(a), POINTER(b), INT(c), arguments->d, INT(f)));
		SERVE(pwritev2, pwritev2(INT(a), POINTER(b), INT(c), arguments->d, INT(f)));
		SERVE(sendfile, sendfile(INT(a), INT(b), POINTER(c), SIZE(d)));
		SERVE(splice, splice(INT(a), POINTER(b), INT(c), POINTER(d), SIZE(e),
				     (unsigned)arguments->f));

		SERVE(socket, socket(INT(a), INT(b), INT(c)));
		SERVE(bind, bind(INT(a), POINTER(b), (socklen_t)arguments->c));
		SERVE(listen, listen(INT(a), INT(b)));
		SERVE(connect, connect(INT(a), POINTER(b), (socklen_t)arguments->c));
#ifdef SYS_accept
		SERVE(accept, accept(INT(a), POINTER(b), POINTER(c)));
#endif
		SERVE(accept4, accept4(INT(a), POINTER(b), POINTER(c), INT(d)));
		SERVE(shutdown, shutdown(INT(a), INT(b)));
		SERVE(getsockname, getsockname(INT(a), POINTER(b), POINTER(c)));
		SERVE(getpeername, getpeername(INT(a), POINTER(b), POINTER(c)));
		SERVE(getsockopt, getsockopt(INT(a), INT(b), INT(c), POINTER(d), POINTER(e)));
		SERVE(setsockopt,
		      setsockopt(INT(a), INT(b), INT(c), POINTER(d), (socklen_t)arguments->e));

		SERVE(close, close(INT(a)));
		SERVE(close_range,
		      close_range((unsigned)arguments->a, (unsigned)arguments->b, INT(c)));
		SERVE(dup, dup(INT(a)));
#ifdef SYS_dup2
		SERVE(dup2, dup2(INT(a), INT(b)));
#endif
		SERVE(dup3, dup3(INT(a), INT(b), INT(c)));
		SERVE(fcntl, fcntl(INT(a), INT(b), arguments->c));
		SERVE(ioctl, ioctl(INT(a), (unsigned long)arguments->b, arguments->c));
		SERVE(prlimit64, prlimit(INT(a), (enum __rlimit_resource)arguments->b, POINTER(c),
					 POINTER(d)));
#ifdef SYS_setrlimit
		SERVE(setrlimit, setrlimit((enum __rlimit_resource)arguments->a, POINTER(b)));
		SERVE(getrlimit, getrlimit((enum __rlimit_resource)arguments->a, POINTER(b)));
#endif

		SERVE(epoll_create1, epoll_create1(INT(a)));
		SERVE(epoll_ctl, epoll_ctl(INT(a), INT(b), INT(c), POINTER(d)));
		SERVE(epoll_pwait,
		      raw_epoll_pwait(INT(a), POINTER(b), INT(c), INT(d), MASK(e), SIZE(f)));
		SERVE(ppoll,
		      raw_ppoll(POINTER(a), (nfds_t)arguments->b, POINTER(c), MASK(d), SIZE(e)));
		SERVE(pselect6, raw_pselect6(INT(a), POINTER(b), POINTER(c), POINTER(d), POINTER(e),
					     POINTER(f)));
#ifdef SYS_poll
		SERVE(poll, poll(POINTER(a), (nfds_t)arguments->b, INT(c)));
		SERVE(select, select(INT(a), POINTER(b), POINTER(c), POINTER(d), POINTER(e)));
		SERVE(epoll_create, epoll_create(INT(a)));
		SERVE(epoll_wait, epoll_wait(INT(a), POINTER(b), INT(c), INT(d)));
#endif
		SERVE(epoll_pwait2,
		      raw_epoll_pwait2(INT(a), POINTER(b), INT(c), POINTER(d), MASK(e), SIZE(f)));

		SERVE(execve, execve(POINTER(a), POINTER(b), POINTER(c)));
		SERVE(execveat, execveat(INT(a), POINTER(b), POINTER(c), POINTER(d), INT(e)));
		SERVE(prctl, prctl(INT(a), arguments->b, arguments->c, arguments->d, arguments->e));
	case SYS_rt_sigaction:
		return raw_rt_sigaction(INT(a), POINTER(b), POINTER(c), SIZE(d), result);
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

/*
 * io_submit(2) has no function in libc either: what it names is carried out by the kernel, on the
 * connections that the kernel has. The kernel, too, stops at the first that it cannot read.
 */
static void leave_to_kernel(long number, const struct arguments *arguments)
{
	struct iocb *const *list = POINTER(c), *request;
	struct iocb copy;

	if (number != SYS_io_submit)
		return;
	for (long i = 0; i < arguments->b; i++) {
		if (!memory_copy_in(&request, list + i, sizeof(request)) ||
		    !memory_copy_in(&copy, request, sizeof(copy)))
			return;
		borrow_end_any((int)copy.aio_fildes, BORROW_CALL, true);
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

/* Of what is a fork: whether the child shares its parent's table of descriptors. */
static bool shares_descriptors(long number, const struct arguments *arguments)
{
	const struct clone_args *extended = POINTER(a);

	return (number == SYS_clone && (arguments->a & CLONE_FILES)) ||
	       (number == SYS_clone3 && (extended->flags & CLONE_FILES));
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
	if (*result != 0)
		forks_after_in_parent();
	else if (shares_descriptors(number, arguments))
		forks_after_in_sharing_child();
	else
		forks_after_in_child();
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

/* False for a probe (strict mode with an argument, or no filter), which fails. */
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

/*
 * A positive result is a listener's descriptor if one was asked for. Otherwise it is the number of
 * a thread that has kept the filter from being installed.
 */
static bool has_filtered(const struct arguments *arguments, long result)
{
	return result == 0 || (result > 0 && (arguments->b & SECCOMP_FILTER_FLAG_NEW_LISTENER));
}

/* Filters for system calls: seccomp(2) has no function in libc. */
static bool serve_seccomp(long number, const struct arguments *arguments, long *result)
{
	bool prepared;

	if (number != SYS_seccomp || !may_filter(arguments))
		return false;
	prepared = rights_before_seccomp(arguments->a == SECCOMP_SET_MODE_STRICT);
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
	/* Also without rules: the descriptor is another process's, which may have some. */
	if (number == SYS_pidfd_getfd)
		return pidfd_getfd((int)arguments.a, (int)arguments.b, (unsigned)arguments.c);
	if (config_active()) {
		serve_end(number, &arguments);
		leave_to_kernel(number, &arguments);
	}
	if (config_active() &&
	    (serve_by_function(number, &arguments, &result) || refuse_ring(number, &result) ||
	     serve_fork(number, &arguments, &result) ||
	     serve_seccomp(number, &arguments, &result) ||
	     serve_rights(number, &arguments, &result)))
		return result;
	return libc()->syscall(number, arguments.a, arguments.b, arguments.c, arguments.d,
			       arguments.e, arguments.f);
}
