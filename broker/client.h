/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The maker of a lender (lender.h) for a process that has not the rights itself: asks melin-broker.
 * Not for starting that (broker_start.h).
 *
 * Each operation of such a lender but unwatch(), close() and abandon() waits for the broker's
 * answer: for microseconds, and for BROKER_PATIENCE at most, or several times that while something
 * is lent. A broker that has gone or does not answer in time is not asked again before renew():
 *
 *	watch(), borrow()  REFUSAL_BROKER. The connection is the kernel's, as it was.
 *	                   borrow(): REFUSAL_STATE, if the broker went in the middle of it; the
 *	                   connection is lost, its socket closed, and its peer reset.
 *	hold()             -EPERM; the tap goes on as before.
 *	give()             -EPERM, and nothing has been changed. The stack goes on with the
 *	                   connection: the tap is this process's and does not depend on the
 *	                   broker, and the twin stays silent. Nobody can give it back any more: it
 *	                   takes CAP_NET_ADMIN to end a socket's repair mode.
 *	                   -EIO: the broker went in the middle of it, or has not come out of
 *	                   it for twice as long as else; the connection is lost, its socket
 *	                   closed, and its peer reset. If it went after the last step, 0 and
 *	                   LOAN_NONE; of one that is only late nobody can see whether the
 *	                   kernel gets the frames again.
 */
#ifndef MELIN_CLIENT_H
#define MELIN_CLIENT_H

#include "broker/lender.h"

/*
 * Milliseconds. An answer takes some microseconds; on a machine so loaded that it takes this long
 * the broker is as good as dead for a client that has no loans.
 */
#define BROKER_PATIENCE 2000

/*
 * A client that has loans waits longer by this factor: without the broker nobody could give them
 * back, and each would end with a reset.
 */
#define BROKER_PATIENCE_LENT 5

/*
 * Milliseconds for the first answer: a broker that is a service may have to be started for it,
 * among many others when the host has just come up. Nothing but a start of the stack waits for it.
 */
#define BROKER_START_PATIENCE 20000

/*
 * Makes a lender for this process, which must be in the broker's network namespace. door is from
 * broker_start(), here or in a process that this one descends from; -1: the broker that serves the
 * host at BROKER_SOCKET, if this process may connect to that. REFUSAL_NONE and *lender; or
 * REFUSAL_RIGHTS: there is no broker that this process may ask; REFUSAL_BROKER: it does not answer;
 * REFUSAL_VERSION: it is another version's; or why the broker cannot lend. A lender's descriptors
 * are close-on-exec and have numbers of melin's own. Any thread, also of a process that has been
 * forked since; may wait for the broker to begin. errno is as before.
 */
enum refusal lender_connect(int door, struct lender **lender);

#endif
