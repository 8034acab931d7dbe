/* SPDX-License-Identifier: BSD-3-Clause */
/* See snapshot_export.h. */
#include "tools/melin/snapshot_export.h"

#include <string.h>

#include "tools/melin/json_text.h"
#include "tools/melin/snapshot_text.h"

/* ---- JSON ---- */

static void json_connection(FILE *stream, const struct connection *connection)
{
	const struct status_row *row = &connection->row;
	static const char *const carriers[] = { [CARRIER_KERNEL] = "kernel",
						[CARRIER_BORROWED] = "borrowed",
						[CARRIER_STACK] = "stack" };
	char local[NAME_TEXT_SIZE], peer[NAME_TEXT_SIZE];

	fprintf(stream, "{\"fd\":%d,\"state\":\"%s\",\"local\":\"%s\",\"peer\":\"%s\",",
		row->descriptor, state_text(row->state), name_text(&row->local, local),
		name_text(&row->peer, peer));
	fprintf(stream, "\"carrier\":\"%s\",\"why\":", carriers[connection->carrier]);
	json_text(stream, connection->why);
	fprintf(stream, ",\"loans\":%u,", connection->loans);
	fprintf(stream, "\"recv_q\":%u,\"send_q\":%u,\"rtt_us\":%u,\"rttvar_us\":%u,\"mss\":%u,",
		row->receive_queue, row->send_queue, row->round_trip, row->round_trip_variation,
		row->mss);
	fprintf(stream, "\"cwnd\":%u,\"ssthresh\":%u,\"unacked\":%u,\"lost\":%u,\"retrans\":%u,",
		row->window, row->threshold, row->unacknowledged, row->lost, row->retransmitted);
	fprintf(stream, "\"bytes_sent\":%llu,\"bytes_received\":%llu,\"age_ms\":",
		(unsigned long long)row->bytes_sent, (unsigned long long)row->bytes_received);
	if (connection->age_ms)
		fprintf(stream, "%llu}", (unsigned long long)connection->age_ms);
	else
		fprintf(stream, "null}");
}

static void json_counters(FILE *stream, const struct process *process)
{
	fprintf(stream, ",\"counters\":{");
	for (unsigned i = 0; i < FLOW_COUNTS; i++)
		fprintf(stream, "\"%s\":%llu,", status_flow_names[i],
			(unsigned long long)process->flows[i]);
	for (unsigned i = 0; i < STATUS_COUNTS; i++)
		fprintf(stream, "\"%s\":%llu,", status_count_names[i],
			(unsigned long long)process->counts[i]);
	fprintf(stream, "\"waits_polled\":%llu,\"waits_slept\":%llu}",
		(unsigned long long)process->waits_polled,
		(unsigned long long)process->waits_slept);
}

static void json_process(FILE *stream, const struct process *process, unsigned parts)
{
	static const char *const stacks[] = { [STATUS_STACK_NONE] = "none",
					      [STATUS_STACK_RUNS] = "running",
					      [STATUS_STACK_FAILED] = "failed" };

	fprintf(stream, "{\"pid\":%d,\"program\":", process->number);
	json_text(stream, process->program);
	fprintf(stream, ",\"melin\":");
	json_text(stream, process->library);
	fprintf(stream, ",\"mode\":\"%s\",\"stack\":\"%s\",\"drained\":%s,\"note\":",
		process->host ? "host" : "own",
		process->stack <= STATUS_STACK_FAILED ? stacks[process->stack] : "?",
		process->drained ? "true" : "false");
	json_text(stream, process->note);
	if (parts & SNAPSHOT_CONNECTIONS) {
		fprintf(stream, ",\"connections\":[");
		for (size_t i = 0; i < process->connection_count; i++) {
			if (i)
				fprintf(stream, ",");
			json_connection(stream, &process->connections[i]);
		}
		fprintf(stream, "]");
	}
	if (parts & SNAPSHOT_COUNTS)
		json_counters(stream, process);
	fprintf(stream, "}");
}

void export_json(FILE *stream, const struct snapshot *snapshot, unsigned parts)
{
	fprintf(stream, "{\"processes\":[");
	for (size_t i = 0; i < snapshot->count; i++) {
		if (i)
			fprintf(stream, ",");
		json_process(stream, &snapshot->processes[i], parts);
	}
	fprintf(stream, "]}\n");
}

