/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * melin top: connections in a terminal, the busiest first, again and again. Each frame is one
 * write(2) over the one before, line by line, so that nothing flickers. Plain ANSI sequences, since
 * curses would be a library for six of them. Not for where the numbers come from (snapshot.h).
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "tools/melin/command_line.h"
#include "tools/melin/commands.h"
#include "tools/melin/kernel_sockets.h"
#include "tools/melin/process_list.h"
#include "tools/melin/snapshot.h"
#include "tools/melin/snapshot_text.h"

static const struct command_option options[] = {
	{ "delay", 'd', "SECONDS", "between two looks (default 1)" },
	{ NULL, 0, NULL, NULL },
};

#define ENTER	  "\033[?1049h\033[?25l" /* the other screen, no cursor */
#define LEAVE	  "\033[?25h\033[?1049l"
#define HOME	  "\033[H"
#define LINE_REST "\033[K"
#define REST	  "\033[J"
#define REVERSE	  "\033[7m"
#define PLAIN	  "\033[m"

/* One connection as it is shown. */
struct line {
	const struct process *process;
	const struct connection *connection;
	double sent, received; /* bytes a second; 0 at the first look */
};

enum sorting { BY_RATE, BY_RTT, BY_RETRANSMISSIONS, BY_AGE, SORTINGS };
static const char *const sorting_names[SORTINGS] = { "bytes a second", "rtt", "retransmissions",
						     "age" };
static enum sorting sorting;

static volatile sig_atomic_t ended;

static void end(int signal)
{
	(void)signal;
	ended = 1;
}

/* The terminal has another size: poll(2) ends, and the next frame is made for it. */
static void resized(int signal)
{
	(void)signal;
}

/* ---- the terminal ---- */

static struct termios before;

static void write_all(const char *text, size_t length)
{
	while (length) {
		ssize_t written = write(STDOUT_FILENO, text, length);

		if (written < 0 && errno != EINTR) {
			ended = 1;
			return;
		}
		if (written > 0) {
			text += written;
			length -= (size_t)written;
		}
	}
}

static void catch (int signal, void (*handler)(int))
{
	const struct sigaction action = { .sa_handler = handler };

	sigaction(signal, &action, NULL);
}

static void enter_terminal(void)
{
	struct termios raw = before;

	raw.c_lflag &= (tcflag_t) ~(ICANON | ECHO);
	raw.c_cc[VSUSP] = _POSIX_VDISABLE; /* a shell would be shown in the other screen */
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw);
	catch (SIGINT, end);
	catch (SIGTERM, end);
	catch (SIGHUP, end);
	catch (SIGWINCH, resized);
	write_all(ENTER, sizeof(ENTER) - 1);
}

static void leave_terminal(void)
{
	write_all(LEAVE, sizeof(LEAVE) - 1);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
}

static void terminal_size(unsigned *rows, unsigned *columns)
{
	struct winsize size = { 0 };

	ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
	*rows = size.ws_row ? size.ws_row : 24;
	*columns = size.ws_col ? size.ws_col : 80;
}

/* ---- lines ---- */

/* The same connection at the look before; NULL: it is new. */
static const struct connection *find_before(const struct snapshot *earlier,
					    const struct process *process,
					    const struct connection *connection)
{
	const struct process *then = snapshot_find(earlier, process->number);
	const struct connection *found =
		then && then->connection_count
			? bsearch(connection, then->connections, then->connection_count,
				  sizeof(*connection), row_order)
			: NULL;

	return found && memcmp(&found->row.peer, &connection->row.peer, sizeof(found->row.peer)) ==
				       0
		       ? found
		       : NULL;
}

/* After a connection was given back the counts begin anew. */
static double rate(uint64_t now, uint64_t then, double seconds)
{
	return now > then ? (double)(now - then) / seconds : 0;
}

