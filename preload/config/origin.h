/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * By whose wish this library is in the process. Not for what it is to do there (config.h).
 */
#ifndef MELIN_ORIGIN_H
#define MELIN_ORIGIN_H

#include <stdbool.h>

/*
 * Whether LD_PRELOAD names this library, by path or by file name: then whoever started the program
 * meant it for this one. Otherwise it is /etc/ld.so.preload that loads it, into every program of
 * the machine, or the program is linked with it; see ld.so(8). For the constructor: programs change
 * their environment later.
 */
bool origin_is_environment(void);

/*
 * Whether the parent of this process has the library as well: then this is a helper of a program
 * under melin, and not what somebody has started with it. A parent that may not be looked at counts
 * as one that has. Any thread; errno stays.
 */
bool origin_is_parents(void);

#endif
