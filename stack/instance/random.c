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
#include "stack/instance/clock.h"

static struct {
	uint64_t siphash[2];
	uint64_t table;
	uint64_t counter; /* of melin_random() */
} keys;

int melin_random_start(void)
{
	ssize_t got;

	do {
		got = getrandom(&keys, sizeof(keys), 0);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	return got == (ssize_t)sizeof(keys) ? 0 : -EIO;
}

uint64_t melin_random_key(void)
{
	return keys.table;
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
	uint64_t v[4] = {
		keys.siphash[0] ^ 0x736f6d6570736575u,
		keys.siphash[1] ^ 0x646f72616e646f6du,
		keys.siphash[0] ^ 0x6c7967656e657261u,
		keys.siphash[1] ^ 0x7465646279746573u,
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
	keys.counter++;
	return (uint32_t)melin_random_siphash(&keys.counter, sizeof(keys.counter));
}

static bool sequence_simulated;
static uint32_t simulated_sequence;

void melin_initial_sequence_simulate(bool on, uint32_t sequence)
{
	sequence_simulated = on;
	simulated_sequence = sequence;
}

static bool sequence_set;
static uint32_t set_sequence;

void melin_initial_sequence_set(uint32_t sequence)
{
	sequence_set = true;
	set_sequence = sequence;
}

void melin_initial_sequence_unset(void)
{
	sequence_set = false;
}

/*
 * RFC 6528: a clock plus a keyed hash of the four-tuple. The clock ticks every 64 ns as Linux's
 * does, so that a new connection between the same ends starts above the old one's numbers.
 */
u32_t melin_initial_sequence(const ip_addr_t *local, u16_t local_port, const ip_addr_t *remote,
			     u16_t remote_port)
{
	struct {
		uint8_t local[16], remote[16];
		uint16_t local_port, remote_port;
		uint32_t family;
	} ends;

	if (sequence_set)
		return set_sequence;
	if (sequence_simulated)
		return simulated_sequence;
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
