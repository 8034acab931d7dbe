/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Host mode's privileged half: lends connections of the kernel's to a stack. Finds the path of a
 * connection, shows its frames on a packet socket (the tap), keeps them from the kernel meanwhile,
 * reads its state and puts it back. One face with two makers: lender_open(), for a process that has
 * the rights itself, and the broker's client (broker/client.h) for one that has none. Not for
 * deciding when to borrow, and not for what the stack does with frames.
 *
 * The life of a loan:
 *
 *	watch()    the path is found; the kernel serves the connection, frames of it are noticed
 *	borrow()   frames go to the tap and no longer to the kernel; its state comes out
 *	hold()     the tap goes quiet; what comes now is kept for the kernel (give() does it if need
 *	           be; called first, and the tap then emptied into the stack, no frame is lost)
 *	give()     the kernel has the connection again, and is told of a FIN or RST; watched again
 *	end()      hold(), give() and unwatch() at once, where each would have a price of its own
 *	unwatch()  forgotten; for connections that are watched only
 *
 * A connection may be borrowed and given back as often as one likes. Between borrow() and give()
 * the kernel's socket (the twin) is established, silent and in repair mode: the process must not
 * use it, nor may any other. If all processes that hold it end meanwhile it goes without a word,
 * and the peer's next segment is answered by a RST. Nothing of a lender outlives its process: the
 * tap, the map of connections and the programs at interfaces are held by descriptors alone.
 *
 * Threads: any, at any time; two calls on the same loan must not overlap. No call is a cancellation
 * point or touches errno. watch() and give() take a lock (tap_socket.c), so that the program's
 * signal handlers must be put off during all calls. A call takes microseconds and never waits for a
 * peer.
 *
 * After a fork the child calls abandon(), whatever other threads were doing, and may open a lender
 * of its own.
 */
#ifndef MELIN_LENDER_H
#define MELIN_LENDER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/connection_state.h"

/*
 * Why a connection stays in the kernel. REFUSAL_NONE: it does not. Stable numbers, which the
 * broker sends; new ones go to the end.
 */
enum refusal {
	REFUSAL_NONE,

	/* The connection cannot be lent now; another time it may be. */
	REFUSAL_UNSEEN,	    /* no frame of it has come by the tap since watch() */
	REFUSAL_BUSY,	    /* sent data is not acknowledged, or segments came out of order */
	REFUSAL_UNRESOLVED, /* way, interface or neighbour's MAC address are not there now */
	REFUSAL_FULL,	    /* 16384 connections are watched, or 63 processes on the interface */

	/* The connection cannot be lent for as long as it lives. */
	REFUSAL_STATE,	   /* not (or no longer) an established TCP connection */
	REFUSAL_LOCAL,	   /* the peer is this host: loopback, or an address of its own */
	REFUSAL_ROUTE,	   /* no route, or one through a tunnel that the route itself makes */
	REFUSAL_INTERFACE, /* the route's is no Ethernet interface, or has an MTU above 65521 */
	REFUSAL_ULP,	   /* TLS or another protocol in the kernel's socket, MPTCP or ECN */
	REFUSAL_FILTER,	   /* a socket filter of the program's own */
	REFUSAL_SIGNED,	   /* TCP MD5 or TCP-AO: segments bear a signature */
	REFUSAL_IPSEC,	   /* the host has IPsec policies */
	REFUSAL_TRACKED,   /* conntrack follows it and cannot be told that it will miss segments */
	REFUSAL_NAMESPACE, /* a socket of another network namespace than the lender's */

	/* No connection can be lent: this lender will never lend, or no lender can be had. */
	REFUSAL_RIGHTS, /* CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF (or CAP_SYS_ADMIN) are not there */
	REFUSAL_KERNEL, /* the kernel lacks programs at an interface's tcx ingress (Linux 6.6) */
	REFUSAL_BROKER, /* the broker does not answer */

	REFUSAL_FAILED, /* a system call failed in a way that is not expected */
	REFUSAL_BUFFER, /* as STATE to TRACKED: its receive buffer is too small */

	REFUSAL_VERSION,     /* as RIGHTS: the broker is of another version; its client says so */
	REFUSAL_RESTING,     /* now: lender_rest() was called, and lender_wake() was not yet */
	REFUSAL_NO_START,    /* as FAILED: said by who has no lender, since no stack could start */
	REFUSAL_DESCRIPTORS, /* now: the process, or the system, has no descriptor left */
	REFUSAL_COUNT,
};

