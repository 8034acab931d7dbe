/* SPDX-License-Identifier: BSD-3-Clause */
/* See client.h. */
#include "broker/client.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>

#include "broker/broker_protocol.h"
#include "broker/injection.h"
#include "broker/repair.h"
#include "common/own_descriptor.h"
#include "common/system_call.h"

struct client {
	struct lender lender;
	/*
	 * Protects the channel from a request to its answer, and reader. A leaf: nothing is called
	 * under it but the kernel, and malloc() for data.
	 */
	pthread_mutex_t channel_lock;
	int channel;
	int tap;
	/*
	 * What has become of the broker; set under channel_lock. One that is late may do yet what
	 * it was asked.
	 */
	_Atomic bool gone;
	bool late;
	int door;
	/*
	 * Under channel_lock: the number of the broker, counted from the first; how many loans its
	 * tap shows.
	 */
	uint32_t broker;
	unsigned lent;
	/*
	 * Under channel_lock: how many connections client_leave() has left to the broker in a row,
	 * without waiting for an answer.
	 */
	unsigned left;
	/*
	 * What is to be the channel and the tap of another broker, while client_renew() waits for
	 * that; else NULL. Atomic for the child of a fork in the middle of it, which closes both.
	 */
	struct client *_Atomic fresh;
	/* Set while nothing can be watched: who wants to need not wait for channel_lock. */
	_Atomic bool rests;
	/*
	 * The socket that open_rules() has given away, or -1. That of another broker takes its
	 * number.
	 */
	int rules;
	struct broker_reader reader;
};

static struct client *client_of(struct lender *lender)
{
	return (struct client *)lender;
}

/* ---- one request ---- */

/*
 * The broker is late. After the shutdown either its answer is here or it will not be able to send
 * one, in which case it undoes what it has done (serve.c): the two agree.
 */
static int last_answer(struct client *client)
{
	kernel_call(SYS_shutdown, client->channel, SHUT_RDWR, 0, 0);
	return broker_message_receive(client->channel, &client->reader, MSG_DONTWAIT);
}

/*
 * How often a broker that is slow is waited for, BROKER_PATIENCE each time. A client with loans
 * waits longer, since they end with the broker.
 */
static unsigned waits_of(const struct client *client)
{
	return client->lent ? BROKER_PATIENCE_LENT : 1;
}

/* The channel may be full of requests that a broker which is slow has not read yet. */
static int send_request(struct client *client, const struct broker_message *request, int descriptor,
			unsigned *waits)
{
	int error;

	do
		error = broker_message_send(client->channel, request, descriptor, 0);
	while (error == -EAGAIN && --*waits > 0);
	/*
	 * Behind these errors no answer will come. Others are not the broker's fault: a message
	 * that is too large, say.
	 */
	if (error == -EPIPE || error == -ECONNRESET || error == -EAGAIN)
		client->gone = true;
	return error;
}

/* Waits until the answer is here. */
static int await_answer(struct client *client, unsigned waits)
{
	int error;

	do
		error = broker_message_receive(client->channel, &client->reader, 0);
	while (error == -EAGAIN && --waits > 0);
	return error;
}

/* Whether the twin is established still, and *repair: in repair mode. Needs no rights. */
static bool is_established(int descriptor, int *repair)
{
	struct tcp_info info = { 0 };

	kernel_get_option(descriptor, IPPROTO_TCP, TCP_REPAIR, repair, sizeof(*repair));
	kernel_get_option(descriptor, IPPROTO_TCP, TCP_INFO, &info, sizeof(info));
	return info.tcpi_state == 1 /* TCP_ESTABLISHED */;
}

/* Whether the kernel has not got the connection. */
static bool is_silent(int descriptor)
{
	int repair = 0;

	return is_established(descriptor, &repair) && repair;
}

/*
 * Whether the broker has begun to do what it was asked with that connection, so that nobody else
 * may end it yet. A broker that was stopped there is waited for once more.
 */
