/* SPDX-License-Identifier: BSD-3-Clause */
/* See lending.h. */
#include "preload/process/lending.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include "broker/broker_start.h"
#include "broker/client.h"
#include "common/system_call.h"
#include "preload/config/config.h"
#include "preload/config/log.h"
#include "preload/descriptors/descriptor_room.h"
#include "preload/descriptors/descriptors.h"
#include "preload/libc/capabilities.h"
#include "preload/libc/monotonic.h"
#include "preload/libc/thread.h"
#include "preload/libc/timeout.h"
#include "preload/process/module.h"
#include "preload/process/start_limits.h"
#include "preload/process/status.h"

static struct lender *_Atomic lender;
static _Atomic int door = -1; /* to the broker: this process's children have it, too */
static _Atomic int refusal;   /* enum refusal, of the last lending_open() */

static const struct lending_work *_Atomic work;

/* enum lending_request bits that nobody has begun with. */
static _Atomic uint32_t requests;
/* How often LENDING_GIVE_ALL was done: the futex of who waits for that. */
static _Atomic uint32_t given;

/* LENDING_REST_LATER has been asked for, and the thread has not looked yet. */
static _Atomic bool rest_due;

static _Atomic bool begun; /* there is a thread, or there will be one in a moment */
static __thread bool is_thread __attribute__((tls_model("initial-exec")));

/* The broker's program lies beside the stack, or in the build tree. */
static bool broker_path(char path[PATH_MAX])
{
	static const char *const places[] = { "melin/melin-broker", "melin-broker",
					      "../melin-broker" };

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (module_path(places[i], path))
			return true;
	return false;
}

struct lender *lending_lender(void)
{
	return atomic_load_explicit(&lender, memory_order_acquire);
}

enum refusal lending_refusal(void)
{
	return (enum refusal)atomic_load(&refusal);
}

/* One of the process's own rights, with its witness. */
static enum refusal open_own(struct lender **opened)
{
	const enum refusal why = lender_open(opened);
	char path[PATH_MAX];
	int error;

	if (why)
		return why;
	error = broker_path(path) ? lender_witness(*opened, path) : -ENOENT;
	if (error)
		log_write(LOG_LEVEL_DEBUG,
			  "no witness: %s; after a SIGKILL peers that wait hear nothing",
			  strerror(-error));
	return REFUSAL_NONE;
}

enum refusal lending_open(void)
{
	struct lender *opened = lending_lender(), *nobody = NULL;
	enum refusal why = REFUSAL_NONE;

	/*
	 * A loan takes the rights of the thread that borrows: those of a thread of melin's do not
	 * do.
	 */
	if (!opened)
		why = capabilities_exceed_programs() ? REFUSAL_RIGHTS : open_own(&opened);
	if (why == REFUSAL_RIGHTS)
		why = lender_connect(atomic_load(&door), &opened);
	atomic_store(&refusal, (int)why);
	if (why == REFUSAL_NONE && opened != lending_lender() &&
	    !atomic_compare_exchange_strong(&lender, &nobody, opened))
		lender_close(opened); /* another thread has opened one meanwhile */
	return why;
}

bool lending_may_come(void)
{
	const enum refusal why = lending_refusal();

	return why == REFUSAL_RIGHTS || why == REFUSAL_BROKER || why == REFUSAL_VERSION ||
	       why == REFUSAL_DESCRIPTORS;
}

static _Atomic bool has_moved;

void lending_before_moving(void)
{
	atomic_store(&has_moved, true);
}

bool lending_has_moved(void)
{
	return atomic_load_explicit(&has_moved, memory_order_relaxed);
}

void lending_set_work(const struct lending_work *functions)
{
	atomic_store(&work, functions);
}

/* ---- giving back for another thread ---- */

/* Lies on the stack of the thread that asks. */
struct gift {
	int descriptor;
	struct loan *loan;
	const struct connection_state *state;
	int status;
	_Atomic uint32_t is_done; /* a futex; released with status */
};

/*
 * The loan that waits to be given back. The thread that asks puts it in; either that thread or
 * melin's takes it out again, by an exchange. There is one at a time: who finds another one there
 * waits until it has been taken out.
 */
static struct gift *_Atomic gift;
/* How often a gift has been taken out: the futex of who wants to put the next one in. */
static _Atomic uint32_t gifts_taken;

/*
 * How long melin's thread may be busy with other connections, or other threads' gifts be first,
 * before the caller gives up and the connection is lost. As long as a broker that serves that
 * thread may be slow (BROKER_PATIENCE and BROKER_PATIENCE_LENT, broker/client.h). Milliseconds.
 */
#define GIFT_PATIENCE 10000

static void wake(_Atomic uint32_t *futex)
{
	kernel_call(SYS_futex, (long)futex, FUTEX_WAKE_PRIVATE, INT32_MAX, 0);
}

/*
 * Sleeps while the futex has that value. False: the deadline has passed. A signal, whose handler
 * runs later, ends the sleep, and not the wait.
 */
