/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The seam between libmelin.so (preload/) and melin-stack.so (stack/, dpdk/): all that preload
 * knows of a TCP/IP stack. Plain C types and sockaddrs; no lwIP and no DPDK type crosses it.
 *
 * melin-stack.so exports one symbol, melin_stack_operations, a table of the functions below.
 *
 * Rules that hold for every function of the table, unless it says otherwise:
 *  - It may be called from any thread. The instance has one lock, taken inside; two calls on
 *    sockets of one instance never run their insides at the same time.
 *  - It never sleeps for an event. What would block on Linux returns -EAGAIN; waiting is
 *    preload's business (readiness(), the event callback, poll(), watch_begin()).
 *  - It returns 0 or a count on success and a negative errno value on failure.
 *  - Errno values and conditions are those of Linux's manual pages (socket(7), tcp(7)).
 *  - A socket handle is owned by preload from socket_create() or accept() until release().
 *  - Calls come from threads that are not EAL threads, with any signal mask.
 */
#ifndef MELIN_STACK_H
#define MELIN_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

#include "common/log_level.h"
#include "common/reason.h"
#include "common/counters.h"
#include "common/stack_config.h"

/* Raised with each change that makes an older libmelin.so or melin-stack.so unfit. */
#define STACK_ABI 18

/* Beside the EPOLL* bits: the peer has announced urgent data, what Linux sends SIGURG for. */
#define STACK_EVENT_URGENT (1u << 16)

/*
 * Of a borrowed connection: the stack wants it to be given back; return_reason() says why. Said
 * anew when another reason comes, for each new loss, and as long as it is idle.
 */
#define STACK_EVENT_RETURN (1u << 17)

/*
 * All that has happened is a shutdown(2) of the program's own, its acknowledgement, or an end that
 * follows from it: Linux wakes those who wait, and sends no SIGIO.
 */
#define STACK_EVENT_QUIET (1u << 18)

/*
 * Why, the most pressing one (the last below) if there are several. The stack never ends such a
 * connection by itself, and what has been received stays readable; but from STACK_RETURN_PATH on it
 * gets no further here.
 */
enum stack_return {
	STACK_RETURN_NONE,
	STACK_RETURN_LOSS,    /* a loss is being mended: the kernel may do that better */
	STACK_RETURN_IDLE,    /* tcp(7), SO_KEEPALIVE: it is time for the first probe */
	STACK_RETURN_PATH,    /* its link, route, neighbour, MTU or address has changed or gone */
	STACK_RETURN_TIMEOUT, /* the peer has not answered for as long as tcp(7) lets it */
	STACK_RETURN_CLOSED,  /* the peer's FIN is the next to be received; not acknowledged */
	STACK_RETURN_RESET,   /* the peer's RST has come, an acceptable one: RFC 5961 3.2 */
};

/* What has gone wrong on a borrowed connection's path, since adopt(). */
struct stack_losses {
	uint32_t recoveries;	/* RFC 8985: losses that acknowledgements have shown */
	uint32_t timeouts;	/* RFC 6298: retransmission timeouts */
	uint32_t retransmitted; /* segments sent again, probes included */
	uint32_t out_of_order;	/* segments received that were not the next */
};

struct stack_callbacks {
	/*
	 * A socket's readiness changed: events are the EPOLL* bits that have become true or true
	 * anew (each arrival of data is a new EPOLLIN: that is what edge-triggered waiters count),
	 * STACK_EVENT_URGENT and STACK_EVENT_QUIET.
	 * Called with the instance's lock held, from any thread, the background thread too.
	 * It must not call back into the table except readiness(), return_reason() and losses().
	 * user is what socket_create() or set_user() gave; not called while user is NULL.
	 */
	void (*event)(void *user, uint32_t events);

	/*
	 * Around every stretch in which the calling thread holds a lock of the stack's: before
	 * the lock is taken, after it is released; they nest. In between preload keeps the
	 * program's signal handlers waiting, since they might call in here again.
	 */
	void (*lock_enter)(void);
	void (*lock_leave)(void);

	/*
	 * How many bytes from start on, up to length, can be read or written now: what send() and
	 * receive() are given may lead nowhere. Asked just before the bytes are copied, with the
	 * lock held. NULL: all can.
	 */
	size_t (*readable)(const void *start, size_t length);
	size_t (*writable)(void *start, size_t length);

	/* One line for melin's log, without a newline. May be called with the lock held. */
	void (*log)(enum log_level level, const char *message);
	/* The highest level that log() would print: saves formatting the rest. */
	enum log_level log_level;

	/*
	 * clock_gettime(2), for CLOCK_MONOTONIC: libc's own, whatever the process has preloaded in
	 * front of it. NULL: whoever's comes first.
	 */
	int (*clock)(clockid_t clock, struct timespec *now);

