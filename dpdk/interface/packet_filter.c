/* SPDX-License-Identifier: BSD-3-Clause */
/* See packet_filter.h. */
#include "dpdk/interface/packet_filter.h"

#include <errno.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "common/netlink_call.h"
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
	for (unsigned i = 0; i < count; i++) {
		const uint8_t left = (uint8_t)(2 * (count - i - 1) + 1);

		add(filter, (struct sock_filter)BPF_STMT(BPF_LD | BPF_ABS | tests[i].size,
							 tests[i].offset));
		add(filter, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, tests[i].value,
							 0, left));
	}
	add(filter, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, ours));
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
	add(filter, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, others));
}

/* ---- at the ingress ---- */

/* Melin's filter is known by its preference and handle, which no other program is likely to use. */
#define PREFERENCE 48597u
#define HANDLE	   1

/*
 * Not on the stack, which may be small where a program ends, nor allocated, which leave() must not
 * (link.h). One thread uses it at a time: the process has one link to an interface.
 */
static struct netlink netlink;

static void begin(uint16_t type, uint16_t flags, const struct tcmsg *what, const char *kind)
{
	netlink_begin(&netlink, type, flags | NLM_F_ACK, what, sizeof(*what));
	netlink_add(&netlink, TCA_KIND, kind, strlen(kind) + 1);
}

static int add_clsact(int ifindex)
{
	const struct tcmsg what = { .tcm_family = AF_UNSPEC,
				    .tcm_ifindex = ifindex,
				    .tcm_parent = TC_H_CLSACT,
				    .tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0) };
	int error;

	begin(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, &what, "clsact");
	error = netlink_ask(&netlink);
	return error == -EEXIST ? 0 : error;
}

static void begin_filter(uint16_t type, uint16_t flags, int ifindex, uint32_t handle)
{
	const struct tcmsg what = { .tcm_family = AF_UNSPEC,
				    .tcm_ifindex = ifindex,
				    .tcm_parent = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS),
				    .tcm_handle = handle,
				    .tcm_info = TC_H_MAKE(PREFERENCE << 16, htons(ETH_P_ALL)) };

	begin(type, flags, &what, "bpf");
}

static int add_filter(int ifindex, const struct filter *filter)
{
	const uint32_t flags = TCA_BPF_FLAG_ACT_DIRECT;
	struct nlattr *options;

	begin_filter(RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, ifindex, HANDLE);
	options = netlink_enter(&netlink, TCA_OPTIONS);
	netlink_add(&netlink, TCA_BPF_OPS_LEN, &filter->count, sizeof(filter->count));
	netlink_add(&netlink, TCA_BPF_OPS, filter->code, filter->count * sizeof(filter->code[0]));
	netlink_add(&netlink, TCA_BPF_FLAGS, &flags, sizeof(flags));
	netlink_leave(&netlink, options);
	return netlink_ask(&netlink);
}

int filter_ingress_add(int ifindex, const struct stack_config *config)
{
	struct filter filter;
	int error = netlink_open(&netlink, NETLINK_ROUTE);

	filter_build(&filter, config, TC_ACT_SHOT, (uint32_t)TC_ACT_UNSPEC);
	error = error ?: add_clsact(ifindex);
	error = error ?: add_filter(ifindex, &filter);
	netlink_close(&netlink);
	return error;
}

void filter_ingress_remove(int ifindex)
{
	if (netlink_open(&netlink, NETLINK_ROUTE) < 0)
		return;
	begin_filter(RTM_DELTFILTER, 0, ifindex, 0);
	netlink_ask(&netlink);
	netlink_close(&netlink);
}
