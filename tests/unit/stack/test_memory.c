/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stack/instance/allocation.c: pieces of a segment's size are used again, and only so many are
 * kept.
 */
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "stack/lifecycle/instance.h"
#include "../tap.h"

#define MANY 8192 /* 12 MB of segments, more than is kept */

static bool is_aligned(const void *memory)
{
	return (uintptr_t)memory % _Alignof(max_align_t) == 0;
}

static void sizes(void)
{
	static const size_t tried[] = { 1, 40, 1023, 1024, 1500, 1536, 1537, 9728, 9729, 70000 };
	bool good = true;

	for (size_t i = 0; i < sizeof(tried) / sizeof(tried[0]); i++) {
		char *first = melin_memory_allocate(tried[i]);
		char *second = melin_memory_allocate(tried[i]);

		good = good && first && second && is_aligned(first) && is_aligned(second);
		memset(first, 1, tried[i]);
		memset(second, 2, tried[i]);
		good = good && first[0] == 1 && first[tried[i] - 1] == 1;
		melin_memory_free(first);
		melin_memory_free(second);
	}
	tap_ok(good, "pieces of all sizes are whole, aligned and apart");
	melin_memory_free(NULL);
	tap_ok(!melin_memory_allocate(SIZE_MAX) && !melin_memory_allocate(SIZE_MAX - 8),
	       "more than there is: NULL");
}

static void used_again(void)
{
	char *piece = melin_memory_allocate(1500), *other;

	melin_memory_free(piece);
	other = melin_memory_allocate(1460);
	tap_ok(other == piece, "a segment's memory is another segment's next");
	melin_memory_free(other);
	other = melin_memory_allocate(2100);
	tap_ok(other != piece, "but not one's that is larger");
	melin_memory_free(other);
}

static void zeroed(void)
{
	static const char zeros[1500];
	char *piece = melin_memory_allocate(1500);

	memset(piece, 0xff, 1500);
	melin_memory_free(piece);
	piece = melin_memory_allocate_zeroed(3, 500);
	tap_ok(piece && memcmp(piece, zeros, sizeof(zeros)) == 0,
	       "what is asked for zeroed is zero");
	melin_memory_free(piece);
	tap_ok(!melin_memory_allocate_zeroed(SIZE_MAX / 2, 3) &&
		       !melin_memory_allocate_zeroed(1, SIZE_MAX),
	       "a product that overflows: NULL");
}

static void bounded(void)
{
	static void *pieces[MANY];
	size_t before = mallinfo2().uordblks, kept;

	for (unsigned i = 0; i < MANY; i++)
		pieces[i] = melin_memory_allocate(1500);
	for (unsigned i = 0; i < MANY; i++)
		melin_memory_free(pieces[i]);
	kept = mallinfo2().uordblks - before;
	tap_ok(kept < 6 << 20, "of 12 MB that come back at once %zu KB are kept", kept >> 10);
}

int main(void)
{
	static struct stack stack;

	melin_instance = &stack;
	sizes();
	used_again();
	zeroed();
	bounded();
	return tap_done();
}