	/*
	 * Told of each descriptor of the stack's and its device's, which preload keeps the program
	 * off (common/own_descriptor.h). Any thread, with any lock held. NULL: nobody is told.
	 */
	void (*own_descriptor)(int descriptor, bool is_open);
	/*
	 * Around the opening of descriptors after open(): preload finds numbers for them. With the
	 * instance's lock. NULL: nothing is done.
	 */
	void (*descriptors_begin)(void);
	void (*descriptors_end)(void);
};

struct capture_ring;	 /* common/capture_ring.h */
struct connection_state; /* common/connection_state.h */
struct stack;
struct stack_socket;

/*
 * A flag of receive() and send() beside the MSG_* ones: the program's call has moved a part already
 * and returns that. What else there is to say, an error above all, stays for the next call, as in
 * Linux: 0 and -EPIPE say so.
 */
#define STACK_REST (1 << 17)

/*
 * To receive(): splice(2) asks, which does not step over an urgent byte: -ENODATA is what it says
 * in front of one. Linux's recv(2) ignores the bit: preload does not pass a program's on.
 */
#define STACK_SPLICE (1 << 19)

/* Linux's tcp_sendmsg() copies in pieces of this size, each wholly or not at all. */
#define STACK_FAULT_PIECE 32768

struct stack_operations {
	uint32_t abi;  /* STACK_ABI */
	uint32_t size; /* sizeof(struct stack_operations), a second guard */

	/* ---- the instance ---- */

	/*
	 * Starts an instance. Takes long (DPDK's start is above 100 ms) and may make threads, all
	 * with every signal blocked. On failure returns a negative errno value and writes the
	 * reason: what is missing, DPDK's own error code and text if it has one, and what
	 * would mend it. -EBUSY: another process uses the device. Nothing is left behind then.
	 */
	int (*open)(const struct stack_config *config, const struct stack_callbacks *callbacks,
		    struct stack **stack, struct reason *reason);

	/*
	 * Whether open() could succeed, as far as that is seen without taking the device or
	 * starting DPDK: 0, or a negative errno value and the reason, as open() would. Any
	 * thread; takes a millisecond.
	 */
	int (*check)(const struct stack_config *config, struct reason *reason);

	/*
	 * Ends an instance at process exit: closes every socket as Linux does when a process ends
	 * (FIN, or RST for one with unread data), polls until what was sent is acknowledged or
	 * linger_ms are over, fills in the last counters, then stops the port, closes it and
	 * cleans EAL up, in that order. Other threads may still be in calls, or come in: poll()
	 * does nothing for them any more, and all else lets them wait for the process's end.
	 */
	void (*close)(struct stack *stack, unsigned linger_ms, struct stack_counters *counters);

	/*
	 * Before the process ends by a signal: as close(), up to the counters; what is left is the
	 * kernel's to take away. To be called from a handler, whatever that has interrupted but a
	 * call on the stack: a thread of the stack's does the work, which may want libc's locks,
	 * and the caller waits for it no longer than linger_ms and a little.
	 */
	void (*farewell)(struct stack *stack, unsigned linger_ms, struct stack_counters *counters);

	/*
	 * In the child of fork(): the instance belongs to the parent. Forgets it without touching
	 * the device, shared rings, peers or the parent's files; closes this process's copies of
	 * its descriptors. Every later call on it or its sockets is a mistake of the caller.
	 */
	void (*abandon)(struct stack *stack);

	/*
	 * Receives what the device has (a bounded number of bursts), runs TCP and due timers,
	 * delivers in-process segments, sends what came of it. Returns the number of frames and
	 * in-process segments handled; -EBUSY if another thread holds the lock: that thread polls.
	 */
	int (*poll)(struct stack *stack);
	/*
	 * Returns when the call that another thread is in has ended: readiness that could be seen
	 * before has been reported by event() then, too.
	 */
	void (*catch_up)(struct stack *stack);

	/*
	 * A thread that is about to sleep in the kernel offers to watch the device. At most one
	 * thread watches. Returns the descriptor to wait on for input (level-triggered) and the
	 * caller is the watcher until watch_end(); or -EBUSY if there is a watcher already; or
	 * -ENOTSUP if the device has no such descriptor: the background thread then polls it.
	 * *deadline_ns is CLOCK_MONOTONIC time at which the watcher must call poll() even without
	 * input (the next timer), UINT64_MAX for none. -EAGAIN: input is there already, poll.
	 * -EALREADY: another thread polls all the time, and a wake-up for each frame would only be
	 * in its way; the caller looks after it: it must call poll() at *deadline_ns, and
	 * watch_end().
	 * slept: how often this wait has slept already; if that is often, the frames are mostly
	 * others' and the caller has patience with a thread that polls now and then.
	 */
	int (*watch_begin)(struct stack *stack, unsigned slept, uint64_t *deadline_ns);
	/* looked_after: watch_begin() has returned -EALREADY. */
	void (*watch_end)(struct stack *stack, bool looked_after);

