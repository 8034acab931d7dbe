/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A variable whose value is a list: which entry of it is being read, so that a message about a
 * mistake can name it. Not for how an entry is read (rules.c, config_address.c).
 */
#ifndef MELIN_ENTRY_H
#define MELIN_ENTRY_H

#include <stddef.h>

#include "common/reason.h"
#include "preload/config/span.h"

struct entry {
	struct reason *reason;
	const char *kind; /* what the list consists of: "rule" */
	size_t number;	  /* from 1 */
	struct span text;
};

/* Writes the reason: kind, number and text of the entry, then what is wrong. Returns -EINVAL. */
__attribute__((format(printf, 2, 3))) int entry_mistake(const struct entry *entry,
							const char *format, ...);

#endif
