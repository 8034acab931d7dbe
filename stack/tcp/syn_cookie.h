/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SYN cookies: answers to SYNs that nothing is remembered of. All that is needed for the connection
 * is in the initial sequence number, which comes back with the handshake's last ACK. Not for when
 * they are given: listen.c. The instance's lock is held for all of it.
 */
#ifndef MELIN_SYN_COOKIE_H
#define MELIN_SYN_COOKIE_H

#include <stdbool.h>
#include <stdint.h>

struct pbuf;
struct stack;
struct stack_socket;
struct tcp_hdr;

/* How long after its making a cookie may be good, at most; ns. */
#define SYN_COOKIE_AGE_MAX_NS (120ull * 1000000000)

/* The secrets of this period and of the last, by the parity of its number; made when first used. */
struct syn_cookies {
	struct {
		uint64_t period; /* 0: none */
		uint64_t secret;
	} secrets[2];
};

/*
 * Answers the SYN that lwIP is demultiplexing (header as it has left it: in host order) for a
 * listener.
 */
void syn_cookie_answer(const struct stack_socket *listener, const struct tcp_hdr *header);

/* Whether the segment's acknowledgement number is a cookie that was given to its sender. */
bool syn_cookie_is_good(const struct tcp_hdr *header);

/*
 * Makes the connection that a good cookie stands for and hands the segment to it; data has no TCP
 * header any more, header is where it was. lwIP is entered from within its own tcp_input(), which
 * must not look at the segment afterwards.
 */
void syn_cookie_redeem(struct stack *stack, struct tcp_hdr *header, struct pbuf *data);

#endif