	void (*counters)(struct stack *stack, struct stack_counters *counters);

	/*
	 * Whether the instance could carry a connection to remote: 0; -EAFNOSUPPORT without an
	 * address of its family; -ENETUNREACH when it is neither on-link nor behind a gateway;
	 * for loopback addresses and the stack's own: 0 if a listener of this instance would take
	 * it, whose user goes to *listener unless that is NULL, else -ECONNREFUSED.
	 */
	int (*route)(struct stack *stack, const struct sockaddr *remote, void **listener);

	/*
	 * Whether connections that are alive or in TIME_WAIT hold local's port (on its address, or
	 * any for a wildcard), so that bind() without SO_REUSEADDR must fail.
	 */
	bool (*port_in_use)(struct stack *stack, const struct sockaddr *local);

	/* ---- sockets ---- */

	/* domain AF_INET or AF_INET6 (v6only: no IPv4-mapped peers), always SOCK_STREAM. */
	int (*socket_create)(struct stack *stack, int domain, bool v6only, void *user,
			     struct stack_socket **socket);
	/* Changes what event() is given; before accept()ed sockets get one, events are dropped. */
	void (*set_user)(struct stack_socket *socket, void *user);

	/*
	 * Starts to listen on local (the address may be a wildcard: then the connections are those
	 * to the stack's own addresses, and to loopback from within the process).
	 * backlog as in listen(2). -EADDRINUSE. Called again on a listener: changes the backlog.
	 */
	int (*listen)(struct stack_socket *socket, const struct sockaddr *local, int backlog);

	/*
	 * Takes the oldest established connection from a listener's queue; *peer is filled in the
	 * listener's domain (IPv4 peers as mapped addresses in an AF_INET6 socket).
	 * -EAGAIN, -EINVAL (not a listener, or shut down), -ENOMEM. The new socket inherits the
	 * options that Linux's accept inherits.
	 */
	int (*accept)(struct stack_socket *listener, struct stack_socket **socket,
		      struct sockaddr_storage *peer);

	/*
	 * Starts a connection. local: NULL, or where the program bound; port 0 or wildcard address:
	 * chosen here. Always -EINPROGRESS on a good start. -EALREADY, -EISCONN, 0 once for the
	 * first call after success as Linux does, the connection's error after a failure,
	 * -EADDRINUSE, -EADDRNOTAVAIL, -ENETUNREACH. remote NULL only asks what has come of the
	 * attempt: -EPIPE if another thread has ended it by shutdown() or AF_UNSPEC.
	 */
	int (*connect)(struct stack_socket *socket, const struct sockaddr *local,
		       const struct sockaddr *remote);

	/*
	 * flags: MSG_PEEK, MSG_TRUNC (discard), MSG_OOB, STACK_REST, STACK_SPLICE; MSG_WAITALL is
	 * preload's. 0: end of stream. Ends before an urgent byte, and steps over it when it comes
	 * first, as Linux does. -EAGAIN: nothing there, even after polling the device once.
	 * -ENOTCONN. An error of the connection is returned once and then cleared (SO_ERROR).
	 * -EFAULT: nothing of what is there can be written to iov; as in Linux, which takes whole
	 * segments, what comes before a bad address is received if that is at least one.
	 */
	ssize_t (*receive)(struct stack_socket *socket, const struct iovec *iov, size_t count,
			   int flags);
	/*
	 * When the data came whose last byte receive() has just given, by CLOCK_REALTIME, to the
	 * microsecond. -ENODATA unless SO_TIMESTAMP is set.
	 */
	int (*received_at)(struct stack_socket *socket, struct timespec *time);
	/*
	 * flags: MSG_MORE, MSG_OOB, MSG_EOR, STACK_REST. Takes as much as there is room for and
	 * returns that count; -EAGAIN if none. -EPIPE after shutdown or a reset (the signal is
	 * preload's), -ENOTCONN.
	 */
	ssize_t (*send)(struct stack_socket *socket, const struct iovec *iov, size_t count,
			int flags);
	int (*shutdown)(struct stack_socket *socket, int how); /* SHUT_*; -ENOTCONN */

