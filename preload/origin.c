/* SPDX-License-Identifier: BSD-3-Clause */
/* See origin.h. */
#include "origin.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

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