static bool sleep_while(_Atomic uint32_t *futex, uint32_t value, uint64_t deadline)
{
	const struct timespec limit = timeout_left(deadline);

	if (clock_monotonic() >= deadline)
		return false;
	kernel_call(SYS_futex, (long)futex, FUTEX_WAIT_PRIVATE, value, (long)&limit);
	return true;
}

/* The place is free for the next gift. */
static void taken_out(void)
{
	atomic_fetch_add(&gifts_taken, 1);
	wake(&gifts_taken);
}

static bool withdraw(struct gift *mine)
{
	struct gift *expected = mine;

	if (!atomic_compare_exchange_strong(&gift, &expected, NULL))
		return false;
	taken_out();
	return true;
}

static bool hand_in(struct gift *mine, uint64_t deadline)
{
	if (!atomic_load(&begun) || is_thread)
		return false;
	for (;;) {
		const uint32_t taken = atomic_load(&gifts_taken); /* before the look */
		struct gift *nobodys = NULL;

		if (atomic_compare_exchange_strong(&gift, &nobodys, mine))
			break;
		if (!sleep_while(&gifts_taken, taken, deadline))
			return false;
	}
	lending_ask(LENDING_GIVE_ONE);
	return true;
}

int lending_give(int descriptor, struct loan *loan, const struct connection_state *state)
{
	const uint64_t deadline = clock_after(GIFT_PATIENCE * 1000000ull);
	struct gift mine = {
		.descriptor = descriptor, .loan = loan, .state = state, .status = -EPERM
	};

	if (!hand_in(&mine, deadline))
		return -EPERM;
	while (!atomic_load(&mine.is_done) && sleep_while(&mine.is_done, 0, deadline))
		;
	if (withdraw(&mine))
		return -EPERM;
	while (!atomic_load(&mine.is_done))
		kernel_call(SYS_futex, (long)&mine.is_done, FUTEX_WAIT_PRIVATE, 0, 0);
	return mine.status;
}

/*
 * The gift's memory may be something else by the time of the wake-up; to wake whoever sleeps on it
 * then does no harm.
 */
static void give_one(void)
{
	struct gift *given_in = atomic_exchange(&gift, NULL);

	if (!given_in)
		return;
	taken_out();
	given_in->status = lender_give(lending_lender(), given_in->descriptor, given_in->loan,
				       given_in->state);
	atomic_store(&given_in->is_done, 1);
	wake(&given_in->is_done);
}

void lending_while_waiting(void)
{
	if (is_thread)
		give_one();
}

/* ---- the thread ---- */

/* The thread sleeps on a word that other processes have as well: its futex is not private. */
static void ring(_Atomic uint32_t *word)
{
	atomic_fetch_add(word, 1);
	kernel_call(SYS_futex, (long)word, FUTEX_WAKE, INT32_MAX, 0);
}

/*
 * Sleeps until somebody has rung since the bell had that value, or until the time of the next look.
 */
static void sleep_until_rung(uint32_t bell, uint64_t until)
{
	const struct timespec limit = timeout_left(until);

	kernel_call(SYS_futex, (long)&status_page->bell, FUTEX_WAIT, bell,
		    until == CLOCK_NEVER ? 0 : (long)&limit);
}

/* When the thread looks at the connections next. */
static uint64_t look_later(void)
{
	return atomic_load(&work)->look ? clock_after(LENDING_LOOK_MS * 1000000ull) : CLOCK_NEVER;
}

/* What a reader of the status page has asked for and nobody has answered yet. */
static bool answer(void)
{
	const uint32_t asked = atomic_load(&status_page->asked);

	if (asked == atomic_load(&status_page->answered))
		return false;
	atomic_load(&work)->status(asked % STATUS_ASK_STEP);
	atomic_store(&status_page->answered, asked);
	kernel_call(SYS_futex, (long)&status_page->answered, FUTEX_WAKE, INT32_MAX, 0);
	return true;
}

static void carry_out(uint32_t requested)
{
	const struct lending_work *functions = atomic_load(&work);

	if (requested & LENDING_GIVE_ONE)
		give_one();

	if (requested & LENDING_GIVE_ALL) {
		functions->give_all();
		atomic_fetch_add(&given, 1);
		wake(&given);
	}
	if (requested & LENDING_GIVE_BACK)
		functions->give_back();
	if (requested & LENDING_START)
		functions->start();
	if (requested & LENDING_RENEW)
		functions->renew();
	if (requested & LENDING_HOLDERS)
		functions->holders();
	if (requested & LENDING_WAKE)
		functions->rest(false);
}

/* The two times at which the thread does something that nobody rings for; or CLOCK_NEVER. */
static uint64_t look_at, rest_at;

static void note_times(uint32_t requested)
{
	/* A stack that has just started may have nothing to do any more. */
	if (requested & (LENDING_REST_LATER | LENDING_START | LENDING_WAKE | LENDING_RENEW))
		rest_at = clock_after(LENDING_REST_MS * 1000000ull);
}

