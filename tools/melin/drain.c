/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * melin drain: processes give all borrowed connections back to the kernel and borrow none until
 * they are told to resume. Not for what they do then (preload/sockets/borrow.c).
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>

#include "tools/melin/command_line.h"
#include "tools/melin/commands.h"
#include "tools/melin/process_list.h"
#include "tools/melin/snapshot.h"
#include "tools/melin/snapshot_text.h"
#include "common/status_reader.h"

static const struct command_option options[] = {
	{ "all", 'a', NULL, "all processes that you may look at" },
	{ "resume", 'r', NULL, "lets them borrow again" },
	{ "timeout", 't', "SECONDS", "how long each may take (default 10)" },
	{ NULL, 0, NULL, NULL },
};

enum { ALL, RESUME, TIMEOUT };

/*
 * A connection takes some 20 us; the stack's lock may be held for a burst. Ten seconds are those of
 * 100,000 connections on a busy machine.
 */
#define TIMEOUT_DEFAULT 10

struct wish {
	bool all, resume;
	double timeout; /* seconds */
};

/* Those that it has not given back, a line each; how many. */
static size_t list_borrowed(const struct command *command, pid_t number)
{
	char local[NAME_TEXT_SIZE], peer[NAME_TEXT_SIZE];
	struct process process;
	size_t count;

	if (process_look(number, SNAPSHOT_CONNECTIONS, &process) < 0)
		return 0; /* it has ended: the kernel has closed what was left */
	count = count_carried(&process, CARRIER_BORROWED);
	for (size_t i = 0; i < process.connection_count; i++) {
		const struct connection *connection = &process.connections[i];

		if (connection->carrier == CARRIER_BORROWED)
			command_failed(command, "%s (pid %d): fd %d, %s to %s: not given back",
				       process.program, number, connection->row.descriptor,
				       name_text(&connection->row.local, local),
				       name_text(&connection->row.peer, peer));
	}
	process_free(&process);
	return count;
}

static int drain(const struct command *command, struct status_reader *reader, double timeout)
{
	const pid_t number = reader->process;
	_Atomic uint64_t *returned = &reader->page->flows[FLOW_RETURNED_DRAINED],
			 *lost = &reader->page->flows[FLOW_RETURNED_LOST];
	const uint64_t before = *returned, lost_before = *lost;
	int status;

	status_set_drained(reader, true);
	status = status_ask(reader, STATUS_ASK_DRAIN, 0, (unsigned)(timeout * 1000));
	status_done(reader);
	if (status == -ETIMEDOUT)
		command_failed(command,
			       "%s (pid %d): it has not answered in %g seconds; it will give "
			       "its connections back when it gets to it",
			       reader->program, number, timeout);
	if (status == -EBUSY)
		command_failed(command,
			       "%s (pid %d): another program asks it all the time; it borrows "
			       "nothing more, but gives nothing back: try again",
			       reader->program, number);
	if (list_borrowed(command, number) || status == -ETIMEDOUT || status == -EBUSY)
		return 1;
	if (*lost != lost_before)
		return command_failed(command, "%s (pid %d): %llu connections were lost",
				      reader->program, number,
				      (unsigned long long)(*lost - lost_before));
	printf("%s (pid %d): %llu given back; none is borrowed until \"melin drain --resume %d\"\n",
	       reader->program, number, (unsigned long long)(*returned - before), number);
	return 0;
}

static int resume(struct status_reader *reader)
{
	const bool was = reader->page->drained;

	status_set_drained(reader, false);
	printf("%s (pid %d): %s\n", reader->program, reader->process,
	       was ? "borrows again" : "was not drained");
	return 0;
}

static int handle(const struct command *command, const struct wish *wish, pid_t number)
{
	struct status_reader reader;
	int status = status_open(number, &reader);

	if (status < 0) {
		/* Of all processes those that are not there any more are none. */
		if (wish->all && (status == -ESRCH || status == -ENOENT))
			return 0;
		return command_failed(command, "%d: %s", number, snapshot_error(status));
	}
	if (!reader.page->host)
		status = wish->all ? 0
				   : command_failed(command,
						    "%s (pid %d): in own mode (MELIN_ADDR): its "
						    "connections are the stack's own and cannot "
						    "be given to the kernel",
						    reader.program, number);
	else if (wish->resume)
		status = resume(&reader);
	else
		status = drain(command, &reader, wish->timeout);
	status_close(&reader);
	return status;
}

static void read_wish(const struct command *command, int argc, char **argv, struct wish *wish)
{
	int option;

	while ((option = command_option(command, options, argc, argv)) >= 0) {
		if (option == ALL)
			wish->all = true;
		else if (option == RESUME)
			wish->resume = true;
		else
			wish->timeout = command_seconds(command, "--timeout", optarg, 1, 3600);
	}
}

int command_drain(const struct command *command, int argc, char **argv)
{
	struct wish wish = { .timeout = TIMEOUT_DEFAULT };
	size_t count;
	pid_t *list;
	int status = 0;

	read_wish(command, argc, argv, &wish);
	list = process_list(command, argv + optind, &count);
	if (wish.all == (list != NULL))
		command_usage(command, list ? "--all or process numbers, not both"
					    : "which process? Name it by its number, or --all");
	if (wish.all) {
		list = status_processes(&count);
		if (!count)
			fprintf(stderr, "melin drain: no process that you may look at has melin in "
					"it with rules\n");
	}
	for (size_t i = 0; i < count; i++)
		status |= handle(command, &wish, list[i]);
	free(list);
	return command_output_status(command, status);
}
