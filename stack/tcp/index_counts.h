/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the connection index knows of itself, for whoever does not want lwIP's headers with it.
 */
#ifndef MELIN_INDEX_COUNTS_H
#define MELIN_INDEX_COUNTS_H

struct index_counts {
	unsigned active, parked, timewait, listeners;
};
extern struct index_counts melin_index_counts;

/* Whether lists, links and buckets agree; for the tests. 0, or a number that says what does not. */
int melin_index_check(void);

#endif
