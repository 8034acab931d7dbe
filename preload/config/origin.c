/* SPDX-License-Identifier: BSD-3-Clause */
/* See origin.h. */
#include "preload/config/origin.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "common/system_call.h"

static const char *base_name(const char *path, size_t length)
{
	const char *slash = memrchr(path, '/', length);

	return slash ? slash + 1 : path;
}

bool origin_is_environment(void)
{
	/* Blanks and colons lie between the names: ld.so(8). */
	static const char between[] = " :";
	const char *list = secure_getenv("LD_PRELOAD"), *ours;
	Dl_info info;

	if (!list || !dladdr((void *)origin_is_environment, &info) || !info.dli_fname)
		return false;
	ours = base_name(info.dli_fname, strlen(info.dli_fname));
	for (list += strspn(list, between); *list; list += strspn(list, between)) {
		size_t length = strcspn(list, between);
		const char *name = base_name(list, length);
		size_t name_length = length - (size_t)(name - list);

		if (name_length == strlen(ours) && !memcmp(name, ours, name_length))
			return true;
		list += length;
	}
	return false;
}

/* Whether a file has the text, which is shorter than half of the buffer, in it. */
static bool has_text(int file, const char *text)
{
	const size_t length = strlen(text);
	char buffer[1024];
	size_t kept = 0;
	long got;

	while ((got = kernel_call(SYS_read, file, (long)(buffer + kept),
				  (long)(sizeof(buffer) - kept), 0)) > 0) {
		size_t size = kept + (size_t)got;

		if (memmem(buffer, size, text, length))
			return true;
		kept = size < length ? size : length - 1;
		memmove(buffer, buffer + size - kept, kept);
	}
	return false;
}

bool origin_is_parents(void)
{
	const int saved_errno = errno;
	const pid_t parent = getppid();
	char path[40];
	Dl_info info;
	long maps;
	bool result;

	/* The first process of the system takes over whose parent has ended. */
	if (parent <= 1 || !dladdr((void *)origin_is_parents, &info) || !info.dli_fname)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/maps", (int)parent);
	maps = kernel_call(SYS_openat, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC, 0);
	if (maps < 0) {
		errno = saved_errno;
		return maps == -EACCES || maps == -EPERM;
	}
	result = has_text((int)maps, base_name(info.dli_fname, strlen(info.dli_fname)));
	kernel_call(SYS_close, maps, 0, 0, 0);
	errno = saved_errno;
	return result;
}