static bool has_begun(const struct broker_message *request, int descriptor)
{
	return (request->what == BROKER_GIVE || request->what == BROKER_END) &&
	       !is_silent(descriptor);
}

/* The caller holds channel_lock, or the client is new. 0: the answer is in reader. */
static int exchange(struct client *client, const struct broker_message *request, int descriptor)
{
	unsigned waits = waits_of(client);
	int error = client->gone ? -EPIPE : send_request(client, request, descriptor, &waits);

	if (error)
		return error;
	error = await_answer(client, waits);
	if (error == -EAGAIN && has_begun(request, descriptor))
		error = await_answer(client, BROKER_PATIENCE_LENT);
	client->gone = error;
	client->late = error == -EAGAIN;
	client->left = 0; /* the broker takes requests in their order */
	return client->late ? last_answer(client) : error;
}

/* Closes a descriptor that has come with the answer although nobody has asked for it. */
static void end_exchange(struct client *client)
{
	broker_message_end(&client->reader);
	pthread_mutex_unlock(&client->channel_lock);
}

static struct broker_message request_for(enum broker_request what, const struct loan *loan)
{
	return (struct broker_message){ .what = (int32_t)what, .token = loan->token };
}

/* The refusal that an answer's number stands for. */
static enum refusal refusal_of(int32_t what)
{
	return what >= 0 && what < REFUSAL_COUNT ? (enum refusal)what : REFUSAL_BROKER;
}

/* ---- the operations ---- */

static int client_tap(struct lender *lender)
{
	return client_of(lender)->tap;
}

/* The broker does not answer, since this is asked of it for each connection that ends. */
static void client_unwatch(struct lender *lender, struct loan *loan)
{
	struct client *client = client_of(lender);
	const struct broker_message request = request_for(BROKER_UNWATCH, loan);

	const bool is_lent = loan->state == LOAN_BORROWED || loan->state == LOAN_HELD;
	unsigned waits;

	if (loan->state == LOAN_NONE)
		return;
	loan->state = LOAN_NONE;
	pthread_mutex_lock(&client->channel_lock);
	client->lent -= is_lent;
	waits = waits_of(client);
	if (!client->gone && loan->broker == client->broker &&
	    send_request(client, &request, -1, &waits) < 0)
		client->gone = true;
	pthread_mutex_unlock(&client->channel_lock);
}

static enum refusal client_watch(struct lender *lender, int descriptor, struct loan *loan)
{
	struct client *client = client_of(lender);
	const struct broker_message request = request_for(BROKER_WATCH, loan);
	enum refusal refusal = REFUSAL_BROKER;

	/* One that is watched anew is the reason why the tap will not rest: it waits. */
	if (loan->state == LOAN_NONE && atomic_load_explicit(&client->rests, memory_order_relaxed))
		return REFUSAL_RESTING;
	pthread_mutex_lock(&client->channel_lock);
	if (exchange(client, &request, descriptor) == 0) {
		refusal = refusal_of(client->reader.message.what);
		loan->broker = client->broker;
		loan->token = client->reader.message.token;
		loan->path = client->reader.message.state.path;
	}
	loan->state = refusal == REFUSAL_NONE ? LOAN_WATCHED : LOAN_NONE;
	end_exchange(client);
	return refusal;
}

/* There is no memory for the data that has come: the connection is given back from where it is. */
static void undo_borrow(struct client *client, int descriptor, const struct loan *loan)
{
	struct broker_message request = client->reader.message;

	request.what = BROKER_GIVE;
	request.token = loan->token;
	request.state.receive_data = client->reader.data;
	exchange(client, &request, descriptor);
}

