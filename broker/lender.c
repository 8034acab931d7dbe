/* SPDX-License-Identifier: BSD-3-Clause */
/* lender.h's maker for a process that has the rights itself. */
#include "broker/lender.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "broker/witness.h"
#include "broker/injection.h"
#include "broker/ipsec.h"
#include "broker/repair.h"
#include "broker/route.h"
#include "broker/tap_socket.h"
#include "broker/tracking.h"
#include "common/own_descriptor.h"
#include "common/system_call.h"

/*
 * How far the last frame that was noticed may be behind, or in front of, what the socket says:
 * more than any window that is usual, and little beside the 4 GiB of numbers.
 */
#define NUMBERS_NEAR (16u << 20)

struct own_lender {
	struct lender lender;
	struct tap tap;
	struct witness witness;
	uint64_t namespace; /* SO_NETNS_COOKIE */
	/* Protects the sockets below. A leaf but for the system calls that wait for an answer. */
	pthread_mutex_t path_lock;
	struct routes routes;
	struct netlink ipsec;
	struct tracking tracking;
};

static struct own_lender *own_of(struct lender *lender)
{
	return (struct own_lender *)lender;
}

static uint64_t namespace_of(int descriptor)
{
	uint64_t cookie = 0;

	kernel_get_option(descriptor, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, sizeof(cookie));
	return cookie;
}

static int tap_of(struct lender *lender)
{
	return own_of(lender)->tap.socket;
}

/* ---- rights ---- */

bool lender_has_rights(void)
{
	return kernel_has_right(CAP_NET_ADMIN) && kernel_has_right(CAP_NET_RAW) &&
	       (kernel_has_right(CAP_BPF) || kernel_has_right(CAP_SYS_ADMIN));
}

/* An accepted socket has to be bound to its port when it is given back for the first time. */
static bool may_give_back(const struct loan_tuple *tuple)
{
	return ntohs(tuple->local_port) >= IPPORT_RESERVED ||
	       kernel_has_right(CAP_NET_BIND_SERVICE);
}

/* ---- watching ---- */

static void unwatch(struct lender *lender, struct loan *loan)
{
	if (loan->state == LOAN_BORROWED || loan->state == LOAN_HELD)
		witness_forget(&own_of(lender)->witness, loan);
	if (loan->state != LOAN_NONE)
		tap_remove(&loan->tuple, loan->token);
	loan->state = LOAN_NONE;
}

/*
 * Asks the kernel for the connection's path, and tells its tracking of connections that it will
 * miss segments.
 */
static enum refusal find_path(struct own_lender *own, int descriptor, struct loan *loan)
{
	enum refusal refusal;

	pthread_mutex_lock(&own->path_lock);
	refusal = route_find(&own->routes, descriptor, &loan->path, &loan->tuple);
	if (refusal == REFUSAL_NONE && ipsec_has_policies(&own->ipsec))
		refusal = REFUSAL_IPSEC;
	refusal = refusal ?: tracking_tell(&own->tracking, &loan->tuple);
	pthread_mutex_unlock(&own->path_lock);
	return refusal;
}

static enum refusal watch(struct lender *lender, int descriptor, struct loan *loan)
{
	struct own_lender *own = own_of(lender);
	enum refusal refusal;

	unwatch(lender, loan);
	if (tap_rests(&own->tap))
		return REFUSAL_RESTING;
	if (namespace_of(descriptor) != own->namespace)
		return REFUSAL_NAMESPACE;
	refusal = find_path(own, descriptor, loan);
	refusal = refusal ?: tap_add(&own->tap, &loan->tuple, &loan->token);
	if (refusal == REFUSAL_NONE)
		loan->state = LOAN_WATCHED;
	return refusal;
}

/* ---- borrowing ---- */

static enum refusal refusal_of_repair(int error)
{
	static const enum refusal refusals[] = {
		[REPAIR_FIT] = REFUSAL_NONE,	  [REPAIR_RIGHTS] = REFUSAL_RIGHTS,
		[REPAIR_STATE] = REFUSAL_STATE,	  [REPAIR_BUSY] = REFUSAL_BUSY,
		[REPAIR_ULP] = REFUSAL_ULP,	  [REPAIR_FILTER] = REFUSAL_FILTER,
		[REPAIR_BUFFER] = REFUSAL_BUFFER, [REPAIR_FAILED] = REFUSAL_FAILED,
	};

	return refusals[repair_refusal_of(error)];
}

static bool is_near(uint32_t number, uint32_t other)
{
	return number - other < NUMBERS_NEAR || other - number < NUMBERS_NEAR;
}

