/* SPDX-License-Identifier: BSD-3-Clause */
/* See snapshot_text.h. */
#include "tools/melin/snapshot_text.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

const char *name_text(const struct sockaddr_storage *name, char text[NAME_TEXT_SIZE])
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)name;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)name;
	char address[INET6_ADDRSTRLEN];

	if (name->ss_family == AF_INET)
		snprintf(text, NAME_TEXT_SIZE, "%s:%u",
			 inet_ntop(AF_INET, &v4->sin_addr, address, sizeof(address)),
			 ntohs(v4->sin_port));
	else if (name->ss_family == AF_INET6)
		snprintf(text, NAME_TEXT_SIZE, "[%s]:%u",
			 inet_ntop(AF_INET6, &v6->sin6_addr, address, sizeof(address)),
			 ntohs(v6->sin6_port));
	else
		snprintf(text, NAME_TEXT_SIZE, "*:*");
	return text;
}

/* The kernel's numbers (include/net/tcp_states.h), ss(8)'s words. */
const char *state_text(uint8_t state)
{
	static const char *const states[] = { "UNKNOWN",    "ESTAB",	  "SYN-SENT",  "SYN-RECV",
					      "FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT", "UNCONN",
					      "CLOSE-WAIT", "LAST-ACK",	  "LISTEN",    "CLOSING" };

	return state < sizeof(states) / sizeof(states[0]) ? states[state] : states[0];
}

const char *age_text(uint64_t milliseconds, char text[AGE_TEXT_SIZE])
{
	static const struct {
		unsigned long length; /* ms */
		const char *name;
	} units[] = { { 86400000, "d" }, { 3600000, "h" }, { 60000, "m" }, { 1000, "s" } };

	snprintf(text, AGE_TEXT_SIZE, milliseconds ? "%ums" : "-", (unsigned)milliseconds);
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		/* From twice the unit on, so that "1m" does not stand for a minute and a half. */
		if (milliseconds >=
		    (i + 1 < sizeof(units) / sizeof(units[0]) ? 2 : 1) * units[i].length) {
			snprintf(text, AGE_TEXT_SIZE, "%lu%s",
				 (unsigned long)(milliseconds / units[i].length), units[i].name);
			break;
		}
	return text;
}

const char *carrier_text(const struct connection *connection, char text[CARRIER_TEXT_SIZE])
{
	if (connection->carrier == CARRIER_BORROWED)
		snprintf(text, CARRIER_TEXT_SIZE, "borrowed");
	else if (connection->carrier == CARRIER_STACK)
		snprintf(text, CARRIER_TEXT_SIZE, "stack");
	else
		snprintf(text, CARRIER_TEXT_SIZE, "kernel: %s", connection->why);
	return text;
}

#define INFO_TEXT_SIZE 256

/* "rtt:0.105/0.04 cwnd:10 mss:1448 ..." as "ss -i" has it. */
static const char *info_text(const struct connection *connection, char text[INFO_TEXT_SIZE])
{
	const struct status_row *row = &connection->row;
	char age[AGE_TEXT_SIZE], changed[AGE_TEXT_SIZE];
	int used;

	used = snprintf(text, INFO_TEXT_SIZE, "rtt:%.3g/%.3g mss:%u cwnd:%u", row->round_trip / 1e3,
			row->round_trip_variation / 1e3, row->mss, row->window);
	/* What is as large as the largest window (RFC 7323) in bytes is no threshold. */
	if (row->threshold && row->threshold < 1 << 20)
		used += snprintf(text + used, INFO_TEXT_SIZE - (size_t)used, " ssthresh:%u",
				 row->threshold);
	used += snprintf(
		text + used, INFO_TEXT_SIZE - (size_t)used, " bytes_sent:%llu bytes_received:%llu",
		(unsigned long long)row->bytes_sent, (unsigned long long)row->bytes_received);
	if (row->unacknowledged)
		used += snprintf(text + used, INFO_TEXT_SIZE - (size_t)used, " unacked:%u",
				 row->unacknowledged);
	used += snprintf(text + used, INFO_TEXT_SIZE - (size_t)used, " lost:%u retrans:%u",
			 row->lost, row->retransmitted);
	snprintf(text + used, INFO_TEXT_SIZE - (size_t)used, " loans:%u age:%s changed:%s",
		 connection->loans, age_text(connection->age_ms, age),
		 age_text(connection->changed_ms, changed));
	return text;
}

size_t count_carried(const struct process *process, enum carrier carrier)
{
	size_t count = 0;

	for (size_t i = 0; i < process->connection_count; i++)
		count += process->connections[i].carrier == carrier;
	return count;
}

