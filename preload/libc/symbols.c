/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Finds libc's own version of each interposed function. Not for deciding when to call it.
 */
#include "preload/libc/symbols.h"

#include <dlfcn.h>
#include <gnu/lib-names.h>
#include <string.h>

#include "preload/libc/monotonic.h"

struct libc_symbols libc_table, libc_table_held;
bool libc_resolved;
int (*clock_of_libc)(clockid_t, struct timespec *) = clock_gettime;

#define LIBC_SYMBOL_ENTRY(type, name, parameters) { #name, offsetof(struct libc_symbols, name) },

static const struct {
	const char *name;
	size_t offset;
} symbol_list[] = { LIBC_SYMBOLS(LIBC_SYMBOL_ENTRY) };

/* pthreads(7)'s cancellation points among them: HELD(return type, name, parameters, arguments). */
#define CANCELLATION_POINTS(HELD)                                                                  \
	HELD(ssize_t, read, (int a, void *b, size_t c), (a, b, c))                                 \
	HELD(ssize_t, readv, (int a, const struct iovec *b, int c), (a, b, c))                     \
	HELD(ssize_t, recv, (int a, void *b, size_t c, int d), (a, b, c, d))                       \
	HELD(ssize_t, recvfrom,                                                                    \
	     (int a, void *b, size_t c, int d, struct sockaddr *e, socklen_t *f),                  \
	     (a, b, c, d, e, f))                                                                   \
	HELD(ssize_t, __read_chk, (int a, void *b, size_t c, size_t d), (a, b, c, d))              \
	HELD(ssize_t, __recv_chk, (int a, void *b, size_t c, size_t d, int e), (a, b, c, d, e))    \
	HELD(ssize_t, __recvfrom_chk,                                                              \
	     (int a, void *b, size_t c, size_t d, int e, struct sockaddr *f, socklen_t *g),        \
	     (a, b, c, d, e, f, g))                                                                \
	HELD(ssize_t, preadv2, (int a, const struct iovec *b, int c, off_t d, int e),              \
	     (a, b, c, d, e))                                                                      \
	HELD(ssize_t, recvmsg, (int a, struct msghdr *b, int c), (a, b, c))                        \
	HELD(int, recvmmsg, (int a, struct mmsghdr *b, unsigned c, int d, struct timespec *e),     \
	     (a, b, c, d, e))                                                                      \
	HELD(ssize_t, write, (int a, const void *b, size_t c), (a, b, c))                          \
	HELD(ssize_t, writev, (int a, const struct iovec *b, int c), (a, b, c))                    \
	HELD(ssize_t, pwritev2, (int a, const struct iovec *b, int c, off_t d, int e),             \
	     (a, b, c, d, e))                                                                      \
	HELD(ssize_t, splice, (int a, off64_t *b, int c, off64_t *d, size_t e, unsigned f),        \
	     (a, b, c, d, e, f))                                                                   \
	HELD(ssize_t, send, (int a, const void *b, size_t c, int d), (a, b, c, d))                 \
	HELD(ssize_t, sendto,                                                                      \
	     (int a, const void *b, size_t c, int d, const struct sockaddr *e, socklen_t f),       \
	     (a, b, c, d, e, f))                                                                   \
	HELD(ssize_t, sendmsg, (int a, const struct msghdr *b, int c), (a, b, c))                  \
	HELD(int, sendmmsg, (int a, struct mmsghdr *b, unsigned c, int d), (a, b, c, d))           \
	HELD(int, accept, (int a, struct sockaddr *b, socklen_t *c), (a, b, c))                    \
	HELD(int, accept4, (int a, struct sockaddr *b, socklen_t *c, int d), (a, b, c, d))         \
	HELD(int, connect, (int a, const struct sockaddr *b, socklen_t c), (a, b, c))              \
	HELD(int, close, (int a), (a))                                                             \
	HELD(int, poll, (struct pollfd * a, nfds_t b, int c), (a, b, c))                           \
	HELD(int, ppoll,                                                                           \
	     (struct pollfd * a, nfds_t b, const struct timespec *c, const sigset_t *d),           \
	     (a, b, c, d))                                                                         \
	HELD(int, __poll_chk, (struct pollfd * a, nfds_t b, int c, size_t d), (a, b, c, d))        \
	HELD(int, __ppoll_chk,                                                                     \
	     (struct pollfd * a, nfds_t b, const struct timespec *c, const sigset_t *d, size_t e), \
	     (a, b, c, d, e))                                                                      \
	HELD(int, select, (int a, fd_set *b, fd_set *c, fd_set *d, struct timeval *e),             \
	     (a, b, c, d, e))                                                                      \
	HELD(int, pselect,                                                                         \
	     (int a, fd_set *b, fd_set *c, fd_set *d, const struct timespec *e,                    \
	      const sigset_t *f),                                                                  \
	     (a, b, c, d, e, f))                                                                   \
	HELD(int, epoll_wait, (int a, struct epoll_event *b, int c, int d), (a, b, c, d))          \
	HELD(int, epoll_pwait, (int a, struct epoll_event *b, int c, int d, const sigset_t *e),    \
	     (a, b, c, d, e))                                                                      \
	HELD(int, epoll_pwait2,                                                                    \
	     (int a, struct epoll_event *b, int c, const struct timespec *d, const sigset_t *e),   \
	     (a, b, c, d, e))                                                                      \
	HELD(int, fsync, (int a), (a))                                                             \
	HELD(int, fdatasync, (int a), (a))

#define HELD_FUNCTION(type, name, parameters, arguments)                                           \
	static type name##_held parameters                                                         \
	{                                                                                          \
		int state;                                                                         \
		type result;                                                                       \
                                                                                                   \
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);                            \
		result = libc_table.name arguments;                                                \
		pthread_setcancelstate(state, NULL);                                               \
		return result;                                                                     \
	}

#define HELD_ENTRY(type, name, parameters, arguments) libc_table_held.name = name##_held;

CANCELLATION_POINTS(HELD_FUNCTION)

/*
 * Two threads may run this at once before the constructor has; both write the same values, so
 * the race is harmless. libc_resolved is stored last for the same reason.
 */
void libc_resolve(void)
{
	for (size_t i = 0; i < sizeof(symbol_list) / sizeof(symbol_list[0]); i++) {
		void *symbol = dlsym(RTLD_NEXT, symbol_list[i].name);

		memcpy((char *)&libc_table + symbol_list[i].offset, &symbol, sizeof(symbol));
	}
	libc_table_held = libc_table;
	CANCELLATION_POINTS(HELD_ENTRY)
	__atomic_store_n(&libc_resolved, true, __ATOMIC_RELEASE);
}

void clock_resolve(void)
{
	void *library = dlopen(LIBC_SO, RTLD_LAZY | RTLD_NOLOAD);
	void *symbol = library ? dlsym(library, "clock_gettime") : NULL;

	if (symbol)
		memcpy(&clock_of_libc, &symbol, sizeof(symbol));
}
