/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The one list of interposed libc functions. It drives the table of libc's own versions
 * (struct libc_symbols), its resolver and the test that compares our exports with the list.
 * Not here: what the wrappers do; each family has a calls_*.c of its own.
 */
#ifndef MELIN_SYMBOLS_H
#define MELIN_SYMBOLS_H

#include <aio.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <termios.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#include "preload/libc/signals.h"

typedef void (*signal_handler)(int);

/*
 * SYMBOL(return type, name, parameters). Variadic functions take their one argument as long.
 * POINT(return type, name, parameters, arguments): the same for cancellation points (pthreads(7)).
 */
#define LIBC_SYMBOLS(SYMBOL, POINT)                                                                \
	SYMBOL(int, socket, (int, int, int))                                                       \
	SYMBOL(int, bind, (int, const struct sockaddr *, socklen_t))                               \
	SYMBOL(int, listen, (int, int))                                                            \
	POINT(int, accept, (int a, struct sockaddr *b, socklen_t *c), (a, b, c))                   \
	POINT(int, accept4, (int a, struct sockaddr *b, socklen_t *c, int d), (a, b, c, d))        \
	POINT(int, connect, (int a, const struct sockaddr *b, socklen_t c), (a, b, c))             \
	SYMBOL(int, shutdown, (int, int))                                                          \
	SYMBOL(int, getsockname, (int, struct sockaddr *, socklen_t *))                            \
	SYMBOL(int, getpeername, (int, struct sockaddr *, socklen_t *))                            \
	SYMBOL(int, getsockopt, (int, int, int, void *, socklen_t *))                              \
	SYMBOL(int, setsockopt, (int, int, int, const void *, socklen_t))                          \
	POINT(ssize_t, read, (int a, void *b, size_t c), (a, b, c))                                \
	POINT(ssize_t, readv, (int a, const struct iovec *b, int c), (a, b, c))                    \
	POINT(ssize_t, recv, (int a, void *b, size_t c, int d), (a, b, c, d))                      \
	POINT(ssize_t, recvfrom,                                                                   \
	      (int a, void *b, size_t c, int d, struct sockaddr *e, socklen_t *f),                 \
	      (a, b, c, d, e, f))                                                                  \
	POINT(ssize_t, recvmsg, (int a, struct msghdr *b, int c), (a, b, c))                       \
	POINT(int, recvmmsg, (int a, struct mmsghdr *b, unsigned c, int d, struct timespec *e),    \
	      (a, b, c, d, e))                                                                     \
	POINT(ssize_t, write, (int a, const void *b, size_t c), (a, b, c))                         \
	POINT(ssize_t, writev, (int a, const struct iovec *b, int c), (a, b, c))                   \
	POINT(ssize_t, preadv2, (int a, const struct iovec *b, int c, off_t d, int e),             \
	      (a, b, c, d, e))                                                                     \
	POINT(ssize_t, pwritev2, (int a, const struct iovec *b, int c, off_t d, int e),            \
	      (a, b, c, d, e))                                                                     \
	POINT(ssize_t, send, (int a, const void *b, size_t c, int d), (a, b, c, d))                \
	POINT(ssize_t, sendto,                                                                     \
	      (int a, const void *b, size_t c, int d, const struct sockaddr *e, socklen_t f),      \
	      (a, b, c, d, e, f))                                                                  \
	POINT(ssize_t, sendmsg, (int a, const struct msghdr *b, int c), (a, b, c))                 \
	POINT(int, sendmmsg, (int a, struct mmsghdr *b, unsigned c, int d), (a, b, c, d))          \
	SYMBOL(ssize_t, sendfile, (int, int, off_t *, size_t))                                     \
	POINT(ssize_t, __read_chk, (int a, void *b, size_t c, size_t d), (a, b, c, d))             \
	POINT(ssize_t, __recv_chk, (int a, void *b, size_t c, size_t d, int e), (a, b, c, d, e))   \
	POINT(ssize_t, __recvfrom_chk,                                                             \
	      (int a, void *b, size_t c, size_t d, int e, struct sockaddr *f, socklen_t *g),       \
	      (a, b, c, d, e, f, g))                                                               \
	POINT(ssize_t, splice, (int a, off64_t *b, int c, off64_t *d, size_t e, unsigned f),       \
	      (a, b, c, d, e, f))                                                                  \
	SYMBOL(FILE *, fdopen, (int, const char *))                                                \
	SYMBOL(FILE *, freopen, (const char *, const char *, FILE *))                              \
	SYMBOL(void, perror, (const char *))                                                       \
	SYMBOL(int, dprintf, (int, const char *, ...))                                             \
	SYMBOL(int, vdprintf, (int, const char *, va_list))                                        \
	SYMBOL(int, __dprintf_chk, (int, int, const char *, ...))                                  \
	SYMBOL(int, __vdprintf_chk, (int, int, const char *, va_list))                             \
	SYMBOL(int, close_range, (unsigned, unsigned, int))                                        \
	SYMBOL(void, closefrom, (int))                                                             \
	SYMBOL(int, sockatmark, (int))                                                             \
	SYMBOL(int, pidfd_getfd, (int, int, unsigned))                                             \
	POINT(int, close, (int a), (a))                                                            \
	SYMBOL(int, dup, (int))                                                                    \
	SYMBOL(int, dup2, (int, int))                                                              \
	SYMBOL(int, dup3, (int, int, int))                                                         \
	SYMBOL(int, fcntl, (int, int, ...))                                                        \
	SYMBOL(int, ioctl, (int, unsigned long, ...))                                              \
	SYMBOL(int, fstat, (int, struct stat *))                                                   \
	SYMBOL(off_t, lseek, (int, off_t, int))                                                    \
	POINT(int, fsync, (int a), (a))                                                            \
	POINT(int, fdatasync, (int a), (a))                                                        \
	SYMBOL(int, ftruncate, (int, off_t))                                                       \
	SYMBOL(int, flock, (int, int))                                                             \
	SYMBOL(int, fchmod, (int, mode_t))                                                         \
	SYMBOL(int, fchown, (int, uid_t, gid_t))                                                   \
	SYMBOL(int, isatty, (int))                                                                 \
	SYMBOL(char *, ttyname, (int))                                                             \
	SYMBOL(int, ttyname_r, (int, char *, size_t))                                              \
	SYMBOL(int, tcgetattr, (int, struct termios *))                                            \
	SYMBOL(int, tcsetattr, (int, int, const struct termios *))                                 \
	SYMBOL(int, aio_read, (struct aiocb *))                                                    \
	SYMBOL(int, aio_write, (struct aiocb *))                                                   \
	SYMBOL(int, aio_cancel, (int, struct aiocb *))                                             \
	SYMBOL(int, aio_suspend, (const struct aiocb *const[], int, const struct timespec *))      \
	SYMBOL(int, lio_listio, (int, struct aiocb *const[], int, struct sigevent *))              \
	POINT(int, poll, (struct pollfd * a, nfds_t b, int c), (a, b, c))                          \
	POINT(int, ppoll,                                                                          \
	      (struct pollfd * a, nfds_t b, const struct timespec *c, const sigset_t *d),          \
	      (a, b, c, d))                                                                        \
	POINT(int, __poll_chk, (struct pollfd * a, nfds_t b, int c, size_t d), (a, b, c, d))       \
	POINT(int, __ppoll_chk,                                                                    \
	      (struct pollfd * a, nfds_t b, const struct timespec *c, const sigset_t *d,           \
	       size_t e),                                                                          \
	      (a, b, c, d, e))                                                                     \
	POINT(int, select, (int a, fd_set *b, fd_set *c, fd_set *d, struct timeval *e),            \
	      (a, b, c, d, e))                                                                     \
	POINT(int, pselect,                                                                        \
	      (int a, fd_set *b, fd_set *c, fd_set *d, const struct timespec *e,                   \
	       const sigset_t *f),                                                                 \
	      (a, b, c, d, e, f))                                                                  \
	SYMBOL(int, epoll_create, (int))                                                           \
	SYMBOL(int, epoll_create1, (int))                                                          \
	SYMBOL(int, epoll_ctl, (int, int, int, struct epoll_event *))                              \
	POINT(int, epoll_wait, (int a, struct epoll_event *b, int c, int d), (a, b, c, d))         \
	POINT(int, epoll_pwait, (int a, struct epoll_event *b, int c, int d, const sigset_t *e),   \
	      (a, b, c, d, e))                                                                     \
	POINT(int, epoll_pwait2,                                                                   \
	      (int a, struct epoll_event *b, int c, const struct timespec *d, const sigset_t *e),  \
	      (a, b, c, d, e))                                                                     \
	SYMBOL(int, pthread_create,                                                                \
	       (pthread_t *, const pthread_attr_t *, void *(*)(void *), void *))                   \
	SYMBOL(int, thrd_create, (thrd_t *, thrd_start_t, void *))                                 \
	SYMBOL(int, posix_spawn,                                                                   \
	       (pid_t *, const char *, const posix_spawn_file_actions_t *,                         \
		const posix_spawnattr_t *, char *const *, char *const *))                          \
	SYMBOL(int, posix_spawnp,                                                                  \
	       (pid_t *, const char *, const posix_spawn_file_actions_t *,                         \
		const posix_spawnattr_t *, char *const *, char *const *))                          \
	SYMBOL(FILE *, popen, (const char *, const char *))                                        \
	SYMBOL(int, system, (const char *))                                                        \
	SYMBOL(pid_t, vfork, (void))                                                               \
	SYMBOL(pid_t, _Fork, (void))                                                               \
	SYMBOL(int, clone, (int (*)(void *), void *, int, void *, ...))                            \
	SYMBOL(long, syscall, (long, ...))                                                         \
	SYMBOL(void, _exit, (int))                                                                 \
	SYMBOL(void, _Exit, (int))                                                                 \
	SYMBOL(int, execve, (const char *, char *const *, char *const *))                          \
	SYMBOL(int, execv, (const char *, char *const *))                                          \
	SYMBOL(int, execvp, (const char *, char *const *))                                         \
	SYMBOL(int, execvpe, (const char *, char *const *, char *const *))                         \
	SYMBOL(int, fexecve, (int, char *const *, char *const *))                                  \
	SYMBOL(int, execveat, (int, const char *, char *const *, char *const *, int))              \
	SYMBOL(int, execl, (const char *, const char *, ...))                                      \
	SYMBOL(int, execlp, (const char *, const char *, ...))                                     \
	SYMBOL(int, execle, (const char *, const char *, ...))                                     \
	SYMBOL(int, daemon, (int, int))                                                            \
	SYMBOL(int, prctl, (int, ...))                                                             \
	SYMBOL(int, capset, (void *, const void *))                                                \
	SYMBOL(int, chroot, (const char *))                                                        \
	SYMBOL(int, unshare, (int))                                                                \
	SYMBOL(int, setns, (int, int))                                                             \
	SYMBOL(int, seteuid, (uid_t))                                                              \
	SYMBOL(int, getrlimit, (__rlimit_resource_t, struct rlimit *))                             \
	SYMBOL(int, setrlimit, (__rlimit_resource_t, const struct rlimit *))                       \
	SYMBOL(int, prlimit,                                                                       \
	       (pid_t, enum __rlimit_resource, const struct rlimit *, struct rlimit *))            \
	SYMBOL(int, setuid, (uid_t))                                                               \
	SYMBOL(int, setreuid, (uid_t, uid_t))                                                      \
	SYMBOL(int, setresuid, (uid_t, uid_t, uid_t))                                              \
	SYMBOL(int, sigaction, (int, const struct sigaction *, struct sigaction *))                \
	SYMBOL(signal_handler, signal, (int, signal_handler))                                      \
	SYMBOL(signal_handler, __sysv_signal, (int, signal_handler))                               \
	SYMBOL(int, siginterrupt, (int, int))                                                      \
	SYMBOL(void, abort, (void))                                                                \
	SYMBOL(signal_handler, sigset, (int, signal_handler))                                      \
	SYMBOL(int, pthread_setcanceltype, (int, int *))

