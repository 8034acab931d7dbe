/* SPDX-License-Identifier: BSD-3-Clause */
/* See send_pair.h. */
#include "stack/socket/send_pair.h"

#include "stack/instance_parts.h"
#include "stack/socket/socket.h"

/* So many turns in a row have had two sends: it is no accident. */
#define HABIT 8

/*
 * The second came within this time of the first: a program that computes in between would have its
 * first part late.
 */
#define SOON_US 50

static uint32_t now_us(void)
{
	return (uint32_t)(melin_clock_ns() / 1000);
}

bool send_pair_waits(struct stack_socket *socket, size_t size)
{
	struct send_pair *pair = &socket->send_pair;
	struct stack *stack = socket->stack;

	stack->half_sent = NULL; /* if it was this one's, both parts go now */
	if (pair->sends == UINT8_MAX)
		return false;
	pair->sends++;
	if (pair->sends == 1) {
		pair->first_us = now_us();
		if (pair->habit < HABIT || size >= tcp_mss(socket->pcb) || !stack->link)
			return false;
		stack->half_sent = socket;
		return true;
	}
	if (pair->sends > 2 || now_us() - pair->first_us > SOON_US)
		pair->habit = 0;
	else if (pair->habit < HABIT)
		pair->habit++;
	return false;
}

void send_pair_read(struct stack_socket *socket)
{
	struct send_pair *pair = &socket->send_pair;

	if (pair->sends == 1)
		pair->habit = 0;
	pair->sends = 0;
}

void send_pair_release(struct stack *stack)
{
	struct stack_socket *socket = stack->half_sent;

	if (__builtin_expect(!socket, 1))
		return;
	stack->half_sent = NULL;
	output_push(socket, false);
}
