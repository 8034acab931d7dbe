/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SYN cookies: syn_cookie.h; RFC 4987 3.6. Where Linux keeps the window's scale and SACK in a
 * timestamp, which this stack does not send, they are in the cookie too: 25 bits of it are a keyed
 * hash, 7 say what the SYN's options were. Who guesses makes a connection with one of 16 million
 * segments; Linux's cookies have 24 bits for four values.
 *
 *     hash of addresses, ports, the peer's number, the secret     segment size  SACK  scale
 *     31                                                       7  6           4     3 2   0
 *
 * A good cookie is redeemed by having lwIP receive the SYN that it was given for, as it must have
 * been, whose answer is not sent a second time; and then the segment itself.
 */
#include "stack/tcp/syn_cookie.h"

#include <string.h>

#include "lwip/ip.h"
#include "lwip/priv/tcp_priv.h"

#include "common/network_order.h"
#include "stack/tcp/index.h"
#include "stack/instance_parts.h"
#include "stack/socket_parts.h"

/* A cookie is good in the period in which it was made and in the next, as Linux's. */
#define PERIOD_NS (SYN_COOKIE_AGE_MAX_NS / 2)

#define DATA_BITS 7
#define DATA_MASK ((1u << DATA_BITS) - 1)
#define SACK_BIT  (1u << 3)

#define OPTION_MSS	      2
#define OPTION_SCALE	      3
#define OPTION_SACK_PERMITTED 4
/* MSS, and the other two with the padding in front of them that lwIP uses */
#define OPTIONS_MAX 12

#define SCALE_NONE  0xff
#define DEFAULT_MSS 536 /* RFC 9293 3.7.1 */

/*
 * The segment sizes that a cookie can name, those that peers announce most. A cookie names the
 * largest one that is not above the SYN's. The first is the least that filter.c lets through.
 */
static const uint16_t segment_sizes[8] = { 88, 536, 1220, 1300, 1380, 1440, 1460, 8940 };
/*
 * The window scales that a cookie can name: the largest that is not above the SYN's. A window that
 * we take for smaller than it is costs speed; for larger, data.
 */
static const uint8_t scales[8] = { SCALE_NONE, 0, 2, 4, 6, 7, 8, 10 };

struct syn_options {
	uint16_t segment_size;
	uint8_t scale;
	bool sack;
};

/* ---- the secret ---- */

static uint64_t period_now(void)
{
	return melin_clock_ns() / PERIOD_NS + 1;
}

static uint64_t secret_now(void)
{
	struct syn_cookies *cookies = &melin_instance->syn_cookies;
	uint64_t period = period_now();

	if (cookies->secrets[period % 2].period != period) {
		cookies->secrets[period % 2].period = period;
		cookies->secrets[period % 2].secret =
			(uint64_t)melin_random() << 32 | melin_random();
	}
	return cookies->secrets[period % 2].secret;
}

/* ---- the cookie ---- */

static uint32_t make(const struct tcp_hdr *header, uint32_t sequence, uint64_t secret,
		     uint32_t data)
{
	struct {
		uint8_t local[16], remote[16];
		uint16_t local_port, remote_port;
		uint32_t sequence;
		uint64_t secret;
		uint32_t family, data;
	} input = { .local_port = header->dest,
		    .remote_port = header->src,
		    .sequence = sequence,
		    .secret = secret,
		    .data = data };

	if (IP_IS_V6(ip_current_dest_addr())) {
		memcpy(input.local, ip_2_ip6(ip_current_dest_addr())->addr, 16);
		memcpy(input.remote, ip_2_ip6(ip_current_src_addr())->addr, 16);
		input.family = 6;
	} else {
		memcpy(input.local, &ip_2_ip4(ip_current_dest_addr())->addr, 4);
		memcpy(input.remote, &ip_2_ip4(ip_current_src_addr())->addr, 4);
		input.family = 4;
	}
	return (uint32_t)melin_random_siphash(&input, sizeof(input)) << DATA_BITS | data;
}

