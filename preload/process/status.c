/* SPDX-License-Identifier: BSD-3-Clause */
/* See status.h. */
#include "preload/process/status.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "common/own_descriptor.h"
#include "common/shared_memory.h"
#include "common/system_call.h"
#include "preload/config/config.h"
#include "preload/descriptors/descriptor_room.h"
#include "preload/libc/monotonic.h"
#include "preload/process/start_limits.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U /* Linux 6.3, which warns once if neither this nor its contrary is set */
#endif

/* Where there is no page: its head, and nothing behind that is written to. */
static union {
	char head[offsetof(struct status_page, rows)];
	uint64_t alignment;
} unpublished __attribute__((aligned(64)));
#define UNPUBLISHED ((struct status_page *)&unpublished)
struct status_page *status_page = UNPUBLISHED;

/* The kernel's tick: cheaper than an exact time, and nobody reads milliseconds off it. */
uint32_t status_now(void)
{
	struct timespec time = { 0 };

	clock_of_libc(CLOCK_MONOTONIC_COARSE, &time);
	return (uint32_t)((uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000);
}

uint32_t status_age(uint32_t since)
{
	return since ? status_now() - since : 0;
}

static int make_file(void)
{
	const char name[] = STATUS_PAGE_NAME;
	const long flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	long file = kernel_call(SYS_memfd_create, (long)name, flags | MFD_NOEXEC_SEAL, 0, 0);

	return (int)(file == -EINVAL ? kernel_call(SYS_memfd_create, (long)name, flags, 0, 0)
				     : file);
}

static struct status_page *map_file(int file)
{
	void *memory;

	if (kernel_call(SYS_fchmod, file, 0600, 0, 0) < 0 ||
	    kernel_call(SYS_ftruncate, file, sizeof(struct status_page), 0, 0) < 0 ||
	    kernel_call(SYS_fcntl, file, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW, 0) < 0)
		return NULL;
	memory = mmap(NULL, sizeof(struct status_page), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_NORESERVE, file, 0);
	return memory == MAP_FAILED ? NULL : memory;
}

static struct status_page *publish(void)
{
	struct status_page *page = NULL;
	int file;

	if (!shared_memory_allowed(sizeof(struct status_page)) || !start_limits_spare_descriptors())
		return NULL;
	descriptor_room_begin();
	file = make_file();
	if (file >= 0)
		page = map_file(file);
	if (page)
		own_descriptor(file);
	else
		kernel_close(file);
	descriptor_room_end();
	return page;
}

static void describe(struct status_page *page)
{
	page->version = STATUS_PAGE_VERSION;
	page->size = sizeof(*page);
	page->process = (uint32_t)kernel_call(SYS_getpid, 0, 0, 0, 0);
	page->host = config_get()->host;
	strncpy(page->library, PACKAGE_VERSION, sizeof(page->library) - 1);
	page->began = status_now();
	page->next = UINT32_MAX;
	atomic_thread_fence(memory_order_release);
	page->magic = STATUS_PAGE_MAGIC; /* a reader that sees it sees all the rest */
}

void status_begin(void)
{
	const int errno_before = errno;
	struct status_page *page = publish();

	if (page) {
		describe(page);
		status_page = page;
	}
	errno = errno_before;
}

static _Atomic bool filtered;

void status_filtered(void)
{
	filtered = true;
}

bool status_is_filtered(void)
{
	return filtered;
}

void status_forked(void)
{
	if (status_page != UNPUBLISHED)
		munmap(status_page, sizeof(*status_page));
	memset(&unpublished, 0, sizeof(unpublished));
	status_page = UNPUBLISHED;
	if (!filtered)
		status_begin();
}

void flow_counted(enum flow_count which)
{
	atomic_fetch_add_explicit(&status_page->flows[which], 1, memory_order_relaxed);
}

unsigned long flow_count_of(enum flow_count which)
{
	return atomic_load_explicit(&status_page->flows[which], memory_order_relaxed);
}

/* Whether it is a connection that has just begun. */
static bool is_beginning(enum flow_count which)
{
	return which == FLOW_TAKEN_CONNECT || which == FLOW_TAKEN_ACCEPT ||
	       which == FLOW_LEFT_RULE || which == FLOW_LEFT_STACK || which == FLOW_LEFT_OPTION ||
	       which == FLOW_LEFT_ROUTE || which == FLOW_KEPT_RULE;
}

static struct status_descriptor *note_of(int descriptor)
{
	if (descriptor < 0 || descriptor >= STATUS_DESCRIPTORS || status_page == UNPUBLISHED)
		return NULL;
	return &status_page->descriptors[descriptor];
}

void status_begins_at(int descriptor)
{
	struct status_descriptor *note = note_of(descriptor);

	if (note && atomic_load_explicit(&note->passed, memory_order_relaxed))
		atomic_store(&note->passed, 0);
}

bool status_is_passed_at(int descriptor)
{
	struct status_descriptor *note = note_of(descriptor);

	return note && atomic_load(&note->passed);
}

void status_refused_at(int descriptor, uint8_t refusal)
{
	struct status_descriptor *note = note_of(descriptor);

	if (note)
		atomic_store_explicit(&note->refusal, refusal, memory_order_relaxed);
}

void status_carried_at(int descriptor, uint64_t sent, uint64_t received)
{
	struct status_descriptor *note = note_of(descriptor);

	if (!note)
		return;
	atomic_fetch_add_explicit(&note->sent_before, sent, memory_order_relaxed);
	atomic_fetch_add_explicit(&note->received_before, received, memory_order_relaxed);
}

static void note_flow(int descriptor, enum flow_count which, uint8_t refusal)
{
	struct status_descriptor *note = note_of(descriptor);
	const uint32_t time = status_now();

	if (!note)
		return;
	if (is_beginning(which)) {
		atomic_store_explicit(&note->since, time, memory_order_relaxed);
		atomic_store_explicit(&note->loans, 0, memory_order_relaxed);
		atomic_store_explicit(&note->sent_before, 0, memory_order_relaxed);
		atomic_store_explicit(&note->received_before, 0, memory_order_relaxed);
	}
	if (which == FLOW_BORROWED)
		atomic_fetch_add_explicit(&note->loans, 1, memory_order_relaxed);
	atomic_store_explicit(&note->changed, time, memory_order_relaxed);
	atomic_store_explicit(&note->refusal, refusal, memory_order_relaxed);
	atomic_store_explicit(&note->is, (uint8_t)(which + 1), memory_order_relaxed);
}

void flow_counted_at(int descriptor, enum flow_count which, uint8_t refusal)
{
	flow_counted(which);
	note_flow(descriptor, which, refusal);
}

/* Threads take the stripes in turn when they first wait; 0: not yet. */
static struct status_stripe *own_stripe(void)
{
	static _Atomic unsigned next;
	static __thread unsigned stripe;

	if (!stripe)
		stripe = 1 + atomic_fetch_add(&next, 1) % STATUS_STRIPES;
	return &status_page->waits[stripe - 1];
}

void status_wait_ended(bool slept)
{
	struct status_stripe *stripe = own_stripe();

	atomic_fetch_add_explicit(slept ? &stripe->slept : &stripe->polled, 1,
				  memory_order_relaxed);
}
