/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An echo server in the kernel whose connections are borrowed by the stack (melin-stack.so by its
 * table, broker/lender.h) and given back, without libmelin.so: what preload's host mode does, laid
 * bare. For tests/borrow.bats, and for measuring the path below preload.
 *
 *     borrow_echo MODULE ADDRESS PORT [OPTION...]
 *
 *   --first N    messages that the kernel serves before a connection is borrowed (default 2)
 *   --turns N    messages after which it is given back, to be borrowed again (default: never)
 *   --block      sleeps while there is nothing to do (default: looks again and again)
 *   --keep       a loss is no reason to give a connection back
 *   --deaf       what has come is neither read nor answered once a connection is borrowed
 *
 * Prints a line for each event of a connection, and at SIGTERM what was counted.
 */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "broker/lender.h"
#include "stack/stack.h"

#define CONNECTIONS 64
#define BUFFER	    (256 * 1024)

struct connection {
	int descriptor; /* -1: none */
	struct loan loan;
	struct stack_socket *socket; /* while it is borrowed */
	unsigned number, messages;   /* since it was accepted or came back */
	bool wants_back, never;
	size_t pending; /* bytes that are still to be echoed */
	char buffer[BUFFER];
};

static struct {
	unsigned first, turns;
	bool block, keep, deaf;
} options = { .first = 2 };

static const struct stack_operations *ops;
static struct stack *stack;
static struct lender *lender;
static struct connection connections[CONNECTIONS];
static unsigned accepted, borrowed, returned;
static uint64_t borrow_ns, return_ns;
static int family = AF_INET;
static volatile sig_atomic_t ended;

