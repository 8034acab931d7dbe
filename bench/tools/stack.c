/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The stack alone, without sockets of the program's, devices or the kernel: two copies of it in one
 * thread, back to back in memory. How long a request and its answer of 64 bytes take, both ends
 * together.
 *
 *     stack MODULE raw|sockets CONNECTIONS one|all SECONDS
 *
 * raw: lwIP's callbacks; sockets: the functions that libmelin.so calls. one: the same connection
 * asks again and again; all: each in turn. No descriptors are needed, so no limit on them counts
 * here.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/stack/end.h"
#include "common.h"

#define SERVER	   "198.18.0.10"
#define CLIENT	   "198.18.0.20"
#define PORT	   7000
#define PORTS_EACH 25000 /* as raw.c's */
#define SIZE	   64
#define FRAMES	   8192 /* in each direction: far more bytes than the caches have */

struct side {
	const struct end *end;
	struct stack *stack;
};

static struct side server, client;
static struct stack_socket **asks, **serves;

static void on_event(void *user, uint32_t events)
{
	(void)user;
	(void)events;
}

static void on_log(enum log_level level, const char *message)
{
	(void)level;
	fprintf(stderr, "%s\n", message);
}

/* dlopen() gives a second handle to the same file: each end needs a file of its own. */
static const struct end *load_copy(const char *module)
{
	int from = open(module, O_RDONLY | O_CLOEXEC), to = memfd_create("stack", 0);
	struct stat status;
	const struct end *end;
	char path[64];
	void *handle;

	if (from < 0 || to < 0 || fstat(from, &status) < 0 ||
	    sendfile(to, from, NULL, (size_t)status.st_size) != status.st_size)
		fail("cannot copy %s", module);
	close(from);
	/* It stays open: another file under the same number would be taken for this one. */
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", getpid(), to);
	handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	end = handle ? dlsym(handle, "bench_end") : NULL;
	if (!end)
		fail("%s: %s", module, dlerror());
	return end;
}

static void start(struct side *side, const char *address)
{
	static const struct stack_callbacks callbacks = { .event = on_event,
							  .log = on_log,
							  .log_level = LOG_LEVEL_WARN };
	struct stack_config config = { .device = "memory", .address_count = 1 };
	struct reason reason = { "" };

	config.addresses[0].family = AF_INET;
	config.addresses[0].prefix = 24;
	config.addresses[0].v4 = address_of(address, 0).sin_addr;
	errno = 0;
	if (side->end->operations->open(&config, &callbacks, &side->stack, &reason))
		fail("%s", reason.text);
	side->end->alone(side->stack);
	side->end->prepare(&side->end->link->received, FRAMES);
}

static void poll_both(void)
{
	server.end->operations->poll(server.stack);
	client.end->operations->poll(client.stack);
}

/* ---- the two layers ---- */

struct layer {
	const char *name;
	void (*listen)(unsigned port);
	bool (*connect)(unsigned index);
	void (*ask)(unsigned index); /* and waits for the answer */
};

static void raw_listen(unsigned port)
{
	server.end->raw_listen(server.stack, port);
}

static bool raw_connect(unsigned index)
{
	client.end->raw_connect(client.stack, index, CLIENT, SERVER, PORT);
	for (int i = 0; i < 100 && client.end->raw_established() <= index; i++)
		poll_both();
	return client.end->raw_established() > index;
}

static void raw_ask(unsigned index)
{
	uint64_t before = client.end->raw_answers();

	client.end->raw_ask(client.stack, index, SIZE);
	while (client.end->raw_answers() == before)
		poll_both();
}

static struct stack_socket *listeners[8]; /* one for each port */

static void sockets_listen(unsigned port)
{
	const struct stack_operations *operations = server.end->operations;
	struct sockaddr_in address = address_of(SERVER, port);
	struct stack_socket **listener = &listeners[port - PORT];

	if (operations->socket_create(server.stack, AF_INET, false, NULL, listener) ||
	    operations->listen(*listener, (struct sockaddr *)&address, 4096))
		fail("listen");
}

static bool sockets_connect(unsigned index)
{
	const struct stack_operations *operations = client.end->operations;
	struct sockaddr_in address = address_of(SERVER, PORT + index / PORTS_EACH);
	struct sockaddr_storage peer;

	if (operations->socket_create(client.stack, AF_INET, false, NULL, &asks[index]) ||
	    operations->connect(asks[index], NULL, (struct sockaddr *)&address) != -EINPROGRESS)
		return false;
	for (int i = 0; i < 100; i++) {
		poll_both();
		if (server.end->operations->accept(listeners[index / PORTS_EACH], &serves[index],
						   &peer) == 0)
			return true;
	}
	return false;
}

static void sockets_ask(unsigned index)
{
	const struct stack_operations *operations = client.end->operations;
	const struct stack_operations *others = server.end->operations;
	char data[SIZE];
	struct iovec iov = { .iov_base = data, .iov_len = sizeof(data) };

	memset(data, 'q', sizeof(data));
	if (operations->send(asks[index], &iov, 1, 0) != SIZE)
		fail("send");
	while (!(others->readiness(serves[index]) & 1))
		others->poll(server.stack);
	if (others->receive(serves[index], &iov, 1, 0) != SIZE ||
	    others->send(serves[index], &iov, 1, 0) != SIZE)
		fail("answer");
	while (!(operations->readiness(asks[index]) & 1))
		operations->poll(client.stack);
	if (operations->receive(asks[index], &iov, 1, 0) != SIZE)
		fail("receive");
}

static const struct layer layers[] = {
	{ "raw", raw_listen, raw_connect, raw_ask },
	{ "sockets", sockets_listen, sockets_connect, sockets_ask },
};

/* ---- */

static void measure(const struct layer *layer, unsigned connections, bool all, double seconds)
{
	const unsigned batch = 64; /* requests between two looks at the clock */
	struct samples samples = { 0 };
	uint64_t begin = now_ns(), end = begin + (uint64_t)(seconds * 1e9), now;
	unsigned index = 0;

	do {
		uint64_t before = now_ns();

		for (unsigned i = 0; i < batch; i++) {
			layer->ask(index);
			/* A step that shares no factor with the number visits all, in no order. */
			if (all)
				index = (index + 7919) % connections;
		}
		now = now_ns();
		sample(&samples, (now - before) / batch);
	} while (now < end);
	print_samples(&samples, now - begin);
}

int main(int count, char **words)
{
	const struct layer *layer = NULL;
	unsigned connections;

	if (count != 6) {
		fprintf(stderr, "usage: stack MODULE raw|sockets CONNECTIONS one|all SECONDS\n");
		return 2;
	}
	for (size_t i = 0; i < sizeof(layers) / sizeof(layers[0]); i++)
		if (!strcmp(words[2], layers[i].name))
			layer = &layers[i];
	connections = (unsigned)strtoul(words[3], NULL, 10);
	if (!layer || !connections || connections > 8 * PORTS_EACH)
		return 2;
	asks = calloc(connections, sizeof(*asks));
	serves = calloc(connections, sizeof(*serves));
	server.end = load_copy(words[1]);
	client.end = load_copy(words[1]);
	server.end->link->peer = client.end->link;
	client.end->link->peer = server.end->link;
	start(&server, SERVER);
	start(&client, CLIENT);
	for (unsigned port = 0; port <= (connections - 1) / PORTS_EACH; port++)
		layer->listen(PORT + port);
	for (unsigned i = 0; i < connections; i++)
		if (!layer->connect(i))
			fail("connection %u", i);
	measure(layer, connections, !strcmp(words[4], "all"), strtod(words[5], NULL));
	return 0;
}
