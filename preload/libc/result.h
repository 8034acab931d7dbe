/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From our convention (0, count or -errno) to libc's (-1 and errno).
 */
#ifndef MELIN_RESULT_H
#define MELIN_RESULT_H

#include <errno.h>
#include <sys/types.h>

static inline ssize_t as_libc(ssize_t result)
{
	if (result >= 0)
		return result;
	errno = result == -ERESTART ? EINTR : (int)-result; /* whoever could has begun anew */
	return -1;
}

#endif
