/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Flow rules: MELIN_FLOWS' text to a list, and a flow's address and port to a verdict. Not for
 * what is then done with the flow, and not for reading the environment (config.c).
 */
#include "preload/config/rules.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/system_call.h"
#include "preload/config/address.h"
#include "preload/config/config_address.h"
#include "preload/config/entry.h"
#include "preload/config/span.h"

static uint32_t first_word(const struct ip_address *address)
{
	uint32_t word;

	memcpy(&word, address->bytes, sizeof(word));
	return word;
}

static int parse_verb(const struct entry *entry, const struct span *text, struct rule *rule)
{
	static const struct {
		const char *name;
		enum rule_verb verb;
	} verbs[] = { { "connect", RULE_CONNECT }, { "listen", RULE_LISTEN }, { "any", RULE_ANY } };

	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (span_is(text, verbs[i].name)) {
			rule->verb = (uint8_t)verbs[i].verb;
			return 0;
		}
	}
	return entry_mistake(entry, "unknown verb \"%.*s\" (connect, listen, any)",
			     span_quoted(text), text->start);
}

/* text: an address with or without /N, the brackets gone. */
static int parse_prefix(const struct entry *entry, sa_family_t family, struct span text,
			struct rule *rule)
{
	const struct span whole = text;
	const bool has_length = span_find(&text, '/') != NULL;
	const struct span bare = span_cut(&text, '/');
	struct ip_address *prefix = &rule->prefix;
	unsigned length;

	if (!config_parse_address(&bare, prefix))
		return entry_mistake(
			entry, "bad address \"%.*s\" (*, an IPv4 one, or an IPv6 one in brackets)",
			span_quoted(&whole), whole.start);
	if (prefix->family != family)
		return entry_mistake(entry,
				     family == AF_INET6 ? "IPv4 addresses go without brackets: %.*s"
							: "IPv6 addresses go in brackets: [%.*s]",
				     (int)bare.length, bare.start);
	if (address_is_mapped(prefix))
		return entry_mistake(
			entry, "IPv4-mapped addresses are written as IPv4: %u.%u.%u.%u",
			prefix->bytes[12], prefix->bytes[13], prefix->bytes[14], prefix->bytes[15]);
	if (has_length) {
		if (!span_number(&text, address_bits(prefix), &length))
			return entry_mistake(entry, "bad prefix length \"%.*s\" (0 to %u)",
					     span_quoted(&text), text.start, address_bits(prefix));
		prefix->prefix = (uint8_t)length;
		address_mask(prefix);
	}
	rule->word_mask = prefix->prefix < 32 ? ~htonl(UINT32_MAX >> prefix->prefix) : UINT32_MAX;
	rule->word = first_word(prefix);
	/* Part of 127.0.0.0/8, or ::1 itself. */
	rule->loopback =
		address_is_loopback(prefix) && prefix->prefix >= (family == AF_INET ? 8 : 128);
	return 0;
}

/* Takes the address off the front of rest, with the colon behind it. */
static int parse_address(const struct entry *entry, struct span *rest, struct rule *rule)
{
	struct span text;

	if (rest->length && rest->start[0] == '[') {
		const char *end = span_find(rest, ']');

		if (!end)
			return entry_mistake(entry, "the bracket \"[\" is not closed");
		text = (struct span){ rest->start + 1, (size_t)(end - rest->start) - 1 };
		rest->length -= text.length + 2;
		rest->start = end + 1;
		if (rest->length && rest->start[0] == '/') {
			const struct span length = span_cut(rest, ':');

			return entry_mistake(
				entry, "the prefix length goes inside the brackets: [%.*s%.*s]",
				span_quoted(&text), text.start, span_quoted(&length), length.start);
		}
		if (!rest->length || rest->start[0] != ':')
			return entry_mistake(entry,
					     "no ports (VERB:ADDRESS:PORTS, * for all ports)");
		rest->start++;
		rest->length--;
		return parse_prefix(entry, AF_INET6, text, rule);
	}
	if (!span_find(rest, ':'))
		return entry_mistake(entry, "no ports (VERB:ADDRESS:PORTS, * for all ports)");
	text = span_cut(rest, ':');
	if (span_find(rest, ':'))
		return entry_mistake(entry,
				     "too many colons; IPv6 addresses go in brackets: [fd00::1]");
	if (span_is(&text, "*"))
		return 0;
	return parse_prefix(entry, AF_INET, text, rule);
}

static int parse_ports(const struct entry *entry, struct span text, struct rule *rule)
{
	const struct span whole = text;
	const bool range = span_find(&text, '-') != NULL;
	struct span first_text;
	unsigned first, last;

	if (span_is(&text, "*")) {
		rule->port_first = 0;
		rule->port_last = UINT16_MAX;
		return 0;
	}
	first_text = span_cut(&text, '-');
	if (!span_number(&first_text, UINT16_MAX, &first) || !first)
		goto bad;
	last = first;
	if (range && (!span_number(&text, UINT16_MAX, &last) || !last))
		goto bad;
	if (last < first)
		return entry_mistake(entry, "the range \"%.*s\" runs backwards",
				     span_quoted(&whole), whole.start);
	rule->port_first = (uint16_t)first;
	rule->port_last = (uint16_t)last;
	return 0;
bad:
	return entry_mistake(entry, "bad port \"%.*s\" (*, 1 to 65535, or a range 8000-8999)",
			     span_quoted(&whole), whole.start);
}

