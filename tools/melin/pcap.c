/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * melin pcap: the frames that a process's stack sends and receives, as tcpdump(8) would write them
 * where it cannot see them. Not for how the stack copies them (stack/ip/capture.c), nor for the
 * file's format (pcapng.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <pcap/pcap.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "tools/melin/command_line.h"
#include "tools/melin/commands.h"
#include "tools/melin/pcap_checksum.h"
#include "tools/melin/pcapng.h"
#include "tools/melin/process_list.h"
#include "tools/melin/snapshot_text.h"
#include "common/status_reader.h"

static const struct command_option options[] = {
	{ "write", 'w', "FILE", "where frames go, in pcapng; - is standard output" },
	{ "count", 'c', "NUMBER", "ends after so many frames" },
	{ "snapshot-length", 's', "BYTES", "of each frame at most (default: all)" },
	{ NULL, 0, NULL, NULL },
};

enum { WRITE, COUNT, SNAPSHOT_LENGTH };

/* The stack is not told of new frames' readers: the ring is looked at so often. */
#define LOOK_MS 10

/* The sign of life comes so often, also while what is written to is slow (CAPTURE_PATIENCE_MS). */
#define ALIVE_MS 500

struct capture_job {
	const struct command *command;
	struct status_reader reader;
	struct capture_ring *ring;
	const char *path;
	FILE *file;
	uint64_t limit; /* frames; 0: none */
	uint32_t snap_length;
	bool has_filter;
	struct bpf_program filter;

	uint64_t tail;		/* how far the ring was read */
	uint64_t seen, written; /* frames */
	uint64_t lost;		/* as of the last frame */
	bool nonsense;		/* what is in the ring cannot be */
	bool gone;		/* the process has ended */
	int error;		/* why the file could not be written to: an errno value */
};

static volatile sig_atomic_t ended;
static _Atomic uint32_t *alive;

static void on_end(int number)
{
	(void)number;
	ended = 1;
}

static void on_alarm(int number)
{
	(void)number;
	atomic_fetch_add_explicit(alive, 1, memory_order_relaxed);
}

static void handle(int number, void (*handler)(int), int flags)
{
	const struct sigaction action = { .sa_handler = handler, .sa_flags = flags };

	sigaction(number, &action, NULL);
}

/*
 * The first signal ends the capture, and what is there is written; the second ends all. A write to
 * a full pipe goes on behind the first one, since half of a block would make the file nonsense.
 */
static void handle_signals(void)
{
	handle(SIGINT, on_end, (int)SA_RESETHAND | SA_RESTART);
	handle(SIGTERM, on_end, (int)SA_RESETHAND | SA_RESTART);
	handle(SIGPIPE, SIG_IGN, 0);
}

static void show_life(struct capture_job *job)
{
	const struct itimerval often = { { 0, ALIVE_MS * 1000 }, { 0, ALIVE_MS * 1000 } };

	alive = &job->ring->alive;
	handle(SIGALRM, on_alarm, SA_RESTART);
	setitimer(ITIMER_REAL, &often, NULL);
}

static void show_no_life(void)
{
	const struct itimerval never = { 0 };

	setitimer(ITIMER_REAL, &never, NULL);
}

/* ---- what is asked for ---- */

static unsigned long read_number(const struct command *command, const char *option,
				 const char *text, unsigned long most)
{
	char *end;
	unsigned long number;

	errno = 0;
	number = strtoul(text, &end, 10);
	if (errno || end == text || *end || *text == '-' || number < 1 || number > most)
		command_usage(command, "%s: \"%s\" is no number from 1 to %lu", option, text, most);
	return number;
}

static void compile_filter(struct capture_job *job, char **words)
{
	pcap_t *dead = pcap_open_dead(DLT_EN10MB, CAPTURE_FRAME_MAX);
	char text[4096] = "";
	size_t length = 0;

	for (; *words; words++)
		length += (size_t)snprintf(text + length,
					   length < sizeof(text) ? sizeof(text) - length : 0,
					   "%s%s", length ? " " : "", *words);
	if (length >= sizeof(text))
		command_usage(job->command, "the filter is too long");
	if (!length)
		return;
	if (!dead)
		exit(command_failed(job->command, "no memory"));
	if (pcap_compile(dead, &job->filter, text, 1, PCAP_NETMASK_UNKNOWN) < 0)
		command_usage(job->command, "filter \"%s\": %s", text, pcap_geterr(dead));
	pcap_close(dead);
	job->has_filter = true;
}

