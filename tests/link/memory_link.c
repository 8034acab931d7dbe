/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * See memory_link.h. A frame is copied once, as a device's DMA would, and received without a copy.
 */
#include "tests/link/memory_link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lwip/pbuf.h"

struct memory_frame {
	struct pbuf_custom pbuf; /* first: lwIP hands a pointer to it back */
	struct memory_frame *next;
	uint16_t size;
	uint8_t bytes[MEMORY_FRAME_MAX];
};

static void append(struct memory_list *list, struct memory_frame *frame)
{
	frame->next = NULL;
	if (list->first)
		list->last->next = frame;
	else
		list->first = frame;
	list->last = frame;
}

static struct memory_frame *take(struct memory_list *list)
{
	struct memory_frame *frame = list->first;

	if (frame)
		list->first = frame->next;
	return frame;
}

static struct memory_frame *make_frame(void)
{
	struct memory_frame *frame = malloc(sizeof(*frame));

	if (!frame)
		abort();
	return frame;
}

static struct memory_frame *unused_frame(struct memory_queue *queue)
{
	struct memory_frame *frame = take(&queue->unused);

	return frame ? frame : make_frame();
}

void memory_queue_prepare(struct memory_queue *queue, unsigned frames)
{
	while (frames--)
		append(&queue->unused, make_frame());
}

void memory_queue_put(struct memory_queue *queue, const void *bytes, size_t size)
{
	struct memory_frame *frame = unused_frame(queue);

	if (size > sizeof(frame->bytes))
		abort();
	frame->size = (uint16_t)size;
	memcpy(frame->bytes, bytes, size);
	append(&queue->waiting, frame);
}

size_t memory_queue_take(struct memory_queue *queue, void *bytes, size_t size)
{
	struct memory_frame *frame = take(&queue->waiting);

	if (!frame)
		return 0;
	if (frame->size < size)
		size = frame->size;
	memcpy(bytes, frame->bytes, size);
	append(&queue->unused, frame);
	return size;
}

/* lwIP has done with a frame. */
static void received(struct pbuf *pbuf)
{
	append(&memory_link.received.unused, (struct memory_frame *)pbuf);
}

static unsigned memory_receive(struct link *link, struct pbuf **frames, unsigned max)
{
	struct memory_frame *frame;
	unsigned count = 0;

	(void)link;
	while (count < max && (frame = take(&memory_link.received.waiting)) != NULL) {
		frame->pbuf.custom_free_function = received;
		frames[count++] = pbuf_alloced_custom(PBUF_RAW, frame->size, PBUF_REF, &frame->pbuf,
						      frame->bytes, frame->size);
	}
	memory_link.counters.rx_frames += count;
	return count;
}

static int memory_transmit(struct link *link, struct pbuf *pbuf)
{
	struct memory_link *to = memory_link.peer;
	struct memory_queue *queue = to ? &to->received : &memory_link.sent;
	struct memory_frame *frame;

	(void)link;
	if (pbuf->tot_len > MEMORY_FRAME_MAX)
		return -EMSGSIZE;
	frame = unused_frame(queue);
	frame->size = pbuf_copy_partial(pbuf, frame->bytes, pbuf->tot_len, 0);
	if (memory_link.answer && memory_link.answer(frame->bytes, frame->size))
		append(&queue->unused, frame);
	else
		append(&queue->waiting, frame);
	memory_link.counters.tx_frames++;
	return 0;
}

static int memory_transmit_by(struct link *link, struct pbuf *pbuf, unsigned interface)
{
	memory_link.interface = interface;
	return memory_transmit(link, pbuf);
}

void memory_link_change_path(const struct link_path_news *news)
{
	if (memory_link.news_count == sizeof(memory_link.news) / sizeof(memory_link.news[0]))
		abort();
	memory_link.news[memory_link.news_count++] = *news;
}

static enum link_news memory_attend(struct link *link, struct link_info *info)
{
	(void)link;
	(void)info;
	for (unsigned i = 0; i < memory_link.news_count; i++)
		memory_link.config.path_changed(memory_link.config.context, &memory_link.news[i]);
	memory_link.news_count = 0;
	return LINK_SAME;
}

static bool memory_has_way(struct link *link, const struct sockaddr *local,
			   const struct sockaddr *remote)
{
	(void)link;
	(void)local;
	(void)remote;
	return !memory_link.has_no_way;
}

static unsigned memory_flush(struct link *link)
{
	(void)link;
	return 0;
}

static void memory_counters(struct link *link, struct link_counters *counters)
{
	(void)link;
	*counters = memory_link.counters;
}

static void memory_close(struct link *link)
{
	(void)link;
}

static const struct link_operations operations = {
	.close = memory_close,
	.abandon = memory_close,
	.receive = memory_receive,
	.transmit = memory_transmit,
	.transmit_by = memory_transmit_by,
	.attend = memory_attend,
	.has_way = memory_has_way,
	.flush = memory_flush,
	.counters = memory_counters,
};

struct memory_link memory_link = { .link.operations = &operations };

int link_check(const struct stack_config *config, struct reason *reason)
{
	if (!config->device || strcmp(config->device, "memory") == 0)
		return 0;
	return reason_set(reason, -ENODEV, "there is no device but \"memory\" here");
}

int link_open(const struct link_config *config, struct link **link, struct link_info *info,
	      struct reason *reason)
{
	int error = link_check(config->stack, reason);

	if (error)
		return error;
	/* The last byte of the address makes the hardware's. */
	*info = (struct link_info){ .mac = { 2, 0, 0, 0, 0, config->stack->addresses[0].bytes[3] },
				    .mtu = 1500,
				    .wait_descriptor = -1,
				    .driver = "memory" };
	memory_link.config = *config;
	*link = &memory_link.link;
	return 0;
}
