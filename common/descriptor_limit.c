/* SPDX-License-Identifier: BSD-3-Clause */
/* See descriptor_limit.h. */
#include "common/descriptor_limit.h"

#include "common/own_descriptor.h"
#include "common/system_call.h"

static bool set(rlim_t soft, rlim_t hard)
{
	const struct rlimit limit = { .rlim_cur = soft, .rlim_max = hard };

	return kernel_call(SYS_prlimit64, 0, RLIMIT_NOFILE, (long)&limit, 0) == 0;
}

bool descriptor_limit_raise(struct rlimit *program)
{
	rlim_t wanted;

	if (kernel_call(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, (long)program) < 0)
		return false;
	wanted = program->rlim_cur + KERNEL_HIDDEN_NUMBERS;
	if (program->rlim_cur > KERNEL_HIDE_LIMIT - KERNEL_HIDDEN_NUMBERS)
		return false;
	if (set(wanted, wanted > program->rlim_max ? wanted : program->rlim_max))
		return true;
	return program->rlim_max > program->rlim_cur && set(program->rlim_max, program->rlim_max);
}

void descriptor_limit_restore(const struct rlimit *program)
{
	set(program->rlim_cur, program->rlim_max);
}
