/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is looked at before a received frame reaches lwIP, whose parsers trust more than they
 * should.
 */
#ifndef MELIN_FILTER_H
#define MELIN_FILTER_H

struct netif;
struct pbuf;
struct stack;

/*
 * The interface that the frame is for, or NULL: drop it. May change options of TCP in place, so
 * that lwIP's parser stays within them.
 */
struct netif *filter_frame(struct stack *stack, struct pbuf *frame);

#endif
