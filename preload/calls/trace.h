/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The trace of calls: MELIN_LOG=trace:FILE writes a line for each call of the program's on a socket
 * and for each wait, in the form of strace(1), with who has served it. One table (trace.c) says
 * which calls these are and how their arguments are printed (trace_print.h). Not for what melin
 * itself has to say (config/log.h), into whose file the lines go.
 *
 * Each traced function begins with RETURN_TRACED(), which costs a comparison and a branch while
 * there is no trace. With one, the call goes by trace_call(), which makes it again from outside
 * and then writes the line: so the functions themselves know nothing of it.
 */
#ifndef MELIN_TRACE_H
#define MELIN_TRACE_H

#include <stdbool.h>
#include <sys/types.h>

#include "preload/config/log.h"

/*
 * CALL(type of the result, function, how each argument is printed: trace_print.h). Those that
 * fortified programs call instead (__recv_chk() and its like) are traced as the plain ones.
 */
#define TRACED_CALLS(CALL)                                                                         \
	CALL(int, socket, "fkn")                                                                   \
	CALL(int, bind, "daz")                                                                     \
	CALL(int, listen, "Dn")                                                                    \
	CALL(int, connect, "Daz")                                                                  \
	CALL(int, accept, "DAL")                                                                   \
	CALL(int, accept4, "DALk")                                                                 \
	CALL(int, shutdown, "dH")                                                                  \
	CALL(int, getsockname, "dAL")                                                              \
	CALL(int, getpeername, "dAL")                                                              \
	CALL(int, getsockopt, "doOIL")                                                             \
	CALL(int, setsockopt, "doOin")                                                             \
	CALL(int, sockatmark, "d")                                                                 \
	CALL(ssize_t, read, "s-z")                                                                 \
	CALL(ssize_t, readv, "s-n")                                                                \
	CALL(ssize_t, preadv2, "s-nXx")                                                            \
	CALL(ssize_t, recv, "d-zm")                                                                \
	CALL(ssize_t, recvfrom, "d-zmAL")                                                          \
	CALL(ssize_t, recvmsg, "d-m")                                                              \
	CALL(int, recvmmsg, "d-nmT")                                                               \
	CALL(ssize_t, write, "s-z")                                                                \
	CALL(ssize_t, writev, "s-n")                                                               \
	CALL(ssize_t, pwritev2, "s-nXx")                                                           \
	CALL(ssize_t, send, "d-zm")                                                                \
	CALL(ssize_t, sendto, "d-zman")                                                            \
	CALL(ssize_t, sendmsg, "d-m")                                                              \
	CALL(int, sendmmsg, "d-nm")                                                                \
	CALL(ssize_t, sendfile, "snXz")                                                            \
	CALL(ssize_t, splice, "sXdXzx")                                                            \
	CALL(int, close, "s")                                                                      \
	CALL(int, dup, "s")                                                                        \
	CALL(int, dup2, "sn")                                                                      \
	CALL(int, dup3, "snx")                                                                     \
	CALL(int, fcntl, "scX")                                                                    \
	CALL(int, ioctl, "sXX")                                                                    \
	CALL(int, poll, "Pzn")                                                                     \
	CALL(int, ppoll, "PzT-")                                                                   \
	CALL(int, select, "nSSSV")                                                                 \
	CALL(int, pselect, "nSSST-")                                                               \
	CALL(int, epoll_create, "n")                                                               \
	CALL(int, epoll_create1, "x")                                                              \
	CALL(int, epoll_ctl, "nCdE")                                                               \
	CALL(int, epoll_wait, "DWnn")                                                              \
	CALL(int, epoll_pwait, "DWnn-")                                                            \
	CALL(int, epoll_pwait2, "DWnT-")

#define TRACED_CALL_NUMBER(type, function, letters) TRACE_##function,
enum traced_call { TRACED_CALLS(TRACED_CALL_NUMBER) TRACED_CALL_COUNT };
#define TRACED_CALL_RESULT(type, function, letters) typedef type traced_##function;
TRACED_CALLS(TRACED_CALL_RESULT)

/*
 * Whether the call that has just been entered is one of the program's, and not one that melin, DPDK
 * or a library below makes for another call of the program's, or on a thread of melin's own.
 */
bool trace_is_programs(void);

/*
 * Makes the call and writes its line, with the result, errno and the time it took; errno is the
 * call's afterwards. A call takes as many arguments as its table row has letters. Each is passed as
 * it is, but those of z as a size_t: the upper half of a smaller one would be open. A handler of
 * the program's that does not return leaves the call without a line.
 */
long trace_call(enum traced_call which, ...);

static inline bool trace_wanted(void)
{
	return __builtin_expect(atomic_load_explicit(&log_calls, memory_order_relaxed), 0) &&
	       trace_is_programs();
}

/* The beginning of each traced function, with all of its arguments: with a trace it ends here. */
#define RETURN_TRACED(function, ...)                                                               \
	do {                                                                                       \
		if (trace_wanted())                                                                \
			return (traced_##function)trace_call(TRACE_##function, __VA_ARGS__);       \
	} while (0)

#endif
