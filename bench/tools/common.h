/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the benchmark's own programs share: clock, failure, addresses, and percentiles of what they
 * measured. They are ordinary programs that know nothing of melin; each is used only where the
 * distribution has none that does the work.
 */
#ifndef MELIN_BENCH_COMMON_H
#define MELIN_BENCH_COMMON_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <stdnoreturn.h>

/* Prints a message and errno's text, ends with status 1. */
noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

uint64_t now_ns(void); /* CLOCK_MONOTONIC */

struct sockaddr_in address_of(const char *host, unsigned port);

/* As many descriptors as the system gives a process. */
void raise_descriptor_limit(void);

void set_nonblocking(int descriptor);
void set_nodelay(int descriptor);

/* Puts the calling thread on one core; a negative one: leaves it where it may run. */
void pin(int core);

/* Times in nanoseconds, as many as there come. */
struct samples {
	uint32_t *values;
	size_t count, room;
};

void sample(struct samples *samples, uint64_t nanoseconds);

/* One line: JSON, with the number of samples a second, their mean and percentiles in us. */
void print_samples(struct samples *samples, uint64_t elapsed_ns);

#endif