static uint32_t to_data(const struct syn_options *options)
{
	uint32_t size = 7, scale = 0;

	while (size && segment_sizes[size] > options->segment_size)
		size--;
	if (options->scale != SCALE_NONE) {
		scale = 7;
		while (scale > 1 && scales[scale] > options->scale)
			scale--;
	}
	return size << 4 | (options->sack ? SACK_BIT : 0) | scale;
}

static struct syn_options from_data(uint32_t data)
{
	return (struct syn_options){
		.segment_size = segment_sizes[data >> 4 & 7],
		.scale = scales[data & 7],
		.sack = data & SACK_BIT,
	};
}

bool syn_cookie_is_good(const struct tcp_hdr *header)
{
	const struct syn_cookies *cookies = &melin_instance->syn_cookies;
	uint32_t cookie = header->ackno - 1;
	uint64_t period = period_now();

	for (unsigned i = 0; i < 2; i++) {
		uint64_t then = period - i;

		if (cookies->secrets[then % 2].period == then &&
		    make(header, header->seqno - 1, cookies->secrets[then % 2].secret,
			 cookie & DATA_MASK) == cookie)
			return true;
	}
	return false;
}

/* ---- options ---- */

/* The options are whole and in one buffer: filter.c sees to that. */
static struct syn_options read_options(const struct tcp_hdr *header)
{
	struct syn_options options = { .segment_size = DEFAULT_MSS, .scale = SCALE_NONE };
	const uint8_t *bytes = (const uint8_t *)(header + 1);
	unsigned size = TCPH_HDRLEN_BYTES(header) - TCP_HLEN;
	unsigned at = 0;

	while (at < size && bytes[at]) {
		unsigned length = bytes[at] == 1 ? 1 : at + 1 < size ? bytes[at + 1] : 0;

		if (length == 0 || at + length > size)
			break;
		if (bytes[at] == OPTION_MSS && length == 4)
			options.segment_size = bytes_read16(bytes + at + 2);
		else if (bytes[at] == OPTION_SCALE && length == 3)
			options.scale = bytes[at + 2];
		else if (bytes[at] == OPTION_SACK_PERMITTED && length == 2)
			options.sack = true;
		at += length;
	}
	return options;
}

static unsigned write_options(uint8_t *bytes, const struct syn_options *options)
{
	unsigned size = 4;

	bytes[0] = OPTION_MSS;
	bytes[1] = 4;
	bytes[2] = (uint8_t)(options->segment_size >> 8);
	bytes[3] = (uint8_t)options->segment_size;
	if (options->scale != SCALE_NONE) {
		const uint8_t scale[] = { 1, OPTION_SCALE, 3, options->scale };

		memcpy(bytes + size, scale, sizeof(scale));
		size += sizeof(scale);
	}
	if (options->sack) {
		const uint8_t sack[] = { 1, 1, OPTION_SACK_PERMITTED, 2 };

		memcpy(bytes + size, sack, sizeof(sack));
		size += sizeof(sack);
	}
	return size;
}

/* A segment without data, in network order; NULL: no memory. */
static struct pbuf *compose(uint16_t from, uint16_t to, uint32_t sequence, uint32_t acknowledged,
			    uint8_t flags, uint16_t window, const struct syn_options *options)
{
	uint8_t bytes[OPTIONS_MAX];
	unsigned size = write_options(bytes, options);
	struct pbuf *segment = pbuf_alloc(PBUF_IP, (u16_t)(TCP_HLEN + size), PBUF_RAM);
	struct tcp_hdr *header;

	if (!segment)
		return NULL;
	header = segment->payload;
	memset(header, 0, sizeof(*header));
	header->src = lwip_htons(from);
	header->dest = lwip_htons(to);
	header->seqno = lwip_htonl(sequence);
	header->ackno = lwip_htonl(acknowledged);
	TCPH_HDRLEN_FLAGS_SET(header, (TCP_HLEN + size) / 4, flags);
	header->wnd = lwip_htons(window);
	memcpy(header + 1, bytes, size);
	return segment;
}

/* ---- giving ---- */