static pid_t read_wish(struct capture_job *job, int argc, char **argv)
{
	char *process[2] = { NULL, NULL };
	pid_t *list, number;
	size_t count;
	int option;

	while ((option = command_option(job->command, options, argc, argv)) >= 0) {
		if (option == WRITE)
			job->path = optarg;
		else if (option == COUNT)
			job->limit = read_number(job->command, "--count", optarg, LONG_MAX);
		else
			job->snap_length = (uint32_t)read_number(job->command, "--snapshot-length",
								 optarg, CAPTURE_FRAME_MAX);
	}
	process[0] = argv[optind];
	list = process_list(job->command, process, &count);
	if (!list)
		command_usage(job->command, "which process? Name it by its number");
	number = *list;
	free(list);
	if (!job->path)
		command_usage(job->command, "where to? Name a file by -w, or - for a pipe");
	if (strcmp(job->path, "-") == 0 && isatty(STDOUT_FILENO))
		command_usage(job->command, "frames are nothing for a terminal: name a file, or "
					    "end with \"| tcpdump -r -\"");
	compile_filter(job, argv + optind + 1);
	return number;
}

/* 0, or the exit status. */
static int open_file(struct capture_job *job)
{
	if (strcmp(job->path, "-") != 0)
		job->file = fopen(job->path, "we");
	else
		job->file = stdout;
	if (!job->file)
		return command_failed(job->command, "%s: %s", job->path, strerror(errno));
	return 0;
}

/* ---- frames ---- */

/* The next frame of the ring in front of a position. False: there is none. */
static bool take(struct capture_job *job, uint64_t end, struct capture_head *head, uint8_t *bytes)
{
	const uint64_t there = end - job->tail;

	if (!there)
		return false;
	job->nonsense = there > CAPTURE_RING_SIZE || there < sizeof(*head);
	if (job->nonsense)
		return false;
	capture_get(job->ring, job->tail, head, sizeof(*head));
	job->nonsense = head->captured > CAPTURE_FRAME_MAX || head->captured > head->length ||
			capture_round(sizeof(*head) + head->captured) > there;
	if (job->nonsense)
		return false;
	capture_get(job->ring, job->tail + sizeof(*head), bytes, head->captured);
	job->tail += capture_round(sizeof(*head) + head->captured);
	atomic_store_explicit(&job->ring->tail, job->tail, memory_order_release);
	return true;
}

static bool passes(const struct capture_job *job, const struct capture_head *head,
		   const uint8_t *bytes)
{
	const struct pcap_pkthdr header = { .caplen = head->captured, .len = head->length };

	return !job->has_filter || pcap_offline_filter(&job->filter, &header, bytes);
}

static void write_frame(struct capture_job *job, const struct capture_head *head, uint8_t *bytes)
{
	char comment[96];
	struct pcapng_frame frame = { .time = head->time,
				      .bytes = bytes,
				      .captured = head->captured < job->snap_length
							  ? head->captured
							  : job->snap_length,
				      .length = head->length,
				      .sent = head->sent != 0 };

	if (head->lost != job->lost) {
		snprintf(comment, sizeof(comment), "melin: %llu frames before this one were lost",
			 (unsigned long long)(head->lost - job->lost));
		frame.comment = comment;
		job->lost = head->lost;
	}
	if (head->captured == head->length)
		pcap_finish_checksum(bytes, head->length, frame.sent);
	pcapng_frame(job->file, &frame);
	job->written++;
}

static bool is_full(const struct capture_job *job)
{
	return (job->limit && job->written == job->limit) || ferror(job->file);
}

/* Of the reasons the first is kept: what else is called afterwards has errors of its own. */
static void flush(struct capture_job *job)
{
	if ((fflush(job->file) != 0 || ferror(job->file)) && !job->error)
		job->error = errno;
}

/* All that are there now. Those that come meanwhile wait: the caller looks whether to go on. */
static void write_frames(struct capture_job *job)
{
	static uint8_t bytes[CAPTURE_FRAME_MAX];
	/* Pairs with the writer's release: the frames up to there are whole. */
	const uint64_t end = atomic_load_explicit(&job->ring->head, memory_order_acquire);
	struct capture_head head;

	while (!is_full(job) && take(job, end, &head, bytes)) {
		job->seen++;
		if (passes(job, &head, bytes))
			write_frame(job, &head, bytes);
	}
	flush(job);
}

/* ---- the capture ---- */

static int tell_why_not(const struct capture_job *job, int status)
{
	const struct status_reader *reader = &job->reader;
	const char *reason = strerror(-status);

	if (status == -ENOENT)
		reason = "it has no stack yet: no connection has needed one";
	else if (status == -ENODEV)
		reason = "its device is the loop: there are no frames";
	else if (status == -EBUSY)
		reason = "another melin pcap captures its frames";
	else if (status == -ETIMEDOUT)
		reason = "it does not answer";
	return command_failed(job->command, "%s (pid %d): %s", reader->program, reader->process,
			      reason);
}

/* Whether somebody else's capture runs: one whose reader shows no life is left over. */
static bool is_taken(struct capture_ring *ring)
{
	const uint32_t before = atomic_load(&ring->alive);

	for (int waited = 0; waited < CAPTURE_PATIENCE_MS && !ended; waited += LOOK_MS) {
		if (atomic_load(&ring->state) != CAPTURE_RUNS)
			return false;
		if (atomic_load(&ring->alive) != before)
			return true;
		usleep(LOOK_MS * 1000);
	}
	/* Who is told to end before it is known takes nothing from the other. */
	return ended;
}

