/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A broker that gives a connection back and is stopped before it answers, for longer than a client
 * waits: no connection is lost. The broker is a thread here, and each answer passes by this file
 * (--wrap of the linker's). For a broker that is stopped before it begins: test_broker_life.c.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/broker_protocol.h"
#include "broker/client.h"
#include "broker/serve.h"
#include "tests/unit/broker/lent.h"
#include "tests/unit/tap.h"

static struct serve_room room = { .most = 10 };

/* A client with a broker of its own, whose next answer is late. */
struct pair {
	struct lent lent;
	unsigned late; /* milliseconds; 0: the answer comes when the client has given up */
	int door[2], error;
	pthread_t broker, client;
};

/* Of the thread that is a broker. */
static __thread const struct pair *served;
static _Atomic bool are_late, has_given_up;

int __real_broker_message_send(int channel, const struct broker_message *message, int descriptor,
			       int flags);
int __wrap_broker_message_send(int channel, const struct broker_message *message, int descriptor,
			       int flags);

int __wrap_broker_message_send(int channel, const struct broker_message *message, int descriptor,
			       int flags)
{
	if (served && atomic_load(&are_late)) {
		usleep(served->late * 1000);
		while (!served->late && !atomic_load(&has_given_up))
			usleep(5000);
	}
	return __real_broker_message_send(channel, message, descriptor, flags);
}

static void *be_broker(void *argument)
{
	struct pair *pair = argument;
	static struct broker_reader readers[2];
	struct broker_reader *reader = &readers[pair->late ? 0 : 1];

	if (broker_message_receive(pair->door[1], reader, 0) < 0)
		return NULL;
	served = pair;
	serve(reader->connection, &room);
	served = NULL;
	broker_message_end(reader);
	return NULL;
}

static bool begin(struct pair *pair)
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair->door) == 0 &&
	       pthread_create(&pair->broker, NULL, be_broker, pair) == 0 &&
	       lent_open(&pair->lent, "IPv4") && lent_watch(&pair->lent, pair->door[0]) &&
	       lent_borrow(&pair->lent) == REFUSAL_NONE;
}

static void *give(void *argument)
{
	struct pair *pair = argument;
	struct lent *lent = &pair->lent;

	pair->error = lender_give(lent->lender, lent->ends.own, &lent->loan, &lent->state);
	if (!pair->late)
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

int main(void)
{
	static struct pair slow = { .late = BROKER_PATIENCE * BROKER_PATIENCE_LENT + 1000 }, silent;

	ground_make();
	if (!tap_ok(begin(&slow), "a connection is borrowed by a broker"))
		return tap_done();
	ground_port++;
	if (!tap_ok(begin(&silent), "and another one by another"))
		return tap_done();
	atomic_store(&are_late, true);
	pthread_create(&slow.client, NULL, give, &slow);
	pthread_create(&silent.client, NULL, give, &silent);
	pthread_join(slow.client, NULL);
	tap_ok(slow.error == 0 && slow.lent.loan.state == LOAN_WATCHED &&
		       lent_goes_on(&slow.lent, ""),
	       "an answer that is late is waited for: %d", slow.error);
	pthread_join(silent.client, NULL);
	tap_ok(silent.error == 0 && silent.lent.loan.state == LOAN_NONE &&
		       lent_goes_on(&silent.lent, ""),
	       "without one it is seen that the connection was given back: %d", silent.error);
	tap_ok(ground_count("OutRsts") == 0, "and nobody was reset");
	end(&slow);
	end(&silent);
	return tap_done();
}