	/*
	 * Makes a socket of a connection that the kernel has made, established; preload sees its
	 * frames come here and the kernel be silent before it calls. state's data is copied; its
	 * path counts where the instance has a tap. 0; -EEXIST: a connection has these ends here;
	 * -ENOMEM; -EAFNOSUPPORT.
	 */
	int (*adopt)(struct stack *stack, int domain, bool v6only, void *user,
		     const struct connection_state *state, struct stack_socket **socket);
	/*
	 * Around the loan of a connection and adopt(): segments that come by the tap in between,
	 * and that another thread takes while nobody here has their connection, are kept for it. An
	 * end for each beginning, adopted or not; several may be under way.
	 */
	void (*adopt_begin)(struct stack *stack);
	void (*adopt_end)(struct stack *stack);
	/*
	 * The other way: stops for this connection, and tells all that the kernel has to know to go
	 * on with it, a FIN or RST of the peer's that has come included (remote_closed,
	 * remote_reset). The socket is closed then, without a word to the peer or an event. state's
	 * data is the caller's. -ENOTCONN: it is not established, or a FIN has been sent or
	 * received, and the connection stays; -ENOMEM, too.
	 *
	 * From then on until release() each function on the socket that can fail returns -ESTALE,
	 * also to threads that wait for the lock while give() has it; readiness() says EPOLLIN and
	 * EPOLLOUT, so that waiters come and find out, and readable() and unsent() are 0. What
	 * operations have taken or accepted before is in *state or gone, never both.
	 */
	int (*give)(struct stack_socket *socket, struct connection_state *state);
	/*
	 * Why the stack wants the connection to be given back. Lock-free, and event() may call it.
	 */
	enum stack_return (*return_reason)(const struct stack_socket *socket);
	/*
	 * Another packet socket, as new as stack_config.tap's at open(), gets its number; tap
	 * itself stays the caller's. No connection is borrowed. 0, or a negative errno value:
	 * nothing can be borrowed before another call succeeds.
	 */
	int (*renew_tap)(struct stack *stack, int tap);
	/*
	 * How often something has become of paths, of whatever connections: a path that was found
	 * when it was less may be another one now. It wraps; lock-free.
	 */
	uint32_t (*path_changes)(const struct stack *stack);
	/* Lock-free, and event() may call it: each number is true, not all of one moment. */
	void (*losses)(const struct stack_socket *socket, struct stack_losses *losses);

	/*
	 * The program's last descriptor is closed: close(2). The handle is gone on return, event()
	 * is not called for it again. Unread data: RST. SO_LINGER zero: RST. Else the rest is
	 * delivered in the background. (Waiting for SO_LINGER is preload's: see unsent().)
	 * A borrowed connection is let go of without a word, whether it was given back or not.
	 */
	void (*release)(struct stack_socket *socket);

	/* EPOLLIN, OUT, RDHUP, HUP, ERR as tcp_poll() in Linux gives them. Lock-free. */
	uint32_t (*readiness)(const struct stack_socket *socket);
	/*
	 * Bytes readable now (FIONREAD); numbers not yet acknowledged by the peer (SIOCOUTQ): those
	 * of bytes, and a FIN's.
	 */
	size_t (*readable)(const struct stack_socket *socket);
	size_t (*unsent)(const struct stack_socket *socket);
	/*
	 * Bytes to read before the urgent one, 0 at the mark (SIOCATMARK); SIZE_MAX: there is none.
	 */
	size_t (*urgent)(const struct stack_socket *socket);

	/* Whether the peer's FIN has come: 1 or 0; -ESTALE, -EDEADLK as all calls. */
	int (*ended)(struct stack_socket *socket);
	/*
	 * Takes the error that SO_ERROR and the next call would tell, and leaves another one in its
	 * place; both positive, 0: none. Returns what it was, or a negative errno value as above.
	 */
	int (*exchange_error)(struct stack_socket *socket, int error);

	/* local or peer name in the socket's domain; -ENOTCONN for a peer that is not there. */
	int (*name)(struct stack_socket *socket, bool peer, struct sockaddr_storage *name);

	/*
	 * As getsockopt(2) and setsockopt(2). -ENOPROTOOPT for an option that the stack does not
	 * know, or of which it does not keep the value: preload then asks the twin. Known are the
	 * OPTION_STACK rows of option_table.h, and SO_TIMESTAMP for whether receive() takes times.
	 */
	int (*get_option)(struct stack_socket *socket, int level, int name, void *value,
			  socklen_t *length);
	int (*set_option)(struct stack_socket *socket, int level, int name, const void *value,
			  socklen_t length);

	/*
	 * Frames go into the ring from now on, both ways, until it is NULL or its reader shows no
	 * life (common/capture_ring.h): its memory stays until then, and until close() or abandon()
	 * at most. 0; -ENODEV: there is no device; -EDEADLK as all calls.
	 */
	int (*capture)(struct stack *stack, struct capture_ring *ring);
};

extern const struct stack_operations melin_stack_operations;

#endif
