/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lending connections (broker/lender.h) and what a thread is allowed: rights that are not there,
 * that go while a connection is lent, or that are only those which it takes; and the signals by
 * which libc changes the rights of all threads.
 */
#include <errno.h>
#include <linux/capability.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/lender.h"
#include "common/system_call.h"
#include "tests/unit/broker/ground.h"
#include "tests/unit/tap.h"

static struct lender *lender;

static void refuse_without_rights(void)
{
	pid_t child = fork();
	int status = 1;

	if (child == 0) {
		struct lender *none;

		lender_abandon(lender);
		kernel_give_up_capabilities();
		_exit(lender_open(&none) == REFUSAL_RIGHTS ? 0 : 1);
	}
	waitpid(child, &status, 0);
	tap_ok(status == 0, "without rights: no lender");
}

/* ---- signals ---- */

static void ignore(int signal)
{
	(void)signal;
}

struct disturber {
	pthread_t disturbed;
	_Atomic bool ends;
};

/* Far apart beside what it takes the kernel to look through a program. */
static void *send_signals(void *argument)
{
	struct disturber *disturber = argument;

	while (!disturber->ends) {
		pthread_kill(disturber->disturbed, SIGUSR1);
		usleep(3000);
	}
	return NULL;
}

/* As libc sends them to each thread when the program changes its user. */
static void open_under_signals(void)
{
	struct sigaction action = { .sa_handler = ignore, .sa_flags = SA_RESTART };
	struct disturber disturber = { .disturbed = pthread_self() };
	unsigned failed = 0;
	pthread_t thread;

	sigaction(SIGUSR1, &action, NULL);
	pthread_create(&thread, NULL, send_signals, &disturber);
	for (int i = 0; i < 100; i++) {
		struct lender *other;

		if (lender_open(&other) == REFUSAL_NONE)
			lender_close(other);
		else
			failed++;
	}
	disturber.ends = true;
	pthread_join(thread, NULL);
	tap_ok(!failed, "signals while a lender is opened: %u of 100 failed", failed);
}

/* ---- a connection that is lent ---- */

/* Rights that go while a connection is lent: it is not lost by that. */
struct giver {
	struct ends ends;
	struct loan loan;
	struct connection_state state;
	int result;
};

static void *give_without_rights(void *argument)
{
	struct giver *giver = argument;

	kernel_give_up_capabilities();
	giver->result = lender_give(lender, giver->ends.own, &giver->loan, &giver->state);
	return NULL;
}

static void lose_rights(void)
{
	struct giver giver;
	pthread_t thread;

	ground_connect("IPv4", true, &giver.ends);
	ground_prepare(lender, &giver.ends, &giver.loan);
	lender_borrow(lender, giver.ends.own, &giver.loan, &giver.state);
	pthread_create(&thread, NULL, give_without_rights, &giver);
	pthread_join(thread, NULL);
	tap_ok(giver.result == -EPERM && giver.loan.state == LOAN_BORROWED,
	       "given back without rights: EPERM, and it is borrowed still");
	tap_ok(lender_give(lender, giver.ends.own, &giver.loan, &giver.state) == 0 &&
		       ground_says(giver.ends.peer, giver.ends.own, "x"),
	       "who has rights can give it back");
	connection_state_clear(&giver.state);
	lender_unwatch(lender, &giver.loan);
	ground_close(&giver.ends);
}

static void keep_rights(void)
{
	const uint64_t rights = 1ull << CAP_NET_ADMIN | 1ull << CAP_NET_RAW | 1ull << CAP_BPF;
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };

	for (int i = 0; i < 2; i++)
		data[i].effective = data[i].permitted = (uint32_t)(rights >> 32 * i);
	kernel_call(SYS_capset, (long)&header, (long)data, 0, 0);
}

/* A second lender, of a thread that has what libmelin(7) says and no more. */
static void *lend_with_few_rights(void *argument)
{
	struct giver *giver = argument;
	struct lender *other;
	struct loan loan = { 0 };

	keep_rights();
	giver->result = -1;
	if (lender_open(&other) != REFUSAL_NONE)
		return NULL;
	if (lender_watch(other, giver->ends.own, &loan) == REFUSAL_NONE &&
	    ground_says(giver->ends.peer, giver->ends.own, "x") &&
	    lender_borrow(other, giver->ends.own, &loan, &giver->state) == REFUSAL_NONE) {
		giver->state.remote_closed = true;
		giver->result = lender_give(other, giver->ends.own, &loan, &giver->state);
		connection_state_clear(&giver->state);
	}
	lender_close(other);
	return NULL;
}

/* bind(2), EACCES: it could not be given back. */
static void *borrow_low_port(void *argument)
{
	struct giver *giver = argument;

	keep_rights();
	giver->result = (int)lender_borrow(lender, giver->ends.own, &giver->loan, &giver->state);
	return NULL;
}

static void refuse_low_port(void)
{
	struct giver giver;
	pthread_t thread;

	ground_port = 700;
	tap_ok(ground_connect("IPv4", true, &giver.ends) &&
		       ground_prepare(lender, &giver.ends, &giver.loan),
	       "a connection of port 700");
	ground_port = GROUND_PORT;
	pthread_create(&thread, NULL, borrow_low_port, &giver);
	pthread_join(thread, NULL);
	tap_ok(giver.result == REFUSAL_RIGHTS, "without CAP_NET_BIND_SERVICE: refused");
	tap_ok(lender_borrow(lender, giver.ends.own, &giver.loan, &giver.state) == REFUSAL_NONE &&
		       lender_give(lender, giver.ends.own, &giver.loan, &giver.state) == 0 &&
		       ground_says(giver.ends.peer, giver.ends.own, "x"),
	       "with it: borrowed and given back");
	connection_state_clear(&giver.state);
	lender_unwatch(lender, &giver.loan);
	ground_close(&giver.ends);
}

static void lend_with_two(void)
{
	struct giver giver;
	pthread_t thread;
	char byte;

	ground_connect("IPv6", true, &giver.ends);
	pthread_create(&thread, NULL, lend_with_few_rights, &giver);
	pthread_join(thread, NULL);
	tap_ok(giver.result == 0, "a second lender with only the rights that it takes");
	tap_ok(recv(giver.ends.own, &byte, 1, MSG_DONTWAIT) == 0, "which may inject, too");
	tap_ok(!ground_prepare(lender, &giver.ends, &giver.loan), "its connection has ended");
	ground_close(&giver.ends);
	ground_connect("IPv4", true, &giver.ends);
	tap_ok(ground_prepare(lender, &giver.ends, &giver.loan),
	       "the first one works when it is closed");
	lender_unwatch(lender, &giver.loan);
	ground_close(&giver.ends);
}

int main(void)
{
	ground_make();
	lender = ground_lender();
	refuse_without_rights();
	open_under_signals();
	lose_rights();
	lend_with_two();
	refuse_low_port();
	lender_close(lender);
	return tap_done();
}
