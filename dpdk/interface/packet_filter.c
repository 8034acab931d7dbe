/* SPDX-License-Identifier: BSD-3-Clause */
/* See filter.h. */
#include "dpdk/interface/packet_filter.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/network_order.h"

/* ---- the program ---- */

#define TYPE_OFFSET	 12
#define ARP_TARGET	 38
#define IPV4_DESTINATION 30
#define IPV6_NEXT	 20
#define IPV6_DESTINATION 38
#define ICMPV6_TYPE	 54
#define SOLICITATION	 135
#define SOLICITED	 62
#define MULTICAST_BYTE	 0xff
#define VLAN_ID_MASK	 0x0fff

struct test {
	uint16_t size; /* BPF_W, BPF_H, BPF_B */
	uint32_t offset, value;
};

static void add(struct filter *filter, struct sock_filter instruction)
{
	filter->code[filter->count++] = instruction;
}

/* If all are true the frame is the stack's; else the program goes on behind them. */
static void add_tests(struct filter *filter, const struct test *tests, unsigned count,
		      uint32_t ours)
{
	unsigned i;

	for (i = 0; i < count; i++) {
		uint8_t left = (uint8_t)(2 * (count - i - 1) + 1);

		filter->code[filter->count++] = (struct sock_filter)BPF_STMT(
			BPF_LD | BPF_ABS | tests[i].size, tests[i].offset);
		filter->code[filter->count++] = (struct sock_filter)BPF_JUMP(
			BPF_JMP | BPF_JEQ | BPF_K, tests[i].value, 0, left);
	}
	filter->code[filter->count++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, ours);
}

static void add_ipv4(struct filter *filter, const uint8_t *address, uint32_t ours)
{
	const struct test to_it[] = { { BPF_H, TYPE_OFFSET, ETHERTYPE_IP },
				      { BPF_W, IPV4_DESTINATION, bytes_read32(address) } };
	const struct test asked_for[] = { { BPF_H, TYPE_OFFSET, ETHERTYPE_ARP },
					  { BPF_W, ARP_TARGET, bytes_read32(address) } };

	add_tests(filter, to_it, 2, ours);
	add_tests(filter, asked_for, 2, ours);
}

static void add_ipv6(struct filter *filter, const uint8_t *address, uint32_t ours)
{
	struct test to_it[5] = { { BPF_H, TYPE_OFFSET, ETHERTYPE_IPV6 } };
	struct test asked_for[8] = { { BPF_H, TYPE_OFFSET, ETHERTYPE_IPV6 },
				     { BPF_B, IPV6_NEXT, IPPROTO_ICMPV6 },
				     { BPF_B, IPV6_DESTINATION, MULTICAST_BYTE },
				     { BPF_B, ICMPV6_TYPE, SOLICITATION } };
	unsigned i;

	for (i = 0; i < 4; i++) {
		to_it[1 + i] = (struct test){ BPF_W, IPV6_DESTINATION + 4 * i,
					      bytes_read32(address + 4 * i) };
		asked_for[4 + i] =
			(struct test){ BPF_W, SOLICITED + 4 * i, bytes_read32(address + 4 * i) };
	}
	add_tests(filter, to_it, 5, ours);
	add_tests(filter, asked_for, 8, ours);
}

void filter_build(struct filter *filter, const struct stack_config *config, uint32_t ours,
		  uint32_t others)
{
	unsigned i;

	filter->count = 0;
	/* A tag is beside the frame when this is asked; one of VLAN 0 says a priority alone. */
	add(filter, (struct sock_filter)BPF_STMT(BPF_LD | BPF_ABS | BPF_B,
						 (uint32_t)(SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT)));
	add(filter, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 4, 0));
	add(filter, (struct sock_filter)BPF_STMT(BPF_LD | BPF_ABS | BPF_H,
						 (uint32_t)(SKF_AD_OFF + SKF_AD_VLAN_TAG)));
	add(filter, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, VLAN_ID_MASK));
	add(filter, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0));
	add(filter, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, others));
	for (i = 0; i < config->address_count; i++) {
		const struct ip_address *address = &config->addresses[i];

		if (address->family == AF_INET)
			add_ipv4(filter, address->bytes, ours);
		else
			add_ipv6(filter, address->bytes, ours);
	}
	filter->code[filter->count++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, others);
}

