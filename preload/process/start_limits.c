/* SPDX-License-Identifier: BSD-3-Clause */
/* See start_limits.h. */
#include "preload/process/start_limits.h"

#include <poll.h>
#include <stdint.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "common/proc_file.h"
#include "common/system_call.h"
#include "preload/descriptors/descriptor_room.h"

/*
 * What a start takes: of addresses 50 MB, and 64 MB for each of the four threads that call
 * malloc(3) in it, of which libc's first reserves that much; of data these 50 MB, most of them the
 * threads' stacks, since what is only reserved is none. The program may need as many for itself.
 */
static const struct bound {
	int resource;
	unsigned column; /* of /proc/self/statm: pages held against the limit */
	uint64_t takes;
	const char *low, *unknown; /* texts: too little is left; nobody knows how much is */
} bounds[] = {
	{ RLIMIT_AS, 0, (uint64_t)306 << 20,
	  "a limit of addresses (ulimit -v) leaves less than 612 MB",
	  "without /proc nobody knows what a limit of addresses (ulimit -v) leaves" },
	{ RLIMIT_DATA, 5, (uint64_t)50 << 20, "a limit of data (ulimit -d) leaves less than 100 MB",
	  "without /proc nobody knows what a limit of data (ulimit -d) leaves" },
};

rlim_t start_limits_taken(int resource)
{
	for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++)
		if (bounds[i].resource == resource)
			return bounds[i].takes;
	return 0;
}

/*
 * What the kernel holds against the limit, in bytes. False: it does not tell, as in a root folder
 * without /proc. To map as much for a try would take it from the program's other threads meanwhile.
 */
static bool find_used(unsigned column, uint64_t *bytes)
{
	char pages[128];
	const char *digit = pages;
	uint64_t used = 0;
	size_t length;

	descriptor_room_begin();
	length = proc_read("/proc/self/statm", pages, sizeof(pages));
	descriptor_room_end();
	while (*digit && column > 0)
		column -= *digit++ == ' ';
	for (; *digit >= '0' && *digit <= '9'; digit++)
		used = used * 10 + (uint64_t)(*digit - '0');
	*bytes = used * (uint64_t)sysconf(_SC_PAGESIZE);
	return length > 0;
}

/*
 * The text of a limit that does not leave enough, or NULL. What nobody knows is not enough: the
 * program's need comes first, and without a stack it lacks nothing.
 */
static const char *why_too_low(const struct bound *bound)
{
	struct rlimit limit;
	uint64_t used;

	if (kernel_call(SYS_prlimit64, 0, bound->resource, 0, (long)&limit) < 0 ||
	    limit.rlim_cur == RLIM_INFINITY)
		return NULL;
	if (!find_used(bound->column, &used))
		return bound->unknown;
	return used + 2 * bound->takes <= limit.rlim_cur ? NULL : bound->low;
}

/*
 * A stack has some 20 descriptors, and its start takes a few more for a moment. Where the limit can
 * be raised, by the hard limit or CAP_SYS_RESOURCE, they are above the program's
 * (descriptor_room.h); else they come off its own, and the program is to have as many left.
 */
#define DESCRIPTORS_TAKEN 32

/* Of how many numbers it is looked at whether they are free: who has more can spare some. */
#define NUMBERS_LOOKED_AT 128

static rlim_t descriptor_limit(void)
{
	struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };

	kernel_call(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, (long)&limit);
	return limit.rlim_cur;
}

static unsigned count_free(rlim_t limit)
{
	struct pollfd numbers[NUMBERS_LOOKED_AT];
	const struct timespec at_once = { 0 };
	unsigned free = 0;

	for (rlim_t i = 0; i < limit; i++)
		numbers[i] = (struct pollfd){ .fd = (int)i };
	kernel_call5(SYS_ppoll, (long)numbers, (long)limit, (long)&at_once, 0, 0);
	for (rlim_t i = 0; i < limit; i++)
		free += numbers[i].revents == POLLNVAL;
	return free;
}

bool start_limits_spare_descriptors(void)
{
	const rlim_t limit = descriptor_limit();
	rlim_t raised;

	if (limit >= NUMBERS_LOOKED_AT)
		return true;
	descriptor_room_begin();
	raised = descriptor_limit();
	descriptor_room_end();
	return raised - limit >= DESCRIPTORS_TAKEN || count_free(limit) >= 2 * DESCRIPTORS_TAKEN;
}

const char *start_limits_too_low(void)
{
	const char *why = NULL;

	if (!start_limits_spare_descriptors())
		return "a limit of open files (ulimit -n) leaves less than 64, and cannot be "
		       "raised";
	for (size_t i = 0; !why && i < sizeof(bounds) / sizeof(bounds[0]); i++)
		why = why_too_low(&bounds[i]);
	return why;
}