/* A refusal in words, for the log: "no frame of it has been seen". A static string; any thread. */
const char *refusal_text(enum refusal refusal);

/* Whether it is worth asking again for the same connection, some milliseconds later. */
bool refusal_is_passing(enum refusal refusal);

/*
 * The four-tuple as frames bear it, and the interface at which they come in. All in network order
 * but the interface; IPv4 addresses in the first four bytes, also those of IPv4-mapped sockets, and
 * the rest 0. The remote end is the sender of the frames that come in. This is the key of the map
 * that the programs look into: no padding.
 */
struct loan_tuple {
	uint8_t remote[16], local[16];
	uint16_t remote_port, local_port;
	uint32_t interface;
	uint32_t family; /* AF_INET, AF_INET6 */
};

enum loan_state {
	LOAN_NONE, /* never watched, or unwatched */
	LOAN_WATCHED,
	LOAN_BORROWED,
	LOAN_HELD,
};

/*
 * One connection of a lender's. The memory is the caller's, for as long as the connection is
 * watched; zeroed before the first watch(). Only the lender writes to it, but for closes. What the
 * caller may read: state, and from watch() on path.
 */
struct loan {
	enum loan_state state;
	struct connection_path path;
	struct loan_tuple tuple;
	uint32_t broker; /* the client's: which of its brokers, counted */
	uint64_t token; /* whose entry of the map it is: tuples come back; the client's: its name */
	/*
	 * Set by who closes the socket behind give(): data that comes meanwhile is lost, as on a
	 * wire, since it would be unread data, for which the kernel resets instead of closing.
	 */
	bool closes;
};

struct lender;

struct lender_operations {
	int (*tap)(struct lender *lender);
	enum refusal (*watch)(struct lender *lender, int descriptor, struct loan *loan);
	enum refusal (*borrow)(struct lender *lender, int descriptor, struct loan *loan,
			       struct connection_state *state);
	int (*hold)(struct lender *lender, struct loan *loan);
	int (*give)(struct lender *lender, int descriptor, struct loan *loan,
		    const struct connection_state *state);
	int (*end)(struct lender *lender, int descriptor, struct loan *loan,
		   const struct connection_state *state);
	int (*leave)(struct lender *lender, int descriptor, struct loan *loan,
		     const struct connection_state *state);
	void (*settle)(struct lender *lender);
	void (*unwatch)(struct lender *lender, struct loan *loan);
	int (*rest)(struct lender *lender, bool rests);
	int (*open_rules)(struct lender *lender);
	int (*witness)(struct lender *lender, const char *path);
	bool (*is_gone)(const struct lender *lender);
	enum refusal (*renew)(struct lender *lender, int (*replace)(void *context, int tap),
			      void *context);
	void (*close)(struct lender *lender);
	void (*abandon)(struct lender *lender);
};

/* The first member of a maker's own structure. */
struct lender {
	const struct lender_operations *operations;
};

/*
 * The maker for a process that has the rights: CAP_NET_RAW for the tap and CAP_BPF (or
 * CAP_SYS_ADMIN) for its filter now, CAP_NET_ADMIN now and at each borrow(), give() and first use
 * of an interface; for connections of a port below 1024 CAP_NET_BIND_SERVICE, too. The rights of
 * the calling thread count. REFUSAL_NONE and *lender; or why not: REFUSAL_RIGHTS, REFUSAL_KERNEL,
 * REFUSAL_FAILED; REFUSAL_DESCRIPTORS: later there may be one.
 *
 * It lends connections of the calling thread's network namespace. A process may open several (the
 * broker has one for each client): each has its own tap, which shows its own connections only, and
 * they share what is attached to interfaces. The descriptors are close-on-exec, and have numbers of
 * melin's own (own_descriptor()).
 */
enum refusal lender_open(struct lender **lender);
/* Whether the calling thread has the rights of such a lender, but for that of ports below 1024. */
bool lender_has_rights(void);

