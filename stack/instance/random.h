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

struct random {
	struct {
		uint64_t siphash[2];
		uint64_t table;
		uint64_t counter; /* of melin_random() */
	} keys;
	/* A number that the next connections begin with, in the place of RFC 6528's. */
	bool is_set, is_simulated;
	uint32_t set_sequence, simulated_sequence;
};

/* Draws the keys from the kernel. 0, or a negative errno value. */
int random_start(struct random *random);

/* A number that nobody can guess. The lock is held. */
uint32_t melin_random(void);

/* The instance's secret for hash tables. */
uint64_t melin_random_key(void);

/* Folds value into hash; fast, not cryptographic. */
static inline uint64_t melin_random_mix(uint64_t hash, uint64_t value)
{
	/* Two odd 64-bit constants with balanced bits: the product spreads each bit of both. */
	unsigned __int128 product =
		(unsigned __int128)(hash ^ 0x9e3779b97f4a7c15u) * (value ^ 0xd6e8feb86659fd93u);

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* SipHash-2-4 of data under the instance's key. */
uint64_t melin_random_siphash(const void *data, size_t size);

/* The next connections begin with this number: one that has been given to the peer already. */
void random_set_sequence(struct random *random, uint32_t sequence);
void random_unset_sequence(struct random *random);
/* For tests: all connections begin with this number from now on, or do not any more. */
void random_simulate_sequence(struct random *random, bool on, uint32_t sequence);

#endif
