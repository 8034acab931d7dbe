/* SPDX-License-Identifier: BSD-3-Clause */
/* See common.h. */
#include "common.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

noreturn void fail(const char *format, ...)
{
	int error = errno;
	va_list arguments;

	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fprintf(stderr, ": %s\n", strerror(error));
	exit(1);
}

uint64_t now_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

struct sockaddr_in address_of(const char *host, unsigned port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };

	errno = EINVAL;
	if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
		fail("%s", host);
	return address;
}

void raise_descriptor_limit(void)
{
	struct rlimit limit;

	/* Root may raise the hard limit too; another user gets what there is. */
	limit.rlim_cur = limit.rlim_max = 1000000;
	if (setrlimit(RLIMIT_NOFILE, &limit) == 0)
		return;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

void set_nonblocking(int descriptor)
{
	if (fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK))
		fail("fcntl");
}

void set_nodelay(int descriptor)
{
	int on = 1;

	if (setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)))
		fail("TCP_NODELAY");
}

void pin(int core)
{
	cpu_set_t cores;

	if (core < 0)
		return;
	CPU_ZERO(&cores);
	CPU_SET((unsigned)core, &cores);
	errno = pthread_setaffinity_np(pthread_self(), sizeof(cores), &cores);
	if (errno)
		fail("core %d", core);
}

void sample(struct samples *samples, uint64_t nanoseconds)
{
	if (samples->count == samples->room) {
		samples->room = samples->room ? 2 * samples->room : 1 << 20;
		samples->values =
			realloc(samples->values, samples->room * sizeof(*samples->values));
		if (!samples->values)
			fail("samples");
	}
	samples->values[samples->count++] =
		nanoseconds > UINT32_MAX ? UINT32_MAX : (uint32_t)nanoseconds;
}

static int compare(const void *left, const void *right)
{
	uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;

	return (a > b) - (a < b);
}

static double percentile(const struct samples *samples, double share)
{
	size_t index = (size_t)(share * (double)samples->count);

	if (index >= samples->count)
		index = samples->count - 1;
	return samples->values[index] / 1e3;
}

void print_samples(struct samples *samples, uint64_t elapsed_ns)
{
	double sum = 0;

	errno = ENODATA;
	if (!samples->count)
		fail("nothing measured");
	for (size_t i = 0; i < samples->count; i++)
		sum += samples->values[i];
	qsort(samples->values, samples->count, sizeof(*samples->values), compare);
	printf("{\"count\": %zu, \"rate\": %.1f, \"mean\": %.3f, \"p50\": %.3f, \"p99\": %.3f, "
	       "\"p99.9\": %.3f, \"max\": %.3f}\n",
	       samples->count, (double)samples->count * 1e9 / (double)elapsed_ns,
	       sum / (double)samples->count / 1e3, percentile(samples, 0.5),
	       percentile(samples, 0.99), percentile(samples, 0.999), percentile(samples, 1.0));
}
