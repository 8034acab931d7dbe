/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What calls cost on descriptors that are the kernel's: read, write, poll, epoll_wait and close
 * through whatever libc the program was given (with libmelin.so preloaded or not).
 *
 *     calls SECONDS [thread | HOST PORT]
 *
 * thread: with a second thread that sleeps (Linux takes longer to look up a descriptor in a process
 * that has several threads). HOST PORT: open this connection first and keep it open.
 *
 * The kernel's own part of each call is made as small as it can be, so that what is added in front
 * of it shows. One JSON line: nanoseconds of a call, the median of many batches.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common.h"

#define BATCH	    2000
#define BATCHES_MAX 20000

static int zero, null, event, set;

static void call_read(void)
{
	char byte;

	if (read(zero, &byte, 1) != 1)
		fail("read");
}

static void call_write(void)
{
	if (write(null, "x", 1) != 1)
		fail("write");
}

static void call_poll(void)
{
	struct pollfd descriptor = { .fd = event, .events = POLLIN };

	if (poll(&descriptor, 1, 0) != 1)
		fail("poll");
}

static void call_epoll_wait(void)
{
	struct epoll_event found;

	if (epoll_wait(set, &found, 1, 0) != 1)
		fail("epoll_wait");
}

/* There is nothing to close without something that opens: the pair is measured. */
static void call_dup_close(void)
{
	if (close(dup(null)))
		fail("close");
}

static const struct {
	const char *name;
	void (*call)(void);
} calls[] = {
	{ "read", call_read },		 { "write", call_write },
	{ "poll", call_poll },		 { "epoll_wait", call_epoll_wait },
	{ "dup+close", call_dup_close },
};

static int compare(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;

	return (a > b) - (a < b);
}

/* A batch that was interrupted is an outlier; the median does not see it. */
static double measure(void (*call)(void), double seconds)
{
	static double batches[BATCHES_MAX];
	uint64_t end = now_ns() + (uint64_t)(seconds * 1e9);
	size_t count = 0;

	while (count < BATCHES_MAX && now_ns() < end) {
		uint64_t start = now_ns();

		for (int i = 0; i < BATCH; i++)
			call();
		batches[count++] = (double)(now_ns() - start) / BATCH;
	}
	qsort(batches, count, sizeof(batches[0]), compare);
	return batches[count / 2];
}

static void keep_connection(const char *host, const char *port)
{
	struct sockaddr_in address = address_of(host, (unsigned)atoi(port));
	int descriptor = socket(AF_INET, SOCK_STREAM, 0);
	char byte = 'x';

	if (connect(descriptor, (struct sockaddr *)&address, sizeof(address)) ||
	    write(descriptor, &byte, 1) != 1 || read(descriptor, &byte, 1) != 1)
		fail("%s port %s", host, port);
}

static void *sleep_on(void *nothing)
{
	for (;;)
		pause();
	return nothing;
}

static void start_thread(void)
{
	pthread_t thread;

	errno = pthread_create(&thread, NULL, sleep_on, NULL);
	if (errno)
		fail("pthread_create");
}

int main(int count, char **words)
{
	double seconds = count > 1 ? atof(words[1]) : 0;
	size_t number = sizeof(calls) / sizeof(calls[0]);
	struct epoll_event watched = { .events = EPOLLIN };

	if (seconds <= 0) {
		fprintf(stderr, "usage: calls SECONDS [thread | HOST PORT]\n");
		return 2;
	}
	if (count == 3)
		start_thread();
	if (count > 3)
		keep_connection(words[2], words[3]);
	zero = open("/dev/zero", O_RDONLY);
	null = open("/dev/null", O_WRONLY);
	event = eventfd(1, 0);
	set = epoll_create1(0);
	if (zero < 0 || null < 0 || event < 0 || set < 0 ||
	    epoll_ctl(set, EPOLL_CTL_ADD, event, &watched))
		fail("descriptors");
	for (size_t i = 0; i < number; i++)
		measure(calls[i].call, 0.01);
	printf("{");
	for (size_t i = 0; i < number; i++)
		printf("%s\"%s\": %.2f", i ? ", " : "", calls[i].name,
		       measure(calls[i].call, seconds / (double)number));
	printf("}\n");
	return 0;
}
