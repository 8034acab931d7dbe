/* SPDX-License-Identifier: BSD-3-Clause */
/* See snapshot.h. */
#include "tools/melin/snapshot.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "broker/lender.h"
#include "tools/melin/kernel_sockets.h"
#include "common/status_reader.h"

const char *snapshot_error(int error)
{
	switch (error) {
	case -ESRCH:
		return "no such process";
	case -ENOENT:
		return "melin is not in it, or has no rules (MELIN_FLOWS)";
	case -EACCES:
		return "permission denied; it is another user's, or has given up root's rights: "
		       "ask as root";
	case -EPROTO:
		return "its libmelin.so is of another version than this command; look again after "
		       "its restart";
	default:
		return strerror(-error);
	}
}

/* ---- why a connection is the kernel's ---- */

/* The reason that was noted last; the lender's refusal is more exact where there is one. */
static void say_why(struct connection *connection, const struct status_page *page, unsigned is,
		    unsigned refusal)
{
	const bool is_returned = is > FLOW_RETURNED_CLOSED && is <= FLOW_RETURNED_LOST;
	const char *why = is >= 1 && is <= FLOW_COUNTS ? status_flow_reasons[is - 1] : NULL;
	const char *before = "";
	const bool is_mine = is == 1 + FLOW_TAKEN_CONNECT || is == 1 + FLOW_TAKEN_ACCEPT;

	if (is_mine && page->drained)
		why = "drained";
	else if (refusal > REFUSAL_NONE && refusal < REFUSAL_COUNT)
		why = refusal_text((enum refusal)refusal);
	else if (!why)
		why = "melin has not seen it begin";
	else if (is_returned)
		before = "given back: ";
	snprintf(connection->why, sizeof(connection->why), "%s%s", before, why);
}

static uint32_t age(uint32_t since)
{
	struct timespec now;

	if (!since)
		return 0;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint32_t)((uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000) - since;
}

static void note_descriptor(struct connection *connection, const struct status_page *page)
{
	const struct status_descriptor *note;

	if (connection->row.descriptor < 0 || connection->row.descriptor >= STATUS_DESCRIPTORS) {
		if (connection->carrier == CARRIER_KERNEL)
			say_why(connection, page, 0, 0);
		return;
	}
	note = &page->descriptors[connection->row.descriptor];
	if (connection->carrier == CARRIER_KERNEL)
		say_why(connection, page, note->is, note->refusal);
	connection->age_ms = age(note->since);
	connection->changed_ms = age(note->changed);
	connection->loans = note->loans;
	connection->row.bytes_sent += note->sent_before;
	connection->row.bytes_received += note->received_before;
}

/* ---- connections ---- */

static struct connection *add(struct process *process)
{
	struct connection *more =
		realloc(process->connections, (process->connection_count + 1) * sizeof(*more));

	if (!more)
		return NULL;
	process->connections = more;
	more += process->connection_count++;
	memset(more, 0, sizeof(*more));
	return more;
}

/* The twin's number stays, and what its counts have from before the loan is added. */
static void from_row(struct connection *connection, const struct status_row *row)
{
	const struct status_row twin = connection->row;

	connection->row = *row;
	connection->row.descriptor = twin.descriptor;
	connection->row.bytes_sent += twin.bytes_sent;
	connection->row.bytes_received += twin.bytes_received;
	connection->row.retransmitted += twin.retransmitted;
	connection->carrier = row->borrowed ? CARRIER_BORROWED : CARRIER_STACK;
	connection->why[0] = '\0';
}

/* The connection that has that inode: the kernel's list is by descriptor, and rows are few. */
static struct connection *find(struct process *process, const struct kernel_socket *sockets,
			       size_t count, const struct status_row *row)
{
	const uint64_t inode = kernel_socket_inode(process->number, row->descriptor);
	struct connection *connection;

	for (size_t i = 0; inode && i < count; i++)
		if (sockets[i].inode == inode)
			return &process->connections[i];
	connection = add(process); /* its twin is closed, or in a namespace out of sight */
	if (connection)
		connection->row.descriptor = row->descriptor;
	return connection;
}

static void merge_rows(struct process *process, const struct status_page *page,
		       const struct kernel_socket *sockets, size_t count)
{
	uint32_t rows = atomic_load(&page->row_count);

	for (uint32_t i = 0; i < rows && i < STATUS_ROWS; i++) {
		const struct status_row row = page->rows[i];
		struct connection *connection = find(process, sockets, count, &row);

		if (connection)
			from_row(connection, &row);
	}
}

static void set_note(struct process *process, const char *text)
{
	snprintf(process->note, sizeof(process->note), "%s", text);
}

/*
 * A process could go on answering for ever. Of one with more connections than these the others are
 * not shown.
 */
