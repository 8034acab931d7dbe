/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Flow rules: which TCP flows melin takes (MELIN_FLOWS). Text to a list, and a flow's address and
 * port to a verdict. Not for what is then done with the flow, and not for reading the environment
 * (config.h).
 *
 *     LIST  RULE[,RULE...]             the first rule that matches decides
 *     RULE  [!]VERB:ADDRESS:PORTS      ! leaves the flow with libc
 *     VERB  connect | listen | any     the remote end, the local end, either
 *     ADDRESS  * | IPv4[/N] | [IPv6[/N]]    in square brackets; host bits are masked off
 *     PORTS  * | N | N-M               1..65535
 *
 * Blanks around a rule are ignored; an empty rule (as behind a trailing comma) is a mistake.
 */
#ifndef MELIN_RULES_H
#define MELIN_RULES_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/ip_address.h"
#include "common/reason.h"

/* Bits, so that RULE_ANY matches both. */
enum rule_verb {
	RULE_CONNECT = 1,
	RULE_LISTEN = 2,
	RULE_ANY = 3,
};

struct rule {
	uint8_t verb;		  /* enum rule_verb */
	bool not ;		  /* matching flows stay with libc */
	bool loopback;		  /* the prefix names loopback: only then loopback matches */
	struct ip_address prefix; /* family 0: any address; host bits are zero */
	uint32_t word, word_mask; /* the prefix's first four bytes, to reject most flows at once */
	uint16_t port_first, port_last;
};

struct rule_list {
	struct rule *rules; /* malloc()ed; NULL when there are none */
	size_t count;
};

enum rule_verdict {
	RULE_NONE,  /* no rule matches: libc */
	RULE_TAKE,  /* melin */
	RULE_LEAVE, /* a rule with ! matches: libc */
};

/*
 * Parses a whole list. 0; -EINVAL and a reason that names the rule by number and text;
 * -ENOMEM. *list is empty after a failure. Text of blanks alone is an empty list.
 */
int rules_parse(const char *text, struct rule_list *list, struct reason *reason);

void rules_free(struct rule_list *list);

/*
 * The first matching rule's verdict. verb is RULE_CONNECT or RULE_LISTEN; address is never
 * IPv4-mapped (address_from_sockaddr() sees to that); port in host order. A loopback address
 * matches only rules that name loopback (127.0.0.0/8 or a part of it, ::1). No allocation.
 */
enum rule_verdict rules_match(const struct rule_list *list, enum rule_verb verb,
			      const struct ip_address *address, uint16_t port);

/*
 * The verdict for a listener bound to local. For a wildcard address each address that it stands
 * for is asked about: the stack's own ones (own, of the listener's family; IPv4 ones too for an
 * AF_INET6 socket that is not v6only), the loopback address, and the wildcard itself when the
 * stack has no address that fits. RULE_TAKE if melin takes any of them.
 */
enum rule_verdict rules_match_listener(const struct rule_list *list, const struct ip_address *local,
				       uint16_t port, bool v6only, const struct ip_address *own,
				       size_t own_count);

/*
 * Whether a connection that a listener bound to local accepts may be one that is taken. For a
 * wildcard address: at whichever address of the host's, but for loopback.
 */
bool rules_may_take_listener(const struct rule_list *list, const struct ip_address *local,
			     uint16_t port);

/* Whether a rule takes any flow that connect(2) makes. */
bool rules_take_some_connect(const struct rule_list *list);

/* Whether socket(2) with these arguments makes a socket whose flow might be the stack's. */
static inline bool socket_candidate(int domain, int type, int protocol)
{
	return (domain == AF_INET || domain == AF_INET6) &&
	       (type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC)) == SOCK_STREAM &&
	       (protocol == 0 || protocol == IPPROTO_TCP);
}
/* The same of a socket that is there: its domain; 0: it is none of these. */
int socket_candidate_domain(int descriptor);

#endif
