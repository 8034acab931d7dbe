/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The process of a broker that a test has started, as /proc shows it. Not for what it answers.
 */
#ifndef MELIN_BROKER_PROCESS_H
#define MELIN_BROKER_PROCESS_H

#include <dirent.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static const char *process_link(pid_t process, const char *what)
{
	static char target[PATH_MAX];
	char path[64];
	ssize_t size;

	snprintf(path, sizeof(path), "/proc/%d/%s", process, what);
	size = readlink(path, target, sizeof(target) - 1);
	target[size < 0 ? 0 : size] = '\0';
	return target;
}

static const char *process_text(pid_t process, const char *what)
{
	static char text[16384];
	char path[64];
	size_t size = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/%s", process, what);
	file = fopen(path, "r");
	if (file) {
		size = fread(text, 1, sizeof(text) - 1, file);
		fclose(file);
	}
	text[size] = '\0';
	return text;
}

/* A field of /proc/PID/status; "" if it has none. */
static const char *process_status(pid_t process, const char *field)
{
	static char value[128];
	const char *line = strstr(process_text(process, "status"), field);

	value[0] = '\0';
	if (line)
		sscanf(line + strlen(field), ": %127[^\n]", value);
	return value;
}

/* The broker in this network namespace; -1: there is none, or it has ended. */
static pid_t broker_find(void)
{
	char own[64];
	struct dirent *entry;
	pid_t found = -1;
	DIR *all = opendir("/proc");

	snprintf(own, sizeof(own), "%s", process_link(getpid(), "ns/net"));
	while (all && (entry = readdir(all))) {
		pid_t process = (pid_t)strtol(entry->d_name, NULL, 10);

		if (process > 0 && strcmp(process_status(process, "Name"), "melin-broker") == 0 &&
		    process_status(process, "State")[0] != 'Z' &&
		    strcmp(process_link(process, "ns/net"), own) == 0)
			found = process;
	}
	if (all)
		closedir(all);
	return found;
}

#define BROKER_LOOKS 12000 /* a minute, for a machine under load */

/* It has given up its rights, and waits. */
__attribute__((unused)) static bool broker_settles(pid_t broker)
{
	for (int i = 0; i < BROKER_LOOKS; i++) {
		if (process_status(broker, "NoNewPrivs")[0] == '1' &&
		    process_status(broker, "State")[0] == 'S')
			return true;
		usleep(5000);
	}
	return false;
}

static bool broker_ends(pid_t broker)
{
	for (int i = 0; i < BROKER_LOOKS; i++) {
		const char *state = process_status(broker, "State");

		if (state[0] == '\0' || state[0] == 'Z')
			return true;
		usleep(5000);
	}
	return false;
}

#endif
