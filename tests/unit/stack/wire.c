/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device of memory for tests: wire.h.
 */
#include "tests/unit/stack/wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lwip/pbuf.h"

#include "dpdk/link.h"

struct frame {
	struct frame *next;
	size_t size;
	uint8_t bytes[];
};

struct queue {
	struct frame *head, **tail;
};

bool wire_answers_arp = true;
unsigned wire_interface;

static const struct link_config *opened_with;
static struct link_path_news path_news[16];
static unsigned path_news_count;

static struct queue received = { .tail = &received.head };
static struct queue sent = { .tail = &sent.head };

static void append(struct queue *queue, const void *bytes, size_t size)
{
	struct frame *frame = malloc(sizeof(*frame) + size);

	frame->next = NULL;
	frame->size = size;
	memcpy(frame->bytes, bytes, size);
	*queue->tail = frame;
	queue->tail = &frame->next;
}

static struct frame *take(struct queue *queue)
{
	struct frame *frame = queue->head;

	if (!frame)
		return NULL;
	queue->head = frame->next;
	if (!queue->head)
		queue->tail = &queue->head;
	return frame;
}

static void memory_close(struct link *link)
{
	(void)link;
}

static void memory_abandon(struct link *link)
{
	(void)link;
}

static unsigned memory_receive(struct link *link, struct pbuf **frames, unsigned max)
{
	unsigned count = 0;
	struct frame *frame;

	(void)link;
	while (count < max && (frame = take(&received)) != NULL) {
		frames[count] = pbuf_alloc(PBUF_RAW, (u16_t)frame->size, PBUF_RAM);
		pbuf_take(frames[count], frame->bytes, (u16_t)frame->size);
		free(frame);
		count++;
	}
	return count;
}

/* Answers "who has PEER" for any address but the stack's own. */
static bool answer_arp(const uint8_t *frame)
{
	uint8_t answer[42];

	if (!wire_answers_arp || frame[12] != 8 || frame[13] != 6 || frame[21] != 1 ||
	    !memcmp(frame + 28, frame + 38, 4))
		return false;
	memcpy(answer, frame, sizeof(answer));
	memcpy(answer, WIRE_OWN_MAC, 6);
	memcpy(answer + 6, WIRE_PEER_MAC, 6);
	answer[21] = 2;
	memcpy(answer + 22, WIRE_PEER_MAC, 6);
	memcpy(answer + 28, frame + 38, 4);
	memcpy(answer + 32, WIRE_OWN_MAC, 6);
	memcpy(answer + 38, frame + 28, 4);
	append(&received, answer, sizeof(answer));
	return true;
}

static int memory_transmit(struct link *link, struct pbuf *frame)
{
	uint8_t bytes[2048];
	u16_t size = pbuf_copy_partial(frame, bytes, sizeof(bytes), 0);

	(void)link;
	if (!answer_arp(bytes))
		append(&sent, bytes, size);
	return 0;
}

static int memory_transmit_by(struct link *link, struct pbuf *frame, unsigned interface)
{
	wire_interface = interface;
	return memory_transmit(link, frame);
}

static enum link_news memory_attend(struct link *link, struct link_info *info)
{
	(void)link;
	(void)info;
	for (unsigned i = 0; i < path_news_count; i++)
		opened_with->path_changed(opened_with->context, &path_news[i]);
	path_news_count = 0;
	return LINK_SAME;
}

void wire_change_path(const struct link_path_news *news)
{
	path_news[path_news_count++] = *news;
}

static unsigned memory_flush(struct link *link)
{
	(void)link;
	return 0;
}

static void memory_counters(struct link *link, struct link_counters *counters)
{
	(void)link;
	(void)counters;
}

static const struct link_operations operations = {
	.close = memory_close,
	.abandon = memory_abandon,
	.receive = memory_receive,
	.transmit = memory_transmit,
	.transmit_by = memory_transmit_by,
	.attend = memory_attend,
	.flush = memory_flush,
	.counters = memory_counters,
};

int link_check(const struct stack_config *config, struct reason *reason)
{
	(void)config;
	(void)reason;
	return 0;
}

int link_open(const struct link_config *config, struct link **link, struct link_info *info,
	      struct reason *reason)
{
	static struct link link_of_memory = { .operations = &operations };

	static struct link_config copy;

	copy = *config;
	opened_with = &copy;
	(void)reason;
	*link = &link_of_memory;
	*info = (struct link_info){ .mtu = 1500, .wait_descriptor = -1, .driver = "memory" };
	memcpy(info->mac, WIRE_OWN_MAC, 6);
	return 0;
}

