/* SPDX-License-Identifier: BSD-3-Clause */
/* See netlink_call.h. */
#include "common/netlink_call.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "common/own_descriptor.h"
#include "common/system_call.h"

static int open_socket(int flags, int protocol)
{
	return own_descriptor((int)kernel_call(SYS_socket, AF_NETLINK,
					       SOCK_RAW | SOCK_CLOEXEC | flags, protocol, 0));
}

int netlink_open(struct netlink *netlink, int protocol)
{
	netlink->sequence = 0;
	netlink->socket = open_socket(0, protocol);
	return netlink->socket < 0 ? netlink->socket : 0;
}

void netlink_close(struct netlink *netlink)
{
	own_descriptor_close(netlink->socket);
	netlink->socket = -1;
}

int netlink_subscribe(int protocol, uint32_t groups)
{
	const struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = groups };
	int descriptor = open_socket(SOCK_NONBLOCK, protocol);
	int error = (int)kernel_call(SYS_bind, descriptor, (long)&address, sizeof(address), 0);

	if (descriptor < 0 || error == 0)
		return descriptor;
	own_descriptor_close(descriptor);
	return error;
}

int netlink_hear(int socket, bool *heard)
{
	uint8_t byte;
	long size;

	do {
		size = kernel_call5(SYS_recvfrom, socket, (long)&byte, sizeof(byte), MSG_DONTWAIT,
				    0);
		*heard = *heard || size > 0 || size == -ENOBUFS;
	} while (size > 0 || size == -ENOBUFS || size == -EINTR);
	return (int)size;
}

void netlink_begin(struct netlink *netlink, uint16_t type, uint16_t flags, const void *header,
		   size_t size)
{
	struct nlmsghdr *message = &netlink->request.header;

	memset(message, 0, sizeof(*message));
	message->nlmsg_len = (uint32_t)NLMSG_LENGTH(size);
	message->nlmsg_type = type;
	message->nlmsg_flags = NLM_F_REQUEST | flags;
	message->nlmsg_seq = ++netlink->sequence;
	memcpy(NLMSG_DATA(message), header, size);
}

void netlink_add(struct netlink *netlink, uint16_t type, const void *data, size_t size)
{
	struct nlmsghdr *message = &netlink->request.header;
	struct nlattr *attribute =
		(void *)(netlink->request.bytes + NLMSG_ALIGN(message->nlmsg_len));

	attribute->nla_type = type;
	attribute->nla_len = (uint16_t)(NLA_HDRLEN + size);
	if (size)
		memcpy((char *)attribute + NLA_HDRLEN, data, size);
	message->nlmsg_len =
		NLMSG_ALIGN(message->nlmsg_len) + (uint32_t)NLA_ALIGN(attribute->nla_len);
}

struct nlattr *netlink_enter(struct netlink *netlink, uint16_t type)
{
	const uint32_t at = NLMSG_ALIGN(netlink->request.header.nlmsg_len);

	netlink_add(netlink, type | NLA_F_NESTED, NULL, 0);
	return (void *)(netlink->request.bytes + at);
}

void netlink_leave(struct netlink *netlink, struct nlattr *nest)
{
	nest->nla_len = (uint16_t)(netlink->request.bytes + netlink->request.header.nlmsg_len -
				   (char *)nest);
}

/* A later answer to an earlier question, whose reading has failed, is not taken for this one's. */
static int receive(struct netlink *netlink)
{
	const struct nlmsghdr *answer = &netlink->answer.header;
	long size;

	do {
		size = kernel_call5(SYS_recvfrom, netlink->socket, (long)netlink->answer.bytes,
				    sizeof(netlink->answer), MSG_DONTWAIT, 0);
	} while (size == -EINTR ||
		 (size >= (long)sizeof(*answer) && answer->nlmsg_seq != netlink->sequence));
	if (size < (long)sizeof(*answer))
		return size < 0 ? (int)size : -EIO;
	if (answer->nlmsg_len > (size_t)size)
		return -EMSGSIZE;
	if (answer->nlmsg_type == NLMSG_ERROR)
		return ((const struct nlmsgerr *)netlink_header(netlink))->error;
	return 0;
}

/* The kernel answers before sending returns. */
int netlink_ask(struct netlink *netlink)
{
	const struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	struct iovec part = { .iov_base = netlink->request.bytes,
			      .iov_len = netlink->request.header.nlmsg_len };
	const struct msghdr message = { .msg_name = (void *)(uintptr_t)&kernel,
					.msg_namelen = sizeof(kernel),
					.msg_iov = &part,
					.msg_iovlen = 1 };
	long sent;

	if (netlink->socket < 0)
		return -EPROTONOSUPPORT;
	sent = kernel_call(SYS_sendmsg, netlink->socket, (long)&message, 0, 0);
	return sent < 0 ? (int)sent : receive(netlink);
}

const void *netlink_attribute(const struct nlmsghdr *message, size_t header, uint16_t type,
			      size_t size)
{
	const char *at = (const char *)message + NLMSG_HDRLEN + NLMSG_ALIGN(header);
	const char *end = (const char *)message + message->nlmsg_len;

	while (end - at >= NLA_HDRLEN) {
		const struct nlattr *attribute = (const void *)at;

		if (attribute->nla_len < NLA_HDRLEN || attribute->nla_len > end - at)
			return NULL;
		if ((attribute->nla_type & NLA_TYPE_MASK) == type)
			return attribute->nla_len >= NLA_HDRLEN + size ? at + NLA_HDRLEN : NULL;
		at += NLA_ALIGN(attribute->nla_len);
	}
	return NULL;
}
