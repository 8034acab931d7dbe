/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dpdk/interface/packet_filter.c: which frames are the stack's. The kernel itself runs the
 * program, on a socket pair.
 */
#include <arpa/inet.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dpdk/interface/packet_filter.h"
#include "tap.h"

static int ends[2];

static void add(struct stack_config *config, int family, const char *text)
{
	struct ip_address *address = &config->addresses[config->address_count++];

	address->family = (sa_family_t)family;
	inet_pton(family, text, address->bytes);
}

static bool attach(const struct stack_config *config)
{
	struct filter filter;
	struct sock_fprog program = { .filter = filter.code };

	filter_build(&filter, config, UINT32_MAX, 0);
	program.len = filter.count;
	return filter.count <= FILTER_MAX &&
	       setsockopt(ends[1], SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) == 0;
}

static bool passes(const unsigned char *frame, size_t length)
{
	unsigned char got[256];

	/* A frame that the program refuses is said to be EPERM's. */
	if (send(ends[0], frame, length, MSG_DONTWAIT) < 0)
		return false;
	return recv(ends[1], got, sizeof(got), MSG_DONTWAIT) == (ssize_t)length;
}

static bool ipv4(const char *to)
{
	unsigned char frame[60] = { [12] = 0x08, 0x00, 0x45 };

	inet_pton(AF_INET, to, frame + 30);
	return passes(frame, sizeof(frame));
}

static bool arp(const char *target)
{
	unsigned char frame[60] = { [12] = 0x08, 0x06 };

	inet_pton(AF_INET, target, frame + 38);
	return passes(frame, sizeof(frame));
}

static bool ipv6(const char *to)
{
	unsigned char frame[80] = { [12] = 0x86, 0xdd, 0x60, [20] = 6 };

	inet_pton(AF_INET6, to, frame + 38);
	return passes(frame, sizeof(frame));
}

static bool icmpv6(const char *to, unsigned char type, const char *target)
{
	unsigned char frame[90] = { [12] = 0x86, 0xdd, 0x60, [20] = 58, [54] = type };

	inet_pton(AF_INET6, to, frame + 38);
	inet_pton(AF_INET6, target, frame + 62);
	return passes(frame, sizeof(frame));
}

static void of_one_address_each(void)
{
	struct stack_config config = { 0 };
	unsigned char cut[20] = { [12] = 0x08, 0x00, 0x45 };

	add(&config, AF_INET, "198.18.0.10");
	add(&config, AF_INET6, "fd00::10");
	tap_ok(attach(&config), "the kernel takes the program");
	tap_ok(ipv4("198.18.0.10") && !ipv4("198.18.0.11") && !ipv4("255.255.255.255"),
	       "IPv4: to the address, and no other");
	tap_ok(arp("198.18.0.10") && !arp("198.18.0.11"), "ARP: about the address, and no other");
	tap_ok(ipv6("fd00::10") && !ipv6("fd00::11") && !ipv6("fd00::1:0:0:10") &&
		       !ipv6("fd01::10"),
	       "IPv6: to the address, each of its words looked at");
	tap_ok(icmpv6("ff02::1:ff00:10", 135, "fd00::10"), "a solicitation for the address");
	tap_ok(!icmpv6("ff02::1:ff00:10", 135, "fd01::10"),
	       "not one for another that shares its group");
	tap_ok(!icmpv6("ff02::1:ff00:10", 136, "fd00::10"), "not an advertisement");
	tap_ok(!icmpv6("fd00::11", 135, "fd00::10"), "not one to another host");
	tap_ok(!passes(cut, sizeof(cut)), "a frame that is cut ends there");
}

static void of_many_addresses(void)
{
	struct stack_config config = { 0 };
	bool all = true;
	unsigned i;

	for (i = 0; i < STACK_ADDRESSES_MAX; i++) {
		add(&config, AF_INET6, "fd00::");
		config.addresses[i].bytes[15] = (unsigned char)(i + 1);
	}
	tap_ok(attach(&config), "as many addresses of the longer kind as there can be");
	for (i = 0; i < STACK_ADDRESSES_MAX; i++) {
		char text[INET6_ADDRSTRLEN];

		inet_ntop(AF_INET6, config.addresses[i].bytes, text, sizeof(text));
		all = all && ipv6(text) && icmpv6("ff02::1", 135, text);
	}
	tap_ok(all && !ipv6("fd00::99"), "each of them is found");
}

int main(void)
{
	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends) < 0)
		return 1;
	of_one_address_each();
	of_many_addresses();
	close(ends[0]);
	close(ends[1]);
	return tap_done();
}
