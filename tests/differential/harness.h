/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the programs of the differential harness share: each step of a case is one line of output
 * (return value, errno name, normalised data), so that two runs, over the kernel and over melin,
 * can be compared line by line. Not for judging: no program knows what is right, the other run
 * does. Only what makes a comparison worthless (no connection to test with) is said here: BROKEN.
 *
 * "us" is the side under test; "them" is its peer: another socket of the same process, or, when
 * STEP_FACTORY names socket_server.c's socket, a kernel socket of another network namespace.
 *
 * Environment: STEP_FAMILY 4 or 6, STEP_ROLE client (we connect) or server (we accept),
 * STEP_LOCAL and STEP_PEER the addresses of the two sides, STEP_FACTORY, STEP_SECONDS the length
 * of the stress cases, STEP_BORROWS melin's log where connections are to be borrowed.
 */
#ifndef MELIN_HARNESS_H
#define MELIN_HARNESS_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* also without config.h: strerrorname_np(), accept4() and friends */
#endif

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct test_case {
	const char *name;
	void (*run)(void);
	unsigned seconds; /* limit; 0: the usual one */
};

/* Runs the cases named on the command line (--after NAME: all that follow), or all of them. */
int run_cases(int argc, char **argv, const struct test_case *cases, size_t count);

const char *case_name(void); /* of the case that runs */

/* ---- output: one line a call ---- */

void outcome(const char *name, long result); /* errno belongs to result < 0 */
void outcome_at(const char *name, int index, long result);
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
void show(const char *name, const void *data, long length); /* escaped; a digest when long */
/* A duration in words that do not change from run to run. */
void note_duration(const char *name, int64_t ms, int64_t low, int64_t high);
/* The comparison would be worthless: says so and ends the process. */
void broken(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
void must(const char *what, long result); /* broken() with errno if result < 0 */

const char *errno_name(int number);
const char *poll_bits(uint32_t bits); /* POLL* and EPOLL* bits; a few static buffers in turn */

/* ---- time ---- */

int64_t now_ms(void);
void pause_ms(unsigned ms);
/* Long enough for a segment to cross and for its effects to show, longer on a late machine. */
void settle(void);

/*
 * Calls action(fd) in a thread of its own; join it before the case ends. At once with 0 ms; else
 * after so long, and not before the calling thread sleeps: it has come to the call that is to wait,
 * however late the machine is.
 */
pthread_t later(unsigned ms, void (*action)(int), int fd);
void join(pthread_t thread);

/* Sends the process a signal at such a moment: one that interrupts the call that is made next. */
void signal_later(unsigned ms, int number);

/* An address that no process has mapped, which the compiler does not see through. */
void *bad_pointer(void);

/* ---- sockets ---- */

struct address {
	struct sockaddr_storage storage;
	socklen_t length;
};

/* The three clients of an address: us, them, and text in which ports and sides are normalised. */
struct address our_address(uint16_t port);
struct address their_address(uint16_t port);
struct address any_address(uint16_t port);
const char *address_text(const void *address, socklen_t length);
uint16_t port_of(const struct address *address);
struct address name_of(int fd);
int family(void);
bool we_connect(void);
bool in_process(void); /* "them" are sockets of this process */
unsigned stress_seconds(void);

struct connection {
	int us, them;
};

int open_socket(int flags);
int our_listener(int backlog); /* bound to our address, any port */
/* melin decides on a listener at its first use, and only then can a stranger reach it. */
void first_use(int listener);
int their_listener(int backlog);
int connect_to(const struct address *address); /* us, blocking */
int them_connect(const struct address *address);
int accept_one(int listener);
struct connection open_connection(void);
/* The same, and both have said a little: in host mode it is borrowed. */
struct connection open_talking(void);
void talk_a_while(struct connection connection);
/*
 * Until its stack runs, which takes a while, melin borrows nothing: where the environment says that
 * it should, a connection makes it start, and its log is waited for to tell that it has.
 */
void await_stack(void);
void close_connection(struct connection connection);

/* Waits until poll() reports all of the bits; says so in the output if that never comes. */
void await(int fd, short events);
void await_bytes(int fd, int bytes); /* FIONREAD */
void set_nonblocking(int fd, bool on);
void reset(int fd);  /* close with SO_LINGER zero */
size_t fill(int fd); /* sends until EAGAIN for good; the descriptor stays non-blocking */
/*
 * What a call that sends answers when there is no room. Nobody promises that a buffer that was full
 * is full at the next call: segments that were lost take room in the peer's buffer when they are
 * sent again, and in host mode each carrier has a buffer of its own. So what went through is added
 * to *filled, and all is filled and called anew.
 */
#define WHEN_FULL(fd, filled, call)                                                                \
	({                                                                                         \
		long result_ = (call);                                                             \
                                                                                                   \
		for (int i_ = 0; i_ < FULL_TRIES && result_ > 0; i_++) {                           \
			*(filled) += (size_t)result_ + fill(fd);                                   \
			result_ = (call);                                                          \
		}                                                                                  \
		result_;                                                                           \
	})
#define FULL_TRIES 10
size_t drain(int fd, size_t bytes); /* receives so many bytes, or to the end */
void send_all(int fd, const void *data, size_t length);

#endif
