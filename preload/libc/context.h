/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where a signal handler's interrupted code is, and where it goes on. Not for its mask: signals.c.
 */
#ifndef MELIN_CONTEXT_H
#define MELIN_CONTEXT_H

#include <stdint.h>
#include <ucontext.h>

#if defined(__x86_64__)
#define CONTEXT_INSTRUCTION(context) ((context)->uc_mcontext.gregs[REG_RIP])
#elif defined(__aarch64__)
#define CONTEXT_INSTRUCTION(context) ((context)->uc_mcontext.pc)
#else
#error "preload/libc/context.h: where is the instruction pointer on this machine?"
#endif

/* The instruction that comes next. */
static inline uintptr_t context_instruction(const ucontext_t *context)
{
	return (uintptr_t)CONTEXT_INSTRUCTION(context);
}

static inline void context_go_on_at(ucontext_t *context, uintptr_t instruction)
{
	CONTEXT_INSTRUCTION(context) = (__typeof__(CONTEXT_INSTRUCTION(context)))instruction;
}

#endif