static int parse_rule(const struct entry *entry, struct rule *rule)
{
	struct span rest = entry->text;
	struct span verb;
	int error;

	if (!rest.length)
		return entry_mistake(entry, "empty rule (one comma too many?)");
	if (rest.start[0] == '!') {
		rule->not = true;
		rest.start++;
		rest.length--;
	}
	verb = span_cut(&rest, ':');
	error = parse_verb(entry, &verb, rule);
	if (!error)
		error = parse_address(entry, &rest, rule);
	if (!error)
		error = parse_ports(entry, rest, rule);
	return error;
}

int rules_parse(const char *text, struct rule_list *list, struct reason *reason)
{
	struct entry entry = { .reason = reason, .kind = "rule" };
	struct span all = span_trim(span_of(text));
	const size_t count = span_pieces(&all, ',');
	int error;

	*list = (struct rule_list){ 0 };
	if (!count)
		return 0;
	list->rules = calloc(count, sizeof(*list->rules));
	if (!list->rules)
		return reason_set(reason, -ENOMEM, "no memory for %zu rules", count);
	for (; list->count < count; list->count++) {
		entry.number = list->count + 1;
		entry.text = span_trim(span_cut(&all, ','));
		error = parse_rule(&entry, &list->rules[list->count]);
		if (error) {
			rules_free(list);
			return error;
		}
	}
	return 0;
}

void rules_free(struct rule_list *list)
{
	free(list->rules);
	*list = (struct rule_list){ 0 };
}

enum rule_verdict rules_match(const struct rule_list *list, enum rule_verb verb,
			      const struct ip_address *address, uint16_t port)
{
	const bool loopback = address_is_loopback(address);
	const uint32_t word = first_word(address);

	for (size_t i = 0; i < list->count; i++) {
		const struct rule *rule = &list->rules[i];

		if (!(rule->verb & verb) || port < rule->port_first || port > rule->port_last)
			continue;
		if ((word & rule->word_mask) != rule->word || (loopback && !rule->loopback))
			continue;
		if (rule->prefix.family && !address_in_prefix(address, &rule->prefix))
			continue;
		return rule->not ? RULE_LEAVE : RULE_TAKE;
	}
	return RULE_NONE;
}

enum rule_verdict rules_match_listener(const struct rule_list *list, const struct ip_address *local,
				       uint16_t port, bool v6only, const struct ip_address *own,
				       size_t own_count)
{
	static const struct ip_address loopbacks[] = {
		{ .family = AF_INET, .prefix = 32, .bytes = { 127, 0, 0, 1 } },
		{ .family = AF_INET6, .prefix = 128, .bytes = { [15] = 1 } },
	};
	const bool v4 = local->family == AF_INET || !v6only, v6 = local->family == AF_INET6;
	enum rule_verdict verdict = RULE_NONE, one;
	bool fits = false;

	if (!address_is_any(local))
		return rules_match(list, RULE_LISTEN, local, port);
	for (size_t i = 0; i < own_count + 2; i++) {
		const struct ip_address *address =
			i < own_count ? &own[i] : &loopbacks[i - own_count];

		if (address->family == AF_INET ? !v4 : !v6)
			continue;
		if (i < own_count)
			fits = true;
		one = rules_match(list, RULE_LISTEN, address, port);
		if (one == RULE_TAKE)
			return RULE_TAKE;
		if (one == RULE_LEAVE)
			verdict = RULE_LEAVE;
	}
	if (fits)
		return verdict;
	one = rules_match(list, RULE_LISTEN, local, port);
	return one == RULE_NONE ? verdict : one;
}

bool rules_take_some_connect(const struct rule_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		if ((list->rules[i].verb & RULE_CONNECT) && !list->rules[i].not )
			return true;
	return false;
}

bool rules_may_take_listener(const struct rule_list *list, const struct ip_address *local,
			     uint16_t port)
{
	if (!address_is_any(local))
		return rules_match(list, RULE_LISTEN, local, port) == RULE_TAKE;
	for (size_t i = 0; i < list->count; i++) {
		const struct rule *rule = &list->rules[i];
		const sa_family_t family = rule->prefix.family;
		/* A socket of IPv6 accepts IPv4 as well, as a rule. */
		const bool fits = !family || family == local->family || local->family == AF_INET6;

		if (!(rule->verb & RULE_LISTEN) || port < rule->port_first ||
		    port > rule->port_last || rule->loopback)
			continue;
		/* One that leaves part of the addresses says nothing of the others. */
		if (rule->not ? !family : fits)
			return rule->not ? false : true;
	}
	return false;
}

int socket_candidate_domain(int descriptor)
{
	const int domain = kernel_get_int(descriptor, SOL_SOCKET, SO_DOMAIN);
	const int type = kernel_get_int(descriptor, SOL_SOCKET, SO_TYPE);
	const int protocol = kernel_get_int(descriptor, SOL_SOCKET, SO_PROTOCOL);

	return socket_candidate(domain, type, protocol) ? domain : 0;
}
