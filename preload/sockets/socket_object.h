/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What melin knows of a TCP socket of the program: whose its flow is (nobody's yet, the stack's or
 * the kernel's), its twin, and the calls on it, which block as Linux's do. The interposed functions
 * (calls_*.c) are thin wrappers over this and over flow.h. Not for epoll and poll (epoll.h,
 * poll.h).
 *
 * The twin is the real kernel socket whose descriptor the program holds.
 */
#ifndef MELIN_SOCKET_H
#define MELIN_SOCKET_H

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "preload/descriptors/descriptors.h"
#include "broker/lender.h"
#include "preload/process/process_stack.h"
#include "preload/sockets/borrow_info.h"
#include "preload/sockets/borrow_policy.h"
#include "common/option_table.h"
#include "preload/libc/cancellation.h"
#include "preload/libc/signals.h"
#include "preload/waiting/wait.h"

/* Of one byte: what each transfer looks at has little room. */
enum __attribute__((packed)) socket_state {
	SOCKET_UNDECIDED,  /* connect() or listen() will decide; until then the twin is all */
	SOCKET_DECIDING,   /* a thread is deciding it in connect() or listen() */
	SOCKET_KERNEL,	   /* it is libc's for good */
	SOCKET_PENDING,	   /* a selected listener: the stack starts at its first use (listener.h) */
	SOCKET_AWAITING,   /* it was used, and another process has the device */
	SOCKET_LISTENER,   /* the stack listens */
	SOCKET_CONNECTION, /* the stack connects or is connected */
	/* Host mode (borrow.h): */
	SOCKET_LENDABLE, /* the kernel carries it, and the stack may borrow it */
	SOCKET_CHANGING, /* a thread is changing who carries it; all others wait for that */
};

/* Who else may have the twin, as far as melin knows. It only ever rises. */
enum twin_reach {
	TWIN_OURS,   /* nobody */
	TWIN_FORKED, /* a process on the other side of a fork() */
	TWIN_PASSED, /* whoever is at the other end of a Unix socket: perhaps without melin */
};

/* What a socket has only as a listener: listener.c's, but for the last three. */
struct listener {
	bool dual;   /* its twin serves connections too, of the kernel's */
	int backlog; /* for the start */
	/* It is dual, and a fork() has given it to two processes: until this one uses it. */
	_Atomic bool shared;
	struct socket *next_pending; /* pending_lock in pending.c */
	_Atomic uint64_t acceptor;   /* who asks a twin that blocks: transfer.c */
	unsigned turn; /* of both halves, whose it is: transfer.c; races are harmless */
};

struct socket {
	struct object object;
	/*
	 * Whoever changes it stores it with release after the members below. The acquire in
	 * socket_is_stacks() pairs with that.
	 */
	_Atomic enum socket_state state;
	/*
	 * What each transfer looks at comes first, up to the loan's state in the second cache line:
	 * with a thousand connections none of it is in the cache.
	 */
	/* MELIN_REQUIRED, and no stack carries it: the next accept() says so, or each call. */
	_Atomic bool failed;
	_Atomic bool borrowed; /* host mode, CONNECTION: the twin is established and silent */
	_Atomic bool nonblocking;
	_Atomic bool low_water; /* SO_RCVLOWAT was set: a read may have to wait for more */
	const struct instance *instance;
	struct stack_socket *handle;
	struct borrow_policy policy; /* host mode */
	struct loan loan;	     /* host mode */
	int domain;
	bool v6only;
	/* CONNECTION: bound anew since its end, so that the twin has its name. */
	_Atomic bool rebound;
	_Atomic enum twin_reach reach;
	_Atomic int descriptor; /* of a listener: one of the twin, updated on close and dup */
	bool kept; /* that is a duplicate of melin's, for the calls on a listener that is closed */
	uint64_t twin_options_set[(OPTION_ROWS + 63) /
				  64]; /* which the program has set: a bit for each row */
	/*
	 * What recvmsg() tells beside the data (ancillary.c): the numbers of the control messages
	 * that tell when the data came, 0 for none, and whether one tells how much is left.
	 */
	struct {
		uint8_t stamp, times;
		bool readable;
	} ancillary;
	_Atomic uint64_t receive_timeout,
		send_timeout;	       /* SO_RCVTIMEO, SO_SNDTIMEO in ns; 0: none */
	_Atomic int owner;	       /* F_SETOWN's: who gets SIGURG; 0: nobody */
	_Atomic bool signals;	       /* O_ASYNC: the owner gets a signal when it is ready, too */
	_Atomic int signal;	       /* F_SETSIG: that signal; 0: SIGIO */
	_Atomic int signal_descriptor; /* by which O_ASYNC was set; the signal tells it */
	struct listener listener;

	/* Host mode, borrow.c's, as borrowed and loan: only CHANGING's thread writes to them. */
	_Atomic bool held;	   /* another process may have it, too */
	_Atomic bool inherited;	   /* this process had it when it began */
	_Atomic bool awaited;	   /* the program was seen to wait for it (rings.h) */
	_Atomic bool wanted;	   /* the stack wants it to be given back: it is in that list */
	bool was_borrowed, chosen; /* once; a rule takes it */
	bool reuse_address;	 /* SO_REUSEADDR of the twin, for the time when it is given back */
	uint8_t refusal;	 /* enum refusal, the last one */
	uint32_t borrowed_since; /* status_now() of the last time */
	uint32_t path_changes;	 /* of the stack, when the loan's path was found */
	struct borrow_info info;
	struct socket *next_wanted;
};

_Static_assert(offsetof(struct socket, loan.state) < 128, "two cache lines");

/* A reference to the socket if socket_is_stacks(), or NULL. */
struct socket *socket_get(int descriptor);
/* The same at the start of a call that is a cancellation point (cancellation.h). */
static inline struct socket *socket_get_at_point(int descriptor)
{
	if (descriptor_known(descriptor))
		cancellation_point();
	return socket_get(descriptor);
}
/*
 * Whether the flow is the stack's. A connection that was inherited by fork() is not, which is
 * logged once in a process, with the descriptor.
 */
bool socket_is_stacks(const struct socket *socket, int descriptor);
/* Waits until nobody is changing its carrier, and returns the state then. */
enum socket_state socket_settled(const struct socket *socket);
/* A reference to the socket in any state, or NULL if melin knows nothing of it. */
struct socket *socket_get_any(int descriptor);
/* The same at the start of a call that is a cancellation point. */
static inline struct socket *socket_get_any_at_point(int descriptor)
{
	if (__builtin_expect(!descriptor_known(descriptor), 1))
		return NULL;
	cancellation_point();
	return socket_get_any(descriptor);
}
/*
 * For walks over all that melin knows: the same for the first descriptor from *descriptor on that
 * has a socket, which *descriptor is then, or NULL.
 */
struct socket *socket_get_next(int *descriptor);
static inline void socket_put(struct socket *socket)
{
	object_put(&socket->object);
}

/*
 * Ends a call: gives back its only reference, after which the handlers of signals that have arrived
 * meanwhile run. Returns result, or -ERESTART if the call has to begin anew, with the descriptor,
 * which may be something else by then.
 */
static inline ssize_t socket_leave(struct socket *socket, ssize_t result)
{
	const unsigned interrupting = signals_thread.interrupting;

	socket_put(socket);
	return signals_outcome(result, interrupting);
}

/*
 * What socket_leave() returned, and what a call that began in the stack finds that has ended there.
 */
static inline bool begins_anew(ssize_t result)
{
	return __builtin_expect(result == -ERESTART || result == -ESTALE, 0);
}

/* Whether the stack has it now: a handle may be left of one that was borrowed (borrow.h). */
bool socket_is_carried(const struct socket *socket);
/* The stack that carries it. NULL: there is none yet, or it is the parent's before a fork(). */
const struct instance *socket_instance(const struct socket *socket);

/*
 * Sets and clears O_NONBLOCK of the twin, whatever the program has set. Once a listener is the
 * stack's the twin must not block, since melin waits for both halves. But if the twin has been
 * passed to another program (TWIN_PASSED), which may rely on its blocking, the first function does
 * nothing. No lock is needed; errno may change; a failure is not reported.
 */
void socket_make_twin_nonblocking(struct socket *socket);
void socket_make_twin_blocking(struct socket *socket);

/*
 * The program has made a socket that may become the stack's (socket_candidate() in rules.h): melin
 * remembers it until its flow is decided.
 */
void socket_created(int descriptor, int domain);

/* A socket in state UNDECIDED that is in no table yet, with one reference. NULL: no memory. */
struct socket *socket_allocate(int domain);
/* The same for a descriptor that came by a way melin did not see. NULL, too: no candidate. */
struct socket *socket_allocate_for(int descriptor);

/* TCP_ESTABLISHED and the like, of the kernel's socket; TCP_CLOSE for what is none of TCP's. */
unsigned char socket_state_in_kernel(int descriptor);

/*
 * The flow is libc's for good. The socket is forgotten, so that calls on it cost a look at the
 * table and no more.
 */
void socket_leave_to_kernel(struct socket *socket, int descriptor);

/*
 * The calls of the program. They wait if the socket and flags say so, and return 0, a count or
 * -errno. socket_send() raises SIGPIPE.
 */
int socket_accept(struct socket *socket, struct sockaddr *peer, socklen_t *length, int flags);
ssize_t socket_receive(struct socket *socket, const struct iovec *iov, size_t count, int flags);
/* What a splice(2) could take, by MSG_PEEK. -ENODATA: an urgent byte comes first. */
ssize_t socket_look_for_splice(struct socket *socket, const struct iovec *iov, size_t count);
ssize_t socket_send(struct socket *socket, const struct iovec *iov, size_t count, int flags);
int socket_shutdown(struct socket *socket, int descriptor, int how);
int socket_name(struct socket *socket, int descriptor, bool peer, struct sockaddr *name,
		socklen_t *length);

/*
 * What a call that moves bytes returns when a handler has ended its system call, -EINTR, before
 * anything was moved. By signal(7) it begins anew after one with SA_RESTART (-ERESTART,
 * socket_leave()), unless it has a time-out.
 */
ssize_t socket_interrupted(const struct socket *socket, bool receives);

/*
 * What the kernel's socket of that number is bound to, in both forms; the port is in host order.
 * False: it is no socket, or not bound to an address that a stack could have.
 */
bool socket_local_name(int descriptor, struct sockaddr_storage *name, struct ip_address *address,
		       uint16_t *port);
/* Copies a name to the program. 0, -EFAULT or -EINVAL. */
int socket_copy_name(const struct sockaddr_storage *from, struct sockaddr *name, socklen_t *length);

/*
 * Waits for one of the EPOLL* events. 1; 0 when the deadline has passed; -EINTR or -ERESTART as
 * wait_for(). It is a cancellation point, and gives the caller's reference back when the thread is
 * cancelled.
 */
int socket_wait(struct socket *socket, uint32_t events, uint64_t deadline);
/* Waits for one of the events, without a deadline; signals do not end the wait. */
void socket_wait_deaf(struct socket *socket, uint32_t events);
/*
 * Waits until the peer has acknowledged all that was sent but so much, a FIN counted as a byte. It
 * is no cancellation point.
 */
void socket_wait_sent(struct socket *socket, size_t left, uint64_t deadline);

/*
 * Ends the sending of all connections of this process: each sends its FIN, and it is waited until
 * the peers have acknowledged everything, or until the deadline. They can still receive.
 */
void socket_finish_all(uint64_t deadline);

/*
 * The EPOLL* bits of the stack's half. It takes no lock, and does not ask a dual listener's twin.
 */
uint32_t socket_readiness(const struct socket *socket);

/* The stack tells of an event: stack_callbacks.event. */
void socket_event(void *user, uint32_t events);

/* For the table of descriptors and the calls that wait. */
extern const struct object_operations socket_operations;

#endif