/* Called when the answer says that the connection is borrowed. */
static enum refusal take_state(struct client *client, int descriptor, struct loan *loan,
			       struct connection_state *state)
{
	if (broker_message_data(&client->reader) < 0) {
		undo_borrow(client, descriptor, loan);
		return REFUSAL_FAILED;
	}
	loan->state = LOAN_BORROWED;
	client->lent++;
	*state = client->reader.message.state;
	return REFUSAL_NONE;
}

/*
 * Nobody knows what the broker has left of it. If that is a socket in repair mode, or none, the
 * peer hears of the end from here alone.
 */
static void end_connection(const struct client *client, int descriptor, const struct loan *loan,
			   const struct connection_state *state)
{
	repair_dissolve(descriptor);
	if (!state->remote_reset)
		injection_reset_peer(client->tap, &loan->path, state);
}

/* So often one looks, in BROKER_PATIENCE once more, whether a broker that is late undoes a loan. */
#define LOOKS_MAX 200

/* Whether nobody gives back what was being borrowed when the broker went, or became late. */
static bool is_lost(const struct client *client, int descriptor, const struct loan *loan)
{
	const struct timespec step = { .tv_nsec = BROKER_PATIENCE * 1000000ll / LOOKS_MAX };
	struct connection_state state;

	for (unsigned looks = client->late ? LOOKS_MAX : 0; is_silent(descriptor); looks--) {
		if (looks == 0) {
			/* What the broker has left of it may be silent for ever. */
			repair_read_end(descriptor, &state);
			end_connection(client, descriptor, loan, &state);
			return true;
		}
		kernel_call(SYS_nanosleep, (long)&step, 0, 0, 0);
	}
	return false;
}

static enum refusal client_borrow(struct lender *lender, int descriptor, struct loan *loan,
				  struct connection_state *state)
{
	struct client *client = client_of(lender);
	const struct broker_message request = request_for(BROKER_BORROW, loan);
	enum refusal refusal = REFUSAL_BROKER;

	memset(state, 0, sizeof(*state));
	pthread_mutex_lock(&client->channel_lock);
	if (loan->broker != client->broker) {
		loan->state = LOAN_NONE;
		refusal = REFUSAL_UNSEEN;
	} else if (exchange(client, &request, descriptor) == 0) {
		refusal = refusal_of(client->reader.message.what);
		if (client->reader.message.token == 0)
			loan->state = LOAN_NONE;
		if (refusal == REFUSAL_NONE)
			refusal = take_state(client, descriptor, loan, state);
	} else if (is_lost(client, descriptor, loan)) {
		loan->state = LOAN_NONE;
		refusal = REFUSAL_STATE;
	}
	end_exchange(client);
	return refusal;
}

static int client_hold(struct lender *lender, struct loan *loan)
{
	struct client *client = client_of(lender);
	const struct broker_message request = request_for(BROKER_HOLD, loan);
	int error;

	pthread_mutex_lock(&client->channel_lock);
	error = exchange(client, &request, -1);
	if (error)
		error = client->late ? -ETIMEDOUT : -EPERM;
	else
		error = client->reader.message.what;
	if (error == 0)
		loan->state = LOAN_HELD;
	end_exchange(client);
	return error;
}

/*
 * The broker has gone without saying that it has given the connection back: whether it has, to the
 * last step that the twin shows. Established, neither in repair mode nor silenced by a filter; what
 * was unsent, an end that the peer has been told of, and urgent data would come after that, so that
 * they must not be due. The tap, which may have kept its frames from it still, has gone with the
 * broker.
 */
static bool is_given(int descriptor, const struct connection_state *state)
{
	int repair = 1;
	socklen_t filter = 0;

	return is_established(descriptor, &repair) && !repair &&
	       kernel_call5(SYS_getsockopt, descriptor, SOL_SOCKET, SO_GET_FILTER, 0,
			    (long)&filter) == 0 &&
	       filter == 0 && !state->send_unsent && !state->remote_closed &&
	       !state->remote_reset && !state->urgent;
}

