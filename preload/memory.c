/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Asks the kernel about pages, and remembers. See memory.h.
 */
#include "memory.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/system_call.h"

#ifndef MADV_POPULATE_READ /* Linux 5.14, newer than some libc's headers */
#define MADV_POPULATE_READ  22
#define MADV_POPULATE_WRITE 23
#endif

/* The smallest page of the machines we know; a larger one is asked about once for each 4 KB. */
#define PAGE_SHIFT 12

/*
 * Direct-mapped by page number, for all threads: as thread variables they would take their place
 * from the smallest thread stacks. Room for the buffers of some thousand connections; untouched
 * parts of it take no memory.
 */
#define REMEMBERED 4096
/* A longer range is asked about as a whole: the question is lost in the cost of copying. */
#define LONG_RANGE_PAGES 64

/*
 * Page number + 1; that page was good. Threads and handlers write here without order (relaxed):
 * each entry is right by itself, and pairs with nothing.
 */
typedef _Atomic uintptr_t remembered_page;
static remembered_page readable_pages[REMEMBERED];
static remembered_page writable_pages[REMEMBERED];

static bool is_remembered(remembered_page *pages, uintptr_t page)
{
	return atomic_load_explicit(&pages[page % REMEMBERED], memory_order_relaxed) == page + 1;
}

/* Before Linux 5.14 there is no such question: then all is taken to be good. */
static bool kernel_answers(void)
{
	static _Atomic int answer; /* 0: not tried, 1: yes, -1: no; the same whoever tries */
	int known = atomic_load_explicit(&answer, memory_order_relaxed);

	if (!known) {
		uintptr_t here = (uintptr_t)&known & -(uintptr_t)sysconf(_SC_PAGESIZE);

		known = kernel_call(SYS_madvise, (long)here, 1, MADV_POPULATE_WRITE, 0) ? -1 : 1;
		atomic_store_explicit(&answer, known, memory_order_relaxed);
	}
	return known > 0;
}

/* Populating makes present what is about to be used anyway, and fails where use would. */
static bool ask(uintptr_t first, uintptr_t pages, int advice)
{
	uintptr_t start = (first << PAGE_SHIFT) & -(uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t end = (first + pages) << PAGE_SHIFT;
	long result;

	do {
		result = kernel_call(SYS_madvise, (long)start, (long)(end - start), advice, 0);
	} while (result == -EINTR);
	return result == 0 || result == -EAGAIN || !kernel_answers();
}

static bool good(uintptr_t start, size_t length, remembered_page *remembered, int advice)
{
	uintptr_t first = start >> PAGE_SHIFT, last = (start + length - 1) >> PAGE_SHIFT;

	if (length == 0)
		return true;
	if (last < first)
		return false; /* it wraps around */
	if (last - first >= LONG_RANGE_PAGES)
		return ask(first, last - first + 1, advice);
	/* One question for those from the first that is not known to the last that is not. */
	while (first <= last && is_remembered(remembered, first))
		first++;
	while (first <= last && is_remembered(remembered, last))
		last--;
	if (first > last)
		return true;
	if (!ask(first, last - first + 1, advice))
		return false;
	for (uintptr_t page = first; page <= last; page++)
		atomic_store_explicit(&remembered[page % REMEMBERED], page + 1,
				      memory_order_relaxed);
	return true;
}

bool memory_readable(const void *start, size_t length)
{
	return good((uintptr_t)start, length, readable_pages, MADV_POPULATE_READ);
}

bool memory_writable(void *start, size_t length)
{
	return good((uintptr_t)start, length, writable_pages, MADV_POPULATE_WRITE);
}

static bool good_vector(const struct iovec *iov, size_t count, size_t bytes,
			remembered_page *remembered, int advice)
{
	for (size_t i = 0; i < count && bytes > 0; i++) {
		size_t part = iov[i].iov_len < bytes ? iov[i].iov_len : bytes;

		if (!good((uintptr_t)iov[i].iov_base, part, remembered, advice))
			return false;
		bytes -= part;
	}
	return true;
}

bool memory_readable_vector(const struct iovec *iov, size_t count, size_t bytes)
{
	return good_vector(iov, count, bytes, readable_pages, MADV_POPULATE_READ);
}

bool memory_writable_vector(const struct iovec *iov, size_t count, size_t bytes)
{
	return good_vector(iov, count, bytes, writable_pages, MADV_POPULATE_WRITE);
}