/* Called by fortified programs; libc's headers declare them only while fortifying. */
/* NOLINTBEGIN(bugprone-reserved-identifier): they are libc's names. */
ssize_t __read_chk(int, void *, size_t, size_t);
ssize_t __recv_chk(int, void *, size_t, size_t, int);
ssize_t __recvfrom_chk(int, void *, size_t, size_t, int, struct sockaddr *, socklen_t *);
int __poll_chk(struct pollfd *, nfds_t, int, size_t);
int __dprintf_chk(int, int, const char *, ...);
int __vdprintf_chk(int, int, const char *, va_list);
int __ppoll_chk(struct pollfd *, nfds_t, const struct timespec *, const sigset_t *, size_t);
/* NOLINTEND(bugprone-reserved-identifier) */

#define LIBC_SYMBOL_MEMBER(type, name, parameters, ...) type(*name) parameters;

/* libc's own versions. A member is NULL only if this libc has no such function. */
struct libc_symbols {
	LIBC_SYMBOLS(LIBC_SYMBOL_MEMBER, LIBC_SYMBOL_MEMBER)
};

extern struct libc_symbols libc_table;
/* The same, but none of them is a cancellation point. */
extern struct libc_symbols libc_table_held;
extern bool libc_resolved;
void libc_resolve(void);

