/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an attacker must not guess: initial sequence numbers, port choices, hash keys. Not for
 * lwIP's hook itself: lwip_hooks.h.
 */
#ifndef MELIN_RANDOM_H
#define MELIN_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Draws the keys from the kernel. 0, or a negative errno value. */
int melin_random_start(void);

uint32_t melin_random(void);

/* The process's secret for hash tables. */
uint64_t melin_random_key(void);

/* Folds value into hash; fast, not cryptographic. */
static inline uint64_t melin_random_mix(uint64_t hash, uint64_t value)
{
	/* Two odd 64-bit constants with balanced bits: the product spreads each bit of both. */
	unsigned __int128 product =
		(unsigned __int128)(hash ^ 0x9e3779b97f4a7c15u) * (value ^ 0xd6e8feb86659fd93u);

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/*
 * For tests: from now on each connection's initial sequence number is this one, or is not any more.
 */
void melin_initial_sequence_simulate(bool on, uint32_t sequence);

/* SipHash-2-4 of data under the process's key. */
uint64_t melin_random_siphash(const void *data, size_t size);

/* The next connections begin with this number: one that has been given to the peer already. */
void melin_initial_sequence_set(uint32_t sequence);
void melin_initial_sequence_unset(void);

#endif
