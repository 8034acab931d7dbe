/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A broker that gives a connection back and does not answer in time. One that answers late, or goes
 * after the last step, loses none; of one that is stopped just before that step the client gives
 * the connection up, since the tap keeps its frames, and of one that ends in the middle, be it of
 * giving back or of borrowing. The broker is a thread here; each answer, both of these, and each
 * change of the lender's in the tap pass by this file (--wrap of the linker's). For a broker that
 * is stopped before it begins: test_broker_life.c.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/broker_protocol.h"
#include "broker/client.h"
#include "broker/repair.h"
#include "broker/serve.h"
#include "broker/tap_socket.h"
#include "tests/unit/broker/lent.h"
#include "tests/unit/tap.h"

static struct serve_room room = { .most = 10 };

/* What a broker does once it has been asked. */
enum broker_fate {
	ANSWERS_LATE,
	GOES,	     /* before it answers */
	STOPS,	     /* before the last step, until the client has given up */
	DIES,	     /* in the middle, when the twin is closed and in repair mode */
	DIES_TAKING, /* when it has borrowed, and not answered */
	FATES,
};

/* A client with a broker of its own. */
struct pair {
	struct lent lent;
	enum broker_fate fate;
	int door[2], error;
	int channel; /* the broker's end */
	pthread_t broker, client;
};

/* Of the thread that is a broker. */
static __thread const struct pair *served;
static _Atomic bool are_asked, has_given_up;

/* Of the calling thread, if it is a broker. */
static bool meets(enum broker_fate fate)
{
	return served && served->fate == fate && atomic_load(&are_asked);
}

int __real_broker_message_send(int channel, const struct broker_message *message, int descriptor,
			       int flags);
int __wrap_broker_message_send(int channel, const struct broker_message *message, int descriptor,
			       int flags);
int __real_repair_take(int descriptor, int silencer, struct connection_state *state);
int __wrap_repair_take(int descriptor, int silencer, struct connection_state *state);
int __real_repair_give(int descriptor, const struct connection_state *state);
int __wrap_repair_give(int descriptor, const struct connection_state *state);
void __real_tap_change(struct tap_slot *slot, enum tap_state state);
void __wrap_tap_change(struct tap_slot *slot, enum tap_state state);

int __wrap_broker_message_send(int channel, const struct broker_message *message, int descriptor,
			       int flags)
{
	if (meets(GOES))
		return -EPIPE;
	if (meets(ANSWERS_LATE))
		usleep((BROKER_PATIENCE * BROKER_PATIENCE_LENT + 1000) * 1000);
	return __real_broker_message_send(channel, message, descriptor, flags);
}

/* The channel ends with the broker. */
static void die(void)
{
	shutdown(served->channel, SHUT_RDWR);
	pthread_exit(NULL);
}

int __wrap_repair_take(int descriptor, int silencer, struct connection_state *state)
{
	const int error = __real_repair_take(descriptor, silencer, state);

	if (error == 0 && meets(DIES_TAKING))
		die();
	return error;
}

int __wrap_repair_give(int descriptor, const struct connection_state *state)
{
	if (meets(DIES)) {
		repair_dissolve(descriptor);
		die();
	}
	return __real_repair_give(descriptor, state);
}

void __wrap_tap_change(struct tap_slot *slot, enum tap_state state)
{
	while (meets(STOPS) && state == TAP_WATCHED && !atomic_load(&has_given_up))
		usleep(5000);
	__real_tap_change(slot, state);
}

static void *be_broker(void *argument)
{
	struct pair *pair = argument;
	static struct broker_reader readers[FATES];
	struct broker_reader *reader = &readers[pair->fate];

	if (broker_message_receive(pair->door[1], reader, 0) < 0)
		return NULL;
	pair->channel = reader->connection;
	served = pair;
	serve(pair->channel, &room);
	served = NULL;
	broker_message_end(reader);
	return NULL;
}

static bool begin(struct pair *pair)
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair->door) == 0 &&
	       pthread_create(&pair->broker, NULL, be_broker, pair) == 0 &&
	       lent_open(&pair->lent, "IPv4") && lent_watch(&pair->lent, pair->door[0]) &&
	       (pair->fate == DIES_TAKING || lent_borrow(&pair->lent) == REFUSAL_NONE);
}

static void *give(void *argument)
{
	struct pair *pair = argument;
	struct lent *lent = &pair->lent;

	pair->error = lender_give(lent->lender, lent->ends.own, &lent->loan, &lent->state);
	if (pair->fate == STOPS)
		atomic_store(&has_given_up, true);
	return NULL;
}

static void end(struct pair *pair)
{
	connection_state_clear(&pair->lent.state);
	lender_close(pair->lent.lender);
	pthread_join(pair->broker, NULL);
	ground_close(&pair->lent.ends);
	close(pair->door[0]);
	close(pair->door[1]);
}

/* The client's call is over: whether it says that, and both ends can go on. */
static bool is_kept(struct pair *pair, enum loan_state state)
{
	pthread_join(pair->client, NULL);
	return pair->error == 0 && pair->lent.loan.state == state && lent_goes_on(&pair->lent, "");
}

static bool is_reset(const struct pair *pair)
{
	struct pollfd entry = { .fd = pair->lent.ends.peer };

	return pair->lent.loan.state == LOAN_NONE && poll(&entry, 1, 30000) > 0 &&
	       (entry.revents & POLLERR);
}

static bool is_given_up(struct pair *pair)
{
	pthread_join(pair->client, NULL);
	return pair->error == -EIO && is_reset(pair);
}

int main(void)
{
	static struct pair pairs[FATES];

	ground_make();
	for (int i = 0; i < FATES; i++, ground_port++) {
		pairs[i].fate = (enum broker_fate)i;
		if (!tap_ok(begin(&pairs[i]), "connection %d has a broker", i))
			return tap_done();
	}
	atomic_store(&are_asked, true);
	for (int i = 0; i < DIES_TAKING; i++)
		pthread_create(&pairs[i].client, NULL, give, &pairs[i]);
	tap_ok(lent_borrow(&pairs[DIES_TAKING].lent) == REFUSAL_STATE &&
		       is_reset(&pairs[DIES_TAKING]),
	       "what a broker has borrowed that ends is given up, and its peer is told");
	tap_ok(is_kept(&pairs[ANSWERS_LATE], LOAN_WATCHED),
	       "an answer that is late is waited for: %d", pairs[ANSWERS_LATE].error);
	tap_ok(is_kept(&pairs[GOES], LOAN_NONE),
	       "of a broker that went it is seen that the connection was given back: %d",
	       pairs[GOES].error);
	tap_ok(is_given_up(&pairs[STOPS]),
	       "what the tap may keep from the kernel for ever is given up: %d",
	       pairs[STOPS].error);
	tap_ok(is_given_up(&pairs[DIES]),
	       "so is what a broker has closed that has ended, and its peer is told: %d",
	       pairs[DIES].error);
	tap_ok(ground_count("OutRsts") == 1, "and nobody else was reset by the kernel");
	for (int i = 0; i < FATES; i++)
		end(&pairs[i]);
	return tap_done();
}
