/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Clients of a broker that share the room for connections, as those of one user do. The broker is a
 * thread for each of them here: for its process see test_broker.c.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "broker/broker_protocol.h"
#include "broker/lender.h"
#include "broker/serve.h"
#include "tests/unit/broker/ground.h"
#include "tests/unit/tap.h"

#define ROOM 3

static struct serve_room room = { .most = ROOM };

struct client {
	int channel, served;
	pthread_t thread;
};

static void *run(void *argument)
{
	struct client *client = argument;

	serve(client->served, &room);
	close(client->served);
	return NULL;
}

static int32_t ask(const struct client *client, enum broker_request what, int descriptor)
{
	const struct broker_message request = { .what = (int32_t)what };
	struct broker_reader *answer = calloc(1, sizeof(*answer));
	int32_t result = -EPIPE;

	if (broker_message_send(client->channel, &request, descriptor, 0) == 0 &&
	    broker_message_receive(client->channel, answer, 0) == 0) {
		result = answer->message.what;
		broker_message_end(answer);
	}
	free(answer);
	return result;
}

static bool come(struct client *client)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return false;
	client->channel = ends[0];
	client->served = ends[1];
	return pthread_create(&client->thread, NULL, run, client) == 0 &&
	       ask(client, BROKER_TAP, -1) == REFUSAL_NONE;
}

static void leave(struct client *client)
{
	close(client->channel);
	pthread_join(client->thread, NULL);
}

int main(void)
{
	struct ends ends[ROOM + 1];
	struct client one, two;

	ground_make();
	for (int i = 0; i <= ROOM; i++, ground_port++)
		if (!tap_ok(ground_connect("IPv4", true, &ends[i]), "connection %d", i))
			return tap_done();
	if (!tap_ok(come(&one) && come(&two), "two clients of a user"))
		return tap_done();
	tap_ok(ask(&one, BROKER_WATCH, ends[0].own) == REFUSAL_NONE &&
		       ask(&one, BROKER_WATCH, ends[1].own) == REFUSAL_NONE &&
		       ask(&two, BROKER_WATCH, ends[2].own) == REFUSAL_NONE,
	       "have as many connections watched as there is room for");
	tap_ok(ask(&two, BROKER_WATCH, ends[3].own) == REFUSAL_FULL &&
		       ask(&one, BROKER_WATCH, ends[3].own) == REFUSAL_FULL,
	       "and no more");
	tap_ok(ask(&one, BROKER_WATCH, ends[0].own) == REFUSAL_NONE,
	       "one that is watched already takes no place");
	tap_ok(ask(&two, BROKER_WATCH, ends[3].listener) == REFUSAL_FULL && room.used == ROOM,
	       "what cannot be watched keeps none");
	leave(&one);
	tap_ok(room.used == 1, "a client that leaves frees its places");
	tap_ok(ask(&two, BROKER_WATCH, ends[3].own) == REFUSAL_NONE && room.used == 2,
	       "for the other");
	tap_ok(ask(&two, BROKER_WATCH, ends[3].listener) == REFUSAL_STATE && room.used == 2,
	       "what cannot be watched keeps none then either");
	leave(&two);
	tap_ok(room.used == 0, "none is taken in the end");
	for (int i = 0; i <= ROOM; i++)
		ground_close(&ends[i]);
	return tap_done();
}
