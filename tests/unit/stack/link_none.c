/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dpdk/link.h without any device: for tests that stay within the process (device "loop").
 */
#include <errno.h>
#include <stdio.h>

#include "dpdk/link.h"

int link_open(const struct link_config *config, struct link **link, struct link_info *info,
	      char *why, size_t why_size)
{
	(void)config;
	(void)link;
	(void)info;
	snprintf(why, why_size, "this test has no device");
	return -ENODEV;
}

void link_close(struct link *link)
{
	(void)link;
}

void link_abandon(struct link *link)
{
	(void)link;
}

unsigned link_receive(struct link *link, struct pbuf **frames, unsigned max)
{
	(void)link;
	(void)frames;
	(void)max;
	return 0;
}

int link_transmit(struct link *link, struct pbuf *frame)
{
	(void)link;
	(void)frame;
	return -ENOBUFS;
}

unsigned link_flush(struct link *link)
{
	(void)link;
	return 0;
}

void link_counters(struct link *link, struct link_counters *counters)
{
	(void)link;
	(void)counters;
}
