/* SPDX-License-Identifier: BSD-3-Clause */
/* See lent.h. */
#include "tests/unit/broker/lent.h"

#include <errno.h>
#include <grp.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "broker/client.h"

#define NOBODY 65534

double lent_now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

void lent_wait_for(pid_t child, int *status)
{
	while (waitpid(child, status, 0) < 0 && errno == EINTR)
		;
}

bool lent_open(struct lent *lent, const char *how)
{
	memset(lent, 0, sizeof(*lent));
	return ground_connect(how, true, &lent->ends);
}

/* Whether that is what comes next. */
bool lent_receives(int at, const char *text)
{
	char got[64] = "";
	struct pollfd ready = { .fd = at, .events = POLLIN };
	size_t size = strlen(text), done = 0;

	while (done < size && poll(&ready, 1, 30000) == 1) {
		ssize_t part = recv(at, got + done, size - done, 0);

		if (part <= 0)
			return false;
		done += (size_t)part;
	}
	return strcmp(got, text) == 0;
}

/* Of a child, too, which shares what is not printed yet with nobody. */
bool lent_is_none(const char *what, enum refusal refusal)
{
	if (refusal != REFUSAL_NONE) {
		printf("# %s: %s\n", what, refusal_text(refusal));
		fflush(stdout);
	}
	return refusal == REFUSAL_NONE;
}

bool lent_watch(struct lent *lent, int door)
{
	return lent_is_none("connect", lender_connect(door, &lent->lender)) &&
	       lent_is_none("watch", lender_watch(lent->lender, lent->ends.own, &lent->loan)) &&
	       ground_says(lent->ends.peer, lent->ends.own, "hello") &&
	       ground_says(lent->ends.own, lent->ends.peer, "welcome");
}

/* A connection is fit when it has been seen and nothing is under way. */
enum refusal lent_borrow(struct lent *lent)
{
	enum refusal refusal = REFUSAL_UNSEEN;

	for (int i = 0; i < 4000 && refusal_is_passing(refusal); i++) {
		refusal = lender_borrow(lent->lender, lent->ends.own, &lent->loan, &lent->state);
		if (refusal_is_passing(refusal))
			usleep(5000);
	}
	lent_is_none("borrow", refusal);
	return refusal;
}

bool lent_give(struct lent *lent)
{
	int error = lender_give(lent->lender, lent->ends.own, &lent->loan, &lent->state);

	connection_state_clear(&lent->state);
	return error == 0 && lent->loan.state == LOAN_WATCHED;
}

/* Both directions, and what was sent while it was away comes too. */
bool lent_goes_on(const struct lent *lent, const char *meanwhile)
{
	return ground_says(lent->ends.own, lent->ends.peer, "back") &&
	       ground_says(lent->ends.peer, lent->ends.own, "") &&
	       send(lent->ends.peer, "!", 1, MSG_NOSIGNAL) == 1 &&
	       lent_receives(lent->ends.own, meanwhile) && lent_receives(lent->ends.own, "!");
}

/* In a child that is a worker without rights; what the function returns. */
bool lent_as_nobody(bool (*check)(struct lent *lent, int door), struct lent *lent, int door)
{
	int status = 1;
	pid_t child = fork();

	if (child == 0) {
		if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
		    setresuid(NOBODY, NOBODY, NOBODY) < 0)
			_exit(2);
		_exit(check(lent, door) ? 0 : 1);
	}
	lent_wait_for(child, &status);
	return status == 0;
}

bool lent_lend(struct lent *lent, int door)
{
	int on = 1;
	bool held = setsockopt(lent->ends.own, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)) < 0 &&
		    lent_watch(lent, door) && lent_borrow(lent) == REFUSAL_NONE;

	send(lent->ends.peer, "meanwhile", 9, MSG_NOSIGNAL);
	held = held && lent->loan.state == LOAN_BORROWED &&
	       lent->state.path.interface == lent->loan.path.interface &&
	       lender_hold(lent->lender, &lent->loan) == 0 && lent->loan.state == LOAN_HELD &&
	       lent_give(lent) && lent_goes_on(lent, "meanwhile");
	if (lent->lender)
		lender_close(lent->lender);
	return held;
}