/*
 * What has become of the connection, of a broker that has gone in the middle or is late. One that
 * is late may be stopped before its last step, which only its tap shows: the twin is as if given
 * back, but gets no frame, and the program would wait for as long as the broker is stopped.
 */
static int outcome(const struct client *client, int descriptor,
		   const struct connection_state *state)
{
	if (is_silent(descriptor))
		return -EPERM;
	return !client->late && is_given(descriptor, state) ? 0 : -EIO;
}

/* after: the loan's state in the end, if all goes well. */
static int give(struct lender *lender, enum broker_request what, int descriptor, struct loan *loan,
		const struct connection_state *state, enum loan_state after)
{
	struct client *client = client_of(lender);
	struct broker_message request = request_for(what, loan);
	int error;

	request.state = *state;
	pthread_mutex_lock(&client->channel_lock);
	error = exchange(client, &request, descriptor);
	if (error) {
		error = outcome(client, descriptor, state);
		after = LOAN_NONE; /* nobody watches it */
		if (error == -EIO)
			end_connection(client, descriptor, loan, state);
	} else {
		error = client->reader.message.what;
	}
	if (error != -EPERM) {
		loan->state = error ? LOAN_NONE : after;
		client->lent--;
	}
	end_exchange(client);
	return error;
}

static int client_give(struct lender *lender, int descriptor, struct loan *loan,
		       const struct connection_state *state)
{
	return give(lender, BROKER_GIVE, descriptor, loan, state, LOAN_WATCHED);
}

static int client_end(struct lender *lender, int descriptor, struct loan *loan,
		      const struct connection_state *state)
{
	return give(lender, BROKER_END, descriptor, loan, state, LOAN_NONE);
}

/*
 * After so many connections that were left to the broker in a row an answer is waited for, behind
 * which none of them is under way any more: all that is counts against the limit of descriptors of
 * the program's user (ETOOMANYREFS).
 */
#define LEFT_IN_A_ROW 16

static int client_leave(struct lender *lender, int descriptor, struct loan *loan,
			const struct connection_state *state)
{
	struct client *client = client_of(lender);
	struct broker_message request = request_for(BROKER_LEAVE, loan);
	bool is_left;

	request.state = *state;
	pthread_mutex_lock(&client->channel_lock);
	is_left = !client->gone && loan->broker == client->broker && client->left < LEFT_IN_A_ROW &&
		  broker_message_send(client->channel, &request, descriptor, MSG_DONTWAIT) == 0;
	if (is_left) {
		loan->state = LOAN_NONE;
		client->lent--;
	}
	client->left += is_left;
	pthread_mutex_unlock(&client->channel_lock);
	return is_left ? 0 : client_end(lender, descriptor, loan, state);
}

/* By a question that changes nothing. */
static void client_settle(struct lender *lender)
{
	struct client *client = client_of(lender);
	const struct broker_message request = { .what = BROKER_HOLD };

	pthread_mutex_lock(&client->channel_lock);
	if (client->left)
		exchange(client, &request, -1);
	end_exchange(client);
}

static bool client_is_gone(const struct lender *lender)
{
	return atomic_load_explicit(&((const struct client *)lender)->gone, memory_order_relaxed);
}

static int client_rest(struct lender *lender, bool rests)
{
	struct client *client = client_of(lender);
	const struct broker_message request = { .what = rests ? BROKER_REST : BROKER_WAKE };
	int error;

	if (!rests && !atomic_load(&client->rests))
		return 0;
	atomic_store(&client->rests, true);
	pthread_mutex_lock(&client->channel_lock);
	error = exchange(client, &request, -1) ?: client->reader.message.what;
	end_exchange(client);
	/* One that cannot be woken is asked again; of one that has gone others find out. */
	atomic_store(&client->rests, rests ? !error : error && !client_is_gone(lender));
	return error;
}