#define ROUNDS_MAX  1024
#define SECONDS_MAX 10

/* Asks for rows until these were all. */
static void ask_for_rows(struct process *process, struct status_reader *reader,
			 const struct kernel_socket *sockets, size_t count)
{
	const time_t end = time(NULL) + SECONDS_MAX;
	uint32_t first = 0, next;
	unsigned rounds = 0;
	int status;

	do {
		status = status_ask(reader, STATUS_ASK_ROWS, first, STATUS_PATIENCE_MS);
		if (status == 0)
			merge_rows(process, reader->page, sockets, count);
		next = atomic_load(&reader->page->next);
		status_done(reader);
		if (status == -ETIMEDOUT || status == -EBUSY)
			set_note(process, "it does not answer; what is borrowed is not known");
		if (status < 0 || next <= first)
			return;
		first = next;
	} while (next != UINT32_MAX && ++rounds < ROUNDS_MAX && time(NULL) < end);
}

static void look_at_connections(struct process *process, struct status_reader *reader)
{
	struct kernel_socket *sockets;
	size_t count;

	int status = kernel_sockets(process->number, &sockets, &count);

	if (status == -EPERM || status == -EACCES)
		set_note(process, "its network namespace is closed to you; of the kernel's "
				  "connections nothing is known");
	else if (status < 0)
		set_note(process, "the kernel's connections could not be asked for");
	for (size_t i = 0; i < count; i++) {
		struct connection *connection = add(process);

		if (!connection)
			break;
		connection->row = sockets[i].row;
	}
	if (process->connection_count == count)
		ask_for_rows(process, reader, sockets, count);
	free(sockets);
	for (size_t i = 0; i < process->connection_count; i++)
		note_descriptor(&process->connections[i], reader->page);
	if (process->connections)
		qsort(process->connections, process->connection_count,
		      sizeof(*process->connections), row_order);
}

/* ---- processes ---- */

static void look_at_counts(struct process *process, struct status_reader *reader)
{
	const struct status_page *page = reader->page;

	const int status = status_ask(reader, STATUS_ASK_COUNTS, 0, STATUS_PATIENCE_MS);

	if (status == -ETIMEDOUT || status == -EBUSY)
		set_note(process, "it does not answer; the stack's counters are old");
	for (unsigned i = 0; i < STATUS_COUNTS; i++)
		process->counts[i] = page->counts[i];
	status_done(reader);
	for (unsigned i = 0; i < STATUS_STRIPES; i++) {
		process->waits_polled += page->waits[i].polled;
		process->waits_slept += page->waits[i].slept;
	}
}

static void look_at_page(struct process *process, const struct status_page *page)
{
	for (unsigned i = 0; i < FLOW_COUNTS; i++)
		process->flows[i] = page->flows[i];
	process->host = page->host;
	process->drained = page->drained;
	process->stack = page->stack;
	memcpy(process->library, page->library, sizeof(page->library));
	status_make_printable(process->library, sizeof(process->library));
}

int process_look(pid_t number, unsigned parts, struct process *process)
{
	struct status_reader reader;
	int status = status_open(number, &reader);

	if (status < 0)
		return status;
	memset(process, 0, sizeof(*process));
	process->number = number;
	memcpy(process->program, reader.program, sizeof(process->program));
	if (parts & SNAPSHOT_CONNECTIONS)
		look_at_connections(process, &reader);
	if (parts & SNAPSHOT_COUNTS)
		look_at_counts(process, &reader);
	look_at_page(process, reader.page);
	status_close(&reader);
	return 0;
}

void process_free(struct process *process)
{
	free(process->connections);
	process->connections = NULL;
}

int snapshot_take_of(const pid_t *list, size_t count, unsigned parts, struct snapshot *snapshot,
		     pid_t *failed)
{
	int first_error = 0;

	snapshot->count = 0;
	snapshot->processes = calloc(count + 1, sizeof(*snapshot->processes));
	for (size_t i = 0; snapshot->processes && i < count; i++) {
		int status = process_look(list[i], parts, &snapshot->processes[snapshot->count]);

		if (status == 0) {
			snapshot->count++;
		} else if (!first_error) {
			first_error = status;
			*failed = list[i];
		}
	}
	return first_error;
}

void snapshot_take(unsigned parts, struct snapshot *snapshot)
{
	size_t count;
	pid_t *list = status_processes(&count), failed;

	snapshot_take_of(list, count, parts, snapshot, &failed);
	free(list);
}

void snapshot_free(struct snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->count; i++)
		process_free(&snapshot->processes[i]);
	free(snapshot->processes);
	snapshot->processes = NULL;
	snapshot->count = 0;
}
