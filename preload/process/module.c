/* SPDX-License-Identifier: BSD-3-Clause */
/* See module.h. */
#include "preload/process/module.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char directory[PATH_MAX];

/*
 * Opens it where it is installed (melin/melin-stack.so beside libmelin.so) or lies in the build
 * tree (beside it); NULL and why.
 */
static void *open_beside(const char *library, size_t length, char *why, size_t why_size)
{
	static const char *const places[] = { "/melin", "" };
	char path[PATH_MAX];
	void *module;

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(directory, sizeof(directory), "%.*s%s", (int)length, library, places[i]);
		if (snprintf(path, sizeof(path), "%s/melin-stack.so", directory) >=
			    (int)sizeof(path) ||
		    access(path, F_OK) < 0)
			continue;
		module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
		if (!module)
			snprintf(why, why_size, "cannot load %s: %s", path, dlerror());
		return module;
	}
	snprintf(why, why_size, "no melin-stack.so beside %s: is melin installed whole?", library);
	return NULL;
}

const struct stack_operations *module_load(char *why, size_t why_size)
{
	static const struct stack_operations *loaded;
	const struct stack_operations *operations;
	Dl_info info;
	void *module;
	char *slash;

	if (loaded)
		return loaded;
	if (!dladdr((void *)module_load, &info) || !info.dli_fname ||
	    !(slash = strrchr(info.dli_fname, '/'))) {
		snprintf(why, why_size, "cannot tell where libmelin.so lies");
		return NULL;
	}
	module = open_beside(info.dli_fname, (size_t)(slash - info.dli_fname), why, why_size);
	if (!module)
		return NULL;
	operations = dlsym(module, "melin_stack_operations");
	if (!operations || operations->abi != STACK_ABI ||
	    operations->size != sizeof(*operations)) {
		snprintf(why, why_size, "%s/melin-stack.so is of another version than %s",
			 directory, info.dli_fname);
		return NULL;
	}
	loaded = operations;
	return loaded;
}

const char *module_directory(void)
{
	return directory;
}
