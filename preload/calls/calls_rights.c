/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Interposed: the calls by which a program gives up privileges, or looks at other files and
 * networks from then on. The stack that it needs starts before (rights.h). Groups do not matter:
 * what root may, it may without them.
 */
#include <linux/seccomp.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "preload/lifecycle/rights.h"
#include "preload/libc/symbols.h"

/* libc has it without declaring it, for libcap. */
int capset(void *header, const void *data);

static int followed(int result)
{
	rights_after_losing();
	return result;
}

INTERPOSED int setuid(uid_t user)
{
	rights_before_user(user);
	return followed(libc()->setuid(user));
}

INTERPOSED int seteuid(uid_t user)
{
	rights_before_user(user);
	return followed(libc()->seteuid(user));
}

INTERPOSED int setreuid(uid_t real, uid_t effective)
{
	rights_before_user(effective);
	return followed(libc()->setreuid(real, effective));
}

INTERPOSED int setresuid(uid_t real, uid_t effective, uid_t saved)
{
	rights_before_user(effective);
	return followed(libc()->setresuid(real, effective, saved));
}

INTERPOSED int capset(void *header, const void *data)
{
	rights_before_capabilities(header, data);
	return followed(libc()->capset(header, data));
}

INTERPOSED int chroot(const char *path)
{
	rights_before_moving();
	return libc()->chroot(path);
}

INTERPOSED int unshare(int flags)
{
	rights_before_unshare(flags);
	return libc()->unshare(flags);
}

INTERPOSED int setns(int descriptor, int type)
{
	rights_before_setns(type);
	return libc()->setns(descriptor, type);
}

/* False for a probe, which brings no filter, and fails. */
static bool may_filter(unsigned long mode, unsigned long program)
{
	return mode == SECCOMP_MODE_STRICT || (mode == SECCOMP_MODE_FILTER && program);
}

INTERPOSED int prctl(int option, ...)
{
	unsigned long values[4];
	va_list arguments;
	bool prepared;
	int result;

	va_start(arguments, option);
	for (int i = 0; i < 4; i++)
		values[i] = va_arg(arguments, unsigned long);
	va_end(arguments);
	if (option != PR_SET_SECCOMP || !may_filter(values[0], values[1]))
		return libc()->prctl(option, values[0], values[1], values[2], values[3]);
	prepared = rights_before_seccomp(values[0] == SECCOMP_MODE_STRICT);
	result = libc()->prctl(option, values[0], values[1], values[2], values[3]);
	rights_after_seccomp(prepared, result == 0);
	return result;
}