/*
 * The tap: a packet socket for all interfaces, non-blocking, with PACKET_VNET_HDR (each frame has a
 * struct virtio_net_hdr in front; large segments as GRO made them; checksums may be unfinished),
 * PACKET_IGNORE_OUTGOING. Frames begin with the Ethernet header, without a VLAN tag. The tap shows
 * whole frames of borrowed connections alone, from whatever time borrow() was called at, some of
 * which the kernel had as well (the state comes after them), and the first fragments of fragmented
 * ones, whose others never come: such a connection is to be given back. Frames are sent by the tap,
 * too. Its filter is locked (SO_LOCK_FILTER). The descriptor is the lender's: it is not to be
 * closed.
 */
static inline int lender_tap(struct lender *lender)
{
	return lender->operations->tap(lender);
}

/*
 * Starts a loan: finds the path of the established connection and has its frames noticed. The
 * kernel goes on serving the connection, and nothing of it changes. A loan that is
 * watched already is watched anew, for the path and for being seen. REFUSAL_NONE, or why not; the
 * loan is then LOAN_NONE. Not for a loan that is borrowed. REFUSAL_RESTING: lender_wake() first.
 */
static inline enum refusal lender_watch(struct lender *lender, int descriptor, struct loan *loan)
{
	return lender->operations->watch(lender, descriptor, loan);
}

/*
 * Takes a watched connection from the kernel. No other thread or process may be inside a call on
 * the descriptor. On REFUSAL_NONE *state is the caller's (connection_state_clear()), with the path,
 * and SO_KEEPALIVE and SO_REUSEADDR of the socket are off (they are in the state). Else
 * the connection is the kernel's as it was, *state is empty, and the loan is watched still, unless
 * the refusal says that it will never be lent.
 *
 * A connection is proved to be fit by its own frames: one of them, whose sequence numbers are the
 * connection's, must have come by the tap since watch(), or REFUSAL_UNSEEN is returned. So what is
 * translated (NAT), decrypted or decapsulated on its way to the socket is never borrowed.
 */
static inline enum refusal lender_borrow(struct lender *lender, int descriptor, struct loan *loan,
					 struct connection_state *state)
{
	return lender->operations->borrow(lender, descriptor, loan, state);
}

/*
 * To be called before the stack is asked for the connection's state: frames that come from now on
 * are kept (256 KiB for all loans) until give() hands them to the kernel. The tap still has those
 * that came before, which the stack should take. Many loans may be held at a time. 0, or a negative
 * errno value: give() must follow all the same.
 */
static inline int lender_hold(struct lender *lender, struct loan *loan)
{
	return lender->operations->hold(lender, loan);
}

/*
 * Gives a borrowed connection back to the kernel, in the state that it has now; *state stays the
 * caller's. Frames of it do not reach the kernel until it has the connection: no RST is sent.
 * Afterwards the kernel is handed what came since hold(), and a FIN or RST as remote_closed and
 * remote_reset say, as if the peer had sent it just now. What was unsent is sent, and nothing
 * else: not the acknowledgement of data that the stack owes, which it should have sent.
 * The loan is watched again, and seen. A connection that has been destroyed meanwhile (ss -K) is so
 * once more, with a RST for the peer, when the kernel has it.
 *
 * 0; or a negative errno value: the connection is lost (the socket is closed as by connect(2) with
 * AF_UNSPEC, the peer will be answered by a RST), and the loan is LOAN_NONE. -EPERM: the rights
 * are gone; nothing has been changed, the loan is borrowed still, and another maker's give() or
 * another thread with the rights may succeed.
 */
static inline int lender_give(struct lender *lender, int descriptor, struct loan *loan,
			      const struct connection_state *state)
{
	return lender->operations->give(lender, descriptor, loan, state);
}

/* Whether the lender has lender_end(). One has it whose calls wait for another process each. */
static inline bool lender_may_end(const struct lender *lender)
{
	return lender->operations->end;
}

/*
 * For a connection whose socket is closed next: hold(), give() and unwatch() in one, as give() says
 * but for the loan, which is LOAN_NONE afterwards, unless it returns -EPERM. A frame that has come
 * to the tap since the stack has looked at it last is lost, as on a wire: the peer sends it again,
 * to a socket that is closed.
 */
static inline int lender_end(struct lender *lender, int descriptor, struct loan *loan,
			     const struct connection_state *state)
{
	return lender->operations->end(lender, descriptor, loan, state);
}

/*
 * As lender_end(), and nobody is waited for as a rule: the broker has the socket when this returns,
 * and closes it after the caller has, when it has given the connection back. So the connection may
 * be established for some microseconds more, and close(2) does not wait for what SO_LINGER says.
 */
