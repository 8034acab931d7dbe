/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Acknowledgements: acknowledge.h. Each one is a frame, and on an AF_XDP interface the peer's
 * kernel works on it on our core; so there is one for a burst, and none where the program's answer
 * follows at once. What is owed is sent when somebody looks for more input, which a program does
 * when it has dealt with what it was given; lwIP's timer, every 10 ms, is there for one that does
 * not.
 */
#include "stack/tcp/acknowledge.h"

#include "lwip/priv/tcp_priv.h"

#include "stack/instance_parts.h"
#include "stack/socket_parts.h"

/*
 * Linux's TCP_MAX_QUICKACKS; and the pause after which it begins anew, Linux's least retransmission
 * timeout.
 */
#define QUICK_ACKS	   16
#define QUICK_ACK_PAUSE_MS 200

/* Linux's least delay of an acknowledgement: an answer within it takes it along. */
#define ANSWER_MS 40

static void owe(struct stack_socket *socket)
{
	if (socket->acknowledge.is_owing)
		return;
	socket->acknowledge.is_owing = true;
	LIST_INSERT_HEAD(&socket->stack->owing, socket, acknowledge.owing);
}

void acknowledge_forget(struct stack_socket *socket)
{
	if (!socket->acknowledge.is_owing)
		return;
	socket->acknowledge.is_owing = false;
	LIST_REMOVE(socket, acknowledge.owing);
}

void acknowledge_reset(struct stack_socket *socket)
{
	socket->acknowledge.last_data = 0;
	socket->acknowledge.unacknowledged = 0;
	socket->acknowledge.quick_acks = 0;
	socket->acknowledge.interactive = false;
}

void acknowledge_owed(struct stack *stack)
{
	struct stack_socket *socket;

	while ((socket = LIST_FIRST(&stack->owing))) {
		acknowledge_forget(socket);
		if (!(socket->pcb->flags & TF_ACK_DELAY))
			continue; /* another segment has carried it */
		tcp_ack_now(socket->pcb);
		tcp_output(socket->pcb);
	}
}

/*
 * Linux acknowledges the first segments of a connection, and those after a pause, without delay: a
 * sender in slow start or with Nagle's algorithm waits for it; and at least every second segment
 * of more. Once the program answers, its answers carry the acknowledgement.
 */
void acknowledge_data(struct stack_socket *socket)
{
	uint64_t now = melin_clock_ns() / 1000000;

	if (!socket->acknowledge.last_data ||
	    now - socket->acknowledge.last_data > QUICK_ACK_PAUSE_MS) {
		socket->acknowledge.quick_acks = QUICK_ACKS;
		socket->acknowledge.interactive = false;
	}
	socket->acknowledge.last_data = now;
	socket->acknowledge.unacknowledged++;
	if (socket->options.quick_ack) {
		tcp_ack_now(socket->pcb);
		return;
	}
	/* RFC 5681 4.2: the sender waits to hear that a gap is filled. */
	if (gap_is_filled(socket) || socket->acknowledge.quick_acks ||
	    socket->acknowledge.unacknowledged > 1)
		owe(socket);
	if (socket->acknowledge.quick_acks)
		socket->acknowledge.quick_acks--;
}

/*
 * lwIP has just decided to acknowledge the FIN at once. The program's own FIN or its last data may
 * follow soon, and they can carry the acknowledgement.
 */
void acknowledge_fin(struct stack_socket *socket)
{
	struct tcp_pcb *pcb = socket->pcb;

	if (pcb->state != CLOSE_WAIT || socket->options.quick_ack)
		return;
	tcp_clear_flags(pcb, TF_ACK_NOW);
	tcp_set_flags(pcb, TF_ACK_DELAY);
	owe(socket);
}

/*
 * As Linux: a program that only reads and has read all there is acknowledges; one that answers lets
 * its answer do that.
 */
void acknowledge_read(struct stack_socket *socket)
{
	struct tcp_pcb *pcb = socket->pcb;

	if (!(pcb->flags & TF_ACK_DELAY))
		return;
	if (socket->options.quick_ack) {
		tcp_ack_now(pcb);
		tcp_output(pcb);
	} else if (!socket->acknowledge.interactive && !socket->received.bytes) {
		owe(socket);
	}
}

void acknowledge_answer(struct stack_socket *socket)
{
	if (melin_clock_ns() / 1000000 - socket->acknowledge.last_data >= ANSWER_MS)
		return;
	socket->acknowledge.interactive = true;
	socket->acknowledge.quick_acks = 0;
}

void acknowledge_sent(struct stack_socket *socket)
{
	socket->acknowledge.unacknowledged = 0;
}
