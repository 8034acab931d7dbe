/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dpdk/link.h without any device: for tests that stay within the process (device "loop").
 */
#include <errno.h>
#include <stdio.h>

#include "dpdk/link.h"

int link_check(const struct stack_config *config, char *why, size_t why_size)
{
	(void)config;
	snprintf(why, why_size, "this test has no device");
	return -ENODEV;
}

int link_open(const struct link_config *config, struct link **link, struct link_info *info,
	      char *why, size_t why_size)
{
	(void)config;
	(void)link;
	(void)info;
	snprintf(why, why_size, "this test has no device");
	return -ENODEV;
}