void wire_put(const void *frame, size_t size)
{
	append(&received, frame, size);
}

size_t wire_get(void *frame, size_t size)
{
	struct frame *first = take(&sent);

	if (!first)
		return 0;
	if (first->size < size)
		size = first->size;
	memcpy(frame, first->bytes, size);
	free(first);
	return size;
}

void wire_clear(void)
{
	uint8_t byte;

	while (wire_get(&byte, 1))
		;
}

static void put16(uint8_t *at, unsigned value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value)
{
	put16(at, value >> 16);
	put16(at + 2, value & 0xffff);
}

static uint32_t get32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static size_t put_ip4(uint8_t *ip, const struct segment *segment, size_t size)
{
	put16(ip + 2, (unsigned)(20 + size));
	ip[0] = 0x45;
	if (segment->fragment)
		ip[6] = 0x20;
	ip[8] = 64;
	ip[9] = 6;
	inet_pton(AF_INET, segment->source ? segment->source : WIRE_PEER, ip + 12);
	inet_pton(AF_INET, WIRE_OWN, ip + 16);
	return 20;
}

static size_t put_ip6(uint8_t *ip, size_t size)
{
	ip[0] = 0x60;
	put16(ip + 4, (unsigned)size);
	ip[6] = 6;
	ip[7] = 64;
	inet_pton(AF_INET6, WIRE_PEER6, ip + 8);
	inet_pton(AF_INET6, WIRE_OWN6, ip + 24);
	return 40;
}

size_t wire_build(const struct segment *segment, uint8_t *frame)
{
	uint8_t *ip = frame + 14;
	size_t header = 20 + segment->option_size;
	size_t size = header + segment->size;
	size_t ip_size;
	uint8_t *tcp;

	memcpy(frame, WIRE_OWN_MAC, 6);
	memcpy(frame + 6, WIRE_PEER_MAC, 6);
	put16(frame + 12, segment->v6 ? 0x86dd : 0x0800);
	ip_size = segment->v6 ? put_ip6(ip, size) : put_ip4(ip, segment, size);
	tcp = ip + ip_size;
	put16(tcp, segment->from);
	put16(tcp + 2, segment->to);
	put32(tcp + 4, segment->seq);
	put32(tcp + 8, segment->ack);
	tcp[12] = (uint8_t)(header / 4 << 4);
	tcp[13] = segment->flags;
	put16(tcp + 14, segment->shut ? 0 : segment->window ? segment->window : 65535);
	if (segment->option_size)
		memcpy(tcp + 20, segment->options, segment->option_size);
	if (segment->size)
		memcpy(tcp + header, segment->data, segment->size);
	return 14 + ip_size + size;
}

void wire_put_segment(const struct segment *segment)
{
	uint8_t frame[2048] = { 0 };

	wire_put(frame, wire_build(segment, frame));
}

bool wire_get_segment(struct segment *segment)
{
	static uint8_t frame[2048];
	size_t size;

	while ((size = wire_get(frame, sizeof(frame))) != 0) {
		const uint8_t *ip = frame + 14;
		bool v6 = frame[12] == 0x86 && frame[13] == 0xdd;
		const uint8_t *tcp = ip + (v6 ? 40 : 20);
		size_t header;

		if (!(v6 && ip[6] == 6) && !(frame[12] == 8 && frame[13] == 0 && ip[9] == 6))
			continue;
		header = (tcp[12] >> 4) * 4u;
		*segment = (struct segment){
			.from = (uint16_t)(tcp[0] << 8 | tcp[1]),
			.to = (uint16_t)(tcp[2] << 8 | tcp[3]),
			.seq = get32(tcp + 4),
			.ack = get32(tcp + 8),
			.flags = tcp[13],
			.window = (uint16_t)(tcp[14] << 8 | tcp[15]),
			.options = tcp + 20,
			.option_size = header - 20,
			.data = tcp + header,
			.size = (v6 ? (size_t)(ip[4] << 8 | ip[5])
				    : (size_t)(ip[2] << 8 | ip[3]) - 20) -
				header,
			.v6 = v6,
			.dont_fragment = !v6 && (ip[6] & 0x40),
			.packet = ip,
		};
		return true;
	}
	return false;
}

uint16_t wire_checksum(const uint8_t *bytes, size_t size, uint32_t start)
{
	uint32_t total = start;

	for (size_t i = 0; i < size; i++)
		total += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
	while (total >> 16)
		total = (total & 0xffff) + (total >> 16);
	return (uint16_t)~total;
}
