/* SPDX-License-Identifier: BSD-3-Clause */
/* See serve.h. */
#include "broker/serve.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <search.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "broker/broker_protocol.h"
#include "broker/injection.h"
#include "broker/lender.h"
#include "broker/peer_process.h"
#include "common/netlink_call.h"
#include "common/own_descriptor.h"

/* A connection that the client has had watched. */
struct connection {
	uint64_t token; /* SO_COOKIE of the socket: whoever names it must bring that very socket */
	struct loan loan;
	bool is_counted; /* in lent */
	/*
	 * What it was when it was borrowed, and must be when it is given back. The socket itself
	 * does not tell: in repair mode any process that holds it may connect it to whatever it
	 * likes.
	 */
	char identity[CONNECTION_IDENTITY_SIZE];
	struct injection_probe probe; /* of that time, too */
};

struct session {
	int channel;
	struct lender *lender;
	void *entries; /* a tree of struct connection, by token */
	struct serve_room *room;
	struct broker_reader request;
	struct broker_message answer;
	int rules; /* a descriptor that goes with the answer; -1: none */
	/*
	 * The client may have no right to know the rules: what they say is read here, and a byte
	 * goes to the client. Both are -1 before the client has asked.
	 */
	int changes, bell;
};

/*
 * Data too large for a message (64 MiB each way) is in memory for one client at a time. Held while
 * a connection is given back; the lender's lock comes after it.
 */
static pthread_mutex_t large_lock = PTHREAD_MUTEX_INITIALIZER;

/*
 * How many loans all clients have, and whether nothing is lent any more. Nothing else is published
 * with either.
 */
static _Atomic unsigned long lent;
static _Atomic bool has_stopped;

/*
 * A client asks for its tap when it has its channel. Whoever does not may be the door itself, which
 * somebody has sent through the door: as the other end of that is here, too, it would never close.
 */
#define FIRST_REQUEST_SECONDS 5

/* ---- the client's connections ---- */

static int compare(const void *left, const void *right)
{
	const uint64_t a = ((const struct connection *)left)->token;
	const uint64_t b = ((const struct connection *)right)->token;

	return a < b ? -1 : a > b;
}

static struct connection *entry_of(struct session *session, uint64_t token)
{
	const struct connection key = { .token = token };
	void *found = tfind(&key, &session->entries, compare);

	return found ? *(struct connection **)found : NULL;
}

/* Entries know whether they are counted: whoever changes a loan calls this afterwards. */
static void count(struct connection *entry)
{
	const bool is_lent = entry->loan.state == LOAN_BORROWED || entry->loan.state == LOAN_HELD;

	if (is_lent && !entry->is_counted)
		atomic_fetch_add(&lent, 1);
	else if (!is_lent && entry->is_counted)
		atomic_fetch_sub(&lent, 1);
	entry->is_counted = is_lent;
}

static bool take_place(struct serve_room *room)
{
	if (atomic_fetch_add(&room->used, 1) < room->most)
		return true;
	atomic_fetch_sub(&room->used, 1);
	return false;
}

static void free_entry(struct connection *entry, struct serve_room *room)
{
	entry->loan.state = LOAN_NONE;
	count(entry);
	free(entry);
	atomic_fetch_sub(&room->used, 1);
}

static void forget(struct session *session, struct connection *entry)
{
	tdelete(entry, &session->entries, compare);
	free_entry(entry, session->room);
}

/* The token of the socket that came with the request; 0: there is none, or it is no socket. */
static uint64_t token_of(const struct session *session)
{
	uint64_t cookie = 0;
	socklen_t size = sizeof(cookie);

	if (getsockopt(session->request.connection, SOL_SOCKET, SO_COOKIE, &cookie, &size) < 0)
		return 0;
	return cookie;
}

/* A new entry of the client's, or the one that it has. NULL: there is no room. */
static struct connection *add_entry(struct session *session, uint64_t token)
{
	struct connection *entry = entry_of(session, token);

