/* SPDX-License-Identifier: BSD-3-Clause */
/* See advice.h. */
#include "preload/config/advice.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "preload/config/host_addresses.h"
#include "preload/config/log.h"
#include "preload/config/origin.h"
#include "preload/config/program_file.h"
#include "preload/config/rules.h"
#include "preload/libc/symbols.h"

/* "connect to " and the longest address, " port 65535". */
#define FLOW_TEXT_SIZE (ADDRESS_TEXT_SIZE + 32)

/* A rule as it is written: "connect:[" and the longest prefix, "]:10000-20000". */
#define RULE_TEXT_SIZE (ADDRESS_TEXT_SIZE + 32)

/* The flows that were left for one reason; the first of them is told. */
static struct left {
	_Atomic unsigned long count;
	enum rule_verb verb;
	struct ip_address address;
	uint16_t port;
} left[ADVICE_REASONS];

/* Returns whether a flow is left for this reason for the first time. */
static bool first(_Atomic bool *told)
{
	return !atomic_load_explicit(told, memory_order_relaxed) && !atomic_exchange(told, true);
}

/* ---- rules that can take nothing ---- */

static bool overlap(const struct ip_address *one, const struct ip_address *other)
{
	return one->prefix < other->prefix ? address_in_prefix(other, one)
					   : address_in_prefix(one, other);
}

static bool names_own(const struct stack_config *stack, const struct ip_address *prefix)
{
	for (unsigned i = 0; i < stack->address_count; i++)
		if (address_in_prefix(&stack->addresses[i], prefix))
			return true;
	return false;
}

/* Whether the stack has a way to any address of the prefix. */
static bool leads_anywhere(const struct stack_config *stack, const struct ip_address *prefix)
{
	const struct ip_address *gateway =
		prefix->family == AF_INET ? &stack->gateway4 : &stack->gateway6;

	if (gateway->family || names_own(stack, prefix))
		return true;
	for (unsigned i = 0; strcmp(stack->device, "loop") != 0 && i < stack->address_count; i++)
		if (overlap(&stack->addresses[i], prefix))
			return true;
	return false;
}

static bool has_family(const struct stack_config *stack, sa_family_t family)
{
	for (unsigned i = 0; i < stack->address_count; i++)
		if (stack->addresses[i].family == family)
			return true;
	return false;
}

static const char *format_rule(const struct rule *rule, char text[RULE_TEXT_SIZE])
{
	static const char *const verbs[] = {
		[RULE_CONNECT] = "connect", [RULE_LISTEN] = "listen", [RULE_ANY] = "any"
	};
	const bool is_v6 = rule->prefix.family == AF_INET6;
	char address[ADDRESS_TEXT_SIZE], ports[16] = "*";

	if (rule->prefix.prefix == address_bits(&rule->prefix))
		address_format(&rule->prefix, address);
	else
		address_format_prefix(&rule->prefix, address);
	if (rule->port_first == rule->port_last)
		snprintf(ports, sizeof(ports), "%u", rule->port_first);
	else if (rule->port_first || rule->port_last != UINT16_MAX)
		snprintf(ports, sizeof(ports), "%u-%u", rule->port_first, rule->port_last);
	snprintf(text, RULE_TEXT_SIZE, "%s:%s%s%s:%s", verbs[rule->verb], is_v6 ? "[" : "", address,
		 is_v6 ? "]" : "", ports);
	return text;
}

/* Why a rule that can take nothing cannot. */
static const char *why_useless(const struct stack_config *stack, const struct rule *rule)
{
	const bool is_one = rule->prefix.prefix == address_bits(&rule->prefix);

	if (rule->verb == RULE_CONNECT && !has_family(stack, rule->prefix.family))
		return "MELIN_ADDR has no address of that family";
	if (rule->verb == RULE_CONNECT)
		return "it is in none of MELIN_ADDR's networks, and there is no MELIN_GATEWAY";
	if (is_one && host_has(&rule->prefix))
		return "it is the host's own address, and the stack listens on MELIN_ADDR's alone";
	if (rule->verb == RULE_ANY)
		return "it is none of MELIN_ADDR's, and the stack has no way there";
	return is_one ? "it is neither the stack's address (MELIN_ADDR) nor the host's"
		      : "no address of the stack's (MELIN_ADDR) is in it";
}

static bool is_useless(const struct stack_config *stack, const struct rule *rule)
{
	if (rule->not || !rule->prefix.family || rule->loopback)
		return false;
	if ((rule->verb & RULE_LISTEN) && names_own(stack, &rule->prefix))
		return false;
	return !(rule->verb & RULE_CONNECT) || !leads_anywhere(stack, &rule->prefix);
}

