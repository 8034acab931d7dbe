/* SPDX-License-Identifier: BSD-3-Clause */
/* See profile.h. */
#include "tools/melin/profile.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "preload/config/span.h"
#include "tools/melin/command_line.h"
#include "tools/melin/installed.h"

#define SUFFIX ".conf"

/* A line of a profile is a variable and its value, which rules may make long. */
#define LINE_MAX_BYTES 8192

static char path[PATH_MAX + NAME_MAX];
/* Names of variables that the profile has set, each with a newline behind it. */
static char *set_names;

static bool own_profiles(char folder[PATH_MAX])
{
	const char *base = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

	if (base && *base == '/')
		return snprintf(folder, PATH_MAX, "%s/melin", base) < PATH_MAX;
	return home && *home && snprintf(folder, PATH_MAX, "%s/.config/melin", home) < PATH_MAX;
}

static FILE *open_in(const char *folder, const char *name)
{
	snprintf(path, sizeof(path), "%s/%s" SUFFIX, folder, name);
	return fopen(path, "re");
}

/* Adds the names of the profiles of a folder to text. */
static void list_folder(const char *folder, char *text, size_t size)
{
	DIR *directory = opendir(folder);

	for (const struct dirent *entry; directory && (entry = readdir(directory));) {
		const char *dot = strrchr(entry->d_name, '.');
		const size_t used = strlen(text);

		if (dot && strcmp(dot, SUFFIX) == 0)
			snprintf(text + used, size - used, "%s%.*s", used ? ", " : "",
				 (int)(dot - entry->d_name), entry->d_name);
	}
	if (directory)
		closedir(directory);
}

static FILE *open_profile(const struct command *command, const char *name)
{
	char own[PATH_MAX] = "", hosts[PATH_MAX], known[512] = "";
	FILE *file = NULL;

	if (!*name || strchr(name, '/') || *name == '.')
		command_usage(command, "\"%s\" is no name of a profile", name);
	if (own_profiles(own))
		file = open_in(own, name);
	if (file || (*own && errno != ENOENT && errno != ENOTDIR))
		goto opened;
	installed_profiles(hosts);
	file = open_in(hosts, name);
	if (file || errno != ENOENT)
		goto opened;
	list_folder(hosts, known, sizeof(known));
	list_folder(own, known, sizeof(known));
	command_usage(command, "no profile \"%s\" in %s%s%s (there are: %s)", name, hosts,
		      *own ? " or " : "", own, *known ? known : "none");
opened:
	if (!file)
		command_usage(command, "%s: %s", path, strerror(errno));
	return file;
}

static void set(const char *name, const char *value)
{
	char *names;

	if (getenv(name))
		return;
	if (setenv(name, value, 0) < 0 ||
	    asprintf(&names, "%s%s\n", set_names ? set_names : "", name) < 0)
		abort(); /* for want of a few bytes of memory */
	free(set_names);
	set_names = names;
}

/* NAME = VALUE, an empty line, or a comment. */
static void read_line(const struct command *command, char *line, unsigned number)
{
	struct span value = span_trim(span_of(line)), name;

	if (!value.length || value.start[0] == '#')
		return;
	if (!span_find(&value, '='))
		command_usage(command, "%s, line %u: \"%.*s\" is not NAME = VALUE", path, number,
			      span_quoted(&value), value.start);
	name = span_cut(&value, '=');
	name = span_trim(name);
	value = span_trim(value);
	if (name.length <= 6 || strncmp(name.start, "MELIN_", 6) != 0)
		command_usage(command,
			      "%s, line %u: \"%.*s\" is no variable of melin's (MELIN_...)", path,
			      number, span_quoted(&name), name.start);
	line[name.start + name.length - line] = '\0';
	line[value.start + value.length - line] = '\0';
	set(name.start, value.start);
}

void profile_apply(const struct command *command, const char *name)
{
	FILE *file = open_profile(command, name);
	char line[LINE_MAX_BYTES];

	for (unsigned number = 1; fgets(line, sizeof(line), file); number++)
		read_line(command, line, number);
	if (ferror(file))
		command_usage(command, "%s: %s", path, strerror(errno));
	fclose(file);
}

const char *profile_of(const char *variable)
{
	const size_t length = strlen(variable);

	for (const char *at = set_names; at && *at; at = strchr(at, '\n') + 1)
		if (strncmp(at, variable, length) == 0 && at[length] == '\n')
			return path;
	return NULL;
}
