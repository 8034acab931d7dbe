/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * melin's log: one line per message, on the program's standard error or in a file. Not for
 * counters, and not for anything that the program itself should see.
 *
 * Every call to the kernel is made by instruction (kernel.h): libc's functions for them are
 * interposed by this library, and a line must never come back into it.
 */
#include "preload/config/log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "preload/config/log_file.h"
#include "preload/config/log_syslog.h"
#include "common/system_call.h"

/*
 * A line longer than this is cut. It lies on the stack of whoever has something to say, which may
 * be small; PIPE_BUF is more, so that a line to a pipe stays in one piece.
 */
#define LINE_SIZE 1024

/* As the kernel's own name of a process, twice as long. */
#define PROGRAM_SIZE 32

/* " [", the program, " ", a process's number, "]", the line's end and a zero. */
#define SIGNATURE_SIZE (PROGRAM_SIZE + 16)

/*
 * What makes an open file the same as before. Inode numbers of files that were removed are used
 * again; the time of birth is not, where the file system has one.
 */
struct identity {
	bool open;
	mode_t type;
	dev_t device, special;
	ino_t inode;
	struct statx_timestamp birth;
};

_Atomic bool log_calls;

/*
 * Written by log_open() alone, before the program has threads; constant afterwards, but for flags,
 * each of which is all that it tells.
 */
static struct {
	_Atomic bool open;
	enum log_level level;
	int file;		    /* -1: standard error */
	struct identity error;	    /* standard error as the program found it */
	char program[PROGRAM_SIZE]; /* a copy: setproctitle() writes over its source */
	_Atomic bool filtered;	    /* few system calls are allowed: log_filtered() */
	_Atomic long process;	    /* as it is known behind a filter; 0: it is not */
	_Atomic bool error_is_same; /* as it was found, when that was last looked at */
} state = { .file = -1 };

static void identify(int descriptor, struct identity *identity)
{
	struct stat status;
	struct statx more;

	memset(identity, 0, sizeof(*identity));
	if (kernel_call(SYS_fstat, descriptor, (long)&status, 0, 0) < 0)
		return;
	identity->open = true;
	identity->type = status.st_mode & S_IFMT;
	identity->device = status.st_dev;
	identity->special = status.st_rdev;
	identity->inode = status.st_ino;
	/* Only files on disks have a time of birth; and a sandbox may not know statx(2). */
	if (S_ISREG(status.st_mode) &&
	    kernel_call5(SYS_statx, descriptor, (long)"", AT_EMPTY_PATH, STATX_BTIME,
			 (long)&more) == 0 &&
	    (more.stx_mask & STATX_BTIME))
		identity->birth = more.stx_btime;
}

static bool same_file(const struct identity *a, const struct identity *b)
{
	return a->open && b->open && a->type == b->type && a->device == b->device &&
	       a->special == b->special && a->inode == b->inode &&
	       a->birth.tv_sec == b->birth.tv_sec && a->birth.tv_nsec == b->birth.tv_nsec;
}

int log_open(enum log_level level, const char *file)
{
	int saved_errno = errno;
	int opened = -1;

	state.level = level;
	identify(STDERR_FILENO, &state.error);
	if (program_invocation_short_name)
		snprintf(state.program, sizeof(state.program), "%s", program_invocation_short_name);
	state.open = true;
	if (file) {
		opened = log_file_open(file);
		/* What was meant for a file is too much for the program's standard error. */
		if (opened < 0 && level > LOG_LEVEL_WARN)
			state.level = LOG_LEVEL_WARN;
		if (opened >= 0)
			state.file = opened;
	}
	errno = saved_errno;
	return file && opened < 0 ? opened : 0;
}

void log_leave_standard_error(void)
{
	state.error.open = false;
}

void log_before_filter(void)
{
	struct identity now;

	identify(STDERR_FILENO, &now);
	atomic_store(&state.error_is_same, same_file(&now, &state.error));
	atomic_store(&state.process, kernel_call(SYS_getpid, 0, 0, 0, 0));
}

void log_forked(void)
{
	atomic_store(&state.process, 0);
}

void log_filtered(void)
{
	atomic_store(&state.filtered, true);
	atomic_store_explicit(&log_calls, false, memory_order_relaxed);
}

int log_descriptor(void)
{
	return state.file;
}

bool log_enabled(enum log_level level)
{
	return state.open && level <= state.level;
}