static size_t count_connections(const struct snapshot *snapshot)
{
	size_t count = 0;

	for (size_t i = 0; i < snapshot->count; i++)
		count += snapshot->processes[i].connection_count;
	return count;
}

static struct line *make_lines(const struct snapshot *now, const struct snapshot *earlier,
			       double seconds, size_t *count)
{
	struct line *lines = calloc(count_connections(now) + 1, sizeof(*lines)), *line = lines;

	for (size_t i = 0; lines && i < now->count; i++)
		for (size_t k = 0; k < now->processes[i].connection_count; k++, line++) {
			const struct connection *then;

			line->process = &now->processes[i];
			line->connection = &line->process->connections[k];
			then = find_before(earlier, line->process, line->connection);
			if (!then)
				continue;
			line->sent = rate(line->connection->row.bytes_sent, then->row.bytes_sent,
					  seconds);
			line->received = rate(line->connection->row.bytes_received,
					      then->row.bytes_received, seconds);
		}
	*count = (size_t)(line - lines);
	return lines;
}

static double key(const struct line *line)
{
	switch (sorting) {
	case BY_RTT:
		return line->connection->row.round_trip;
	case BY_RETRANSMISSIONS:
		return line->connection->row.retransmitted;
	case BY_AGE:
		return (double)line->connection->age_ms;
	default:
		return line->sent + line->received;
	}
}

/* The largest first; equal ones in a fixed order, so that lines do not jump. */
static int by_key(const void *a, const void *b)
{
	const struct line *first = a, *second = b;

	if (key(first) != key(second))
		return key(first) > key(second) ? -1 : 1;
	if (first->process->number != second->process->number)
		return first->process->number < second->process->number ? -1 : 1;
	return row_order(first->connection, second->connection);
}

/* ---- a frame ---- */

/* "1.2M": in five places. */
static const char *amount(double number, char text[16])
{
	static const char units[] = " KMGT";
	size_t unit = 0;

	for (; number >= 9999.5 && units[unit + 1]; unit++)
		number /= 1000;
	snprintf(text, 16, "%.0f%c", number, units[unit]);
	return text;
}

static void put_line(FILE *frame, unsigned columns, const char *text)
{
	/* Behind the last column there is no rest, and some terminals would clear that column. */
	fprintf(frame, "%.*s%s\n", (int)columns, text, strlen(text) < columns ? LINE_REST : "");
}

static void put_head(FILE *frame, unsigned columns, const struct snapshot *now, size_t connections)
{
	size_t borrowed = 0, own = 0;
	char text[512];

	for (size_t i = 0; i < now->count; i++) {
		borrowed += count_carried(&now->processes[i], CARRIER_BORROWED);
		own += count_carried(&now->processes[i], CARRIER_STACK);
	}
	snprintf(text, sizeof(text),
		 "melin top: %zu processes, %zu connections: %zu borrowed, %zu the stack's, %zu "
		 "the kernel's; by %s (s: another, q: quit)",
		 now->count, connections, borrowed, own, connections - borrowed - own,
		 sorting_names[sorting]);
	put_line(frame, columns, text);
	snprintf(text, sizeof(text),
		 "%7s %-15.15s %5s %-22s %-22s %7s %7s %8s %5s %5s %6s %6s %6s %-5s %s", "PID",
		 "PROGRAM", "FD", "LOCAL", "PEER", "OUT/s", "IN/s", "RTT ms", "CWND", "MSS", "RETR",
		 "RECV-Q", "SEND-Q", "AGE", "CARRIER");
	fprintf(frame, REVERSE "%-*.*s" PLAIN "\n", (int)columns, (int)columns, text);
}

