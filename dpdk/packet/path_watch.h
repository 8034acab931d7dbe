/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What becomes of the paths that frames take through the machine (rtnetlink(7)): interfaces go or
 * change, addresses are removed, routes and rules change, a neighbour has another MAC address. Says
 * so by link_config.path_changed; whom it concerns is the stack's to know. Not for a link that is
 * on one interface: interface_watch.h.
 */
#ifndef MELIN_PATH_WATCH_H
#define MELIN_PATH_WATCH_H

struct link_config;
struct path_watch;

/*
 * For the calling thread's network namespace. *descriptor is readable when there is news, and is
 * the caller's to close; -1 if it cannot be had: then nothing is noticed. NULL: no memory.
 */
struct path_watch *path_watch_open(int *descriptor);
/* Nothing happens for NULL. */
void path_watch_close(struct path_watch *watch);

/* Says what is new. With the stack's lock. */
void path_watch_attend(struct path_watch *watch, const struct link_config *config);

#endif