static const struct {
	const char *prefix;
	int syslog; /* -1: too much for the system's log */
} levels[] = {
	[LOG_LEVEL_ERROR] = { "melin: ", LOG_ERR },   [LOG_LEVEL_WARN] = { "melin: ", LOG_WARNING },
	[LOG_LEVEL_INFO] = { "melin: ", LOG_INFO },   [LOG_LEVEL_DEBUG] = { "melin: debug: ", -1 },
	[LOG_LEVEL_TRACE] = { "melin: trace: ", -1 },
};

/*
 * Blocks the signals that a write can raise for this thread while it writes: a reader that has gone
 * away (2>&1 | head) or a file that has reached the limit (ulimit -f) must not end a program that
 * itself writes nothing there.
 */
static void write_without_signals(int descriptor, const char *line, size_t length)
{
	/* The kernel's own signal sets: 64 bits. */
	const uint64_t raised = UINT64_C(1) << (SIGPIPE - 1) | UINT64_C(1) << (SIGXFSZ - 1);
	const struct timespec now = { 0 };
	uint64_t before = 0, pending = 0, ours;
	long result;

	kernel_call(SYS_rt_sigprocmask, SIG_BLOCK, (long)&raised, (long)&before, sizeof(raised));
	if (!atomic_load(&state.filtered))
		kernel_call(SYS_rt_sigpending, (long)&pending, sizeof(pending), 0, 0);
	do {
		result = kernel_call(SYS_write, descriptor, (long)line, (long)length, 0);
	} while (result == -EINTR);
	/*
	 * It cannot be taken away behind a filter, and so stays blocked; so does what would raise
	 * more of them.
	 */
	if ((result == -EPIPE || result == -EFBIG) && atomic_load(&state.filtered)) {
		atomic_store(&state.open, false);
		return;
	}
	/* Only the signal that this write raised is taken away. */
	ours = raised & ~pending;
	if ((result == -EPIPE || result == -EFBIG) && ours)
		kernel_call(SYS_rt_sigtimedwait, (long)&ours, 0, (long)&now, sizeof(ours));
	kernel_call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&before, 0, sizeof(before));
}

/* Who says it, behind a line that has room for that. Returns how long that is. */
static size_t sign(char *end, long process)
{
	if (process)
		return (size_t)snprintf(end, SIGNATURE_SIZE, " [%s %ld]\n", state.program, process);
	return (size_t)snprintf(end, SIGNATURE_SIZE, " [%s]\n", state.program);
}

static void deliver(enum log_level level, char *line, size_t length)
{
	const bool filtered = atomic_load(&state.filtered);
	const long process =
		filtered ? atomic_load(&state.process) : kernel_call(SYS_getpid, 0, 0, 0, 0);
	struct identity now;
	int file = state.file;

	if (file < 0 && !filtered) {
		identify(STDERR_FILENO, &now);
		atomic_store(&state.error_is_same, same_file(&now, &state.error));
	}
	if (file < 0 && atomic_load(&state.error_is_same))
		file = STDERR_FILENO;
	if (file < 0) {
		if (levels[level].syslog >= 0 && !filtered)
			log_syslog(levels[level].syslog, state.program, process, line);
		return;
	}
	length += sign(line + length, process);
	write_without_signals(file, line, length);
}

static long seconds_east; /* of UTC; written by log_calls_begin() alone */

static long seconds_east_now(void)
{
	const time_t now = time(NULL);
	struct tm local = { 0 };

	localtime_r(&now, &local);
	return local.tm_gmtoff;
}

void log_calls_begin(void)
{
	if (!log_enabled(LOG_LEVEL_TRACE) || state.file < 0)
		return;
	seconds_east = seconds_east_now();
	log_calls = true;
}

long log_local_time(long seconds)
{
	return seconds + seconds_east;
}

void log_line(const char *line, size_t length)
{
	if (state.file >= 0)
		write_without_signals(state.file, line, length);
}

void log_write(enum log_level level, const char *format, ...)
{
	char line[LINE_SIZE + SIGNATURE_SIZE];
	size_t start, length;
	int saved_errno = errno;
	int formatted;
	va_list arguments;

	if (!log_enabled(level))
		return;
	start = strlen(levels[level].prefix);
	memcpy(line, levels[level].prefix, start);
	va_start(arguments, format);
	formatted = vsnprintf(line + start, LINE_SIZE - start, format, arguments);
	va_end(arguments);
	if (formatted >= 0) {
		length = start + (size_t)formatted;
		if (length >= LINE_SIZE) {
			memcpy(line + LINE_SIZE - 4, "...", 3);
			length = LINE_SIZE - 1;
		}
		/*
		 * Messages quote the user's text: what is in it must not start a line or a colour.
		 */
		for (size_t i = start; i < length; i++) {
			if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
				line[i] = '?';
		}
		deliver(level, line, length);
	}
	errno = saved_errno;
}
