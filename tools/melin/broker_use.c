/* SPDX-License-Identifier: BSD-3-Clause */
/* See broker_use.h. */
#include "tools/melin/broker_use.h"

#include <grp.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/client.h"
#include "common/system_call.h"

/* Linux 5.14; older headers do not know it. */
/* 0: not known. */
static uint64_t namespace_of(int descriptor)
{
	uint64_t cookie = 0;

	if (kernel_get_option(descriptor, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, sizeof(cookie)) < 0)
		return 0;
	return cookie;
}

static bool is_of_another(int tap)
{
	const int here = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	const bool other = here >= 0 && namespace_of(here) != namespace_of(tap);

	kernel_close(here);
	return other;
}

enum refusal broker_use(int door)
{
	struct lender *lender;
	enum refusal refusal = lender_connect(door, &lender);

	if (refusal != REFUSAL_NONE)
		return refusal;
	if (is_of_another(lender_tap(lender)))
		refusal = REFUSAL_NAMESPACE;
	lender_close(lender);
	return refusal;
}

bool broker_user_become(const struct passwd *user)
{
	return initgroups(user->pw_name, user->pw_gid) == 0 && setgid(user->pw_gid) == 0 &&
	       setuid(user->pw_uid) == 0;
}

bool broker_serves(const struct passwd *user)
{
	int status = -1;
	pid_t child = fork();

	if (child == 0)
		_exit(!broker_user_become(user) || broker_use(-1) != REFUSAL_NONE);
	return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}
