/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * System calls by instruction, shared by all three parts: the functions of libc that would make
 * them, syscall(2) among them, are interposed by libmelin.so, which would take a call of melin's
 * own for one of the program's. errno is not touched. Not for
 * calls that may be cancellation points.
 */
#ifndef MELIN_SYSTEM_CALL_H
#define MELIN_SYSTEM_CALL_H

#include <errno.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#if defined(__clang_analyzer__)

/* For "make lint" only, which cannot see that an instruction writes to memory. */
long kernel_call6(long number, long a, long b, long c, long d, long e, long f);

#elif defined(__x86_64__)

/* The kernel's result: a negative errno value for an error. */
static inline long kernel_call6(long number, long a, long b, long c, long d, long e, long f)
{
	register long fourth __asm__("r10") = d; /* the instruction itself overwrites rcx and r11 */
	register long fifth __asm__("r8") = e;
	register long sixth __asm__("r9") = f;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(fourth), "r"(fifth), "r"(sixth)
			 : "rcx", "r11", "memory");
	return result;
}

#elif defined(__aarch64__)

static inline long kernel_call6(long number, long a, long b, long c, long d, long e, long f)
{
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;

	__asm__ volatile("svc #0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
			 : "memory");
	return x0;
}

#else
#error "common/system_call.h: how are system calls made on this machine?"
#endif

static inline long kernel_call5(long number, long a, long b, long c, long d, long e)
{
	return kernel_call6(number, a, b, c, d, e, 0);
}

static inline long kernel_call(long number, long a, long b, long c, long d)
{
	return kernel_call5(number, a, b, c, d, 0);
}

/* close(2); a negative number is none and is left alone. */
static inline void kernel_close(int descriptor)
{
	if (descriptor >= 0)
		kernel_call(SYS_close, descriptor, 0, 0, 0);
}

/* getsockopt(2) and setsockopt(2), where the value's size is known: 0 or a negative errno value. */
static inline int kernel_get_option(int descriptor, int level, int name, void *value,
				    socklen_t size)
{
	return (int)kernel_call5(SYS_getsockopt, descriptor, level, name, (long)value, (long)&size);
}

static inline int kernel_set_option(int descriptor, int level, int name, const void *value,
				    socklen_t size)
{
	return (int)kernel_call5(SYS_setsockopt, descriptor, level, name, (long)value, size);
}

/* The same where the value is an int, or a part of one. Reading: 0 if there is none. */
static inline int kernel_get_int(int descriptor, int level, int name)
{
	int value = 0;

	return kernel_get_option(descriptor, level, name, &value, sizeof(value)) < 0 ? 0 : value;
}

static inline int kernel_set_int(int descriptor, int level, int name, int value)
{
	return kernel_set_option(descriptor, level, name, &value, sizeof(value));
}

/* capget(2): a thread's sets of capabilities, 0 for the caller's. False, and none: not known. */
static inline bool kernel_capabilities(long thread, struct __user_cap_data_struct sets[2])
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3,
						   .pid = (int)thread };

	sets[0] = sets[1] = (struct __user_cap_data_struct){ 0 };
	return kernel_call(SYS_capget, (long)&header, (long)sets, 0, 0) == 0;
}

static inline bool kernel_has_capability(const struct __user_cap_data_struct *sets,
					 unsigned capability)
{
	return sets[capability / 32].effective & 1u << capability % 32;
}

/* Whether the calling thread may make use of the capability (CAP_*). */
static inline bool kernel_has_right(unsigned capability)
{
	struct __user_cap_data_struct sets[2];

	return kernel_capabilities(0, sets) && kernel_has_capability(sets, capability);
}

/* The calling thread has no capabilities from now on. */
static inline void kernel_give_up_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct no_capabilities[2] = { 0 };

	kernel_call(SYS_capset, (long)&header, (long)no_capabilities, 0, 0);
}

/* Whether a call failed for want of a descriptor, which says nothing else. */
static inline bool kernel_lacks_descriptors(long error)
{
	return error == -EMFILE || error == -ENFILE;
}

#endif