static void on_signal(int number)
{
	(void)number;
	ended = 1;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void die(const char *what, const char *why)
{
	fprintf(stderr, "borrow_echo: %s: %s\n", what, why);
	exit(1);
}

static void on_log(enum log_level level, const char *message)
{
	fprintf(stderr, "stack %d: %s\n", (int)level, message);
}

static void on_event(void *user, uint32_t events)
{
	struct connection *connection = user;

	if (events & STACK_EVENT_RETURN)
		connection->wants_back = true;
}

static void open_stack(const char *module)
{
	static const struct stack_callbacks callbacks = { .event = on_event,
							  .log = on_log,
							  .log_level = LOG_LEVEL_INFO };
	struct stack_config config = { .tap = lender_tap(lender),
				       .rules = lender_open_rules(lender) };
	struct reason reason = { "" };
	void *handle = dlopen(module, RTLD_NOW | RTLD_LOCAL);
	uint64_t start = now_ns();

	ops = handle ? dlsym(handle, "melin_stack_operations") : NULL;
	if (!ops)
		die("no stack", dlerror());
	if (ops->open(&config, &callbacks, &stack, &reason))
		die("no stack", reason.text);
	printf("stack open after %llu us\n", (unsigned long long)(now_ns() - start) / 1000);
}

/* ---- there and back ---- */

static void take(struct connection *connection)
{
	struct connection_state state;
	uint64_t start = now_ns();
	enum refusal refusal;
	int error;

	ops->adopt_begin(stack);
	refusal = lender_borrow(lender, connection->descriptor, &connection->loan, &state);
	if (refusal != REFUSAL_NONE) {
		ops->adopt_end(stack);
		if (refusal_is_passing(refusal))
			return;
		printf("%u refused: %s\n", connection->number, refusal_text(refusal));
		connection->never = true;
		return;
	}
	error = ops->adopt(stack, family, false, connection, &state, &connection->socket);
	if (error)
		die("adopt", strerror(-error));
	ops->adopt_end(stack);
	connection_state_clear(&state);
	borrow_ns += now_ns() - start;
	borrowed++;
	connection->messages = 0;
	if (!options.turns)
		printf("%u borrowed\n", connection->number);
}

static void bring_back(struct connection *connection, const char *why)
{
	struct connection_state state;
	uint64_t start = now_ns();
	int error;

	lender_hold(lender, &connection->loan);
	while (ops->poll(stack) > 0)
		;
	error = ops->give(connection->socket, &state);
	if (error)
		die("give", strerror(-error));
	error = lender_give(lender, connection->descriptor, &connection->loan, &state);
	if (!options.turns)
		printf("%u returned: %s%s%s, %zu unread, %zu unsent\n", connection->number, why,
		       state.remote_closed ? ", closed" : "", state.remote_reset ? ", reset" : "",
		       state.receive_size, state.send_size);
	if (error) {
		printf("%u lost: %s\n", connection->number, strerror(-error));
		connection->never = true;
	}
	connection_state_clear(&state);
	ops->release(connection->socket);
	connection->socket = NULL;
	connection->messages = 0;
	connection->wants_back = false;
	return_ns += now_ns() - start;
	returned++;
}

static const char *reason_of(const struct connection *connection)
{
	static const char *const names[] = {
		[STACK_RETURN_NONE] = "nothing",    [STACK_RETURN_LOSS] = "loss",
		[STACK_RETURN_IDLE] = "idle",	    [STACK_RETURN_PATH] = "path",
		[STACK_RETURN_TIMEOUT] = "timeout", [STACK_RETURN_CLOSED] = "end",
		[STACK_RETURN_RESET] = "reset",
	};

	return names[ops->return_reason(connection->socket)];
}

/* Whether it has been given back. */
static bool heed(struct connection *connection)
{
	if (!connection->wants_back)
		return false;
	connection->wants_back = false;
	if (options.keep && ops->return_reason(connection->socket) == STACK_RETURN_LOSS)
		return false;
	bring_back(connection, reason_of(connection));
	return true;
}

/* ---- echo ---- */

static void end(struct connection *connection, const char *why)
{
	printf("%u ended: %s\n", connection->number, why);
	lender_unwatch(lender, &connection->loan);
	close(connection->descriptor);
	connection->descriptor = -1;
}

static ssize_t read_some(struct connection *connection)
{
	struct iovec iov = { connection->buffer, sizeof(connection->buffer) };
	ssize_t size;

	if (connection->socket)
		return ops->receive(connection->socket, &iov, 1, 0);
	size = recv(connection->descriptor, iov.iov_base, iov.iov_len, MSG_DONTWAIT);
	return size < 0 ? -errno : size;
}

static ssize_t write_some(struct connection *connection, const char *from, size_t size)
{
	struct iovec iov = { (void *)(uintptr_t)from, size };
	ssize_t done;

	if (connection->socket)
		return ops->send(connection->socket, &iov, 1, 0);
	done = send(connection->descriptor, from, size, MSG_DONTWAIT | MSG_NOSIGNAL);
	return done < 0 ? -errno : done;
}

/* Returns whether anything could be done. */
static bool echo(struct connection *connection)
{
	ssize_t size;

	if (connection->pending == 0) {
		size = read_some(connection);
		if (size == -EAGAIN)
			return false;
		if (size <= 0) {
			end(connection, size ? strerror((int)-size) : "closed");
			return true;
		}
		connection->pending = (size_t)size;
		connection->messages++;
	}
	size = write_some(connection, connection->buffer, connection->pending);
	if (size == -EAGAIN)
		return false;
	if (size < 0) {
		end(connection, strerror((int)-size));
		return true;
	}
	connection->pending -= (size_t)size;
	memmove(connection->buffer, connection->buffer + size, connection->pending);
	return true;
}

static bool serve(struct connection *connection)
{
	bool worked = false;

	if (connection->socket && heed(connection))
		worked = true;
	/* What the peer says next acknowledges what was said before. */
	if (!connection->socket && !connection->never && connection->pending == 0 &&
	    connection->messages >= options.first)
		take(connection);
	if (!connection->socket || !options.deaf)
		worked |= echo(connection);
	if (connection->descriptor < 0 || connection->pending)
		return worked;
	if (connection->socket && options.turns && connection->messages >= options.turns)
		bring_back(connection, "its turn");
	return worked;
}

/* ---- all of them ---- */

static int listen_on(const char *address, unsigned port)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };
	const void *name = &in;
	socklen_t size = sizeof(in);
	int on = 1, listener;

	if (inet_pton(AF_INET, address, &in.sin_addr) != 1) {
		inet_pton(AF_INET6, address, &in6.sin6_addr);
		family = AF_INET6;
		name = &in6;
		size = sizeof(in6);
	}
	listener = socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(listener, name, size) < 0 || listen(listener, CONNECTIONS) < 0)
		die("listen", strerror(errno));
	return listener;
}