static uint8_t hop_limit(const struct stack_socket *listener, bool v6)
{
	int limit = v6 ? listener->options.hops : listener->options.ttl;

	return (uint8_t)(limit < 0 ? TCP_TTL : limit);
}

void syn_cookie_answer(const struct stack_socket *listener, const struct tcp_hdr *header)
{
	const ip_addr_t *local = ip_current_dest_addr(), *remote = ip_current_src_addr();
	struct netif *netif = ip_route(local, remote);
	struct syn_options options = read_options(header);
	uint32_t cookie = make(header, header->seqno, secret_now(), to_data(&options));
	uint32_t window = LWIP_MIN(listener->options.receive_buffer / 2, 0xffff);
	struct pbuf *answer;

	if (!netif)
		return;
	if (options.scale != SCALE_NONE)
		options.scale = TCP_RCV_SCALE;
	options.segment_size = tcp_eff_send_mss_netif(TCP_MSS, netif, remote);
	answer = compose(header->dest, header->src, cookie, header->seqno + 1, TCP_SYN | TCP_ACK,
			 (uint16_t)window, &options);
	if (!answer)
		return;
	melin_fragment_bits = PP_HTONS(IP_DF);
	TCP_STATS_INC(tcp.xmit);
	ip_output_if(answer, local, remote, hop_limit(listener, IP_IS_V6(remote)),
		     listener->options.tos, IP_PROTO_TCP, netif);
	pbuf_free(answer);
}

/* ---- redeeming ---- */

static err_t swallow4(struct netif *netif, struct pbuf *packet, const ip4_addr_t *destination)
{
	(void)netif;
	(void)packet;
	(void)destination;
	return ERR_OK;
}

static err_t swallow6(struct netif *netif, struct pbuf *packet, const ip6_addr_t *destination)
{
	(void)netif;
	(void)packet;
	(void)destination;
	return ERR_OK;
}

/* While it is on, nothing that lwIP sends leaves: routing.c sends it to the silent interface. */
static void swallow(struct stack *stack, bool on)
{
	struct netif *silent = &stack->silent_netif;

	stack->swallowing = on;
	silent->output = swallow4;
	silent->output_ip6 = swallow6;
	silent->mtu = ip_current_input_netif()->mtu; /* sizes of segments depend on it */
	NETIF_SET_CHECKSUM_CTRL(silent, 0);
}

/* Makes the connection that the SYN would have made. */
static struct tcp_pcb *replay(struct stack *stack, const struct tcp_hdr *header, uint16_t port,
			      uint16_t remote_port)
{
	uint32_t cookie = header->ackno - 1;
	struct syn_options options = from_data(cookie & DATA_MASK);
	struct pbuf *syn =
		compose(remote_port, port, header->seqno - 1, 0, TCP_SYN, header->wnd, &options);

	if (!syn)
		return NULL;
	random_set_sequence(&stack->random, cookie);
	swallow(stack, true);
	tcp_input(syn, ip_current_input_netif());
	swallow(stack, false);
	random_unset_sequence(&stack->random);
	return melin_index_find(ip_current_dest_addr(), port, ip_current_src_addr(), remote_port);
}

void syn_cookie_redeem(struct stack *stack, struct tcp_hdr *header, struct pbuf *data)
{
	uint16_t port = header->dest, remote_port = header->src;
	unsigned size = TCPH_HDRLEN_BYTES(header);
	struct tcp_pcb *pcb = replay(stack, header, port, remote_port);
	struct netif *netif = ip_current_input_netif();

	if (!pcb || pcb->state != SYN_RCVD)
		return; /* no memory: the peer tries again */
	/* Nobody remembers when the SYN-ACK was sent, so its round trip cannot be measured. */
	pcb->rttest = 0;
	if (socket_of(pcb))
		socket_of(pcb)->handshake.since = 0;
	header->src = lwip_htons(remote_port);
	header->dest = lwip_htons(port);
	header->seqno = lwip_htonl(header->seqno);
	header->ackno = lwip_htonl(header->ackno);
	header->wnd = lwip_htons(header->wnd);
	pbuf_add_header_force(data, size);
	pbuf_ref(data);
	tcp_input(data, netif);
}