/* ---- Prometheus ---- */

static void head(FILE *stream, const char *metric, const char *type, const char *help)
{
	fprintf(stream, "# HELP %s %s\n# TYPE %s %s\n", metric, help, metric, type);
}

static void sample(FILE *stream, const char *metric, const struct process *process,
		   const char *label, const char *value, uint64_t number)
{
	fprintf(stream, "%s{pid=\"%d\",program=", metric, process->number);
	/* The format escapes quotes and backslashes as JSON does, and nothing else is in it. */
	json_text(stream, process->program);
	if (label)
		fprintf(stream, ",%s=\"%s\"", label, value);
	fprintf(stream, "} %llu\n", (unsigned long long)number);
}

/* The counters of flows whose name begins with it are one metric, the rest is its label. */
static void flows(FILE *stream, const struct snapshot *snapshot, const char *begin,
		  const char *metric, const char *label, const char *help)
{
	const size_t length = strlen(begin);

	head(stream, metric, "counter", help);
	for (size_t i = 0; i < snapshot->count; i++)
		for (unsigned k = 0; k < FLOW_COUNTS; k++)
			if (strncmp(status_flow_names[k], begin, length) == 0)
				sample(stream, metric, &snapshot->processes[i],
				       status_flow_names[k][length] ? label : NULL,
				       status_flow_names[k] + length,
				       snapshot->processes[i].flows[k]);
}

#define COUNT_HELP(name, text) text,
static const char *const count_help[STATUS_COUNTS] = { STACK_COUNTERS(COUNT_HELP) };

static void counts(FILE *stream, const struct snapshot *snapshot)
{
	char metric[64];

	for (unsigned i = 0; i < STATUS_COUNTS; i++) {
		snprintf(metric, sizeof(metric), "melin_%s_total", status_count_names[i]);
		head(stream, metric, "counter", count_help[i]);
		for (size_t k = 0; k < snapshot->count; k++)
			sample(stream, metric, &snapshot->processes[k], NULL, NULL,
			       snapshot->processes[k].counts[i]);
	}
}

static void waits(FILE *stream, const struct snapshot *snapshot)
{
	static const char metric[] = "melin_waits_total";

	head(stream, metric, "counter", "Waits of the program by how they were spent.");
	for (size_t i = 0; i < snapshot->count; i++) {
		const struct process *process = &snapshot->processes[i];

		sample(stream, metric, process, "how", "polled", process->waits_polled);
		sample(stream, metric, process, "how", "slept", process->waits_slept);
	}
}

static void connections(FILE *stream, const struct snapshot *snapshot)
{
	static const char metric[] = "melin_connections";

	head(stream, metric, "gauge", "Connections by who carries them.");
	for (size_t i = 0; i < snapshot->count; i++) {
		const struct process *process = &snapshot->processes[i];

		sample(stream, metric, process, "carrier", "borrowed",
		       count_carried(process, CARRIER_BORROWED));
		sample(stream, metric, process, "carrier", "stack",
		       count_carried(process, CARRIER_STACK));
		sample(stream, metric, process, "carrier", "kernel",
		       count_carried(process, CARRIER_KERNEL));
	}
	head(stream, "melin_drained", "gauge", "1 while melin drain keeps it from borrowing.");
	for (size_t i = 0; i < snapshot->count; i++)
		sample(stream, "melin_drained", &snapshot->processes[i], NULL, NULL,
		       snapshot->processes[i].drained);
}

void export_prometheus(FILE *stream, const struct snapshot *snapshot)
{
	connections(stream, snapshot);
	flows(stream, snapshot, "taken_", "melin_taken_total", "how",
	      "Flows that a rule takes, and that are or may be carried by a stack.");
	flows(stream, snapshot, "left_", "melin_left_total", "why",
	      "Flows left to the kernel at their beginning.");
	flows(stream, snapshot, "borrowed", "melin_borrowed_total", "",
	      "Times that a connection of the kernel was borrowed.");
	flows(stream, snapshot, "returned_", "melin_returned_total", "why",
	      "Times that a connection was given back.");
	flows(stream, snapshot, "kept_", "melin_kept_total", "why",
	      "Connections that were never borrowed.");
	counts(stream, snapshot);
	waits(stream, snapshot);
}
