/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pause of a loop that polls until another thread or the device has done something. Not for how
 * long such a loop goes on.
 */
#ifndef MELIN_SPIN_PAUSE_H
#define MELIN_SPIN_PAUSE_H

/* Tells the core that this is such a loop, so that its other hardware thread gets more of it. */
static inline void spin_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield" ::: "memory");
#endif
}

#endif