static void put_connection(FILE *frame, unsigned columns, const struct line *line)
{
	const struct connection *connection = line->connection;
	const struct status_row *row = &connection->row;
	char local[NAME_TEXT_SIZE], peer[NAME_TEXT_SIZE], carrier[CARRIER_TEXT_SIZE],
		age[AGE_TEXT_SIZE], out[16], in[16], text[512];

	snprintf(text, sizeof(text),
		 "%7d %-15.15s %5d %-22s %-22s %7s %7s %8.3f %5u %5u %6u %6u %6u %-5s %s",
		 line->process->number, line->process->program, row->descriptor,
		 name_text(&row->local, local), name_text(&row->peer, peer),
		 amount(line->sent, out), amount(line->received, in), row->round_trip / 1e3,
		 row->window, row->mss, row->retransmitted, row->receive_queue, row->send_queue,
		 age_text(connection->age_ms, age), carrier_text(connection, carrier));
	put_line(frame, columns, text);
}

static void show(const struct snapshot *now, const struct snapshot *earlier, double seconds)
{
	unsigned rows, columns;
	char *text = NULL;
	size_t length = 0, count;
	struct line *lines = make_lines(now, earlier, seconds, &count);
	FILE *frame = open_memstream(&text, &length);

	if (lines && frame) {
		terminal_size(&rows, &columns);
		qsort(lines, count, sizeof(*lines), by_key);
		fprintf(frame, HOME);
		put_head(frame, columns, now, count);
		/* The last row stays empty: a line end there would move all the others. */
		for (size_t i = 0; i < count && i + 3 < rows; i++)
			put_connection(frame, columns, &lines[i]);
		fprintf(frame, REST);
	}
	if (frame && fclose(frame) == 0)
		write_all(text, length);
	free(text);
	free(lines);
}

/* ---- the loop ---- */

static double now_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Waits for the next look, or for a key or another size, which shows the same anew. */
static void wait_for_keys(double until, const struct snapshot *now, const struct snapshot *earlier,
			  double seconds)
{
	double left;

	while (!ended && (left = until - now_seconds()) > 0) {
		struct pollfd keys = { .fd = STDIN_FILENO, .events = POLLIN };
		char pressed;
		int ready = poll(&keys, 1, (int)(left * 1000) + 1);

		if (ready > 0) {
			if (read(STDIN_FILENO, &pressed, 1) != 1 || pressed == 'q')
				ended = 1;
			else if (pressed == 's')
				sorting = (sorting + 1) % SORTINGS;
		}
		if (ready != 0 && !ended)
			show(now, earlier, seconds);
	}
}

static void run(const pid_t *list, size_t count, double delay)
{
	struct snapshot earlier = { NULL, 0 }, now;
	double looked, last = now_seconds() - delay;
	pid_t failed;

	while (!ended) {
		looked = now_seconds();
		if (list)
			snapshot_take_of(list, count, SNAPSHOT_CONNECTIONS, &now, &failed);
		else
			snapshot_take(SNAPSHOT_CONNECTIONS, &now);
		show(&now, &earlier, looked - last);
		wait_for_keys(looked + delay, &now, &earlier, looked - last);
		snapshot_free(&earlier);
		earlier = now;
		last = looked;
	}
	snapshot_free(&earlier);
}

int command_top(const struct command *command, int argc, char **argv)
{
	double delay = 1;
	size_t count;
	pid_t *list;

	while (command_option(command, options, argc, argv) >= 0)
		delay = command_seconds(command, "--delay", optarg, 0.1, 3600);
	list = process_list(command, argv + optind, &count);
	if (tcgetattr(STDIN_FILENO, &before) < 0 || !isatty(STDOUT_FILENO)) {
		free(list);
		return command_failed(command,
				      "this is no terminal; \"melin stat --watch 1\" prints");
	}
	if (list) {
		struct snapshot first;
		pid_t failed = 0;
		int status = snapshot_take_of(list, count, 0, &first, &failed);

		snapshot_free(&first);
		if (status < 0) {
			free(list);
			return command_failed(command, "%d: %s", failed, snapshot_error(status));
		}
	}
	enter_terminal();
	run(list, count, delay);
	leave_terminal();
	free(list);
	return 0;
}
