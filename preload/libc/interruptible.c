/* SPDX-License-Identifier: BSD-3-Clause */
/* See interruptible.h. */
#include "preload/libc/interruptible.h"

#include "preload/libc/context.h"

/*
 * When a handler has interrupted interruptible_call() before or at the instruction that makes the
 * call, which is also where the kernel starts a call again, the thread goes on at
 * melin_interruptible_out instead.
 */
extern const char melin_interruptible_look[], melin_interruptible_call[], melin_interruptible_out[];

#define HIDDEN(name) ".hidden " #name "\n.globl " #name "\n"

__asm__(".text\n" HIDDEN(interruptible_call) HIDDEN(melin_interruptible_look)
		HIDDEN(melin_interruptible_call) HIDDEN(melin_interruptible_out));

#if defined(__x86_64__)

__asm__(".type interruptible_call, @function\n"
	"interruptible_call:\n"
	".cfi_startproc\n"
	"	endbr64\n"
	"	mov %rsi, %rcx\n"
	"	mov 0(%rdi), %rax\n"
	"	mov 16(%rdi), %rsi\n"
	"	mov 24(%rdi), %rdx\n"
	"	mov 32(%rdi), %r10\n"
	"	mov 40(%rdi), %r8\n"
	"	mov 48(%rdi), %r9\n"
	"	mov 8(%rdi), %rdi\n"
	"melin_interruptible_look:\n"
	"	cmpq $0, (%rcx)\n"
	"	jne melin_interruptible_out\n"
	"melin_interruptible_call:\n"
	"	syscall\n"
	"	ret\n"
	"melin_interruptible_out:\n"
	"	mov $-4, %rax\n" /* -EINTR */
	"	ret\n"
	".cfi_endproc\n"
	".size interruptible_call, . - interruptible_call\n");

#elif defined(__aarch64__)

__asm__(".type interruptible_call, %function\n"
	"interruptible_call:\n"
	".cfi_startproc\n"
	"	hint #34\n" /* bti c */
	"	mov x9, x1\n"
	"	ldr x8, [x0]\n"
	"	ldp x1, x2, [x0, #16]\n"
	"	ldp x3, x4, [x0, #32]\n"
	"	ldr x5, [x0, #48]\n"
	"	ldr x0, [x0, #8]\n"
	"melin_interruptible_look:\n"
	"	ldr x10, [x9]\n"
	"	cbnz x10, melin_interruptible_out\n"
	"melin_interruptible_call:\n"
	"	svc #0\n"
	"	ret\n"
	"melin_interruptible_out:\n"
	"	mov x0, #-4\n" /* -EINTR */
	"	ret\n"
	".cfi_endproc\n"
	".size interruptible_call, . - interruptible_call\n");

#else
#error "preload/libc/interruptible.c: how is a system call made on this machine?"
#endif

void interruptible_leave(void *context)
{
	const uintptr_t at = context_instruction(context);

	if (at >= (uintptr_t)melin_interruptible_look && at <= (uintptr_t)melin_interruptible_call)
		context_go_on_at(context, (uintptr_t)melin_interruptible_out);
}
