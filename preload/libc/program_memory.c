/* SPDX-License-Identifier: BSD-3-Clause */
/* See program_memory.h. */
#include "preload/libc/program_memory.h"

#include <stdint.h>
#include <string.h>

#include "preload/libc/context.h"

/* The smallest page of the machines we know; in a larger one several bytes are touched. */
#define PAGE 4096

/*
 * melin_memory_load(address) and melin_memory_store(address): 1, or 0 when the access faults. The
 * handler lets what faults between the first two marks go on at the third.
 */
int melin_memory_load(uintptr_t address);
int melin_memory_store(uintptr_t address);
extern const char melin_memory_looks[], melin_memory_looks_end[], melin_memory_bad[];

#define HIDDEN(name) ".hidden " #name "\n.globl " #name "\n"

__asm__(".text\n" HIDDEN(melin_memory_load) HIDDEN(melin_memory_store) HIDDEN(melin_memory_looks)
		HIDDEN(melin_memory_looks_end) HIDDEN(melin_memory_bad));

#if defined(__x86_64__)

__asm__(".type melin_memory_load, @function\n"
	".type melin_memory_store, @function\n"
	".cfi_startproc\n"
	"melin_memory_looks:\n"
	"melin_memory_load:\n"
	"	endbr64\n"
	"	movb (%rdi), %al\n"
	"	movl $1, %eax\n"
	"	ret\n"
	"melin_memory_store:\n"
	"	endbr64\n"
	"	movb (%rdi), %al\n"
	"	movb %al, (%rdi)\n"
	"	movl $1, %eax\n"
	"	ret\n"
	"melin_memory_looks_end:\n"
	"melin_memory_bad:\n"
	"	xorl %eax, %eax\n"
	"	ret\n"
	".cfi_endproc\n");

#elif defined(__aarch64__)

__asm__(".type melin_memory_load, %function\n"
	".type melin_memory_store, %function\n"
	".cfi_startproc\n"
	"melin_memory_looks:\n"
	"melin_memory_load:\n"
	"	hint #34\n" /* bti c */
	"	ldrb w1, [x0]\n"
	"	mov w0, #1\n"
	"	ret\n"
	"melin_memory_store:\n"
	"	hint #34\n"
	"	ldrb w1, [x0]\n"
	"	strb w1, [x0]\n"
	"	mov w0, #1\n"
	"	ret\n"
	"melin_memory_looks_end:\n"
	"melin_memory_bad:\n"
	"	mov w0, #0\n"
	"	ret\n"
	".cfi_endproc\n");

#else
#error "preload/libc/program_memory.c: how is memory looked at on this machine?"
#endif

bool memory_fault(void *context)
{
	const uintptr_t at = context_instruction(context);

	if (at < (uintptr_t)melin_memory_looks || at >= (uintptr_t)melin_memory_looks_end)
		return false;
	context_go_on_at(context, (uintptr_t)melin_memory_bad);
	return true;
}

/* How many bytes from the start are good. A range that wraps around ends where addresses do. */
static inline size_t good(uintptr_t start, size_t length, int (*look)(uintptr_t))
{
	size_t done = 0;

	if (length > 0 && length <= PAGE - start % PAGE) /* mostly */
		return look(start) ? length : 0;
	while (done < length && start + done >= start && look(start + done))
		done += PAGE - (start + done) % PAGE;
	return done < length ? done : length;
}

size_t memory_readable_bytes(const void *start, size_t length)
{
	return good((uintptr_t)start, length, melin_memory_load);
}

size_t memory_writable_bytes(void *start, size_t length)
{
	return good((uintptr_t)start, length, melin_memory_store);
}

bool memory_readable(const void *start, size_t length)
{
	return memory_readable_bytes(start, length) == length;
}

bool memory_writable(void *start, size_t length)
{
	return memory_writable_bytes(start, length) == length;
}

bool memory_writable_vector(const struct iovec *iov, size_t count, size_t bytes)
{
	for (size_t i = 0; i < count && bytes > 0; i++) {
		size_t part = iov[i].iov_len < bytes ? iov[i].iov_len : bytes;

		if (!memory_writable(iov[i].iov_base, part))
			return false;
		bytes -= part;
	}
	return true;
}

/* Nothing may be nowhere, which memcpy() must not be told. */
static void copy(void *to, const void *from, size_t length)
{
	if (length > 0)
		memcpy(to, from, length);
}

bool memory_copy_in(void *to, const void *from, size_t length)
{
	if (!memory_readable(from, length))
		return false;
	copy(to, from, length);
	return true;
}

bool memory_copy_out(void *to, const void *from, size_t length)
{
	if (!memory_writable(to, length))
		return false;
	copy(to, from, length);
	return true;
}
