/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The connection index under hundreds of thousands of random steps: connections opened, used,
 * closed in every way, parked and woken, listeners coming and going. After each few steps lists,
 * links and buckets must agree, and what is sent must arrive.
 */
#include "tests/unit/stack/common.h"

#define PAIRS	  256
#define LISTENERS 4
#define FIRST	  2000
#define STEPS	  60000

static struct {
	struct test_socket client, server;
	uint32_t sent, received; /* bytes from the client, as numbers modulo 256 */
} pairs[PAIRS];
static struct test_socket listeners[LISTENERS];
static unsigned opened, moved, mismatches;

static void open_pair(unsigned i)
{
	unsigned which = (unsigned)rand() % LISTENERS;
	struct sockaddr *to = address4("127.0.0.1", (uint16_t)(FIRST + which));

	create(&pairs[i].client, AF_INET);
	ops->connect(pairs[i].client.handle, NULL, to);
	pairs[i].sent = pairs[i].received = 0;
	if (accept_one(&listeners[which], &pairs[i].server)) {
		opened++;
	} else {
		drop(&pairs[i].client);
	}
}

static void use_pair(unsigned i)
{
	unsigned char data[3000];
	size_t size = (size_t)rand() % sizeof(data);
	ssize_t count;

	for (size_t k = 0; k < size; k++)
		data[k] = (unsigned char)(pairs[i].sent + k);
	count = put(&pairs[i].client, data, size, rand() % 4 ? 0 : MSG_MORE);
	if (count > 0)
		pairs[i].sent += (uint32_t)count;
	while ((count = get(&pairs[i].server, data, sizeof(data), 0)) > 0) {
		for (ssize_t k = 0; k < count; k++)
			mismatches += data[k] != (unsigned char)(pairs[i].received + (uint32_t)k);
		pairs[i].received += (uint32_t)count;
		moved += (unsigned)count;
	}
}

static void close_pair(unsigned i)
{
	struct linger linger = { .l_onoff = rand() % 3 == 0 };

	ops->set_option(pairs[i].client.handle, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	if (rand() % 2)
		ops->shutdown(pairs[i].server.handle, rand() % 3);
	if (rand() % 2) {
		drop(&pairs[i].client);
		drop(&pairs[i].server);
	} else {
		drop(&pairs[i].server);
		drop(&pairs[i].client);
	}
}

static void renew_listener(unsigned i)
{
	if (listeners[i].handle)
		drop(&listeners[i]);
	create(&listeners[i], AF_INET);
	ops->listen(listeners[i].handle, address4("127.0.0.1", (uint16_t)(FIRST + i)), 4);
}

static void step(void)
{
	unsigned i = (unsigned)rand() % PAIRS;
	unsigned what = (unsigned)rand() % 1000;

	if (what < 3)
		renew_listener((unsigned)rand() % LISTENERS);
	else if (what < 8)
		pass_ms(1000);
	else if (what < 100)
		pass_ms(20);
	else if (!pairs[i].client.handle)
		open_pair(i);
	else if (what < 300)
		close_pair(i);
	else
		use_pair(i);
}

static void run_tests(void)
{
	int wrong = 0;
	bool parked = false;

	srand(1);
	open_loop();
	for (unsigned i = 0; i < LISTENERS; i++)
		renew_listener(i);
	for (unsigned i = 0; i < STEPS && !wrong; i++) {
		step();
		parked |= stack->index.counts.parked > 0;
		if (i % 16 == 0)
			wrong = melin_index_check();
	}
	tap_ok(wrong == 0, "lists, links and buckets agree: %d", wrong);
	tap_ok(mismatches == 0, "%u connections moved %u bytes unharmed", opened, moved);
	tap_ok(opened > 1000 && moved > 1000000, "enough of them");
	tap_ok(parked, "some were parked meanwhile");
	for (unsigned i = 0; i < PAIRS; i++) {
		if (pairs[i].client.handle)
			close_pair(i);
	}
	for (unsigned i = 0; i < LISTENERS; i++)
		drop(&listeners[i]);
	pass_ms(70000);
	tap_ok(stack->index.counts.active + stack->index.counts.parked +
			       stack->index.counts.timewait + stack->index.counts.listeners ==
		       0,
	       "nothing is left");
	ops->close(stack, 0, &(struct stack_counters){ 0 });
}

int main(void)
{
	return run_at_each_start(run_tests);
}
