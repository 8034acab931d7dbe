/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A connection between the two namespaces of ground.h that is lent through melin-broker. Not for
 * lending without one (test_lender.c).
 */
#ifndef MELIN_TEST_LENT_H
#define MELIN_TEST_LENT_H

#include <stdbool.h>
#include <sys/types.h>

#include "broker/lender.h"
#include "tests/unit/broker/ground.h"

struct lent {
	struct lender *lender;
	struct ends ends;
	struct loan loan;
	struct connection_state state;
	enum refusal renewed;
};

/* A connection that is accepted here; how as ground_connect() takes it. */
bool lent_open(struct lent *lent, const char *how);

/* By the broker behind the door (-1: the host's service): a lender, which watches it; both talk. */
bool lent_watch(struct lent *lent, int door);
/* Waits until it is fit: it has been seen, and nothing is under way. */
enum refusal lent_borrow(struct lent *lent);
bool lent_give(struct lent *lent);
/* Whether both directions work, and what was sent while it was away comes first. */
bool lent_goes_on(const struct lent *lent, const char *meanwhile);
/* All of that, with a lender of its own. False as well if the process may use TCP_REPAIR. */
bool lent_lend(struct lent *lent, int door);

/* In a child that is a worker without rights; what the function returns. */
bool lent_as_nobody(bool (*check)(struct lent *lent, int door), struct lent *lent, int door);
void lent_wait_for(pid_t child, int *status);

/* Whether that text is what comes next. */
bool lent_receives(int at, const char *text);
/* Says why it is not. */
bool lent_is_none(const char *what, enum refusal refusal);
/* The time in microseconds. */
double lent_now(void);

#endif
