/* SPDX-License-Identifier: BSD-3-Clause */
/* See borrow_stop.h. */
#include "preload/sockets/borrow_stop.h"

#include <linux/futex.h>
#include <stdatomic.h>
#include <stdint.h>

#include "common/system_call.h"
#include "preload/config/config.h"
#include "preload/process/lending.h"
#include "preload/sockets/borrow_change.h"

/*
 * How many reasons there are that nothing may be borrowed or watched now: a fork is under way,
 * rights are being given up, the process ends. Stored before states are looked at, and read after
 * one was stored.
 */
static _Atomic int stopped;

/* The system calls of this process and its children are filtered. Paired as stopped. */
static _Atomic bool filtered;

void borrow_stop(void)
{
	atomic_fetch_add(&stopped, 1);
}

void borrow_go_on(void)
{
	atomic_fetch_sub(&stopped, 1);
}

bool borrow_is_stopped(void)
{
	return atomic_load(&stopped);
}

void borrow_stop_filtered(void)
{
	atomic_store(&filtered, true);
}

bool borrow_is_filtered(void)
{
	return atomic_load(&filtered);
}

/*
 * Not 0 while the thread beside lets the lender rest or wakes it: in system calls that a filter
 * must not meet, with descriptors that a fork must not hand on. Stored before stopped is read, and
 * read after that was stored. A futex.
 */
static _Atomic uint32_t resting;

static void change_rest(struct lender *lender, bool rests)
{
	if (atomic_load(&stopped))
		borrow_unwatched(); /* another time */
	else if (rests)
		lender_rest(lender);
	else
		lender_wake(lender);
}

void borrow_rest(bool rests)
{
	struct lender *lender = lending_lender();

	if (!lender || (rests && config_get()->borrow != BORROW_AUTO))
		return;
	atomic_store(&resting, 1);
	if (!borrow_is_filtered())
		change_rest(lender, rests);
	atomic_store(&resting, 0);
	kernel_call(SYS_futex, (long)&resting, FUTEX_WAKE_PRIVATE, INT32_MAX, 0);
}

void borrow_await_rest(void)
{
	while (atomic_load(&resting))
		kernel_call(SYS_futex, (long)&resting, FUTEX_WAIT_PRIVATE, 1, 0);
}

void borrow_stop_forked(void)
{
	atomic_store(&resting, 0);
	atomic_store(&stopped, 0);
}
