/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * preload/config/rules.c: what is a rule, what is a mistake and how it is reported, which rule
 * decides.
 */
#include "preload/config/rules.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "preload/config/address.h"

#include "tap.h"

static const struct {
	const char *text, *why;
} mistakes[] = {
	{ "connect:*:443,conect:*:80",
	  "rule 2, \"conect:*:80\": unknown verb \"conect\" (connect, listen, any)" },
	{ "CONNECT:*:80",
	  "rule 1, \"CONNECT:*:80\": unknown verb \"CONNECT\" (connect, listen, any)" },
	{ "6379", "rule 1, \"6379\": unknown verb \"6379\" (connect, listen, any)" },
	{ "!", "rule 1, \"!\": unknown verb \"\" (connect, listen, any)" },
	{ "! any:*:80", "rule 1, \"! any:*:80\": unknown verb \" any\" (connect, listen, any)" },
	{ ",", "rule 1, \"\": empty rule (one comma too many?)" },
	{ "any:*:80,", "rule 2, \"\": empty rule (one comma too many?)" },
	{ "any:*:80, ,any:*:81", "rule 2, \"\": empty rule (one comma too many?)" },
	{ "any", "rule 1, \"any\": no ports (VERB:ADDRESS:PORTS, * for all ports)" },
	{ "any:", "rule 1, \"any:\": no ports (VERB:ADDRESS:PORTS, * for all ports)" },
	{ "any:*", "rule 1, \"any:*\": no ports (VERB:ADDRESS:PORTS, * for all ports)" },
	{ "any:[fd00::1]",
	  "rule 1, \"any:[fd00::1]\": no ports (VERB:ADDRESS:PORTS, * for all ports)" },
	{ "any:[fd00::1]80",
	  "rule 1, \"any:[fd00::1]80\": no ports (VERB:ADDRESS:PORTS, * for all ports)" },
	{ "any::80", "rule 1, \"any::80\": bad address \"\" "
		     "(*, an IPv4 one, or an IPv6 one in brackets)" },
	{ "any:localhost:80", "rule 1, \"any:localhost:80\": bad address \"localhost\" "
			      "(*, an IPv4 one, or an IPv6 one in brackets)" },
	{ "any:198.18.0.256:80", "rule 1, \"any:198.18.0.256:80\": bad address \"198.18.0.256\" "
				 "(*, an IPv4 one, or an IPv6 one in brackets)" },
	{ "any:198.18.0.0/33:80",
	  "rule 1, \"any:198.18.0.0/33:80\": bad prefix length \"33\" (0 to 32)" },
	{ "any:198.18.0.0/:80",
	  "rule 1, \"any:198.18.0.0/:80\": bad prefix length \"\" (0 to 32)" },
	{ "any:198.18.0.0/-1:80",
	  "rule 1, \"any:198.18.0.0/-1:80\": bad prefix length \"-1\" (0 to 32)" },
	{ "any:198.18.0.0/24/8:80",
	  "rule 1, \"any:198.18.0.0/24/8:80\": bad prefix length \"24/8\" (0 to 32)" },
	{ "any:*/24:80", "rule 1, \"any:*/24:80\": bad address \"*/24\" "
			 "(*, an IPv4 one, or an IPv6 one in brackets)" },
	{ "any:[fd00::/129]:80",
	  "rule 1, \"any:[fd00::/129]:80\": bad prefix length \"129\" (0 to 128)" },
	{ "any:[fd00::1:80", "rule 1, \"any:[fd00::1:80\": the bracket \"[\" is not closed" },
	{ "any:[fd00::]/64:80", "rule 1, \"any:[fd00::]/64:80\": "
				"the prefix length goes inside the brackets: [fd00::/64]" },
	{ "any:fd00::1:80", "rule 1, \"any:fd00::1:80\": "
			    "too many colons; IPv6 addresses go in brackets: [fd00::1]" },
	{ "any:::80", "rule 1, \"any:::80\": "
		      "too many colons; IPv6 addresses go in brackets: [fd00::1]" },
	{ "any:*:80:90", "rule 1, \"any:*:80:90\": "
			 "too many colons; IPv6 addresses go in brackets: [fd00::1]" },
	{ "any:[198.18.0.1]:80", "rule 1, \"any:[198.18.0.1]:80\": "
				 "IPv4 addresses go without brackets: 198.18.0.1" },
	{ "any:[*]:80", "rule 1, \"any:[*]:80\": bad address \"*\" "
			"(*, an IPv4 one, or an IPv6 one in brackets)" },
	{ "any:[]:80", "rule 1, \"any:[]:80\": bad address \"\" "
		       "(*, an IPv4 one, or an IPv6 one in brackets)" },
	{ "any:[fe80::1%eth0]:80",
	  "rule 1, \"any:[fe80::1%eth0]:80\": bad address \"fe80::1%eth0\" "
	  "(*, an IPv4 one, or an IPv6 one in brackets)" },
	{ "any:[::ffff:198.18.0.1]:80", "rule 1, \"any:[::ffff:198.18.0.1]:80\": "
					"IPv4-mapped addresses are written as IPv4: 198.18.0.1" },
	{ "any:*:", "rule 1, \"any:*:\": "
		    "bad port \"\" (*, 1 to 65535, or a range 8000-8999)" },
	{ "any:*:0", "rule 1, \"any:*:0\": "
		     "bad port \"0\" (*, 1 to 65535, or a range 8000-8999)" },
	{ "any:*:65536", "rule 1, \"any:*:65536\": "
			 "bad port \"65536\" (*, 1 to 65535, or a range 8000-8999)" },
	{ "any:*:99999999999999999999",
	  "rule 1, \"any:*:99999999999999999999\": bad port \"99999999999999999999\" "
	  "(*, 1 to 65535, or a range 8000-8999)" },
	{ "any:*:http", "rule 1, \"any:*:http\": "
			"bad port \"http\" (*, 1 to 65535, or a range 8000-8999)" },
	{ "any:*:+80", "rule 1, \"any:*:+80\": "
		       "bad port \"+80\" (*, 1 to 65535, or a range 8000-8999)" },
	{ "any:*:80-", "rule 1, \"any:*:80-\": "
		       "bad port \"80-\" (*, 1 to 65535, or a range 8000-8999)" },
	{ "any:*:-80", "rule 1, \"any:*:-80\": "
		       "bad port \"-80\" (*, 1 to 65535, or a range 8000-8999)" },
	{ "any:*:80-70000", "rule 1, \"any:*:80-70000\": "
			    "bad port \"80-70000\" (*, 1 to 65535, or a range 8000-8999)" },
	{ "any:*:90-80", "rule 1, \"any:*:90-80\": the range \"90-80\" runs backwards" },
	{ "any:*:80 90", "rule 1, \"any:*:80 90\": "
			 "bad port \"80 90\" (*, 1 to 65535, or a range 8000-8999)" },
	{ "any:*:80;any:*:90", "rule 1, \"any:*:80;any:*:90\": "
			       "too many colons; IPv6 addresses go in brackets: [fd00::1]" },
};

