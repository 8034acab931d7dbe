/* SPDX-License-Identifier: BSD-3-Clause */
/* See borrow.h. */
#include "preload/sockets/borrow.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "common/connection_state.h"
#include "common/system_call.h"
#include "preload/config/config.h"
#include "preload/config/log.h"
#include "preload/libc/monotonic.h"
#include "preload/libc/symbols.h"
#include "preload/process/lending.h"
#include "preload/process/process_stack.h"
#include "preload/sockets/borrow_change.h"
#include "preload/sockets/borrow_info.h"
#include "preload/sockets/borrow_stop.h"
#include "preload/sockets/borrow_watch.h"
#include "preload/sockets/rings.h"
#include "preload/sockets/socket_object.h"
#include "preload/sockets/twin_options.h"
#include "preload/waiting/epoll.h"

/* In CHANGING: no other call has a reference. */
static bool is_alone(const struct socket *socket)
{
	return atomic_load(&socket->object.references) ==
	       atomic_load(&socket->object.descriptors) + 1;
}

static const char *text_of(enum borrow_return why)
{
	return status_flow_reasons[FLOW_RETURNED_CLOSED + (unsigned)why];
}

bool borrow_is_refused(const struct socket *socket)
{
	return atomic_load_explicit(&socket->failed, memory_order_relaxed);
}

/* ---- borrowing ---- */

static bool is_unacknowledged(int descriptor)
{
	int bytes = 0;

	return kernel_call(SYS_ioctl, descriptor, SIOCOUTQ, (long)&bytes, 0) < 0 || bytes > 0;
}

/* recvmmsg() may have left one of a connection that is well: the stack would not know of it. */
static bool has_error(int descriptor)
{
	struct pollfd entry = { .fd = descriptor };

	return wait_look(&entry, 1) > 0 && (entry.revents & POLLERR);
}

/* What one given back before has left. In CHANGING, alone. */
static void release_handle(struct socket *socket)
{
	if (socket->handle && socket_instance(socket))
		socket->instance->operations->release(socket->handle);
	socket->handle = NULL;
	socket->instance = NULL;
}

static void adopt_options(struct socket *socket, int descriptor,
			  const struct connection_state *state)
{
	const int keepalive = state->keepalive;
	int flags = libc()->fcntl(descriptor, F_GETFL, 0L);

	atomic_store(&socket->nonblocking, flags >= 0 && (flags & O_NONBLOCK));
	twin_options_adopt(socket, descriptor);
	socket->instance->operations->set_option(socket->handle, SOL_SOCKET, SO_KEEPALIVE,
						 &keepalive, sizeof(keepalive));
	socket->reuse_address = state->reuse_address;
}

/*
 * Whether the broker may close it a little later than the program does. Not if close() is to wait,
 * or to reset, which frees the port at once; nor while the program's SIGURG is off.
 */
