/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What becomes of the paths that frames take through the machine (rtnetlink(7)): interfaces go or
 * change, addresses are removed, routes and rules change, a neighbour has another MAC address. Says
 * so by link_config.path_changed; whom it concerns is the stack's to know. Not for a link that is
 * on one interface: interface_watch.h.
 */
#ifndef MELIN_PATH_WATCH_H
#define MELIN_PATH_WATCH_H

#include <stdbool.h>

struct link_config;
struct path_watch;
struct sockaddr;

/*
 * For the calling thread's network namespace. *descriptor is readable when there is news, and is
 * the caller's to close; -1 if it cannot be had: then nothing is noticed. NULL: no memory.
 */
struct path_watch *path_watch_open(int *descriptor);
/* Nothing happens for NULL. */
void path_watch_close(struct path_watch *watch);

/* As link_operations.has_way. Any thread. */
bool path_exists(const struct sockaddr *local, const struct sockaddr *remote);

/* Says what is new. With the stack's lock. */
void path_watch_attend(struct path_watch *watch, const struct link_config *config);
/*
 * The same for the firewall: stack_config.rules. What its messages say does not matter. False: the
 * socket's other end has gone, and it would be readable for ever.
 */
bool path_watch_rules(int rules, const struct link_config *config);

#endif
