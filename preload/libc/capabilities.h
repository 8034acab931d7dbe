/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A thread's capabilities (capabilities(7)), as far as a start of the stack takes some. Not for
 * when it starts (rights.h).
 */
#ifndef MELIN_CAPABILITIES_H
#define MELIN_CAPABILITIES_H

#include <stdbool.h>

/*
 * Whether capset(2) with these arguments, which need not be valid, would take some of them from the
 * calling thread.
 */
bool capabilities_shrink(const void *header, const void *data);

/* Whether the calling thread may borrow connections: CAP_NET_ADMIN and CAP_NET_RAW. */
bool capabilities_may_lend(void);

/*
 * Whether the calling thread may have its system calls filtered (seccomp(2), EACCES): by
 * CAP_SYS_ADMIN, or because it cannot have new privileges (PR_SET_NO_NEW_PRIVS).
 */
bool capabilities_may_filter(void);

/*
 * For a thread of melin's that is to take the device later, whatever the program gives up meanwhile
 * (pending.c, keeper.c). The first is called on it once, at its beginning: other root folders and
 * users of the program do not concern it from then on. The second before each try: it has what
 * a device needs, and nothing else that the program may not have any more.
 */
void capabilities_keep(void);
void capabilities_use(void);
/* Whether the calling thread has more than the program's first one. */
bool capabilities_exceed_programs(void);

#endif