	if (entry)
		return entry;
	if (!take_place(session->room))
		return NULL;
	entry = calloc(1, sizeof(*entry));
	if (entry) {
		entry->token = token;
		if (tsearch(entry, &session->entries, compare))
			return entry;
	}
	free(entry);
	atomic_fetch_sub(&session->room->used, 1);
	return NULL;
}

/* ---- the requests: each returns what the answer says ---- */

static int32_t serve_watch(struct session *session)
{
	const uint64_t token = token_of(session);
	struct connection *entry = token ? add_entry(session, token) : NULL;
	enum refusal refusal;

	if (!entry)
		return token ? REFUSAL_FULL : REFUSAL_STATE;
	if (entry->is_counted)
		return REFUSAL_STATE;
	refusal = lender_watch(session->lender, session->request.connection, &entry->loan);
	if (refusal != REFUSAL_NONE) {
		lender_unwatch(session->lender, &entry->loan);
		forget(session, entry);
		return refusal;
	}
	session->answer.token = token;
	session->answer.state.path = entry->loan.path;
	return REFUSAL_NONE;
}

/*
 * Whether the connection has more unread data than goes into one message. Another time it will have
 * less.
 */
static bool has_much(int descriptor)
{
	int unread = 0;

	return ioctl(descriptor, SIOCINQ, &unread) == 0 && unread > (int)BROKER_INLINE;
}

/*
 * Whether the client still waits for its answer. One that does not believes that it has the
 * connection, so nothing may be done for it.
 */
static bool is_waiting(int channel)
{
	char byte;
	ssize_t got = recv(channel, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	return got < 0 && errno == EAGAIN;
}

static int32_t serve_borrow(struct session *session)
{
	const int descriptor = session->request.connection;
	struct connection_state *state = &session->answer.state;
	struct connection *entry = entry_of(session, token_of(session));
	enum refusal refusal;

	if (!entry || entry->is_counted)
		return REFUSAL_STATE;
	session->answer.token = entry->token;
	if (atomic_load(&has_stopped) || !is_waiting(session->channel))
		return REFUSAL_BROKER;
	if (has_much(descriptor))
		return REFUSAL_BUSY;
	refusal = lender_borrow(session->lender, descriptor, &entry->loan, state);
	if (refusal == REFUSAL_NONE && state->send_size + state->receive_size > BROKER_INLINE) {
		lender_give(session->lender, descriptor, &entry->loan, state);
		connection_state_clear(state);
		refusal = REFUSAL_BUSY;
	}
	if (refusal == REFUSAL_NONE) {
		memcpy(entry->identity, state, sizeof(entry->identity));
		injection_prepare_probe(state, &entry->probe);
	}
	count(entry);
	if (entry->loan.state != LOAN_NONE)
		return refusal;
	forget(session, entry);
	session->answer.token = 0;
	return refusal;
}

static int32_t serve_hold(struct session *session)
{
	struct connection *entry = entry_of(session, session->request.message.token);

	if (!entry || !entry->is_counted)
		return -ENOENT;
	return is_waiting(session->channel) ? lender_hold(session->lender, &entry->loan) : -EPERM;
}

/* -EPERM, as lender_give() says: nothing has been changed. */
static int32_t give_with_data(struct session *session, struct connection *entry)
{
	const bool is_left = session->request.message.what == BROKER_LEAVE;
	struct connection_state *state = &session->request.message.state;
	int error = -EPERM;

	if (broker_message_data(&session->request) < 0)
		return error;
	memcpy(state, entry->identity, sizeof(entry->identity));
	state->path = entry->loan.path;
	/* Who leaves it to the broker does not wait, and may have gone. */
	if (is_left || is_waiting(session->channel))
		error = lender_give(session->lender, session->request.connection, &entry->loan,
				    state);
	connection_state_clear(state);
	return error;
}

static int32_t serve_give(struct session *session)
{
	const bool is_large = session->request.file >= 0;
	struct connection *entry = entry_of(session, token_of(session));
	int32_t result;

	if (!entry || !entry->is_counted)
		return -EPERM;
	entry->loan.closes = session->request.message.what == BROKER_END ||
			     session->request.message.what == BROKER_LEAVE;
	if (is_large)
		pthread_mutex_lock(&large_lock);
	result = give_with_data(session, entry);
	if (is_large)
		pthread_mutex_unlock(&large_lock);
	count(entry);
	if (entry->loan.state == LOAN_NONE)
		forget(session, entry);
	return result;
}

static int32_t serve_end(struct session *session)
{
	const uint64_t token = token_of(session);
	const int32_t result = serve_give(session);
	struct connection *entry = result == 0 ? entry_of(session, token) : NULL;

	if (entry) {
		lender_unwatch(session->lender, &entry->loan);
		forget(session, entry);
	}
	return result;
}

/* Nobody else has it: what cannot be given back ends here, and its peer hears of that. */
static int32_t serve_leave(struct session *session)
{
	struct connection *entry = entry_of(session, token_of(session));
	struct connection_state *state = &session->request.message.state;
	const size_t sent = connection_state_sent(state);

	if (!entry || !entry->is_counted || serve_end(session) != -EPERM)
		return 0;
	memcpy(state, entry->identity, sizeof(entry->identity));
	state->send_size = sent; /* the RST's place, though the data has gone */
	state->send_unsent = 0;
	lender_dissolve(session->lender, session->request.connection, &entry->loan, state);
	count(entry);
	forget(session, entry);
	return 0;
}

/* The client need not have the socket any more. */
static int32_t serve_unwatch(struct session *session)
{
	struct connection *entry = entry_of(session, session->request.message.token);

	if (entry) {
		lender_unwatch(session->lender, &entry->loan);
		forget(session, entry);
	}
	return 0;
}

static int32_t serve_rest(struct session *session)
{
	return lender_rest(session->lender);
}

static int32_t serve_wake(struct session *session)
{
	return lender_wake(session->lender);
}

static int32_t serve_rules(struct session *session)
{
	int bell[2];

	if (session->changes >= 0)
		return -EBUSY;
	session->changes = lender_open_rules(session->lender);
	if (session->changes < 0)
		return session->changes;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, bell) < 0) {
		own_descriptor_close(session->changes);
		session->changes = -1;
		return -errno;
	}
	session->bell = bell[0];
	session->rules = bell[1];
	return 0;
}