static void take_connection(int listener)
{
	struct connection *connection = NULL;
	enum refusal refusal;
	int on = 1;

	for (unsigned i = 0; i < CONNECTIONS && !connection; i++) {
		if (connections[i].descriptor < 0)
			connection = &connections[i];
	}
	if (!connection)
		return;
	connection->descriptor = accept(listener, NULL, NULL);
	if (connection->descriptor < 0)
		return;
	setsockopt(connection->descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	connection->number = accepted++;
	connection->messages = 0;
	connection->pending = 0;
	memset(&connection->loan, 0, sizeof(connection->loan));
	refusal = lender_watch(lender, connection->descriptor, &connection->loan);
	connection->never = refusal != REFUSAL_NONE;
	if (connection->never)
		printf("%u refused: %s\n", connection->number, refusal_text(refusal));
}

static int sleep_ms(uint64_t deadline)
{
	uint64_t now = now_ns();

	if (deadline == UINT64_MAX)
		return 1000;
	return deadline > now ? (int)((deadline - now) / 1000000 + 1) : 0;
}

static void wait_for_work(int listener)
{
	struct pollfd looks[CONNECTIONS + 2] = { { .fd = listener, .events = POLLIN } };
	nfds_t count = 1;
	uint64_t deadline;
	int device = ops->watch_begin(stack, 0, &deadline);

	if (device == -EAGAIN)
		return;
	if (device >= 0)
		looks[count++] = (struct pollfd){ .fd = device, .events = POLLIN };
	for (unsigned i = 0; i < CONNECTIONS; i++) {
		if (connections[i].descriptor >= 0 && !connections[i].socket)
			looks[count++] = (struct pollfd){ .fd = connections[i].descriptor,
							  .events = POLLIN };
	}
	poll(looks, count, sleep_ms(deadline));
	if (device >= 0 || device == -EALREADY)
		ops->watch_end(stack, device == -EALREADY);
}

static void run(int listener)
{
	uint64_t last = now_ns();

	while (!ended) {
		bool worked = ops->poll(stack) > 0;

		for (unsigned i = 0; i < CONNECTIONS; i++) {
			if (connections[i].descriptor >= 0)
				worked |= serve(&connections[i]);
		}
		if (worked) {
			last = now_ns();
			continue;
		}
		if (options.block || now_ns() - last > 10000000)
			wait_for_work(listener);
		take_connection(listener);
	}
}

static void finish(void)
{
	struct stack_counters counters;

	for (unsigned i = 0; i < CONNECTIONS; i++) {
		if (connections[i].descriptor >= 0 && connections[i].socket)
			bring_back(&connections[i], "the end");
	}
	ops->close(stack, 0, &counters);
	lender_close(lender);
	printf("accepted %u, borrowed %u in %llu ns, returned %u in %llu ns\n", accepted, borrowed,
	       (unsigned long long)(borrowed ? borrow_ns / borrowed : 0), returned,
	       (unsigned long long)(returned ? return_ns / returned : 0));
	printf("frames: %llu received, %llu sent, %llu dropped; %llu retransmissions\n",
	       (unsigned long long)counters.rx_frames, (unsigned long long)counters.tx_frames,
	       (unsigned long long)counters.rx_drops, (unsigned long long)counters.retransmissions);
}

static void read_options(int count, char **words)
{
	static const struct option known[] = { { "first", required_argument, NULL, 'f' },
					       { "turns", required_argument, NULL, 't' },
					       { "block", no_argument, NULL, 'b' },
					       { "keep", no_argument, NULL, 'k' },
					       { "deaf", no_argument, NULL, 'd' },
					       { 0 } };
	int option;

	while ((option = getopt_long(count, words, "", known, NULL)) != -1) {
		if (option == 'f')
			options.first = (unsigned)atoi(optarg);
		else if (option == 't')
			options.turns = (unsigned)atoi(optarg);
		else if (option == 'b')
			options.block = true;
		else if (option == 'k')
			options.keep = true;
		else if (option == 'd')
			options.deaf = true;
		else
			die("options", "see the source");
	}
	if (count - optind != 3)
		die("usage", "borrow_echo MODULE ADDRESS PORT");
}

int main(int count, char **words)
{
	struct sigaction action = { .sa_handler = on_signal };
	enum refusal refusal;
	int listener;

	setvbuf(stdout, NULL, _IOLBF, 0);
	read_options(count, words);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	for (unsigned i = 0; i < CONNECTIONS; i++)
		connections[i].descriptor = -1;
	refusal = lender_open(&lender);
	if (refusal != REFUSAL_NONE)
		die("no lender", refusal_text(refusal));
	open_stack(words[optind]);
	listener = listen_on(words[optind + 1], (unsigned)atoi(words[optind + 2]));
	printf("ready\n");
	run(listener);
	finish();
	return 0;
}
