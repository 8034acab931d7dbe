/* SPDX-License-Identifier: BSD-3-Clause */
/* See ipsec.h. */
#include "broker/ipsec.h"

#include <linux/xfrm.h>

bool ipsec_has_policies(struct netlink *netlink)
{
	const uint32_t unused = 0;
	const struct xfrmu_spdinfo *counts;

	if (netlink->socket < 0)
		return false;
	netlink_begin(netlink, XFRM_MSG_GETSPDINFO, 0, &unused, sizeof(unused));
	if (netlink_ask(netlink) < 0)
		return false;
	counts = netlink_find(netlink, sizeof(unused), XFRMA_SPD_INFO, sizeof(*counts));
	return counts && (counts->incnt || counts->outcnt);
}
