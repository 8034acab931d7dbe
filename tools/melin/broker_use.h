/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether a broker would lend to this process. Not for starting one (broker_start.h). */
#ifndef MELIN_BROKER_USE_H
#define MELIN_BROKER_USE_H

#include <pwd.h>
#include <stdbool.h>

#include "broker/lender.h"

/*
 * Asks a broker for a tap and lets go of it again. door: as lender_connect() has it. As that
 * returns; or REFUSAL_NAMESPACE: the broker serves another network namespace than this process's.
 * May wait until a service has been started.
 */
enum refusal broker_use(int door);

/* The same for the host's broker, as that user would ask it: in a child that becomes the user. */
bool broker_serves(const struct passwd *user);

/* initgroups(3), setgid(2), setuid(2). False, and errno. */
bool broker_user_become(const struct passwd *user);

#endif
