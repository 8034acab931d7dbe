/* SPDX-License-Identifier: BSD-3-Clause */
/* See call_on.h. */
#include "common/call_on.h"

/* Called by a function of C's alone: the linker finds no other in an archive (-flto). */
void melin_call_on(void (*function)(void *), void *argument, void *top);

#if defined(__x86_64__)

/* The frame pointer keeps the caller's stack, and tells debuggers and the unwinder where it is. */
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
#error "common/call_on.c: how is the stack changed on this machine?"
#endif

void call_on(void (*function)(void *), void *argument, void *top)
{
	melin_call_on(function, argument, top);
}
