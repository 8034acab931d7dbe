/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The client of the benchmark's own: it asks an echo server and says how long the answers took.
 *
 *     ask ping ADDRESS PORT    one request at a time, over one or many connections in turn
 *     ask open ADDRESS PORT    a new connection for each request
 *     ask hold ADDRESS PORT    opens connections and does nothing with them
 *     ask pair ADDRESS PORT    as ping, with an echo thread in this process as the server
 *
 *   --size N           bytes of request and answer (default 64)
 *   --seconds S        how long (default 1)
 *   --spin             never sleep for an answer: try again and again
 *   --interval US      sleep so long before each request
 *   --connections N    how many to open (default 1)
 *   --active N         how many of them to use (default: all)
 *   --ports N          the server listens on so many ports from PORT on (default 1)
 *   --cores A,B        pair: the server's and the client's
 */
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common.h"

/* No answer for so long, and something is broken. */
#define PATIENCE_NS UINT64_C(10000000000)

static struct {
	const char *host;
	unsigned port, ports;
	size_t size;
	double seconds;
	bool spin;
	unsigned interval_us;
	unsigned connections, active;
	int server_core, client_core;
} options = {
	.size = 64,
	.seconds = 1,
	.connections = 1,
	.ports = 1,
	.server_core = -1,
	.client_core = -1,
};

static char message[65536], answer[65536];

static int open_connection(unsigned number)
{
	struct sockaddr_in address =
		address_of(options.host, options.port + number % options.ports);
	struct timeval patience = { .tv_sec = PATIENCE_NS / 1000000000u };
	int descriptor = socket(AF_INET, SOCK_STREAM, 0);

	if (descriptor < 0)
		fail("socket %u", number);
	setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (connect(descriptor, (struct sockaddr *)&address, sizeof(address)))
		fail("connection %u to %s", number, options.host);
	set_nodelay(descriptor);
	return descriptor;
}

static void send_all(int descriptor)
{
	size_t sent = 0;

	while (sent < options.size) {
		ssize_t count = send(descriptor, message + sent, options.size - sent, MSG_NOSIGNAL);

		if (count > 0)
			sent += (size_t)count;
		else if (count == 0 || (errno != EAGAIN && errno != EINTR))
			fail("send");
	}
}

static void receive_all(int descriptor, uint64_t start)
{
	size_t received = 0;

	while (received < options.size) {
		ssize_t count = recv(descriptor, answer, options.size - received, 0);

		if (count > 0) {
			received += (size_t)count;
			continue;
		}
		if (count == 0)
			errno = ECONNRESET;
		if (count == 0 || (errno != EAGAIN && errno != EINTR))
			fail("recv");
		if (now_ns() - start > PATIENCE_NS) {
			errno = ETIMEDOUT;
			fail("recv: no answer");
		}
	}
}

static void pause_before_request(void)
{
	struct timespec time = {
		.tv_sec = options.interval_us / 1000000,
		.tv_nsec = (long)(options.interval_us % 1000000) * 1000,
	};

	if (options.interval_us)
		nanosleep(&time, NULL);
}

static uint64_t round_trip(int descriptor)
{
	uint64_t start = now_ns();

	send_all(descriptor);
	receive_all(descriptor, start);
	return now_ns() - start;
}

static int *open_connections(void)
{
	int *descriptors = calloc(options.connections, sizeof(*descriptors));

	if (!descriptors)
		fail("connections");
	for (unsigned i = 0; i < options.connections; i++)
		descriptors[i] = open_connection(i);
	return descriptors;
}

static void ping(void)
{
	struct samples samples = { 0 };
	int *descriptors = open_connections();
	unsigned active = options.active ? options.active : options.connections;
	uint64_t start, end;

	for (unsigned i = 0; i < active; i++) {
		round_trip(descriptors[i]); /* warm, and known to be accepted */
		if (options.spin)
			set_nonblocking(descriptors[i]);
	}
	start = now_ns();
	end = start + (uint64_t)(options.seconds * 1e9);
	/* NOLINTNEXTLINE(clang-analyzer-core.DivideZero): main() has looked: there is one. */
	for (unsigned i = 0; now_ns() < end; i = (i + 1) % active) {
		pause_before_request();
		sample(&samples, round_trip(descriptors[i]));
	}
	print_samples(&samples, now_ns() - start);
	for (unsigned i = 0; i < options.connections; i++)
		close(descriptors[i]);
	free(descriptors);
}

