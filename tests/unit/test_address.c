/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * preload/config/address.c: text, socket addresses, prefixes.
 */
#include "preload/config/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "tap.h"

static struct ip_address address(const char *text, unsigned prefix)
{
	struct ip_address result;

	if (!address_parse(text, &result))
		tap_ok(false, "the test's own address %s", text);
	result.prefix = (uint8_t)prefix;
	return result;
}

static void test_text(void)
{
	static const char *const good[] = { "198.18.0.10",	"0.0.0.0", "255.255.255.255",
					    "fd00::10",		"::",	   "::1",
					    "::ffff:198.18.0.1" };
	static const char *const bad[] = { "",	       "198.18.0",   "198.18.0.256", "198.18.0.1 ",
					   "fd00:::1", "fe80::1%lo", "[fd00::1]",    "1.2.3.4/24",
					   "0x7f.1",   "g::",	     "12345::",	     "localhost" };
	struct ip_address parsed;
	char text[ADDRESS_TEXT_SIZE];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		tap_ok(address_parse(good[i], &parsed) &&
			       !strcmp(address_format(&parsed, text), good[i]),
		       "%s is an address and is printed as it was", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		tap_ok(!address_parse(bad[i], &parsed) && !parsed.family, "\"%s\" is no address",
		       bad[i]);
	parsed = address("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", 128);
	tap_ok(!strcmp(address_format_prefix(&parsed, text),
		       "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128"),
	       "the longest address with its prefix fits");
}

static void test_sockaddr(void)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(80) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(443) };
	const struct sockaddr local = { .sa_family = AF_UNIX };
	const struct ip_address ten = address("198.18.0.10", 32), one = address("fd00::1", 128);
	struct ip_address got;
	char unaligned[sizeof(v6) + 1];
	uint16_t port = 0;

	v4.sin_addr = ten.v4;
	tap_ok(!address_from_sockaddr((struct sockaddr *)&v4, sizeof(v4), &got, &port) &&
		       address_equal(&got, &ten) && port == 80 && got.prefix == 32,
	       "an IPv4 socket address");
	tap_ok(address_from_sockaddr((struct sockaddr *)&v4, sizeof(v4) - 1, &got, &port) ==
		       -EINVAL,
	       "an IPv4 socket address that is too short");
	v6.sin6_addr = one.v6;
	memcpy(unaligned + 1, &v6, sizeof(v6));
	tap_ok(!address_from_sockaddr((struct sockaddr *)(unaligned + 1), sizeof(v6), &got,
				      &port) &&
		       address_equal(&got, &one) && port == 443 && got.prefix == 128,
	       "an IPv6 socket address that is not aligned");
	tap_ok(!address_from_sockaddr((struct sockaddr *)&v6, 24, &got, NULL),
	       "an IPv6 socket address without a scope id, nobody asks for the port");
	tap_ok(address_from_sockaddr((struct sockaddr *)&v6, 23, &got, &port) == -EINVAL,
	       "an IPv6 socket address that is too short");
	inet_pton(AF_INET6, "::ffff:198.18.0.10", &v6.sin6_addr);
	tap_ok(!address_from_sockaddr((struct sockaddr *)&v6, sizeof(v6), &got, &port) &&
		       address_equal(&got, &ten) && got.prefix == 32,
	       "an IPv4-mapped address becomes the IPv4 one");
	tap_ok(address_from_sockaddr(&local, sizeof(local), &got, &port) == -EAFNOSUPPORT,
	       "another family");
	tap_ok(address_from_sockaddr(NULL, 0, &got, &port) == -EINVAL, "no address");
	tap_ok(address_from_sockaddr(&local, 1, &got, &port) == -EINVAL, "not even a family");
}

static void test_kinds(void)
{
	static const struct {
		const char *text;
		bool loopback, any, multicast, mapped;
	} kinds[] = {
		{ "127.0.0.1", true, false, false, false },
		{ "127.255.255.255", true, false, false, false },
		{ "128.0.0.0", false, false, false, false },
		{ "::1", true, false, false, false },
		{ "::2", false, false, false, false },
		{ "0.0.0.0", false, true, false, false },
		{ "::", false, true, false, false },
		{ "224.0.0.1", false, false, true, false },
		{ "239.255.255.255", false, false, true, false },
		{ "240.0.0.0", false, false, false, false },
		{ "ff02::1", false, false, true, false },
		{ "::ffff:127.0.0.1", false, false, false, true },
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const struct ip_address a = address(kinds[i].text, 0);

		tap_ok(address_is_loopback(&a) == kinds[i].loopback &&
			       address_is_any(&a) == kinds[i].any &&
			       address_is_multicast(&a) == kinds[i].multicast &&
			       address_is_mapped(&a) == kinds[i].mapped,
		       "what kind %s is of", kinds[i].text);
	}
}

static void test_prefixes(void)
{
	static const struct {
		const char *inside;
		const char *prefix;
		unsigned length;
		bool is;
	} cases[] = {
		{ "198.18.0.10", "198.18.0.0", 24, true },
		{ "198.18.1.10", "198.18.0.0", 24, false },
		{ "198.18.1.10", "198.18.0.0", 23, true },
		{ "198.18.2.10", "198.18.0.0", 23, false },
		{ "198.18.0.10", "198.18.0.10", 32, true },
		{ "198.18.0.11", "198.18.0.10", 32, false },
		{ "8.8.8.8", "0.0.0.0", 0, true },
		{ "8.8.8.8", "::", 0, false },
		{ "255.0.0.0", "128.0.0.0", 1, true },
		{ "127.0.0.0", "128.0.0.0", 1, false },
		{ "fd00::5", "fd00::", 64, true },
		{ "fd00:0:0:1::5", "fd00::", 64, false },
		{ "fd00:0:0:1::5", "fd00::", 63, true },
		{ "fd00::1", "fd00::1", 128, true },
		{ "fd00::2", "fd00::1", 128, false },
		{ "fd00::3", "fd00::2", 127, true },
		{ "fd00::1", "::", 0, true },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct ip_address a = address(cases[i].inside, 0);
		const struct ip_address b = address(cases[i].prefix, cases[i].length);

		tap_ok(address_in_prefix(&a, &b) == cases[i].is, "%s %s in %s/%u", cases[i].inside,
		       cases[i].is ? "lies" : "does not lie", cases[i].prefix, cases[i].length);
	}
}

static void test_mask(void)
{
	static const struct {
		const char *text;
		unsigned length;
		const char *masked;
	} cases[] = {
		{ "198.18.0.255", 24, "198.18.0.0" },
		{ "198.18.255.255", 17, "198.18.128.0" },
		{ "255.255.255.255", 0, "0.0.0.0" },
		{ "255.255.255.255", 31, "255.255.255.254" },
		{ "198.18.0.255", 32, "198.18.0.255" },
		{ "fd00::ffff:1", 64, "fd00::" },
		{ "fd00::ffff", 121, "fd00::ff80" },
		{ "fd00::ffff", 128, "fd00::ffff" },
		{ "ffff::1", 0, "::" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ip_address a = address(cases[i].text, cases[i].length);
		const struct ip_address b = address(cases[i].masked, cases[i].length);

		address_mask(&a);
		tap_ok(address_equal(&a, &b), "%s/%u is masked to %s", cases[i].text,
		       cases[i].length, cases[i].masked);
	}
}

int main(void)
{
	test_text();
	test_sockaddr();
	test_kinds();
	test_prefixes();
	test_mask();
	return tap_done();
}
