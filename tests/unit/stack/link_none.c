/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dpdk/link.h without any device: for tests that stay within the process (device "loop").
 */
#include <errno.h>
#include <stdio.h>

#include "dpdk/link.h"

int link_check(const struct stack_config *config, struct reason *reason)
{
	(void)config;
	return reason_set(reason, -ENODEV, "this test has no device");
}

int link_open(const struct link_config *config, struct link **link, struct link_info *info,
	      struct reason *reason)
{
	(void)config;
	(void)link;
	(void)info;
	return reason_set(reason, -ENODEV, "this test has no device");
}
