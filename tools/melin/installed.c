/* SPDX-License-Identifier: BSD-3-Clause */
/* See installed.h. BINDIR, LIBDIR and SYSCONFDIR are what configure was told (local.mk). */
#include "tools/melin/installed.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The folder that this program lies in. */
static bool own_folder(char folder[PATH_MAX])
{
	const ssize_t length = readlink("/proc/self/exe", folder, PATH_MAX - 1);
	char *slash;

	if (length <= 0)
		return false;
	folder[length] = '\0';
	slash = strrchr(folder, '/');
	if (!slash)
		return false;
	*slash = '\0';
	return true;
}

/* A path that does not fit is not there. */
static bool is_there(const char *before, const char *name, char path[PATH_MAX])
{
	return snprintf(path, PATH_MAX, "%s%s", before, name) < PATH_MAX && access(path, F_OK) == 0;
}

/*
 * In the build folder under build_name; or installed_name, an absolute path, in front of which
 * stands what stands in front of BINDIR: a staging folder, or nothing.
 */
static bool find(const char *build_name, const char *installed_name, char path[PATH_MAX])
{
	char folder[PATH_MAX];
	size_t length, tail = strlen(BINDIR);

	if (own_folder(folder)) {
		if (is_there(folder, build_name, path))
			return true;
		length = strlen(folder);
		if (length > tail && strcmp(folder + length - tail, BINDIR) == 0) {
			folder[length - tail] = '\0';
			if (is_there(folder, installed_name, path))
				return true;
		}
	}
	return is_there("", installed_name, path);
}

bool installed_library(char path[PATH_MAX])
{
	return find("/.libs/libmelin.so", LIBDIR "/libmelin.so", path);
}

bool installed_beside_stack(const char *name, char path[PATH_MAX])
{
	char build_name[NAME_MAX], installed_name[PATH_MAX];

	snprintf(build_name, sizeof(build_name), "/%s", name);
	snprintf(installed_name, sizeof(installed_name), LIBDIR "/melin/%s", name);
	return find(build_name, installed_name, path);
}

void installed_profiles(char path[PATH_MAX])
{
	find("/profiles", SYSCONFDIR "/melin", path);
}