static int client_open_rules(struct lender *lender)
{
	struct client *client = client_of(lender);
	const struct broker_message request = { .what = BROKER_RULES };
	int rules = -ENOENT;

	pthread_mutex_lock(&client->channel_lock);
	if (exchange(client, &request, -1) == 0 && client->reader.connection >= 0) {
		rules = own_descriptor(client->reader.connection);
		client->reader.connection = -1;
		client->rules = rules;
	}
	end_exchange(client);
	return rules;
}

static void client_abandon(struct lender *lender)
{
	struct client *client = client_of(lender);
	struct client *fresh = atomic_load(&client->fresh);

	own_descriptor_close(client->channel);
	own_descriptor_close(client->tap);
	if (fresh)
		client_abandon(&fresh->lender);
}

static void client_close(struct lender *lender)
{
	client_abandon(lender);
	pthread_mutex_destroy(&client_of(lender)->channel_lock);
	free(client_of(lender));
}

static enum refusal client_renew(struct lender *lender, int (*replace)(void *context, int tap),
				 void *context);

static const struct lender_operations operations = {
	.tap = client_tap,
	.watch = client_watch,
	.borrow = client_borrow,
	.hold = client_hold,
	.give = client_give,
	.end = client_end,
	.leave = client_leave,
	.settle = client_settle,
	.unwatch = client_unwatch,
	.rest = client_rest,
	.open_rules = client_open_rules,
	.is_gone = client_is_gone,
	.renew = client_renew,
	.close = client_close,
	.abandon = client_abandon,
};

/* ---- the channel ---- */

/*
 * One end of a new pair goes through the door, which many processes share: what is sent there comes
 * out whole, and nobody receives on this side.
 */
static int channel_through(int door, int *channel)
{
	int ends[2], error;
	struct broker_message message = { 0 };

	error = (int)kernel_call(SYS_socketpair, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
				 (long)ends);
	if (error < 0)
		return error;
	*channel = own_descriptor(ends[0]);
	error = broker_message_send(door, &message, ends[1], MSG_DONTWAIT);
	kernel_close(ends[1]);
	return error;
}

