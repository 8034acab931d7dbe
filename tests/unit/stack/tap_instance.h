/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An instance that borrows connections from the kernel, over a tap of memory. Not for the kernel's
 * connection itself and its peer: kernels.h.
 */
#ifndef MELIN_TEST_STACK_TAP_INSTANCE_H
#define MELIN_TEST_STACK_TAP_INSTANCE_H

#include "tests/link/memory_link.h"
#include "tests/unit/stack/kernels.h"

static void open_tap(void)
{
	struct stack_callbacks with_count = callbacks;
	struct stack_config config = { .tap = -1, .rules = -1 };
	struct reason reason = { "" };

	with_count.log = count_complaints;
	if (ops->open(&config, &with_count, &stack, &reason)) {
		printf("Bail out! %s\n", reason.text);
		exit(1);
	}
	background_stop(stack);
	wire_clear();
}

/* Borrows one more, and forgets what came of it. */
__attribute__((unused)) static struct connection_state borrow(struct test_socket *socket)
{
	struct connection_state state = kernels();

	if (adopt(socket, &state)) {
		printf("Bail out! not adopted\n");
		exit(1);
	}
	wire_clear();
	return state;
}

__attribute__((unused)) static void say_flags(uint8_t flags, uint32_t sequence, const char *text)
{
	struct segment segment = { .seq = sequence,
				   .ack = peer.ack,
				   .flags = flags,
				   .window = 1000,
				   .data = text,
				   .size = strlen(text) };

	put_stamped(&segment, ++peers_clock);
	ops->poll(stack);
}

static enum stack_return reason_of(const struct test_socket *socket)
{
	return ops->return_reason(socket->handle);
}

__attribute__((unused)) static bool is_asked_for(struct test_socket *socket,
						 enum stack_return reason)
{
	return (take_events(socket) & STACK_EVENT_RETURN) && reason_of(socket) == reason;
}

/* Gives it back; the state's data is lost. */
static struct connection_state give(struct test_socket *socket)
{
	struct connection_state state;

	tap_ok(ops->give(socket->handle, &state) == 0, "given back");
	connection_state_clear(&state);
	ops->release(socket->handle);
	return state;
}

__attribute__((unused)) static bool is_silent(void)
{
	uint8_t frame[64];

	return wire_get(frame, sizeof(frame)) == 0;
}

#endif