/* One list of rules may serve many hosts: about networks that are not this one's, only a word. */
static void check_rule(const struct rule *rule, size_t number)
{
	const struct stack_config *stack = &config_get()->stack;
	const bool is_one = rule->prefix.prefix == address_bits(&rule->prefix);
	const enum log_level level = is_one ? LOG_LEVEL_WARN : LOG_LEVEL_INFO;
	char text[RULE_TEXT_SIZE];

	if (log_enabled(level) && is_useless(stack, rule))
		log_write(level, "MELIN_FLOWS: rule %zu, \"%s\", takes nothing: %s", number,
			  format_rule(rule, text), why_useless(stack, rule));
}

void advice_check_rules(enum rule_verb verb)
{
	static _Atomic bool connects_checked, listens_checked;
	const struct rule_list *rules = &config_get()->flows;
	const int saved_errno = errno;

	if (!first(verb == RULE_CONNECT ? &connects_checked : &listens_checked))
		return;
	for (size_t i = 0; i < rules->count; i++) {
		/* A rule for both is looked at with the first of them. */
		if ((rules->rules[i].verb & verb) &&
		    (rules->rules[i].verb != RULE_ANY ||
		     !atomic_load(verb == RULE_CONNECT ? &listens_checked : &connects_checked)))
			check_rule(&rules->rules[i], i + 1);
	}
	errno = saved_errno;
}

/* ---- flows ---- */

enum advice_reason advice_why_not(enum rule_verb verb, const struct ip_address *address,
				  uint16_t port)
{
	switch (rules_match(&config_get()->flows, verb, address, port)) {
	case RULE_LEAVE:
		return ADVICE_EXCLUDED;
	case RULE_TAKE:
		return ADVICE_HOST;
	default:
		return address_is_loopback(address) ? ADVICE_LOOPBACK : ADVICE_UNMATCHED;
	}
}

static const char *format_flow(enum rule_verb verb, const struct ip_address *address, uint16_t port,
			       char text[FLOW_TEXT_SIZE])
{
	char name[ADDRESS_TEXT_SIZE];

	snprintf(text, FLOW_TEXT_SIZE, "%s %s port %u",
		 verb == RULE_CONNECT ? "connect to" : "listen on", address_format(address, name),
		 port);
	return text;
}

static void report_no_route(const struct ip_address *address, uint16_t port)
{
	static _Atomic bool told;
	const struct stack_config *stack = &config_get()->stack;
	char text[FLOW_TEXT_SIZE];
	const char *why = "it is in none of MELIN_ADDR's networks, and there is no MELIN_GATEWAY";

	if (!first(&told))
		return;
	if (!strcmp(stack->device, "loop"))
		why = "MELIN_DEV=loop leads nowhere else";
	else if (!has_family(stack, address->family))
		why = address->family == AF_INET ? "MELIN_ADDR has no IPv4 address"
						 : "MELIN_ADDR has no IPv6 address";
	log_write(LOG_LEVEL_WARN, "%s: the stack has no route: %s; such flows %s",
		  format_flow(RULE_CONNECT, address, port, text), why,
		  config_get()->required ? "fail" : "go to the kernel");
}

void advice_left(enum advice_reason reason, enum rule_verb verb, const struct ip_address *address,
		 uint16_t port)
{
	struct left *flow = &left[reason];
	const int saved_errno = errno;

	if (atomic_fetch_add_explicit(&flow->count, 1, memory_order_relaxed) == 0) {
		flow->verb = verb;
		flow->address = *address;
		flow->port = port;
	}
	if (reason == ADVICE_ROUTE)
		report_no_route(address, port);
	errno = saved_errno;
}

static const char *_Atomic first_option;

void advice_left_for_option(const char *option, enum rule_verb verb,
			    const struct ip_address *address, uint16_t port)
{
	const char *none = NULL;

	atomic_compare_exchange_strong(&first_option, &none, option);
	advice_left(ADVICE_OPTION, verb, address, port);
}

void advice_without_rules(int descriptor)
{
	static _Atomic bool told;
	const int saved_errno = errno;

	if (!atomic_load_explicit(&told, memory_order_relaxed) &&
	    socket_candidate_domain(descriptor) && first(&told))
		log_write(LOG_LEVEL_WARN,
			  "MELIN_%s is set, but MELIN_FLOWS is not: nothing is taken",
			  config_without_rules);
	errno = saved_errno;
}

