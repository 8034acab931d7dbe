/* SPDX-License-Identifier: BSD-3-Clause */
/* See module.h. */
#include "preload/process/module.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char directory[PATH_MAX];

/*
 * Opens the module: melin/melin-stack.so beside libmelin.so, as they are installed, or
 * melin-stack.so beside it, as they lie in the build folder.
 */
static int open_beside(const char *library, size_t length, void **module, struct reason *reason)
{
	static const char *const places[] = { "/melin", "" };
	char path[PATH_MAX];

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(directory, sizeof(directory), "%.*s%s", (int)length, library, places[i]);
		if (snprintf(path, sizeof(path), "%s/melin-stack.so", directory) >=
			    (int)sizeof(path) ||
		    access(path, F_OK) < 0)
			continue;
		*module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
		if (!*module)
			return reason_set(reason, -ELIBACC, "cannot load %s: %s", path, dlerror());
		return 0;
	}
	return reason_set(reason, -ELIBACC,
			  "no melin-stack.so beside %s: is melin installed whole?", library);
}

int module_load(const struct stack_operations **result, struct reason *reason)
{
	static const struct stack_operations *loaded;
	const struct stack_operations *operations;
	Dl_info info;
	void *module = NULL;
	char *slash;
	int error;

	*result = loaded;
	if (loaded)
		return 0;
	if (!dladdr((void *)module_load, &info) || !info.dli_fname ||
	    !(slash = strrchr(info.dli_fname, '/')))
		return reason_set(reason, -ELIBACC, "cannot tell where libmelin.so lies");
	error = open_beside(info.dli_fname, (size_t)(slash - info.dli_fname), &module, reason);
	if (error)
		return error;
	operations = dlsym(module, "melin_stack_operations");
	if (!operations || operations->abi != STACK_ABI || operations->size != sizeof(*operations))
		return reason_set(reason, -ELIBACC,
				  "%s/melin-stack.so is of another version than %s", directory,
				  info.dli_fname);
	*result = loaded = operations;
	return 0;
}

bool module_path(const char *name, char path[PATH_MAX])
{
	Dl_info info;
	const char *slash;

	if (!dladdr((void *)module_load, &info) || !info.dli_fname ||
	    !(slash = strrchr(info.dli_fname, '/')))
		return false;
	return snprintf(path, PATH_MAX, "%.*s/%s", (int)(slash - info.dli_fname), info.dli_fname,
			name) < PATH_MAX &&
	       access(path, F_OK) == 0;
}

const char *module_directory(void)
{
	return directory;
}
