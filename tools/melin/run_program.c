/* SPDX-License-Identifier: BSD-3-Clause */
/* See run_program.h. */
#include "tools/melin/run_program.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "preload/config/program_file.h"

/* Of execvp(3), for a process without PATH. */
#define DEFAULT_PATH "/bin:/usr/bin"

static bool is_file(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 && S_ISREG(status.st_mode);
}

/*
 * 0 and the path of the executable file; or -ENOENT, or -EACCES and the path of what is there but
 * cannot be executed: execvp() looks on behind that, too.
 */
static int find(const char *file, char path[PATH_MAX])
{
	const char *folder = getenv("PATH") ?: DEFAULT_PATH;
	char refused[PATH_MAX] = "";

	for (;;) {
		const int length = (int)strcspn(folder, ":");

		if (snprintf(path, PATH_MAX, "%.*s%s%s", length, folder, length ? "/" : "", file) <
		    PATH_MAX) {
			if (is_file(path) && access(path, X_OK) == 0)
				return 0;
			if (is_file(path) && !*refused)
				memcpy(refused, path, strlen(path) + 1);
		}
		if (!folder[length])
			break;
		folder += length + 1;
	}
	memcpy(path, refused, strlen(refused) + 1);
	return *refused ? -EACCES : -ENOENT;
}

/* A file that is named by a path. */
static int look_at(const char *path)
{
	struct stat status;

	if (stat(path, &status) < 0)
		return -errno;
	if (S_ISDIR(status.st_mode))
		return -EISDIR;
	return S_ISREG(status.st_mode) && access(path, X_OK) == 0 ? 0 : -EACCES;
}

/* Where servers are, which the PATH of a user who is not root lacks. */
static bool find_server(const char *file, char path[PATH_MAX])
{
	static const char *const folders[] = { "/usr/local/sbin", "/usr/sbin", "/sbin" };
	bool found = false;

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]) && !found; i++)
		found = snprintf(path, PATH_MAX, "%s/%s", folders[i], file) < PATH_MAX && *file &&
			is_file(path);
	return found;
}

static int is_missing(const char *file, int error, struct reason *reason)
{
	char path[PATH_MAX];

	if (error != -ENOENT)
		return reason_set(reason, RUN_NOT_FOUND, "\"%s\": %s", file, strerror(-error));
	if (!strchr(file, '/') && is_file(file))
		return reason_set(reason, RUN_NOT_FOUND,
				  "\"%s\" is not found in PATH; the file here is ./%s", file, file);
	if (!strchr(file, '/') && find_server(file, path))
		return reason_set(reason, RUN_NOT_FOUND, "\"%s\" is not found in PATH; there is %s",
				  file, path);
	if (!strchr(file, '/'))
		return reason_set(reason, RUN_NOT_FOUND, "\"%s\" is not found in PATH", file);
	return reason_set(reason, RUN_NOT_FOUND, "there is no \"%s\"", file);
}

static int is_not_executable(const char *path, struct reason *reason)
{
	struct stat status;

	if (stat(path, &status) == 0 && !(status.st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)))
		return reason_set(reason, RUN_NOT_EXECUTABLE,
				  "%s is not executable: chmod +x %s, or name its interpreter",
				  path, path);
	return reason_set(reason, RUN_NOT_EXECUTABLE, "%s may not be executed by this user", path);
}

/* Whatever would happen: melin is silent where it works, so it says here that it cannot. */
static int judge(const char *path, struct reason *reason)
{
	char culprit[PROGRAM_CULPRIT];
	const char *why = program_file_refuses(path, culprit);

	if (!why)
		return 0;
	if (strcmp(path, culprit) == 0)
		return reason_set(reason, RUN_NOT_EXECUTABLE, "%s %s: melin cannot work in it",
				  path, why);
	return reason_set(reason, RUN_NOT_EXECUTABLE,
			  "%s: its interpreter %s %s: melin cannot work in it", path, culprit, why);
}

int run_program_look(const char *file, struct reason *reason)
{
	char path[PATH_MAX];
	int error;

	if (strchr(file, '/')) {
		snprintf(path, sizeof(path), "%s", file);
		error = look_at(path);
	} else {
		error = *file ? find(file, path) : -ENOENT;
	}
	switch (error) {
	case 0:
		return judge(path, reason);
	case -EISDIR:
		return reason_set(reason, RUN_NOT_EXECUTABLE, "%s is a folder", path);
	case -EACCES:
		return is_not_executable(path, reason);
	default:
		return is_missing(file, error, reason);
	}
}
