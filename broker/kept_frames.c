/* SPDX-License-Identifier: BSD-3-Clause */
/* See kept_frames.h. */
#include "broker/kept_frames.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/shared_memory.h"

/*
 * Documentation/bpf/ringbuf.rst: a page with the reader's position, a page with the writers', then
 * the data, which is mapped twice in a row. Positions count all bytes ever.
 */
static struct {
	unsigned long *read_position;
	const unsigned long *write_position; /* the writers' page and the data */
	size_t page;
} ring;

static struct kept_frame *first, **end = &first;

int kept_open(int descriptor)
{
	ring.page = (size_t)sysconf(_SC_PAGESIZE);
	ring.read_position = shared_memory_map(descriptor, 0, ring.page, PROT_READ | PROT_WRITE);
	ring.write_position = shared_memory_map(descriptor, (off_t)ring.page,
						ring.page + 2 * KEPT_RING_BYTES, PROT_READ);
	return ring.read_position && ring.write_position ? 0 : -ENOMEM;
}

void kept_free(struct kept_frame *list)
{
	struct kept_frame *next;

	for (; list; list = next) {
		next = list->next;
		free(list);
	}
}

void kept_close(void)
{
	if (ring.read_position)
		munmap(ring.read_position, ring.page);
	if (ring.write_position)
		munmap((void *)(uintptr_t)ring.write_position, ring.page + 2 * KEPT_RING_BYTES);
	ring.read_position = NULL;
	ring.write_position = NULL;
	kept_free(first);
	first = NULL;
	end = &first;
}

void kept_abandon(void)
{
	ring.read_position = NULL;
	ring.write_position = NULL;
	first = NULL;
	end = &first;
}

static bool is_empty(void)
{
	return !ring.write_position ||
	       __atomic_load_n(ring.write_position, __ATOMIC_ACQUIRE) ==
		       __atomic_load_n(ring.read_position, __ATOMIC_RELAXED);
}

bool kept_any(void)
{
	return __atomic_load_n(&first, __ATOMIC_RELAXED) || !is_empty();
}

/* Without memory the frame is lost, as on a wire. */
static void append(const struct tap_kept *kept)
{
	const size_t size = offsetof(struct tap_kept, frame) + kept->size;
	struct kept_frame *frame = malloc(offsetof(struct kept_frame, kept) + size);

	if (!frame)
		return;
	frame->next = NULL;
	memcpy(&frame->kept, kept, size);
	*end = frame;
	end = &frame->next;
}

/* The length of a record is written last; a writer that is not done yet is waited for next time. */
static void read_ring(void)
{
	const uint8_t *data = (const uint8_t *)ring.write_position + ring.page;

	while (!is_empty()) {
		unsigned long position = *ring.read_position;
		const uint32_t *header = (const void *)(data + position % KEPT_RING_BYTES);
		uint32_t length = __atomic_load_n(header, __ATOMIC_ACQUIRE);

		if (length & BPF_RINGBUF_BUSY_BIT)
			return;
		if (!(length & BPF_RINGBUF_DISCARD_BIT))
			append((const void *)((const uint8_t *)header + BPF_RINGBUF_HDR_SZ));
		length &= ~BPF_RINGBUF_DISCARD_BIT;
		position += (BPF_RINGBUF_HDR_SZ + length + 7) & ~7ul;
		__atomic_store_n(ring.read_position, position, __ATOMIC_RELEASE);
	}
}

static bool is_of(const struct kept_frame *frame, uint64_t token)
{
	return frame->kept.slot == (uint32_t)token && frame->kept.generation == token >> 32;
}

struct kept_frame *kept_take(uint64_t token)
{
	struct kept_frame *taken = NULL, **taken_end = &taken, **place = &first;

	if (!is_empty())
		read_ring();
	while (*place) {
		struct kept_frame *frame = *place;

		if (is_of(frame, token)) {
			*place = frame->next;
			frame->next = NULL;
			*taken_end = frame;
			taken_end = &frame->next;
		} else {
			place = &frame->next;
		}
	}
	end = place;
	return taken;
}