/* 0 or a negative errno value. */
static int begin(struct capture_job *job)
{
	int status;

	if (is_taken(job->ring))
		return -EBUSY;
	/* The filter looks at whole frames, as tcpdump's does: they are cut afterwards. */
	atomic_store(&job->ring->snap_length,
		     job->has_filter ? CAPTURE_FRAME_MAX : job->snap_length);
	atomic_store(&job->ring->error, 0);
	status = status_ask(&job->reader, STATUS_ASK_CAPTURE, 0, STATUS_PATIENCE_MS);
	status_done(&job->reader);
	return status < 0 ? status : atomic_load(&job->ring->error);
}

/*
 * The ring's memory goes back to the system. Another capture may begin as soon as this reader's
 * turn is over: the frames that are left are read from a copy.
 */
static void finish(struct capture_job *job)
{
	static struct capture_ring rest;

	/* When the process has ended nobody would answer, and nobody writes. */
	if (job->gone)
		return;
	if (status_ask(&job->reader, STATUS_ASK_CAPTURE_END, 0, STATUS_PATIENCE_MS) == 0) {
		memcpy(&rest, job->ring, sizeof(rest));
		fallocate(job->reader.file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			  offsetof(struct status_page, capture.bytes), CAPTURE_RING_SIZE);
		job->ring = &rest;
	}
	status_done(&job->reader);
}

/* Until it is told to end, or the process or its stack ends. */
static void capture_until_end(struct capture_job *job)
{
	struct pollfd process = { .fd = (int)syscall(SYS_pidfd_open, job->reader.process, 0),
				  .events = POLLIN };
	bool over = process.fd < 0;

	job->gone = over && errno == ESRCH;
	while (!ended && !is_full(job) && !job->nonsense && !over) {
		poll(&process, 1, LOOK_MS);
		job->gone = (process.revents & POLLIN) != 0;
		over = job->gone || atomic_load(&job->ring->state) != CAPTURE_RUNS;
		write_frames(job);
	}
	if (process.fd >= 0)
		close(process.fd);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* What is on the way when the capture ends is written, too. Returns the exit status. */
static int end_file(struct capture_job *job)
{
	const uint64_t lost = atomic_load(&job->ring->lost);

	write_frames(job);
	if (!is_full(job) || !ferror(job->file))
		pcapng_end(job->file, now_ns(), job->seen, lost);
	flush(job);
	if (fclose(job->file) != 0 && !job->error)
		job->error = errno;
	fprintf(stderr, "%llu frames captured, %llu written, %llu lost\n",
		(unsigned long long)job->seen, (unsigned long long)job->written,
		(unsigned long long)lost);
	if (job->nonsense)
		return command_failed(job->command, "%s (pid %d): what it tells cannot be",
				      job->reader.program, job->reader.process);
	if (atomic_load(&job->ring->state) == CAPTURE_LEFT_ALONE)
		return command_failed(job->command,
				      "%s (pid %d): its stack has ended the capture: nothing was "
				      "read for %d seconds",
				      job->reader.program, job->reader.process,
				      CAPTURE_PATIENCE_MS / 1000);
	/* Whoever reads a pipe may have seen enough. */
	return job->error && job->error != EPIPE
		       ? command_failed(job->command, "%s: cannot be written to: %s", job->path,
					strerror(job->error))
		       : 0;
}

static int capture(struct capture_job *job)
{
	char name[64], application[32];
	int status;

	handle_signals();
	status = begin(job);
	if (status < 0)
		return tell_why_not(job, status);
	show_life(job);
	status = open_file(job);
	if (status == 0) {
		snprintf(name, sizeof(name), "melin:%s:%d", job->reader.program,
			 job->reader.process);
		snprintf(application, sizeof(application), "melin %s", PACKAGE_VERSION);
		pcapng_begin(job->file, application, name, job->snap_length);
		flush(job);
		fprintf(stderr, "melin pcap: capturing frames of %s (pid %d)\n",
			job->reader.program, job->reader.process);
		capture_until_end(job);
	}
	finish(job);
	show_no_life();
	return status ? status : end_file(job);
}

int command_pcap(const struct command *command, int argc, char **argv)
{
	struct capture_job job = { .command = command, .snap_length = CAPTURE_FRAME_MAX };
	const pid_t number = read_wish(&job, argc, argv);
	int status = status_open(number, &job.reader);

	if (status < 0)
		return command_failed(command, "%d: %s", number, snapshot_error(status));
	job.ring = &job.reader.page->capture;
	status = capture(&job);
	status_close(&job.reader);
	if (job.has_filter)
		pcap_freecode(&job.filter);
	return status;
}