/*
 * Calls may come before our constructor runs (from those of other libraries). While the thread
 * holds a lock or a reference of melin's, DPDK's drivers make system calls in it by the functions
 * of libc's that libmelin.so interposes: a thread that was cancelled there would end with the lock.
 */
static inline const struct libc_symbols *libc(void)
{
	if (__builtin_expect(!libc_resolved, 0))
		libc_resolve();
	return signals_thread.depth > 0 ? &libc_table_held : &libc_table;
}

/* Marks the definitions that are visible outside: the interposed functions and nothing else. */
#define INTERPOSED __attribute__((visibility("default")))

/*
 * glibc exports some functions under a second name as well, and programs import it. To the compiler
 * it is a name of its own: those for 64 bits are declared with other types, which mean the same on
 * all machines that melin is for. Attributes of a fortifying header's own inline version do not fit
 * an alias.
 */
#define INTERPOSED_ALIAS(name, second)                                                             \
	_Pragma("GCC diagnostic push")                                                             \
		_Pragma("GCC diagnostic ignored \"-Wattributes\"") extern __typeof__(name)         \
			alias_##second __asm__(#second)                                            \
				__attribute__((alias(#name), visibility("default"), copy(name)));  \
	_Pragma("GCC diagnostic pop") extern __typeof__(name) alias_##second

#endif
