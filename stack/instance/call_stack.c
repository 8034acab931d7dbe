/* SPDX-License-Identifier: BSD-3-Clause */
/* See call_stack.h. */
#include "stack/instance/call_stack.h"

#include <stddef.h>

#include "common/stack_memory.h"

/* What the largest driver takes, four times; only touched pages cost memory. */
#define SIZE (128 * 1024)

#if defined(__x86_64__)

/*
 * melin_call_on(function, argument, top): the frame pointer keeps the caller's stack, and tells
 * debuggers and the unwinder where it is.
 */
__asm__(".text\n"
	".hidden melin_call_on\n"
	".globl melin_call_on\n"
	".type melin_call_on, @function\n"
	"melin_call_on:\n"
	".cfi_startproc\n"
	"	endbr64\n"
	"	push %rbp\n"
	".cfi_def_cfa_offset 16\n"
	".cfi_offset %rbp, -16\n"
	"	mov %rsp, %rbp\n"
	".cfi_def_cfa_register %rbp\n"
	"	mov %rdx, %rsp\n"
	"	mov %rdi, %rax\n"
	"	mov %rsi, %rdi\n"
	"	call *%rax\n"
	"	mov %rbp, %rsp\n"
	"	pop %rbp\n"
	".cfi_def_cfa %rsp, 8\n"
	"	ret\n"
	".cfi_endproc\n"
	".size melin_call_on, . - melin_call_on\n");

#elif defined(__aarch64__)

__asm__(".text\n"
	".hidden melin_call_on\n"
	".globl melin_call_on\n"
	".type melin_call_on, %function\n"
	"melin_call_on:\n"
	".cfi_startproc\n"
	"	hint #34\n" /* bti c */
	"	stp x29, x30, [sp, #-16]!\n"
	".cfi_def_cfa_offset 16\n"
	".cfi_offset x29, -16\n"
	".cfi_offset x30, -8\n"
	"	mov x29, sp\n"
	".cfi_def_cfa_register x29\n"
	"	mov sp, x2\n"
	"	mov x3, x0\n"
	"	mov x0, x1\n"
	"	blr x3\n"
	"	mov sp, x29\n"
	"	ldp x29, x30, [sp], #16\n"
	".cfi_def_cfa sp, 0\n"
	"	ret\n"
	".cfi_endproc\n"
	".size melin_call_on, . - melin_call_on\n");

#else
#error "stack/instance/call_stack.c: how is the stack changed on this machine?"
#endif

void call_stack_open(struct call_stack *call_stack)
{
	char *memory = stack_memory_new(SIZE);

	call_stack->top = memory ? memory + SIZE : NULL;
	call_stack->in_use = false;
}

void call_stack_close(struct call_stack *call_stack)
{
	if (call_stack->top)
		stack_memory_free((char *)call_stack->top - SIZE, SIZE);
	call_stack->top = NULL;
}
