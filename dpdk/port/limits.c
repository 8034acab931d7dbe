/* SPDX-License-Identifier: BSD-3-Clause */
/* See limits.h. */
#include "dpdk/port/limits.h"

#include "dpdk/eal/journal.h"

unsigned limits_clamp(const char *name, unsigned wanted, unsigned low, unsigned high)
{
	unsigned value = wanted < low ? low : wanted > high ? high : wanted;

	if (value != wanted)
		journal_add(LOG_LEVEL_WARN, "%s=%u: the device can do %u to %u, using %u", name,
			    wanted, low, high, value);
	return value;
}
