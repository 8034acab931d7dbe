/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Questions to the kernel by netlink(7): one message out, one back; and sockets that its news come
 * by. Not for dumps. No errno, no cancellation point; a socket must not be used by two threads at
 * once.
 */
#ifndef MELIN_NETLINK_CALL_H
#define MELIN_NETLINK_CALL_H

#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * All requests of ours fit, of which the longest brings a filter for frames, and all answers, whose
 * longest is that about an interface.
 */
#define NETLINK_REQUEST 2560
#define NETLINK_ANSWER	8192

struct netlink {
	int socket; /* -1: there is none */
	uint32_t sequence;
	union {
		struct nlmsghdr header;
		char bytes[NETLINK_REQUEST];
	} request;
	union {
		struct nlmsghdr header;
		char bytes[NETLINK_ANSWER];
	} answer;
};

/* protocol: NETLINK_ROUTE and so on. 0 or a negative errno value. */
int netlink_open(struct netlink *netlink, int protocol);
void netlink_close(struct netlink *netlink);

/*
 * Another socket, which what the kernel tells these groups comes by: bits, the lowest of which is
 * the group of number 1. It does not block. The caller's, for own_descriptor_close(); or a negative
 * errno value.
 */
int netlink_subscribe(int protocol, uint32_t groups);
#define NETLINK_GROUP(number) (1u << ((number)-1))

/*
 * Reads away all that has come by such a socket, or by another one that rings for it. *heard
 * becomes true if there was anything, or if the kernel had no room for it. Returns why there is no
 * more: -EAGAIN, 0 (whoever rings has gone), or another negative errno value.
 */
int netlink_hear(int socket, bool *heard);

/* Begins a request with the header of its type, of the size given. */
void netlink_begin(struct netlink *netlink, uint16_t type, uint16_t flags, const void *header,
		   size_t size);
void netlink_add(struct netlink *netlink, uint16_t type, const void *data, size_t size);

/* Attributes that follow are inside of this one, until netlink_leave() with what this returns. */
struct nlattr *netlink_enter(struct netlink *netlink, uint16_t type);
void netlink_leave(struct netlink *netlink, struct nlattr *nest);

/* 0: the answer is there (none of its own: the acknowledgement, NLM_F_ACK); or its errno value. */
int netlink_ask(struct netlink *netlink);

/* The header of the answer's type. */
static inline void *netlink_header(struct netlink *netlink)
{
	return netlink->answer.bytes + NLMSG_HDRLEN;
}

/*
 * The data of a message's attribute, behind a header of the size given, if it has at least size
 * bytes, or NULL. The message's own length must be true.
 */
const void *netlink_attribute(const struct nlmsghdr *message, size_t header, uint16_t type,
			      size_t size);

/* The same of the answer. */
static inline const void *netlink_find(const struct netlink *netlink, size_t header, uint16_t type,
				       size_t size)
{
	return netlink_attribute(&netlink->answer.header, header, type, size);
}

#endif