static int32_t (*const serve_request[BROKER_REQUESTS])(struct session *session) = {
	[BROKER_WATCH] = serve_watch,	  [BROKER_BORROW] = serve_borrow,
	[BROKER_HOLD] = serve_hold,	  [BROKER_GIVE] = serve_give,
	[BROKER_UNWATCH] = serve_unwatch, [BROKER_RULES] = serve_rules,
	[BROKER_END] = serve_end,	  [BROKER_REST] = serve_rest,
	[BROKER_WAKE] = serve_wake,	  [BROKER_LEAVE] = serve_leave,
};

/* ---- the session ---- */

/*
 * Sends the answer. A client waits for its answers, so one that does not read this at once never
 * will. A connection whose state nobody takes goes on in the kernel.
 */
static bool answer(struct session *session, int descriptor)
{
	int error =
		broker_message_send(session->channel, &session->answer, descriptor, MSG_DONTWAIT);
	struct connection *entry;

	if (error && session->request.message.what == BROKER_BORROW &&
	    session->answer.what == REFUSAL_NONE) {
		entry = entry_of(session, session->answer.token);
		lender_give(session->lender, session->request.connection, &entry->loan,
			    &session->answer.state);
		count(entry);
	}
	connection_state_clear(&session->answer.state);
	return error == 0;
}

/*
 * Serves the first request of a client, which asks for its tap. One of another version is answered,
 * so that it can tell by the answer's form that there is a broker.
 */