static void test_mistakes(void)
{
	for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
		struct rule_list list = { (struct rule *)1, 1 };
		struct reason reason = { "" };
		int error = rules_parse(mistakes[i].text, &list, &reason);

		if (!tap_ok(error == -EINVAL && !strcmp(reason.text, mistakes[i].why) &&
				    !list.count && !list.rules,
			    "the mistake in \"%s\" is named", mistakes[i].text))
			printf("# got %d, %s\n", error, reason.text);
	}
}

static enum rule_verdict verdict(const char *rules, enum rule_verb verb, const char *address,
				 uint16_t port)
{
	struct rule_list list;
	struct ip_address parsed;
	struct reason reason = { "" };
	enum rule_verdict result;

	if (rules_parse(rules, &list, &reason) || !address_parse(address, &parsed)) {
		printf("# %s: %s\n", rules, reason.text);
		return (enum rule_verdict) - 1;
	}
	result = rules_match(&list, verb, &parsed, port);
	rules_free(&list);
	return result;
}

static void test_matches(void)
{
	const enum rule_verb c = RULE_CONNECT, l = RULE_LISTEN;
	static const char *const all = "any:*:*";
	static const char *const but_ssh = "!connect:*:22,any:198.18.0.0/24:*";
	const struct {
		const char *rules;
		enum rule_verb verb;
		const char *address;
		unsigned port;
		enum rule_verdict verdict;
	} cases[] = {
		{ "", c, "198.18.0.1", 80, RULE_NONE },
		{ " \t\n", c, "198.18.0.1", 80, RULE_NONE },
		{ all, c, "198.18.0.1", 80, RULE_TAKE },
		{ all, l, "fd00::1", 65535, RULE_TAKE },
		{ all, l, "0.0.0.0", 80, RULE_TAKE },
		{ "connect:*:80", c, "198.18.0.1", 80, RULE_TAKE },
		{ "connect:*:80", l, "198.18.0.1", 80, RULE_NONE },
		{ "listen:*:80", l, "198.18.0.1", 80, RULE_TAKE },
		{ "listen:*:80", c, "198.18.0.1", 80, RULE_NONE },
		{ "connect:*:80", c, "198.18.0.1", 81, RULE_NONE },
		{ "any:*:8000-8999", c, "198.18.0.1", 7999, RULE_NONE },
		{ "any:*:8000-8999", c, "198.18.0.1", 8000, RULE_TAKE },
		{ "any:*:8000-8999", c, "198.18.0.1", 8999, RULE_TAKE },
		{ "any:*:8000-8999", c, "198.18.0.1", 9000, RULE_NONE },
		{ "any:*:80-80", c, "198.18.0.1", 80, RULE_TAKE },
		{ "any:*:1-65535", c, "198.18.0.1", 65535, RULE_TAKE },
		{ "any:198.18.0.1:*", c, "198.18.0.1", 1, RULE_TAKE },
		{ "any:198.18.0.1:*", c, "198.18.0.2", 1, RULE_NONE },
		{ "any:198.18.0.5/24:*", c, "198.18.0.200", 1, RULE_TAKE },
		{ "any:198.18.0.5/24:*", c, "198.18.1.5", 1, RULE_NONE },
		{ "any:0.0.0.0/0:*", c, "203.0.113.1", 1, RULE_TAKE },
		{ "any:0.0.0.0/0:*", c, "fd00::1", 1, RULE_NONE },
		{ "any:[fd00::/64]:*", c, "fd00::1", 1, RULE_TAKE },
		{ "any:[fd00::/64]:*", c, "fd00:0:0:1::1", 1, RULE_NONE },
		{ "any:[fd00::1]:443", c, "fd00::1", 443, RULE_TAKE },
		{ "any:[fd00::1]:443", c, "fd00::2", 443, RULE_NONE },
		{ "any:[::/0]:*", c, "198.18.0.1", 1, RULE_NONE },
		{ but_ssh, c, "198.18.0.1", 22, RULE_LEAVE },
		{ but_ssh, l, "198.18.0.1", 22, RULE_TAKE },
		{ but_ssh, c, "198.18.0.1", 23, RULE_TAKE },
		{ but_ssh, c, "198.18.1.1", 23, RULE_NONE },
		{ "any:*:*,!any:*:22", c, "198.18.0.1", 22, RULE_TAKE },
		{ "  connect:*:80 ,\n\tlisten:*:90\n", l, "198.18.0.1", 90, RULE_TAKE },
		/* Loopback only where a rule names it. */
		{ all, c, "127.0.0.1", 80, RULE_NONE },
		{ all, c, "::1", 80, RULE_NONE },
		{ "!any:*:*", c, "127.0.0.1", 80, RULE_NONE },
		{ "any:0.0.0.0/0:*", c, "127.0.0.1", 80, RULE_NONE },
		{ "any:126.0.0.0/7:*", c, "127.0.0.1", 80, RULE_NONE },
		{ "any:127.0.0.0/8:*", c, "127.1.2.3", 80, RULE_TAKE },
		{ "any:127.0.0.1:*", c, "127.0.0.1", 80, RULE_TAKE },
		{ "any:127.0.0.1:*", c, "127.0.0.2", 80, RULE_NONE },
		{ "any:[::/0]:*", c, "::1", 80, RULE_NONE },
		{ "any:[::/127]:*", c, "::1", 80, RULE_NONE },
		{ "any:[::1]:*", c, "::1", 80, RULE_TAKE },
		{ "any:[::1/128]:*", c, "::1", 80, RULE_TAKE },
		{ "any:*:*,any:127.0.0.0/8:*", c, "127.0.0.1", 80, RULE_TAKE },
		{ "!any:127.0.0.1:80,any:127.0.0.0/8:*", c, "127.0.0.1", 80, RULE_LEAVE },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		tap_ok(verdict(cases[i].rules, cases[i].verb, cases[i].address,
			       (uint16_t)cases[i].port) == cases[i].verdict,
		       "\"%s\" and %s %s port %u: %s", cases[i].rules,
		       cases[i].verb == c ? "connect" : "listen", cases[i].address, cases[i].port,
		       cases[i].verdict == RULE_TAKE	? "taken"
		       : cases[i].verdict == RULE_LEAVE ? "left"
							: "no match");
}

static void test_listeners(void)
{
	static const struct {
		const char *rules, *local;
		bool v6only;
		const char *own[2];
		enum rule_verdict verdict;
	} cases[] = {
		{ "listen:*:80", "0.0.0.0", false, { "198.18.0.10" }, RULE_TAKE },
		{ "listen:198.18.0.10:80", "0.0.0.0", false, { "198.18.0.10" }, RULE_TAKE },
		{ "listen:198.18.0.0/24:80", "0.0.0.0", false, { "198.18.0.10" }, RULE_TAKE },
		{ "listen:198.18.0.11:80", "0.0.0.0", false, { "198.18.0.10" }, RULE_NONE },
		{ "listen:198.18.0.11:80",
		  "0.0.0.0",
		  false,
		  { "198.18.0.10", "198.18.0.11" },
		  RULE_TAKE },
		{ "listen:*:81", "0.0.0.0", false, { "198.18.0.10" }, RULE_NONE },
		{ "!listen:198.18.0.10:80,listen:*:80",
		  "0.0.0.0",
		  false,
		  { "198.18.0.10" },
		  RULE_LEAVE },
		{ "!listen:198.18.0.10:80,listen:*:80",
		  "0.0.0.0",
		  false,
		  { "198.18.0.10", "198.18.0.11" },
		  RULE_TAKE },
		{ "!listen:*:80,any:*:*", "0.0.0.0", false, { "198.18.0.10" }, RULE_LEAVE },
		{ "listen:[fd00::/64]:80", "0.0.0.0", false, { "fd00::1" }, RULE_NONE },
		{ "listen:[fd00::/64]:80", "::", false, { "fd00::1" }, RULE_TAKE },
		{ "listen:198.18.0.10:80", "::", false, { "198.18.0.10" }, RULE_TAKE },
		{ "listen:198.18.0.10:80", "::", true, { "198.18.0.10" }, RULE_NONE },
		{ "listen:*:80", "::", false, { NULL }, RULE_TAKE },
		{ "listen:*:80", "0.0.0.0", false, { NULL }, RULE_TAKE },
		{ "listen:127.0.0.1:80", "0.0.0.0", false, { NULL }, RULE_TAKE },
		{ "listen:127.0.0.1:80", "0.0.0.0", false, { "198.18.0.10" }, RULE_TAKE },
		{ "listen:127.0.0.1:80", "::", true, { NULL }, RULE_NONE },
		{ "listen:[::1]:80", "::", true, { NULL }, RULE_TAKE },
		{ "listen:198.18.0.10:80", "198.18.0.10", false, { "198.18.0.10" }, RULE_TAKE },
		{ "listen:198.18.0.10:80", "192.0.2.1", false, { "198.18.0.10" }, RULE_NONE },
		{ "listen:*:80", "127.0.0.1", false, { "198.18.0.10" }, RULE_NONE },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ip_address own[2], local;
		struct rule_list list = { 0 };
		struct reason reason;
		size_t count = 0;

		while (count < 2 && cases[i].own[count]) {
			address_parse(cases[i].own[count], &own[count]);
			count++;
		}
		address_parse(cases[i].local, &local);
		tap_ok(!rules_parse(cases[i].rules, &list, &reason) &&
			       rules_match_listener(&list, &local, 80, cases[i].v6only, own,
						    count) == cases[i].verdict,
		       "\"%s\" and a listener on %s of a stack with %s %s", cases[i].rules,
		       cases[i].local, count > 0 ? cases[i].own[0] : "no address",
		       count > 1 ? cases[i].own[1] : "");
		rules_free(&list);
	}
}

static void test_may_take_listeners(void)
{
	static const struct {
		const char *rules, *local;
		bool may;
	} cases[] = {
		{ "listen:*:80", "0.0.0.0", true },
		{ "listen:*:80", "::", true },
		{ "listen:198.18.0.0/24:80", "0.0.0.0", true },
		{ "listen:198.18.0.0/24:80", "::", true },
		{ "any:[fd00::/64]:80", "::", true },
		{ "any:[fd00::/64]:80", "0.0.0.0", false },
		{ "connect:198.18.0.0/24:80", "0.0.0.0", false },
		{ "listen:198.18.0.0/24:81", "0.0.0.0", false },
		{ "listen:127.0.0.1:80", "0.0.0.0", false },
		{ "!listen:198.18.0.1:80,listen:198.18.0.0/24:80", "0.0.0.0", true },
		{ "!listen:*:80,listen:198.18.0.0/24:80", "0.0.0.0", false },
		{ "listen:198.18.0.0/24:80", "198.18.0.1", true },
		{ "listen:198.18.0.0/24:80", "198.18.1.1", false },
		{ "listen:*:80", "127.0.0.1", false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rule_list list = { 0 };
		struct ip_address local;
		struct reason reason;

		address_parse(cases[i].local, &local);
		tap_ok(!rules_parse(cases[i].rules, &list, &reason) &&
			       rules_may_take_listener(&list, &local, 80) == cases[i].may,
		       "\"%s\": a connection that a listener on %s accepts may%s be taken",
		       cases[i].rules, cases[i].local, cases[i].may ? "" : " not");
		rules_free(&list);
	}
}

static void test_thousand(void)
{
	char *text = malloc(1000 * 40), *end = text;
	struct rule_list list = { 0 };
	struct ip_address address;
	struct reason reason = { "" };
	bool held = true;

	for (unsigned i = 0; i < 1000; i++)
		end += sprintf(end, "%s%sconnect:198.%u.%u.0/24:%u", i ? "," : "", i % 2 ? "!" : "",
			       18 + i / 256, i % 256, 1000 + i);
	tap_ok(!rules_parse(text, &list, &reason) && list.count == 1000,
	       "1,000 rules are parsed %s", reason.text);
	for (unsigned i = 0; i < 1000; i++) {
		char one[40];

		sprintf(one, "198.%u.%u.7", 18 + i / 256, i % 256);
		address_parse(one, &address);
		held = held && rules_match(&list, RULE_CONNECT, &address, (uint16_t)(1000 + i)) ==
				       (i % 2 ? RULE_LEAVE : RULE_TAKE);
		held = held &&
		       rules_match(&list, RULE_CONNECT, &address, (uint16_t)(999 + i)) == RULE_NONE;
	}
	tap_ok(held, "each of 1,000 rules decides its own flow and no other");
	rules_free(&list);

	strcpy(end, ",any:*:x");
	tap_ok(rules_parse(text, &list, &reason) == -EINVAL &&
		       !strncmp(reason.text, "rule 1001, ", 11),
	       "a mistake in rule 1001 is named");
	free(text);
}

static uint32_t next_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

/* Whether the list has only what the parser may give out. */
static bool is_sound(const struct rule_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct rule *rule = &list->rules[i];
		struct ip_address masked = rule->prefix;

		address_mask(&masked);
		if (rule->verb < RULE_CONNECT || rule->verb > RULE_ANY ||
		    rule->port_first > rule->port_last ||
		    rule->prefix.prefix > address_bits(&rule->prefix) ||
		    !address_equal(&masked, &rule->prefix))
			return false;
	}
	return true;
}

/* Random changes of good lists: always a sound list or a message. */
static void test_random(void)
{
	static const char good[] = "!connect:198.18.0.0/24:22,any:[fd00::/64]:8000-8999,listen:*:*";
	static const char letters[] = "!,:[]/*-.0123456789abcdef \tconetlisy";
	uint32_t random = 2463534242;
	unsigned accepted = 0, refused = 0;
	bool sound = true;

	for (unsigned round = 0; round < 200000 && sound; round++) {
		char *text = strdup(good);
		size_t length = strlen(text);
		struct reason reason;
		struct rule_list list;
		int error;

		for (unsigned i = next_random(&random) % 4; i < 4; i++)
			text[next_random(&random) % length] =
				letters[next_random(&random) % (sizeof(letters) - 1)];
		text[next_random(&random) % (length + 1)] = '\0';
		memset(&reason, 'x', sizeof(reason));
		error = rules_parse(text, &list, &reason);
		if (!error) {
			accepted++;
			sound = is_sound(&list);
		} else {
			refused++;
			sound = error == -EINVAL && !list.rules &&
				memchr(reason.text, '\0', sizeof(reason.text));
		}
		if (!sound)
			printf("# \"%s\"\n", text);
		rules_free(&list);
		free(text);
	}
	tap_ok(sound && accepted > 1000 && refused > 1000,
	       "random lists (%u accepted, %u refused) leave a sound list or a message", accepted,
	       refused);
}

/* A reason of every length up to and beyond what fits: never more than fits. */
static void test_long_reasons(void)
{
	struct {
		struct reason reason;
		char behind[64];
	} room;
	const int fits = sizeof(room.reason.text) - 1;
	bool sound = true;

	for (int length = 1; length < 3 * fits; length++) {
		memset(&room, 'x', sizeof(room));
		sound = sound && reason_set(&room.reason, -length, "%0*d", length, 0) == -length &&
			strlen(room.reason.text) == (size_t)(length < fits ? length : fits);
		for (size_t i = 0; i < sizeof(room.behind); i++)
			sound = sound && room.behind[i] == 'x';
	}
	tap_ok(sound, "a reason that is too long is cut, and its error returned");
}

int main(void)
{
	test_mistakes();
	test_matches();
	test_listeners();
	test_may_take_listeners();
	test_thousand();
	test_random();
	test_long_reasons();
	return tap_done();
}