/* ---- connections ---- */

/* has_connections: they have been asked for, and are counted. */
static void print_process(FILE *stream, const struct process *process, bool has_connections)
{
	static const char *const stacks[] = { [STATUS_STACK_NONE] = "no stack yet",
					      [STATUS_STACK_RUNS] = "stack runs",
					      [STATUS_STACK_FAILED] = "the stack cannot start" };

	fprintf(stream, "%s pid=%d melin %s %s mode, %s", process->program, process->number,
		process->library, process->host ? "host" : "own",
		process->stack <= STATUS_STACK_FAILED ? stacks[process->stack] : "?");
	if (has_connections)
		fprintf(stream, ": %zu %s, %zu the kernel's",
			count_carried(process, process->host ? CARRIER_BORROWED : CARRIER_STACK),
			process->host ? "borrowed" : "the stack's",
			count_carried(process, CARRIER_KERNEL));
	fprintf(stream, "%s%s%s\n", process->drained ? "; drained" : "", *process->note ? "; " : "",
		process->note);
}

static void print_connection(FILE *stream, const struct process *process,
			     const struct connection *connection)
{
	const struct status_row *row = &connection->row;
	char local[NAME_TEXT_SIZE], peer[NAME_TEXT_SIZE], carrier[CARRIER_TEXT_SIZE],
		info[INFO_TEXT_SIZE];

	fprintf(stream, "%-10s %-6u %-6u %25s %25s  users:((\"%s\",pid=%d,fd=%d))  %s\n\t %s\n",
		state_text(row->state), row->receive_queue, row->send_queue,
		name_text(&row->local, local), name_text(&row->peer, peer), process->program,
		process->number, row->descriptor, carrier_text(connection, carrier),
		info_text(connection, info));
}

void print_connections(FILE *stream, const struct snapshot *snapshot)
{
	bool any_twin = false;

	for (size_t i = 0; i < snapshot->count; i++)
		print_process(stream, &snapshot->processes[i], true);
	if (snapshot->count)
		fprintf(stream, "%-10s %-6s %-6s %25s %25s  %s  %s\n", "State", "Recv-Q", "Send-Q",
			"Local Address:Port", "Peer Address:Port", "Process", "Carrier");
	for (size_t i = 0; i < snapshot->count; i++)
		for (size_t k = 0; k < snapshot->processes[i].connection_count; k++) {
			const struct process *process = &snapshot->processes[i];

			print_connection(stream, process, &process->connections[k]);
			any_twin |= process->connections[k].carrier == CARRIER_BORROWED;
		}
	if (any_twin)
		fprintf(stream,
			"What ss(8) shows of a borrowed connection is its twin: established, "
			"and silent; its numbers\nstand still until it is given back.\n");
}

/* ---- counters ---- */

const struct process *snapshot_find(const struct snapshot *snapshot, pid_t number)
{
	for (size_t i = 0; i < snapshot->count; i++)
		if (snapshot->processes[i].number == number)
			return &snapshot->processes[i];
	return NULL;
}

/* With what has been added since, if there was a look before. */
static void print_counter(FILE *stream, const char *name, uint64_t now, bool compare, uint64_t then,
			  double seconds)
{
	if (!now)
		return;
	fprintf(stream, "  %-20s %14llu", name, (unsigned long long)now);
	if (compare)
		fprintf(stream, " %+14lld %14.0f/s", (long long)(now - then),
			(double)(int64_t)(now - then) / seconds);
	fprintf(stream, "\n");
}

static void print_counters_of(FILE *stream, const struct process *process,
			      const struct process *before, double seconds)
{
	static const struct process none;
	const struct process *then = before ? before : &none;

	print_process(stream, process, false);
	for (unsigned i = 0; i < FLOW_COUNTS; i++)
		print_counter(stream, status_flow_names[i], process->flows[i], before,
			      then->flows[i], seconds);
	for (unsigned i = 0; i < STATUS_COUNTS; i++)
		print_counter(stream, status_count_names[i], process->counts[i], before,
			      then->counts[i], seconds);
	print_counter(stream, "waits_polled", process->waits_polled, before, then->waits_polled,
		      seconds);
	print_counter(stream, "waits_slept", process->waits_slept, before, then->waits_slept,
		      seconds);
}

void print_counters(FILE *stream, const struct snapshot *snapshot, const struct snapshot *before,
		    double seconds)
{
	for (size_t i = 0; i < snapshot->count; i++) {
		const struct process *process = &snapshot->processes[i];

		print_counters_of(stream, process,
				  before ? snapshot_find(before, process->number) : NULL, seconds);
	}
}