/* ---- at the ingress ---- */

/* Melin's filter is known by its preference and handle, which no other program is likely to use. */
#define PREFERENCE 48597u
#define HANDLE	   1

struct request {
	struct nlmsghdr header;
	struct tcmsg tc;
	char attributes[FILTER_MAX * sizeof(struct sock_filter) + 128];
};

static struct rtattr *add_attribute(struct request *request, unsigned short type, const void *data,
				    size_t size)
{
	struct rtattr *attribute =
		(struct rtattr *)(void *)((char *)request + NLMSG_ALIGN(request->header.nlmsg_len));

	attribute->rta_type = type;
	attribute->rta_len = (unsigned short)RTA_LENGTH(size);
	if (size)
		memcpy(RTA_DATA(attribute), data, size);
	request->header.nlmsg_len =
		(uint32_t)(NLMSG_ALIGN(request->header.nlmsg_len) + RTA_ALIGN(attribute->rta_len));
	return attribute;
}

/* Sends a request and returns the kernel's answer: 0 or a negative errno value. */
static int ask(struct request *request)
{
	const struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
		char rest[256]; /* words about it */
	} answer;
	int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), error = 0;

	if (netlink < 0)
		return -errno;
	request->header.nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	if (sendto(netlink, request, request->header.nlmsg_len, 0, (const struct sockaddr *)&kernel,
		   sizeof(kernel)) < 0 ||
	    recv(netlink, &answer, sizeof(answer), 0) < (ssize_t)sizeof(answer.header))
		error = -errno;
	else if (answer.header.nlmsg_type == NLMSG_ERROR)
		error = answer.error.error;
	close(netlink);
	return error;
}

static void prepare(struct request *request, unsigned short type, unsigned short flags, int ifindex)
{
	memset(request, 0, sizeof(*request));
	request->header.nlmsg_len = NLMSG_LENGTH(sizeof(request->tc));
	request->header.nlmsg_type = type;
	request->header.nlmsg_flags = flags;
	request->tc.tcm_family = AF_UNSPEC;
	request->tc.tcm_ifindex = ifindex;
}

static int add_clsact(int ifindex)
{
	struct request request;
	int error;

	prepare(&request, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, ifindex);
	request.tc.tcm_parent = TC_H_CLSACT;
	request.tc.tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0);
	add_attribute(&request, TCA_KIND, "clsact", sizeof("clsact"));
	error = ask(&request);
	return error == -EEXIST ? 0 : error;
}

static void prepare_filter(struct request *request, unsigned short type, unsigned short flags,
			   int ifindex)
{
	prepare(request, type, flags, ifindex);
	request->tc.tcm_parent = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS);
	request->tc.tcm_info = TC_H_MAKE(PREFERENCE << 16, htons(ETH_P_ALL));
	add_attribute(request, TCA_KIND, "bpf", sizeof("bpf"));
}

int filter_ingress_add(int ifindex, const struct stack_config *config)
{
	const uint32_t flags = TCA_BPF_FLAG_ACT_DIRECT;
	struct request request;
	struct rtattr *options;
	struct filter filter;
	int error = add_clsact(ifindex);

	if (error)
		return error;
	filter_build(&filter, config, TC_ACT_SHOT, (uint32_t)TC_ACT_UNSPEC);
	prepare_filter(&request, RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, ifindex);
	request.tc.tcm_handle = HANDLE;
	options = add_attribute(&request, TCA_OPTIONS, NULL, 0);
	add_attribute(&request, TCA_BPF_OPS_LEN, &filter.count, sizeof(filter.count));
	add_attribute(&request, TCA_BPF_OPS, filter.code, filter.count * sizeof(filter.code[0]));
	add_attribute(&request, TCA_BPF_FLAGS, &flags, sizeof(flags));
	options->rta_len =
		(unsigned short)((char *)&request + request.header.nlmsg_len - (char *)options);
	return ask(&request);
}

void filter_ingress_remove(int ifindex)
{
	struct request request;

	prepare_filter(&request, RTM_DELTFILTER, 0, ifindex);
	ask(&request);
}
