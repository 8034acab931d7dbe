/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * melin stat: connections and counters of running processes. Not for where they come from
 * (snapshot.h) and how they are printed (snapshot_text.h, snapshot_export.h).
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tools/melin/command_line.h"
#include "tools/melin/commands.h"
#include "tools/melin/process_list.h"
#include "tools/melin/snapshot.h"
#include "tools/melin/snapshot_export.h"
#include "tools/melin/snapshot_text.h"

static const struct command_option options[] = {
	{ "counters", 'c', NULL, "counters instead of connections" },
	{ "watch", 'w', "SECONDS", "again and again, with what has been added to counters" },
	{ "json", 'j', NULL, "as JSON, one object a look" },
	{ "prometheus", 0, NULL, "as Prometheus's text exposition format" },
	{ NULL, 0, NULL, NULL },
};

enum { COUNTERS, WATCH, JSON, PROMETHEUS };

struct wish {
	bool counters, json, prometheus;
	double seconds;	  /* between two looks; 0: one look is all */
	pid_t *processes; /* NULL: all */
	size_t process_count;
};

static void read_wish(const struct command *command, int argc, char **argv, struct wish *wish)
{
	int option;

	while ((option = command_option(command, options, argc, argv)) >= 0) {
		if (option == COUNTERS)
			wish->counters = true;
		else if (option ==
			 WATCH) /* from 10 ms, below which nothing can be read, to a day */
			wish->seconds = command_seconds(command, "--watch", optarg, 0.01, 86400);
		else if (option == JSON)
			wish->json = true;
		else
			wish->prometheus = true;
	}
	if (wish->json && wish->prometheus)
		command_usage(command, "--json or --prometheus, not both");
	wish->processes = process_list(command, argv + optind, &wish->process_count);
}

static unsigned parts_of(const struct wish *wish)
{
	if (wish->json || wish->prometheus)
		return SNAPSHOT_CONNECTIONS | SNAPSHOT_COUNTS;
	return wish->counters ? SNAPSHOT_COUNTS : SNAPSHOT_CONNECTIONS;
}

/* 0, or 1: one of the processes cannot be looked at, which has been said. */
static int look(const struct command *command, const struct wish *wish, struct snapshot *snapshot)
{
	pid_t failed = 0;
	int status;

	if (!wish->processes) {
		snapshot_take(parts_of(wish), snapshot);
		return 0;
	}
	status = snapshot_take_of(wish->processes, wish->process_count, parts_of(wish), snapshot,
				  &failed);
	return status < 0 ? command_failed(command, "%d: %s", failed, snapshot_error(status)) : 0;
}

static void print(const struct wish *wish, const struct snapshot *snapshot,
		  const struct snapshot *before)
{
	if (wish->json)
		export_json(stdout, snapshot, parts_of(wish));
	else if (wish->prometheus)
		export_prometheus(stdout, snapshot);
	else if (wish->counters)
		print_counters(stdout, snapshot, before, wish->seconds);
	else
		print_connections(stdout, snapshot);
}

static void wait_for(double seconds)
{
	struct timespec time = { .tv_sec = (time_t)seconds };

	time.tv_nsec = (long)((seconds - (double)time.tv_sec) * 1e9);
	while (nanosleep(&time, &time) < 0 && errno == EINTR)
		;
}

/* Ends by a signal, or when nobody reads any more. */
static int watch(const struct command *command, const struct wish *wish)
{
	struct snapshot before = { NULL, 0 }, now;
	bool first = true;

	while (!ferror(stdout)) {
		if (look(command, wish, &now) && !now.count) {
			snapshot_free(&now);
			snapshot_free(&before);
			return 1;
		}
		if (!first && !wish->json)
			printf("\n");
		print(wish, &now, first ? NULL : &before);
		fflush(stdout);
		snapshot_free(&before);
		before = now;
		first = false;
		wait_for(wish->seconds);
	}
	snapshot_free(&before);
	return command_output_status(command, 1);
}

int command_stat(const struct command *command, int argc, char **argv)
{
	struct wish wish = { 0 };
	struct snapshot snapshot;
	int status;

	read_wish(command, argc, argv, &wish);
	if (wish.seconds > 0) {
		status = watch(command, &wish);
	} else {
		status = look(command, &wish, &snapshot);
		print(&wish, &snapshot, NULL);
		if (!snapshot.count && !wish.processes && !wish.json && !wish.prometheus)
			fprintf(stderr, "melin: no process that you may look at has melin in it "
					"with rules\n");
		snapshot_free(&snapshot);
		status = command_output_status(command, status);
	}
	free(wish.processes);
	return status;
}