static bool may_be_left(int descriptor, const struct connection_state *state)
{
	struct linger linger = { .l_onoff = 1 };

	kernel_get_option(descriptor, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	return !linger.l_onoff && !state->urgent && !state->receive_size && !state->remote_reset;
}

static int end_loan(struct lender *lender, struct socket *socket, int descriptor,
		    const struct connection_state *state)
{
	return may_be_left(descriptor, state)
		       ? lender_leave(lender, descriptor, &socket->loan, state)
		       : lender_end(lender, descriptor, &socket->loan, state);
}

/* In CHANGING: 0; a negative errno value: the connection is lost. closes: nobody has it then. */
static int give_loan(struct socket *socket, int descriptor, const struct connection_state *state,
		     bool closes)
{
	struct lender *lender = lending_lender();
	int status = -EPERM;

	socket->loan.closes = closes;
	if (lending_has_moved() && !lender_may_end(lender))
		status = lending_give(descriptor, &socket->loan, state);
	if (status == -EPERM)
		status = closes && lender_may_end(lender)
				 ? end_loan(lender, socket, descriptor, state)
				 : lender_give(lender, descriptor, &socket->loan, state);
	/* Rights are a thread's own, so another thread may have more. */
	if (status == -EPERM && !lender_is_gone(lender))
		status = lending_give(descriptor, &socket->loan, state);
	if (status == -EPERM)
		lender_dissolve(lender, descriptor, &socket->loan, state);
	return status;
}

/* In CHANGING, alone. */
static enum refusal take_into(const struct instance *instance, struct socket *socket,
			      int descriptor)
{
	struct connection_state state;
	enum refusal refusal;
	int status;

	refusal = lender_borrow(lending_lender(), descriptor, &socket->loan, &state);
	if (refusal)
		return refusal;
	atomic_store(&socket->descriptor, descriptor);
	status = instance->operations->adopt(instance->stack, socket->domain, false, socket, &state,
					     &socket->handle);
	if (status == 0) {
		socket->instance = instance;
		adopt_options(socket, descriptor, &state);
	} else {
		log_write(LOG_LEVEL_INFO, "descriptor %d: the stack cannot take it: %s", descriptor,
			  strerror(-status));
		give_loan(socket, descriptor, &state, false);
		refusal = REFUSAL_BUSY;
	}
	connection_state_clear(&state);
	return refusal;
}

static enum refusal take(struct socket *socket, int descriptor)
{
	const struct instance *instance = process_stack_running();
	enum refusal refusal;

	release_handle(socket);
	/* The path that was found may be another one by now: it is found anew, and proved. */
	if (socket->path_changes != borrow_path_changes())
		return borrow_watch_again(socket, descriptor) ?: REFUSAL_UNSEEN;
	instance->operations->adopt_begin(instance->stack);
	refusal = take_into(instance, socket, descriptor);
	instance->operations->adopt_end(instance->stack);
	return refusal;
}

/* The rest of CHANGING. */
static void borrowed(struct socket *socket)
{
	flow_counted_at(atomic_load(&socket->descriptor), FLOW_BORROWED, REFUSAL_NONE);
	socket->borrowed_since = status_now();
	socket->was_borrowed = true;
	borrow_policy_borrowed(&socket->policy);
	atomic_store(&socket->borrowed, true);
	borrow_change_end(socket, SOCKET_CONNECTION);
	epoll_taken_by_stack(&socket->object);
	borrow_log(socket, "borrowed", "");
}

/* A look at all processes takes milliseconds of the thread beside: not too often. */
#define HOLDERS_LOOK_NS 50000000u

static void ask_for_holders(void)
{
	static _Atomic uint64_t next;
	const uint64_t now = clock_monotonic();

	if (now < atomic_load(&next))
		return;
	atomic_store(&next, now + HOLDERS_LOOK_NS);
	lending_ask(LENDING_HOLDERS);
}

/*
 * Whether another process has been given the file, or has said that it takes it: by a number that
 * the connection has, or had when it was closed (descriptor_closed()).
 */
static bool is_passed(const struct socket *socket, int descriptor)
{
	const int highest =
		atomic_load(&socket->object.descriptors) > 1 ? descriptor_highest() : -1;

	if (atomic_load(&socket->reach) == TWIN_PASSED || status_is_passed_at(descriptor))
		return true;
	for (int other = 0; other <= highest; other++)
		if (atomic_load(&descriptor_table[other]) == &socket->object &&
		    status_is_passed_at(other))
			return true;
	return false;
}

bool borrow_is_rings(const struct socket *socket)
{
	return rings_any() && !atomic_load_explicit(&socket->awaited, memory_order_relaxed);
}

bool borrow_now(struct socket *socket, int descriptor)
{
	enum refusal refusal;
	enum socket_state state;

	if (status_is_drained() || borrow_is_filtered()) {
		borrow_policy_refused(&socket->policy);
		return false;
	}
	if (!borrow_is_ready(socket))
		return false;
	if (atomic_load(&socket->held)) {
		ask_for_holders();
		borrow_policy_refused(&socket->policy);
		return false;
	}
	if (is_unacknowledged(descriptor) || has_error(descriptor) || borrow_is_rings(socket)) {
		borrow_policy_refused(&socket->policy);
		return false;
	}
	state = borrow_change_begin_lendable(socket);
	if (state != SOCKET_LENDABLE)
		return state == SOCKET_CONNECTION;
	if (borrow_is_stopped() || borrow_is_filtered() || status_is_drained() ||
	    !is_alone(socket) || atomic_load(&socket->held) ||
	    !descriptor_has(descriptor, &socket->object)) {
		borrow_change_end(socket, SOCKET_LENDABLE);
		return false;
	}
	if (is_passed(socket, descriptor)) {
		borrow_keep(socket, FLOW_KEPT_UNPAID, text_of(BORROW_PROCESS));
		return false;
	}
	if (epoll_is_out_of_reach(&socket->object)) {
		borrow_keep(socket, FLOW_KEPT_UNPAID,
			    "the number of an epoll item has been closed");
		return false;
	}
	refusal = take(socket, descriptor);
	if (refusal) {
		borrow_settle_refusal(socket, refusal);
		return false;
	}
	borrowed(socket);
	/* The stack does not tell what it had heard before it had the connection. */
	if (socket->path_changes == borrow_path_changes())
		return true;
	borrow_end(socket, BORROW_PATH, false);
	return false;
}

/* ---- giving back ---- */

/* So often the tap is emptied: each time a number of bursts. */
#define EMPTY_TAP_TRIES 4

/* What came before the hold is the stack's; who has its lock polls as well. */
static void empty_tap(const struct instance *instance)
{
	for (int i = 0; i < EMPTY_TAP_TRIES; i++) {
		int frames = instance->operations->poll(instance->stack);

		if (frames == 0)
			return;
		if (frames == -EBUSY)
			instance->operations->catch_up(instance->stack);
	}
}

static int keepalive_of(const struct socket *socket)
{
	int value = 0;
	socklen_t length = sizeof(value);

	socket->instance->operations->get_option(socket->handle, SOL_SOCKET, SO_KEEPALIVE, &value,
						 &length);
	return value;
}

/*
 * The frames that come are kept for the kernel from now on. False: the broker has gone, so that
 * nobody can give it back, and there is no need for that.
 */
static bool begin_to_give(struct socket *socket, enum borrow_return why, bool closes)
{
	static const bool may_stay[] = {
		[BORROW_LOSS] = true, [BORROW_BULK] = true,    [BORROW_IDLE] = true,
		[BORROW_SLOW] = true, [BORROW_DRAINED] = true, [BORROW_CHANCE] = true,
	};

	/* Who closes many, one after the other, asks the broker once for each. */
	if (closes && lender_may_end(lending_lender()))
		return true;
	return lender_hold(lending_lender(), &socket->loan) != -EPERM || !may_stay[why];
}

/* In CHANGING: 0; a negative errno value: the connection is lost. */
static int give(struct socket *socket, bool closes)
{
	const struct instance *instance = socket->instance;
	struct connection_state state;
	const bool keepalive = keepalive_of(socket);
	const int descriptor = atomic_load(&socket->descriptor);
	struct f_owner_ex owner;
	int status, error;

	empty_tap(instance);
	if (!closes)
		borrow_info_keep(socket);
	error = instance->operations->exchange_error(socket->handle, 0);
	status = instance->operations->give(socket->handle, &state);
	if (status < 0) {
		lender_unwatch(lending_lender(), &socket->loan);
		return status;
	}
	state.left_error = error > 0 && error <= UINT8_MAX ? (uint8_t)error : 0;
	if (!closes)
		borrow_info_put_back(socket, state.receive_size);
	state.keepalive = keepalive;
	state.reuse_address = socket->reuse_address;
	if (state.urgent)
		twin_mute(descriptor, &owner);
	status = give_loan(socket, descriptor, &state, closes);
	if (state.urgent)
		twin_unmute(descriptor, &owner);
	connection_state_clear(&state);
	return status;
}

/* Until it pays again, if ever, its frames need not be noticed. */
static bool is_for_long(enum borrow_return why)
{
	return why == BORROW_IDLE || why == BORROW_SLOW || why == BORROW_BULK || why == BORROW_LOSS;
}

static void returned(struct socket *socket, enum borrow_return why, int status, bool for_good)
{
	_Static_assert(FLOW_RETURNED_CLOSED + BORROW_CHANCE == FLOW_RETURNED_CHANCE,
		       "reasons and their counters are in one order");

	flow_counted_at(atomic_load(&socket->descriptor),
			status < 0 ? FLOW_RETURNED_LOST
				   : (enum flow_count)(FLOW_RETURNED_CLOSED + (unsigned)why),
			REFUSAL_NONE);
	if (status < 0)
		log_write(LOG_LEVEL_WARN,
			  "descriptor %d: the connection could not be given back: %s",
			  atomic_load(&socket->descriptor), strerror(-status));
	else
		borrow_log(socket, "given back", text_of(why));
	borrow_policy_returned(&socket->policy, why == BORROW_LOSS || why == BORROW_BULK ||
							why == BORROW_SLOW || why == BORROW_CALL);
	atomic_store(&socket->borrowed, false);
	if (socket->loan.state == LOAN_NONE)
		borrow_unwatched();
	else if (for_good || is_for_long(why))
		borrow_forget_loan(socket);
	borrow_change_end(socket, for_good ? SOCKET_KERNEL : SOCKET_LENDABLE);
	epoll_given_back(&socket->object);
	if (for_good)
		epoll_left_to_kernel(&socket->object);
	/* Who waits for it in a call looks again, and finds out. */
	wait_notify(&socket->object.source, EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLRDHUP);
}

static void end(struct socket *socket, enum borrow_return why, bool for_good, bool closes)
{
	enum socket_state state = borrow_change_begin(socket);

	if (state == SOCKET_CONNECTION) {
		if (!atomic_load(&socket->borrowed))
			return;
		if (begin_to_give(socket, why, closes))
			returned(socket, why, give(socket, closes), for_good);
		else
			borrow_change_end(socket, SOCKET_CONNECTION);
	} else if (state == SOCKET_LENDABLE) {
		if (for_good)
			borrow_keep(socket, FLOW_KEPT_UNPAID, text_of(why));
		else
			borrow_change_end(socket, state);
	}
}

void borrow_end(struct socket *socket, enum borrow_return why, bool for_good)
{
	const int errno_before = errno;

	end(socket, why, for_good, false);
	errno = errno_before;
}

void borrow_close(struct socket *socket)
{
	const int errno_before = errno;

	/* A call that is running goes on by a duplicate: nothing of it may be lost. */
	end(socket, BORROW_CLOSED, true, !socket->kept && !descriptor_tables_have_parted());
	errno = errno_before;
}

void borrow_end_any(int descriptor, enum borrow_return why, bool for_good)
{
	struct socket *socket = config_get()->host ? socket_get_any(descriptor) : NULL;

	if (!socket)
		return;
	borrow_end(socket, why, for_good);
	socket_put(socket);
}

/* What was noticed of it is forgotten as well: nothing of it is in the tap any more. */
static void drain_one(struct socket *socket, enum borrow_return why)
{
	borrow_end(socket, why, false);
	if (borrow_change_begin_lendable(socket) != SOCKET_LENDABLE)
		return;
	borrow_forget_loan(socket);
	borrow_change_end(socket, SOCKET_LENDABLE);
}

void borrow_drain(void)
{
	if (config_get()->host)
		borrow_for_each(drain_one, BORROW_DRAINED);
}

static void end_one(struct socket *socket, enum borrow_return why)
{
	borrow_end(socket, why, false);
}

void borrow_end_all(enum borrow_return why)
{
	if (config_get()->host && process_stack_running())
		borrow_for_each(end_one, why);
}

/* With its handle, if that can be: whatever takes system calls is done. */
static void part_with(struct socket *socket, enum borrow_return why)
{
	borrow_end(socket, why, false);
	if (borrow_change_begin_lendable(socket) != SOCKET_LENDABLE)
		return;
	borrow_forget_loan(socket);
	if (is_alone(socket))
		release_handle(socket);
	borrow_log(socket, "parted with", "system calls may be filtered from now on");
	borrow_change_end(socket, SOCKET_LENDABLE);
}

/* Nothing will be borrowed any more: frames are not to pay for it. */
void borrow_before_filter(void)
{
	borrow_await_rest();
	borrow_for_each(part_with, BORROW_RIGHTS);
	if (lending_lender())
		lender_rest(lending_lender());
}

/*
 * Waits for nobody, since that takes system calls: one that is CHANGING finds out that nothing is
 * borrowed any more.
 */
static void keep_lendable(struct socket *socket, enum borrow_return why)
{
	enum socket_state lendable = SOCKET_LENDABLE;

	(void)why;
	if (atomic_compare_exchange_strong(&socket->state, &lendable, SOCKET_CHANGING))
		borrow_keep(socket, FLOW_KEPT_UNPAID, NULL);
}

void borrow_filtered(void)
{
	borrow_stop_filtered();
	borrow_for_each(keep_lendable, BORROW_RIGHTS);
}