/*
 * The frame may be another connection's that has the same tuple on the wire, while this one's are
 * translated: its numbers tell. Or the socket has not got its data: a firewall may have dropped it.
 */
static bool was_seen(const struct tap_slot *slot, const struct connection_state *state)
{
	return state->receive_next - slot->end < NUMBERS_NEAR &&
	       is_near(ntohl(slot->acknowledgment), state->send_unacknowledged);
}

static enum refusal take(struct tap_slot *slot, int descriptor, struct connection_state *state)
{
	int error = repair_take(descriptor, tap_silencer(), state);

	if (error)
		return refusal_of_repair(error);
	if (was_seen(slot, state))
		return REFUSAL_NONE;
	repair_cancel(descriptor, state);
	connection_state_clear(state);
	return REFUSAL_UNSEEN;
}

/* After the last segment that the tracking sees, which sets its time-out. */
static void keep_tracked(struct own_lender *own, const struct loan_tuple *tuple)
{
	pthread_mutex_lock(&own->path_lock);
	if (tracking_is_used(&own->tracking))
		tracking_keep(&own->tracking, tuple);
	pthread_mutex_unlock(&own->path_lock);
}

static enum refusal borrow(struct lender *lender, int descriptor, struct loan *loan,
			   struct connection_state *state)
{
	struct tap_slot *slot = loan->state == LOAN_WATCHED ? tap_entry(loan->token) : NULL;
	enum refusal refusal;
	uint32_t seen;

	memset(state, 0, sizeof(*state));
	if (!slot)
		return REFUSAL_UNSEEN;
	if (!may_give_back(&loan->tuple))
		return REFUSAL_RIGHTS;
	seen = __atomic_load_n(&slot->seen, __ATOMIC_RELAXED);
	if (seen & TAP_SEEN_SIGNED)
		return REFUSAL_SIGNED;
	if ((seen & TAP_SEEN) != TAP_SEEN)
		return REFUSAL_UNSEEN;
	/*
	 * First both the tap and the kernel have the frames, so that none is missed. The stack
	 * finds those old that are in the state already.
	 */
	tap_change(slot, TAP_PASSED);
	refusal = take(slot, descriptor, state);
	tap_change(slot, refusal == REFUSAL_NONE ? TAP_BORROWED : TAP_WATCHED);
	if (refusal)
		return refusal;
	loan->state = LOAN_BORROWED;
	witness_note(&own_of(lender)->witness, loan, state);
	keep_tracked(own_of(lender), &loan->tuple);
	state->path = loan->path;
	return REFUSAL_NONE;
}

/* ---- giving back ---- */

static int hold(struct lender *lender, struct loan *loan)
{
	const bool is_borrowed = loan->state == LOAN_BORROWED || loan->state == LOAN_HELD;
	struct tap_slot *slot = is_borrowed ? tap_entry(loan->token) : NULL;

	(void)lender;
	if (!slot)
		return -EINVAL;
	tap_change(slot, TAP_HELD);
	loan->state = LOAN_HELD;
	return 0;
}

/*
 * How often frames that have come meanwhile are looked for: answers to what was injected, for one.
 */
#define KEPT_LOOKS 4

/* What is done with a frame that was kept. */
static void (*visitor_of(const struct loan *loan))(const struct tap_kept *kept)
{
	return loan->closes ? injection_kept_bare : injection_kept;
}

/*
 * Injected frames pass although the connection is held, so that those that were kept come before
 * those that are not. Behind a RST none is wanted. A thread that has gone to another network
 * namespace cannot inject.
 */
static void tell(const struct loan *loan, const struct connection_state *state)
{
	unsigned kept = 0, count;

	injection_end(loan, state);
	for (int i = 0; i < KEPT_LOOKS && kept < TAP_FLOOD && !state->remote_reset; i++) {
		count = tap_visit_kept(loan->token, visitor_of(loan));
		if (!count)
			break;
		kept += count;
	}
	if (kept >= TAP_FLOOD)
		tap_visit_kept(loan->token, NULL);
}

/* The kernel has the connection, and gets its frames from the next one on. */
static void watch_again(struct loan *loan, const struct connection_state *state)
{
	tap_change(tap_entry(loan->token), TAP_WATCHED);
	loan->state = LOAN_WATCHED;
	tap_visit_kept(loan->token, state->remote_reset ? NULL : visitor_of(loan));
}

/* The socket has the connection but for urgent data. The connection is held. */
static int give_urgent(int descriptor, const struct loan *loan,
		       const struct connection_state *state)
{
	if (repair_has_mark(state)) {
		injection_urgent(loan, state);
		return repair_give_rest(descriptor, state);
	}
	if (state->urgent == CONNECTION_URGENT_AWAITED)
		injection_urgent(loan, state);
	return 0;
}

