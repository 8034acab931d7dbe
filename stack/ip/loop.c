/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Delivery within the process: loop.h. lwIP's output for a local address comes here with a complete
 * IP packet; its TCP segment goes to tcp_input() once the call that sent it is done, so lwIP is
 * never entered from within itself. IP input is not run: the header is our own, and its addresses
 * (any of 127.0.0.0/8, any of the stack's) need no interface to be accepted.
 */
#include "stack/ip/loop.h"

#include <string.h>

#include "stack/instance_parts.h"
#include "stack/ip/past_ip.h"

/* One segment is one buffer; lwIP's segments are no larger than TCP_MSS anyway. */
#define LOOP_MTU 65535

/*
 * Takes a copy: the sender keeps its own buffers until they are acknowledged, and lwIP changes
 * headers in place on both sides.
 */
static err_t enqueue(struct stack *stack, const struct pbuf *packet)
{
	struct pbuf *copy = pbuf_alloc(PBUF_RAW, packet->tot_len, PBUF_RAM);

	if (!copy)
		return ERR_OK; /* as lost on a wire: sent again by TCP */
	pbuf_copy(copy, packet);
	if (stack->loop_tail)
		stack->loop_tail->next = copy;
	else
		stack->loop_head = copy;
	stack->loop_tail = copy;
	return ERR_OK;
}

static err_t output4(struct netif *netif, struct pbuf *packet, const ip4_addr_t *destination)
{
	(void)destination;
	return enqueue(netif->state, packet);
}

static err_t output6(struct netif *netif, struct pbuf *packet, const ip6_addr_t *destination)
{
	(void)destination;
	return enqueue(netif->state, packet);
}

static err_t start_netif(struct netif *netif)
{
	netif->name[0] = 'l';
	netif->name[1] = 'o';
	netif->output = output4;
	netif->output_ip6 = output6;
	netif->mtu = LOOP_MTU;
	netif->flags = NETIF_FLAG_LINK_UP;
	NETIF_SET_CHECKSUM_CTRL(netif, 0); /* memory does not flip bits on the way */
	return ERR_OK;
}

void loop_start(struct stack *stack)
{
	ip4_addr_t ip, mask, gateway;
	ip6_addr_t ip6 = { .addr = { 0, 0, 0, PP_HTONL(1) } };

	IP4_ADDR(&ip, 127, 0, 0, 1);
	IP4_ADDR(&mask, 255, 0, 0, 0);
	ip4_addr_set_zero(&gateway);
	netif_add(&stack->loop_netif, &ip, &mask, &gateway, stack, start_netif,
		  past_ip_never_input);
	netif_ip6_addr_set(&stack->loop_netif, 0, &ip6);
	netif_ip6_addr_set_state(&stack->loop_netif, 0, IP6_ADDR_PREFERRED);
	netif_set_up(&stack->loop_netif);
}

/*
 * Fills in what IP input would have left behind for TCP. Returns the size of the IP header, 0:
 * drop.
 */
static u16_t set_addresses(struct pbuf *packet)
{
	const struct ip_hdr *ip4 = packet->payload;
	struct ip6_hdr *ip6 = packet->payload;

	if (IPH_V(ip4) == 4) {
		if (IPH_PROTO(ip4) != IP_PROTO_TCP)
			return 0;
		past_ip_begin4(ip4);
		return IPH_HL_BYTES(ip4);
	}
	if (IP6H_NEXTH(ip6) != IP_PROTO_TCP)
		return 0;
	past_ip_begin6(ip6);
	return IP6_HLEN;
}

static void deliver(struct stack *stack, struct pbuf *packet)
{
	u16_t header = set_addresses(packet);

	if (!header) {
		pbuf_free(packet);
		return;
	}
	stack->counters.loop_segments++;
	past_ip_input(packet, &stack->loop_netif, header, header);
}

unsigned loop_deliver(struct stack *stack)
{
	unsigned count = 0;

	while (stack->loop_head) {
		struct pbuf *packet = stack->loop_head;

		stack->loop_head = packet->next;
		if (!stack->loop_head)
			stack->loop_tail = NULL;
		packet->next = NULL;
		deliver(stack, packet);
		count++;
	}
	return count;
}

void loop_stop(struct stack *stack)
{
	while (stack->loop_head) {
		struct pbuf *packet = stack->loop_head;

		stack->loop_head = packet->next;
		packet->next = NULL;
		pbuf_free(packet);
	}
	stack->loop_tail = NULL;
}