static inline int lender_leave(struct lender *lender, int descriptor, struct loan *loan,
			       const struct connection_state *state)
{
	return lender->operations->leave(lender, descriptor, loan, state);
}

/* Waits until the broker has closed what was left to it: it may end with the program. */
static inline void lender_settle(struct lender *lender)
{
	if (lender->operations->settle)
		lender->operations->settle(lender);
}

/*
 * Forgets a watched connection; the socket may be closed already. A loan that is still borrowed or
 * held is forgotten as well: its frames go to the kernel. LOAN_NONE afterwards; doing it twice is
 * nothing.
 */
static inline void lender_unwatch(struct lender *lender, struct loan *loan)
{
	lender->operations->unwatch(lender, loan);
}

/*
 * For a borrowed connection that nobody can give back any more (give(): -EPERM): the kernel's
 * socket would stay established for ever, and silent. This closes it, as connect(2) with AF_UNSPEC
 * does, so that who polls it finds out, and takes no rights. The peer gets a RST by the tap, and
 * another one for each segment that it sends afterwards. The socket stays in repair mode, in which
 * recv(2) fails with EPERM. The loan is LOAN_NONE afterwards.
 */
void lender_dissolve(struct lender *lender, int descriptor, struct loan *loan,
		     const struct connection_state *state);

/*
 * While nothing is watched the lender may rest, which spares each frame of the host what the tap
 * costs it, some 100 ns, and what the program at its interface does. 0; or a negative errno value:
 * -EBUSY: something is watched. Waits some 10 ms, for all processors, as lender_wake() does, after
 * which loans may be had again: one thread at a time calls the two.
 */
static inline int lender_rest(struct lender *lender)
{
	return lender->operations->rest(lender, true);
}
static inline int lender_wake(struct lender *lender)
{
	return lender->operations->rest(lender, false);
}

/*
 * A socket that becomes readable when rules of nft(8) change (nfnetlink's group NFTABLES), which
 * takes CAP_NET_ADMIN: borrowed connections do not pass them. What comes by the socket is not to be
 * looked at: from a broker it is a byte that tells nothing of the rules. When the broker ends,
 * recv(2) returns 0. The socket is the caller's; or a negative errno value, where nothing of that
 * kind is to be had.
 */
static inline int lender_open_rules(struct lender *lender)
{
	return lender->operations->open_rules(lender);
}

/*
 * Whether the lender cannot lend any more, since its broker has gone. Its loans end as client.h
 * says of give(); connections that were only watched are watched no longer. Costs a read of memory.
 */
static inline bool lender_is_gone(const struct lender *lender)
{
	return lender->operations->is_gone && lender->operations->is_gone(lender);
}

/*
 * Asks whether there is a broker again. If there is, replace(context, tap) is called, once, and has
 * to make the number of lender_tap() the new tap's, whose descriptor is closed afterwards; it
 * returns 0, or a negative errno value: then the lender waits for the next renewal, whatever has
 * become of the number. REFUSAL_NONE: there is a broker, and the tap is as new as after the
 * opening. Else the broker is gone still: REFUSAL_BUSY, because loans of the broker that has gone
 * come by its tap, or because it never had a broker; REFUSAL_FAILED: replace() has failed. May wait
 * for the broker.
 */
static inline enum refusal lender_renew(struct lender *lender,
					int (*replace)(void *context, int tap), void *context)
{
	return lender->operations->renew ? lender->operations->renew(lender, replace, context)
					 : REFUSAL_BUSY;
}

/*
 * Has a process, melin-broker's program at that path, wait for the end of this one and make the
 * peers ask of what is borrowed then (witness.h). Before the first loan; takes half a millisecond.
 * 0, also where a broker does it anyway; or a negative errno value: there is none.
 */
static inline int lender_witness(struct lender *lender, const char *path)
{
	return lender->operations->witness ? lender->operations->witness(lender, path) : 0;
}

/* Gives up the lender and its memory. What is still borrowed is lost to the stack, not reset. */
static inline void lender_close(struct lender *lender)
{
	lender->operations->close(lender);
}

/*
 * In the child of a fork, which has copies of the parent's lender: closes the child's descriptors
 * and does nothing to what they stand for. Takes no lock, and frees nothing.
 */
static inline void lender_abandon(struct lender *lender)
{
	lender->operations->abandon(lender);
}

#endif