static bool begin(struct session *session)
{
	const struct timeval patience = { .tv_sec = FIRST_REQUEST_SECONDS }, none = { 0 };
	enum refusal refusal;
	bool done;
	int error;

	setsockopt(session->channel, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	error = broker_message_receive(session->channel, &session->request, 0);
	if (error == -EPROTO) {
		session->answer.what = REFUSAL_BROKER;
		answer(session, -1);
	}
	if (error)
		return false;
	setsockopt(session->channel, SOL_SOCKET, SO_RCVTIMEO, &none, sizeof(none));
	broker_message_end(&session->request);
	if (session->request.message.what != BROKER_TAP)
		return false;
	refusal = lender_open(&session->lender);
	session->answer.what = (int32_t)refusal;
	done = answer(session, refusal == REFUSAL_NONE ? lender_tap(session->lender) : -1);
	if (refusal == REFUSAL_NONE && !done)
		lender_close(session->lender);
	return done && refusal == REFUSAL_NONE;
}

/* If the bell has not been heard yet, one ring is enough. */
static void ring_bell(const struct session *session)
{
	const char byte = 0;
	bool heard = false;

	netlink_hear(session->changes, &heard);
	send(session->bell, &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Sleeps until the client wants something, or has gone. */
static void await_request(const struct session *session)
{
	struct pollfd set[] = { { .fd = session->channel, .events = POLLIN },
				{ .fd = session->changes, .events = POLLIN } };

	while (session->changes >= 0 && !set[0].revents) {
		if (poll(set, 2, -1) < 0 && errno != EINTR)
			return;
		if (set[1].revents)
			ring_bell(session);
	}
}

static bool serve_one(struct session *session)
{
	int32_t what;
	bool goes_on = false;

	await_request(session);
	if (broker_message_receive(session->channel, &session->request, 0) < 0)
		return false;
	what = session->request.message.what;
	if (what > BROKER_TAP && what < BROKER_REQUESTS) {
		memset(&session->answer, 0, sizeof(session->answer));
		session->answer.what = serve_request[what](session);
		/*
		 * A client that closes its socket next is to be the last that does, so that the
		 * connection ends by its close(). A loan that nobody hears of is given back.
		 */
		if (what != BROKER_BORROW)
			broker_message_end(&session->request);
		goes_on = what == BROKER_UNWATCH || what == BROKER_LEAVE ||
			  answer(session, session->rules);
		own_descriptor_close(session->rules);
		session->rules = -1;
	}
	broker_message_end(&session->request);
	return goes_on;
}

/* ---- the end of a session ---- */

static void note_lent(const void *node, VISIT visit, void *any)
{
	const struct connection *entry = *(struct connection *const *)node;

	if ((visit == preorder || visit == leaf) && entry->is_counted)
		*(bool *)any = true;
}

/* A tap that outlives the lender, if the client has gone without giving back; else -1. */
static int keep_tap(const struct session *session)
{
	bool any = false;

	twalk_r(session->entries, note_lent, &any);
	return any ? own_descriptor(fcntl(lender_tap(session->lender), F_DUPFD_CLOEXEC, 0)) : -1;
}

/* Once all that the client had is closed: the kernel then answers for its connections. */
static void await_closing(const struct session *session)
{
	const int process = peer_process_of(session->channel);

	peer_process_await_death(process);
	if (process >= 0)
		close(process);
}

/*
 * A client that was killed has left its connections to nobody, and their peers, which may have
 * nothing to send, are made to ask. Those of one that lives are asked in vain.
 */
static void end(struct session *session)
{
	const int tap = keep_tap(session);
	struct connection *entry;

	lender_close(session->lender);
	if (tap >= 0)
		await_closing(session);
	while (session->entries) {
		entry = *(struct connection **)session->entries;
		if (tap >= 0 && entry->is_counted)
			injection_probe_peer(tap, &entry->loan, &entry->probe);
		forget(session, entry);
	}
	own_descriptor_close(tap);
}

void serve(int channel, struct serve_room *room)
{
	struct session *session = calloc(1, sizeof(*session));

	if (!session)
		return;
	session->channel = channel;
	session->room = room;
	session->rules = session->changes = session->bell = -1;
	if (begin(session)) {
		while (serve_one(session))
			;
		end(session);
	}
	own_descriptor_close(session->changes);
	own_descriptor_close(session->bell);
	free(session);
}

void serve_stop_lending(void)
{
	atomic_store(&has_stopped, true);
}

unsigned long serve_count_lent(void)
{
	return atomic_load(&lent);
}
