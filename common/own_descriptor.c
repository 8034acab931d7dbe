/* SPDX-License-Identifier: BSD-3-Clause */
/* See own_descriptor.h. */
#include "common/own_descriptor.h"

#include <fcntl.h>
#include <sys/resource.h>

#include "common/system_call.h"

static void (*teller)(int descriptor, bool is_open); /* set before there is a second thread */

void own_descriptors_tell(void (*told)(int descriptor, bool is_open))
{
	teller = told;
}

int own_descriptors_end(void)
{
	struct rlimit limit = { 1024, 1024 };

	/*
	 * The kernel is asked itself: getrlimit(3) is interposed by libmelin.so, which tells the
	 * program's limit.
	 */
	kernel_call(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, (long)&limit);
	return limit.rlim_cur < KERNEL_HIDE_LIMIT ? (int)limit.rlim_cur : KERNEL_HIDE_LIMIT;
}

int own_descriptors_begin(void)
{
	const int end = own_descriptors_end();

	return end > KERNEL_HIDDEN_NUMBERS ? end - KERNEL_HIDDEN_NUMBERS : end / 2;
}

void own_descriptor_here(int descriptor)
{
	if (teller)
		teller(descriptor, true);
}

int own_descriptor(int descriptor)
{
	long high;

	if (descriptor < 0)
		return descriptor;
	high = kernel_call(SYS_fcntl, descriptor, F_DUPFD_CLOEXEC, own_descriptors_begin(), 0);
	if (high >= 0) {
		kernel_close(descriptor);
		descriptor = (int)high;
	}
	own_descriptor_here(descriptor);
	return descriptor;
}

void own_descriptor_close(int descriptor)
{
	if (descriptor < 0)
		return;
	/* Once the kernel has the number back, it can be anybody's. */
	if (teller)
		teller(descriptor, false);
	kernel_close(descriptor);
}