static void look_at_times(void)
{
	const uint64_t now = clock_monotonic();

	if (now >= look_at) {
		atomic_load(&work)->look();
		look_at = look_later();
	}
	if (now >= rest_at) {
		rest_at = CLOCK_NEVER;
		atomic_store(&rest_due, false); /* before the look at what is watched */
		atomic_load(&work)->rest(true);
	}
}

static void *run(void *unused)
{
	uint32_t requested, bell;

	(void)unused;
	is_thread = true;
	look_at = look_later();
	rest_at = CLOCK_NEVER;
	/* Who starts the stack for a program that has given up its rights has them still. */
	if (!config_get()->host && capabilities_exceed_programs())
		kernel_give_up_capabilities();
	for (;;) {
		bell = atomic_load(&status_page->bell);
		requested = atomic_exchange(&requests, 0);
		if (requested) {
			carry_out(requested);
			note_times(requested);
		} else if (!answer()) {
			sleep_until_rung(bell, look_at < rest_at ? look_at : rest_at);
		}
		look_at_times();
	}
	return NULL;
}

/* A limit of processes, say. The next request tries again. */
static void tell_no_thread(int error)
{
	static _Atomic bool told;

	if (config_get()->host && !atomic_exchange(&told, true))
		log_write(LOG_LEVEL_WARN,
			  "no thread of melin's own can be started: %s; the kernel carries all",
			  strerror(-error));
}

void lending_begin(void)
{
	int error;

	if (atomic_load(&begun) || atomic_exchange(&begun, true))
		return;
	error = thread_start(NULL, run, NULL);
	if (error < 0) {
		atomic_store(&begun, false);
		tell_no_thread(error);
	} else {
		atomic_store(&status_page->thread, true);
	}
}

void lending_ask(enum lending_request request)
{
	if (atomic_fetch_or(&requests, request) == 0)
		ring(&status_page->bell);
	lending_begin();
}

/*
 * The first pause, which each further one doubles, so often: a broker that is restarted is there
 * again within a second, and one that is never started is asked for once in a minute.
 */
#define AGAIN_FIRST_NS 250000000ull
#define AGAIN_DOUBLED  8

static _Atomic uint64_t again_at; /* not before that time; ns */
static _Atomic unsigned again_tries;

void lending_unwatched(void)
{
	if (!atomic_load_explicit(&rest_due, memory_order_relaxed) &&
	    !atomic_exchange(&rest_due, true))
		lending_ask(LENDING_REST_LATER);
}

bool lending_ask_again(enum lending_request request)
{
	const uint64_t now = clock_monotonic();
	uint64_t at = atomic_load(&again_at);
	unsigned tries = atomic_load(&again_tries);

	if (now < at ||
	    !atomic_compare_exchange_strong(&again_at, &at, now + (AGAIN_FIRST_NS << tries)))
		return false;
	if (tries < AGAIN_DOUBLED)
		atomic_store(&again_tries, tries + 1);
	lending_ask(request);
	return true;
}

void lending_renewed(void)
{
	atomic_store(&again_tries, 0);
}

void lending_give_all_waiting(unsigned milliseconds)
{
	const struct timespec limit = { .tv_sec = milliseconds / 1000,
					.tv_nsec = milliseconds % 1000 * 1000000l };
	const uint32_t before = atomic_load(&given);

	if (!atomic_load(&begun) || is_thread)
		return;
	atomic_fetch_or(&requests, LENDING_GIVE_ALL);
	ring(&status_page->bell);
	while (atomic_load(&given) == before &&
	       kernel_call(SYS_futex, (long)&given, FUTEX_WAIT_PRIVATE, before, (long)&limit) !=
		       -ETIMEDOUT)
		;
}

void lending_before_losing(void)
{
	static _Atomic bool tried;
	char path[PATH_MAX];
	int opened;

	/* Where a stack does not fit into the limits there is nobody to lend to. */
	if (!capabilities_may_lend() || atomic_exchange(&tried, true) || start_limits_too_low())
		return;
	descriptor_room_begin();
	opened = broker_path(path) ? broker_start(path) : -ENOENT;
	descriptor_room_end();
	if (opened >= 0)
		atomic_store(&door, opened);
	else
		log_write(LOG_LEVEL_INFO,
			  "no broker: %s; without rights no connection will be borrowed",
			  strerror(-opened));
}

void lending_inherit_door(int descriptor)
{
	if (!broker_is_channel(descriptor))
		return;
	descriptor_protect(descriptor);
	atomic_store(&door, descriptor);
}

int lending_door(void)
{
	return atomic_load(&door);
}

void lending_forked(void)
{
	struct lender *parents = atomic_exchange(&lender, NULL);

	if (parents)
		lender_abandon(parents);
	atomic_store(&requests, 0);
	atomic_store(&gift, NULL);
	atomic_store(&begun, false);
	atomic_store(&rest_due, false);
	atomic_store(&again_at, 0);
	atomic_store(&again_tries, 0);
	atomic_store(&has_moved, false); /* all threads are where the child is */
	is_thread = false;
}