static void limit_waits(int channel, unsigned milliseconds)
{
	const struct timeval patience = { .tv_sec = milliseconds / 1000,
					  .tv_usec = milliseconds % 1000 * 1000 };

	kernel_set_option(channel, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	kernel_set_option(channel, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
}

/*
 * The broker takes its clients one after the other, so connect(2) may wait for those that came
 * before.
 */
static int channel_to_service(int *channel)
{
	const struct sockaddr_un name = { .sun_family = AF_UNIX, .sun_path = BROKER_SOCKET };

	*channel = own_descriptor(
		(int)kernel_call(SYS_socket, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, 0));
	if (*channel < 0)
		return *channel;
	limit_waits(*channel, BROKER_START_PATIENCE);
	return (int)kernel_call(SYS_connect, *channel, (long)&name, sizeof(name), 0);
}

/* REFUSAL_NONE: the tap has come. A broker of another version answers in its own manner. */
static enum refusal ask_for_tap(struct client *client, int *tap)
{
	const struct broker_message request = { .what = BROKER_TAP };
	const int error = exchange(client, &request, -1);
	enum refusal refusal;

	if (kernel_lacks_descriptors(error))
		return REFUSAL_DESCRIPTORS;
	if (error)
		return error == -EPROTO ? REFUSAL_VERSION : REFUSAL_BROKER;
	refusal = refusal_of(client->reader.message.what);
	if (refusal != REFUSAL_NONE)
		return refusal;
	*tap = own_descriptor(client->reader.connection);
	client->reader.connection = -1;
	return *tap < 0 ? REFUSAL_BROKER : REFUSAL_NONE;
}

/* The client has the channel before it waits: a child of a fork meanwhile finds it there. */
static int open_channel(struct client *client)
{
	return client->door >= 0 ? channel_through(client->door, &client->channel)
				 : channel_to_service(&client->channel);
}

/* The client is new and nobody else calls it, so that this may wait long and takes no lock. */
static enum refusal begin(struct client *client)
{
	const int error = open_channel(client);
	enum refusal refusal;

	if (kernel_lacks_descriptors(error))
		return REFUSAL_DESCRIPTORS;
	if (error < 0)
		return client->door < 0 ? REFUSAL_RIGHTS : REFUSAL_BROKER;
	client->broker++;
	limit_waits(client->channel, BROKER_START_PATIENCE);
	refusal = ask_for_tap(client, &client->tap);
	broker_message_end(&client->reader);
	limit_waits(client->channel, BROKER_PATIENCE);
	return refusal;
}

/* Makes a client without a channel. NULL: there is no memory. */
static struct client *new_client(int door)
{
	struct client *client = malloc(sizeof(*client));

	if (!client)
		return NULL;
	memset(client, 0, offsetof(struct client, reader.data));
	client->lender.operations = &operations;
	client->channel = client->tap = client->reader.connection = client->reader.file = -1;
	client->rules = -1;
	client->door = door;
	pthread_mutex_init(&client->channel_lock, NULL);
	return client;
}

/* ---- another broker ---- */

/* Called once the tap has been replaced. fresh is left with the old channel. */
static void take_over(struct client *client, struct client *fresh)
{
	const int channel = fresh->channel;

	pthread_mutex_lock(&client->channel_lock);
	fresh->channel = client->channel;
	client->channel = channel;
	client->broker++;
	client->gone = false;
	client->late = false;
	client->rests = false;
	pthread_mutex_unlock(&client->channel_lock);
}

/*
 * Gives the new broker's bell the number of the old one's, which the stack has and by which nothing
 * comes any more.
 */
static void renew_rules(const struct client *client, struct client *fresh)
{
	const int rules = client_open_rules(&fresh->lender);

	if (rules >= 0)
		kernel_call(SYS_dup3, rules, client->rules, O_CLOEXEC, 0);
	own_descriptor_close(rules);
}

/* Called without channel_lock, because calls of the program wait for that lock. */
static enum refusal take_other_broker(struct client *client, int (*replace)(void *context, int tap),
				      void *context)
{
	struct client *fresh = new_client(client->door);
	enum refusal refusal;

	if (!fresh)
		return REFUSAL_BROKER;
	atomic_store(&client->fresh, fresh);
	refusal = begin(fresh);
	if (refusal == REFUSAL_NONE && client->rules >= 0)
		renew_rules(client, fresh);
	if (refusal == REFUSAL_NONE && replace(context, fresh->tap) < 0)
		refusal = REFUSAL_FAILED;
	if (refusal == REFUSAL_NONE)
		take_over(client, fresh);
	/*
	 * It is forgotten first: the child of a fork must not close numbers that others have by
	 * then.
	 */
	atomic_store(&client->fresh, NULL);
	client_close(&fresh->lender);
	return refusal;
}

/* One thread at a time calls this. Nothing more is lent while the broker is gone. */
static enum refusal client_renew(struct lender *lender, int (*replace)(void *context, int tap),
				 void *context)
{
	struct client *client = client_of(lender);
	bool is_gone, is_busy;

	pthread_mutex_lock(&client->channel_lock);
	is_gone = client->gone;
	is_busy = client->lent > 0;
	pthread_mutex_unlock(&client->channel_lock);
	if (!is_gone)
		return REFUSAL_NONE;
	return is_busy ? REFUSAL_BUSY : take_other_broker(client, replace, context);
}

enum refusal lender_connect(int door, struct lender **lender)
{
	const int error_before = errno;
	struct client *client = new_client(door);
	enum refusal refusal;

	errno = error_before;
	if (!client)
		return REFUSAL_BROKER;
	refusal = begin(client);
	if (refusal == REFUSAL_NONE)
		*lender = &client->lender;
	else
		client_close(&client->lender);
	return refusal;
}
