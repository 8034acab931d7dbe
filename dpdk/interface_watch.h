/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What becomes of a Linux interface while a link is on it: it is deleted and made again, moved to
 * another network namespace, renamed, set down and up, or gets another MAC address. Not for taking
 * it (interface.c).
 */
#ifndef MELIN_INTERFACE_WATCH_H
#define MELIN_INTERFACE_WATCH_H

#include "dpdk/link.h"

struct device_link;

/*
 * A descriptor that is readable when any interface of this network namespace has changed
 * (rtnetlink(7), RTMGRP_LINK), or -1: then nothing is noticed. Any thread.
 */
int interface_watch_open(void);

/*
 * Looks at the link's interface if there is such news. The interface's end is said once, and the
 * link is gone; when there is one of that name again, and it is up, it is used again, by packet
 * sockets: a port of DPDK's cannot be made anew while buffers of its pool are out. link->info is
 * new unless all is as it was. With the stack's lock.
 */
enum link_news interface_watch_attend(struct device_link *link);

#endif