static void open_and_close(void)
{
	struct samples samples = { 0 };
	uint64_t start = now_ns(), end = start + (uint64_t)(options.seconds * 1e9);

	for (unsigned i = 0; now_ns() < end; i++) {
		uint64_t before = now_ns();
		int descriptor = open_connection(i);

		round_trip(descriptor);
		close(descriptor);
		sample(&samples, now_ns() - before);
	}
	print_samples(&samples, now_ns() - start);
}

static void wake_up(int signal)
{
	(void)signal; /* ends the sleep, and with it the program */
}

static void hold(void)
{
	struct sigaction action = { .sa_handler = wake_up };
	uint64_t start = now_ns();
	int *descriptors = open_connections();

	/* The last one is answered: all before it are accepted then. */
	round_trip(descriptors[options.connections - 1]);
	printf("{\"opened\": %u, \"seconds\": %.3f}\n", options.connections,
	       (double)(now_ns() - start) / 1e9);
	fflush(stdout);
	sigaction(SIGTERM, &action, NULL);
	usleep((useconds_t)(options.seconds * 1e6));
	free(descriptors);
}

static void *echo(void *argument)
{
	int listener = *(int *)argument, connection;
	static char buffer[65536];

	pin(options.server_core);
	connection = accept(listener, NULL, NULL);
	if (connection < 0)
		fail("accept");
	set_nodelay(connection);
	if (options.spin)
		set_nonblocking(connection);
	for (;;) {
		ssize_t count = recv(connection, buffer, sizeof(buffer), 0);

		if (count < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (count <= 0)
			break;
		if (send(connection, buffer, (size_t)count, MSG_NOSIGNAL) != count)
			fail("echo");
	}
	close(connection);
	return NULL;
}

static void pair(void)
{
	struct sockaddr_in address = address_of(options.host, options.port);
	int on = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
	pthread_t thread;

	if (listener < 0)
		fail("socket");
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) || listen(listener, 1))
		fail("%s port %u", options.host, options.port);
	errno = pthread_create(&thread, NULL, echo, &listener);
	if (errno)
		fail("pthread_create");
	pin(options.client_core);
	ping();
	pthread_join(thread, NULL);
}

static const struct {
	const char *name;
	void (*run)(void);
} modes[] = { { "ping", ping }, { "open", open_and_close }, { "hold", hold }, { "pair", pair } };

static void parse(int count, char **words)
{
	static const struct option known[] = {
		{ "size", required_argument, NULL, 's' },
		{ "seconds", required_argument, NULL, 't' },
		{ "spin", no_argument, NULL, 'p' },
		{ "interval", required_argument, NULL, 'i' },
		{ "connections", required_argument, NULL, 'c' },
		{ "active", required_argument, NULL, 'a' },
		{ "ports", required_argument, NULL, 'n' },
		{ "cores", required_argument, NULL, 'k' },
		{ 0 },
	};
	int option;

	while ((option = getopt_long(count, words, "", known, NULL)) != -1) {
		switch (option) {
		case 's':
			options.size = (size_t)atoi(optarg);
			break;
		case 't':
			options.seconds = atof(optarg);
			break;
		case 'p':
			options.spin = true;
			break;
		case 'i':
			options.interval_us = (unsigned)atoi(optarg);
			break;
		case 'c':
			options.connections = (unsigned)atoi(optarg);
			break;
		case 'a':
			options.active = (unsigned)atoi(optarg);
			break;
		case 'n':
			options.ports = (unsigned)atoi(optarg);
			break;
		case 'k':
			if (sscanf(optarg, "%d,%d", &options.server_core, &options.client_core) !=
			    2)
				exit(2);
			break;
		default:
			exit(2);
		}
	}
}

int main(int count, char **words)
{
	parse(count, words);
	if (count - optind != 3 || !options.size || options.size > sizeof(message) ||
	    !options.connections || options.active > options.connections || !options.ports) {
		fprintf(stderr, "usage: ask ping|open|hold|pair ADDRESS PORT [OPTIONS]\n");
		return 2;
	}
	options.host = words[optind + 1];
	options.port = (unsigned)atoi(words[optind + 2]);
	memset(message, 'm', sizeof(message));
	raise_descriptor_limit();
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (strcmp(words[optind], modes[i].name) == 0) {
			modes[i].run();
			return 0;
		}
	}
	fprintf(stderr, "ask: no mode \"%s\"\n", words[optind]);
	return 2;
}