/* A peer that only waits would wait for ever. */
static void reset_peer(struct lender *lender, const struct loan *loan,
		       const struct connection_state *state)
{
	if (!state->remote_reset)
		injection_reset_peer(lender_tap(lender), &loan->path, state);
}

static int give(struct lender *lender, int descriptor, struct loan *loan,
		const struct connection_state *state)
{
	const bool is_destroyed = repair_is_destroyed(descriptor);
	int error = hold(lender, loan);

	if (error)
		return error;
	error = repair_give(descriptor, state);
	if (error == -EPERM) {
		tap_change(tap_entry(loan->token), TAP_BORROWED);
		loan->state = LOAN_BORROWED;
		return error;
	}
	error = error ?: give_urgent(descriptor, loan, state);
	if (error) {
		reset_peer(lender, loan, state);
		unwatch(lender, loan);
		return error;
	}
	if (is_destroyed)
		repair_destroy(descriptor);
	witness_forget(&own_of(lender)->witness, loan);
	tell(loan, state);
	watch_again(loan, state);
	return 0;
}

static int rest(struct lender *lender, bool rests)
{
	struct tap *tap = &own_of(lender)->tap;

	return rests ? tap_rest(tap) : tap_wake(tap);
}

/* ---- the lender ---- */

static int open_rules(struct lender *lender)
{
	(void)lender;
	return netlink_subscribe(NETLINK_NETFILTER, NETLINK_GROUP(NFNLGRP_NFTABLES));
}

static void close_sockets(struct own_lender *own)
{
	routes_close(&own->routes);
	netlink_close(&own->ipsec);
	tracking_close(&own->tracking);
}

/*
 * A socket of NETLINK_XFRM is not to be had where the kernel has no IPsec, nor if there is no
 * descriptor left: then policies must not be overlooked.
 */
static enum refusal open_sockets(struct own_lender *own)
{
	const int ipsec_error = netlink_open(&own->ipsec, NETLINK_XFRM);
	int error = routes_open(&own->routes);

	tracking_open(&own->tracking);
	if (!error && kernel_lacks_descriptors(ipsec_error))
		error = ipsec_error;
	if (!error)
		return REFUSAL_NONE;
	close_sockets(own);
	return kernel_lacks_descriptors(error) ? REFUSAL_DESCRIPTORS : REFUSAL_FAILED;
}

static int witness(struct lender *lender, const char *path)
{
	return witness_begin(&own_of(lender)->witness, tap_of(lender), path);
}

static void close_lender(struct lender *lender)
{
	struct own_lender *own = own_of(lender);

	witness_end(&own->witness);
	tap_close(&own->tap);
	close_sockets(own);
	free(own);
}

static void abandon(struct lender *lender)
{
	struct own_lender *own = own_of(lender);

	witness_abandon(&own->witness);
	own_descriptor_close(own->tap.socket);
	close_sockets(own);
	tap_abandon();
}

static const struct lender_operations operations = {
	.tap = tap_of,
	.watch = watch,
	.borrow = borrow,
	.hold = hold,
	.give = give,
	.unwatch = unwatch,
	.rest = rest,
	.open_rules = open_rules,
	.witness = witness,
	.close = close_lender,
	.abandon = abandon,
};

/* While it counts as borrowed no segment would come to the kernel for its RST. */
void lender_dissolve(struct lender *lender, int descriptor, struct loan *loan,
		     const struct connection_state *state)
{
	repair_dissolve(descriptor);
	if (loan->state != LOAN_NONE)
		reset_peer(lender, loan, state);
	lender_unwatch(lender, loan);
}

enum refusal lender_open(struct lender **lender)
{
	struct own_lender *own;
	enum refusal refusal;

	/* A tap can be had without CAP_NET_ADMIN, but no loan: it is better known now. */
	if (!kernel_has_right(CAP_NET_ADMIN))
		return REFUSAL_RIGHTS;
	own = calloc(1, sizeof(*own));
	if (!own)
		return REFUSAL_FAILED;
	refusal = tap_open(&own->tap);
	if (refusal == REFUSAL_NONE) {
		refusal = open_sockets(own);
		if (refusal)
			tap_close(&own->tap);
	}
	/* Another thread may have given them up for all meanwhile, as libc's setuid() does. */
	if (refusal) {
		free(own);
		return lender_has_rights() ? refusal : REFUSAL_RIGHTS;
	}
	own->namespace = namespace_of(own->tap.socket);
	own->lender.operations = &operations;
	pthread_mutex_init(&own->path_lock, NULL);
	*lender = &own->lender;
	return REFUSAL_NONE;
}
