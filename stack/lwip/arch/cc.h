/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What lwIP wants to know of the compiler and of the system. Not for options: lwipopts.h.
 */
#ifndef MELIN_ARCH_CC_H
#define MELIN_ARCH_CC_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>

#define LWIP_TIMEVAL_PRIVATE		      0
#define LWIP_DONT_PROVIDE_BYTEORDER_FUNCTIONS 1 /* libc's htonl() and friends stay as they are */

/* An instruction each, where lwIP has functions. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define lwip_htons(number) __builtin_bswap16(number)
#define lwip_htonl(number) __builtin_bswap32(number)
#endif

/* stack/instance/random.c */
uint32_t melin_random(void);
#define LWIP_RAND() melin_random()

/* stack/lifecycle/instance.c: counted and logged, the program goes on */
void melin_lwip_assertion(const char *message, const char *file, int line);
#define LWIP_PLATFORM_ASSERT(message) melin_lwip_assertion(message, __FILE__, __LINE__)

/* lwIP's debug output is not compiled in; nothing may reach the program's streams */
#define LWIP_PLATFORM_DIAG(arguments)                                                              \
	do {                                                                                       \
	} while (0)

typedef int sys_prot_t;

#endif