/* ---- the stack's addresses ---- */

void advice_started(void)
{
	const struct stack_config *stack = &config_get()->stack;

	if (!strcmp(stack->device, "loop"))
		return;
	for (unsigned i = 0; i < stack->address_count; i++) {
		const struct ip_address *address = &stack->addresses[i];
		char text[ADDRESS_TEXT_SIZE];
		bool alone = true;

		/* A further address may well be a single one: it lies in another's network. */
		for (unsigned j = 0; j < stack->address_count; j++)
			if (stack->addresses[j].family == address->family &&
			    stack->addresses[j].prefix < address_bits(address))
				alone = false;
		if (alone)
			log_write(LOG_LEVEL_WARN,
				  "MELIN_ADDR: %s is a network without another host in it: the "
				  "stack can reach nobody; give the length of the network's prefix",
				  address_format_prefix(address, text));
	}
}

/* ---- programs that are executed ---- */

static enum log_level level_for_programs(void)
{
	return origin_is_parents() ? LOG_LEVEL_INFO : LOG_LEVEL_WARN;
}

bool advice_wants_programs(void)
{
	return config_active() && log_enabled(LOG_LEVEL_WARN) && log_enabled(level_for_programs());
}

void advice_executes(const char *path)
{
	char culprit[PROGRAM_CULPRIT];
	const char *why = advice_wants_programs() ? program_file_refuses(path, culprit) : NULL;

	if (why)
		log_write(level_for_programs(), "%s%s%s %s: its flows go to the kernel", path,
			  strcmp(path, culprit) != 0 ? ": its interpreter " : "",
			  strcmp(path, culprit) != 0 ? culprit : "", why);
}

void advice_begins(void)
{
	if (program_file_is_go() && advice_wants_programs())
		log_write(level_for_programs(),
			  "this is a Go program, which makes its system calls without libc: its "
			  "flows go to the kernel");
}

/* ---- the end ---- */

/* Whether the reason has been said before, or is what the user wants. */
static bool is_known(enum advice_reason reason)
{
	return reason == ADVICE_ROUTE || reason == ADVICE_EXCLUDED;
}

static void report_reason(enum advice_reason reason, enum log_level level)
{
	static const char *const texts[ADVICE_REASONS] = {
		[ADVICE_UNMATCHED] = "no rule of MELIN_FLOWS is for it",
		[ADVICE_HOST] = "it is the host's own address, and the stack listens on "
				"MELIN_ADDR's alone",
		[ADVICE_LOOPBACK] = "loopback stays with the kernel unless a rule names it",
		[ADVICE_LOCAL] = "one end of it is an address of the host's own",
		[ADVICE_OPTION] = "only the kernel serves the option that it has",
		[ADVICE_ROUTE] = "the stack has no route",
		[ADVICE_EXCLUDED] = "a rule with ! keeps it",
	};
	const struct left *flow = &left[reason];
	unsigned long more = atomic_load(&flow->count) - 1;
	const char *option = reason == ADVICE_OPTION ? atomic_load(&first_option) : NULL;
	char text[FLOW_TEXT_SIZE], number[48] = "";

	if (more)
		snprintf(number, sizeof(number), " (and %lu more)", more);
	log_write(level, "nothing was taken: %s: %s%s%s%s",
		  format_flow(flow->verb, &flow->address, flow->port, text), texts[reason],
		  option ? ", " : "", option ? option : "", number);
}

void advice_end(unsigned long taken, unsigned long failed, bool unused)
{
	unsigned reason = 0;
	enum log_level level = LOG_LEVEL_WARN;

	if (taken)
		return;
	while (reason < ADVICE_REASONS && !atomic_load(&left[reason].count))
		reason++;
	if (reason == ADVICE_REASONS) {
		if (unused)
			log_write(LOG_LEVEL_INFO, "nothing was taken: this process has not used "
						  "its listeners; its children may have");
		else if (!failed)
			log_write(LOG_LEVEL_DEBUG, "nothing was taken: no TCP socket of this "
						   "process has connected or listened");
		return;
	}
	if (unused || failed || is_known(reason))
		level = LOG_LEVEL_INFO;
	if (log_enabled(level)) {
		if (level == LOG_LEVEL_WARN && origin_is_parents())
			level = LOG_LEVEL_INFO;
		report_reason(reason, level);
	}
}

void advice_forked(void)
{
	for (unsigned i = 0; i < ADVICE_REASONS; i++)
		atomic_store(&left[i].count, 0);
}
