/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Keys, random numbers and initial sequence numbers (RFC 6528). Not for choosing ports: ports.c.
 */
#include "stack/instance/random.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "lwip/arch.h"
#include "stack/lwip/lwip_hooks.h"
#include "stack/instance_parts.h"

int random_start(struct random *random)
{
	ssize_t got;

	do {
		got = getrandom(&random->keys, sizeof(random->keys), 0);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	return got == (ssize_t)sizeof(random->keys) ? 0 : -EIO;
}

uint64_t melin_random_key(void)
{
	return melin_instance->random.keys.table;
}

static inline uint64_t rotate(uint64_t value, unsigned bits)
{
	return value << bits | value >> (64 - bits);
}

static void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] = rotate(v[0], 32);
	v[2] += v[1];
	v[0] += v[3];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[2] = rotate(v[2], 32);
}

static void sip_word(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	sip_round(v);
	sip_round(v);
	v[0] ^= word;
}

uint64_t melin_random_siphash(const void *data, size_t size)
{
	const uint64_t *key = melin_instance->random.keys.siphash;
	uint64_t v[4] = {
		key[0] ^ 0x736f6d6570736575u,
		key[1] ^ 0x646f72616e646f6du,
		key[0] ^ 0x6c7967656e657261u,
		key[1] ^ 0x7465646279746573u,
	};
	const unsigned char *bytes = data;
	uint64_t last = (uint64_t)size << 56;
	size_t at;

	for (at = 0; at + 8 <= size; at += 8) {
		uint64_t word;

		memcpy(&word, bytes + at, sizeof(word));
		sip_word(v, word);
	}
	memcpy(&last, bytes + at, size - at); /* little-endian, as all that melin runs on */
	sip_word(v, last);
	v[2] ^= 0xff;
	for (int i = 0; i < 4; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint32_t melin_random(void)
{
	uint64_t count = ++melin_instance->random.keys.counter;

	return (uint32_t)melin_random_siphash(&count, sizeof(count));
}

void random_simulate_sequence(struct random *random, bool on, uint32_t sequence)
{
	random->is_simulated = on;
	random->simulated_sequence = sequence;
}

void random_set_sequence(struct random *random, uint32_t sequence)
{
	random->is_set = true;
	random->set_sequence = sequence;
}

void random_unset_sequence(struct random *random)
{
	random->is_set = false;
}

/*
 * RFC 6528: a clock plus a keyed hash of the four-tuple. The clock ticks every 64 ns as Linux's
 * does, so that a new connection between the same ends starts above the old one's numbers.
 */
u32_t melin_initial_sequence(const ip_addr_t *local, u16_t local_port, const ip_addr_t *remote,
			     u16_t remote_port)
{
	const struct random *random = &melin_instance->random;
	struct {
		uint8_t local[16], remote[16];
		uint16_t local_port, remote_port;
		uint32_t family;
	} ends;

	if (random->is_set)
		return random->set_sequence;
	if (random->is_simulated)
		return random->simulated_sequence;
	memset(&ends, 0, sizeof(ends));
	ends.local_port = local_port;
	ends.remote_port = remote_port;
	if (IP_IS_V6(local)) {
		memcpy(ends.local, ip_2_ip6(local)->addr, 16);
		memcpy(ends.remote, ip_2_ip6(remote)->addr, 16);
		ends.family = 6;
	} else {
		memcpy(ends.local, &ip_2_ip4(local)->addr, 4);
		memcpy(ends.remote, &ip_2_ip4(remote)->addr, 4);
		ends.family = 4;
	}
	return (u32_t)(melin_random_siphash(&ends, sizeof(ends)) + melin_clock_ns() / 64);
}
