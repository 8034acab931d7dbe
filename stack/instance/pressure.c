/* SPDX-License-Identifier: BSD-3-Clause */
/* The bound on all connections' memory: pressure.h. */
#include "stack/instance/pressure.h"

#include <unistd.h>

#include "lwip/tcp.h"

#include "stack/instance_parts.h"

/*
 * A sixteenth of the machine's memory is where Linux's kernel sees pressure for all TCP of the
 * machine. This is one process of it, so there is a constant above: it holds the full buffers of
 * 64 connections at 4 MB, or 16 KB for 16,000.
 */
#define LIMIT_PART 16
#define LIMIT_MOST ((size_t)256 << 20)

/* Below this part of the limit nobody cares: it holds the first buffers of 128 connections. */
#define LOW_PART 8

static size_t physical_memory(void)
{
	long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);

	return pages > 0 && size > 0 ? (size_t)pages * (size_t)size : LIMIT_MOST;
}

void pressure_start(struct pressure_limits *limits, size_t limit)
{
	if (!limit)
		limit = physical_memory() / LIMIT_PART;
	if (limit > LIMIT_MOST)
		limit = LIMIT_MOST;
	*limits = (struct pressure_limits){
		.low = limit / LOW_PART,
		.high = limit / 4 * 3, /* as tcp_mem's second and third are to each other */
		.limit = limit,
	};
}

/* lwIP takes the memory of connections from the same place as that of data: it does not count. */
static size_t used_by_data(void)
{
	const struct index *index = &melin_instance->index;
	size_t connections =
		(size_t)index->counts.active + index->counts.parked + index->counts.timewait;
	size_t used = melin_instance->allocation.used;
	size_t theirs = connections * sizeof(struct tcp_pcb);

	return used > theirs ? used - theirs : 0;
}

enum pressure pressure_beyond_low(void)
{
	const struct pressure_limits *limits = &melin_instance->pressure;
	size_t used = used_by_data();

	if (used < limits->low)
		return PRESSURE_NONE;
	if (used < limits->high)
		return PRESSURE_LOW;
	return used < limits->limit ? PRESSURE_HIGH : PRESSURE_LIMIT;
}
