/* SPDX-License-Identifier: BSD-3-Clause */
/* See log_file.h. By system calls of melin's own, as all of the log. */
#include "preload/config/log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/descriptor_limit.h"
#include "common/own_descriptor.h"
#include "common/system_call.h"

/* 0, or why this file is none to append to. */
static int check(int file)
{
	struct stat status;
	long error = kernel_call(SYS_fstat, file, (long)&status, 0, 0);

	if (error < 0)
		return (int)error;
	if (S_ISBLK(status.st_mode))
		return -EPERM;
	if (S_ISREG(status.st_mode) && status.st_nlink > 1 && status.st_uid != 0 &&
	    status.st_uid != geteuid())
		return -EMLINK;
	return 0;
}

int log_file_open(const char *path)
{
	const long flags =
		O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK;
	int file = (int)kernel_call(SYS_openat, AT_FDCWD, (long)path, flags, 0644);
	struct rlimit program;
	bool raised;
	int error;

	if (file < 0)
		return file;
	error = check(file);
	if (error) {
		kernel_call(SYS_close, file, 0, 0, 0);
		return error;
	}
	raised = descriptor_limit_raise(&program);
	file = own_descriptor(file);
	if (raised)
		descriptor_limit_restore(&program);
	return file;
}
