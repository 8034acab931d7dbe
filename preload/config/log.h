/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * melin's log: one line per message, on the program's standard error or in the file that
 * MELIN_LOG names. Not for counters and not for anything that the program itself should see.
 *
 * The program's streams are its own, so the log is careful with them:
 *  - Standard error is used only while descriptor 2 is still the file that it was when the
 *    program started. After a program has closed or reused 2 (daemons do), what is worth it goes
 *    to the system's log (log_syslog.h).
 *  - A line is one write(2), straight to the kernel and past every interposed symbol; a broken pipe
 *    raises no SIGPIPE; errno is kept.
 *  - No lock, no allocation and no stdio: a signal handler may log.
 */
#ifndef MELIN_LOG_H
#define MELIN_LOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/log_level.h"

/*
 * Sets the level and where lines go from now on: to file, or for NULL to standard error as it is
 * at the time of the call. Called once, at start-up; until then nothing is printed.
 * 0, or the negative errno value of opening file (log_file.h): then warnings and errors go to
 * standard error, and the rest is left out.
 */
int log_open(enum log_level level, const char *file);

/*
 * Standard error is a connection of the program's: a line there would be data to its peer. So none
 * is written there from now on, as if the program had closed it. Before the program has threads.
 */
void log_leave_standard_error(void);

/*
 * Around a filter for system calls (seccomp(2)): before the call, which may fail, and after it has
 * succeeded. From then on a line takes no others than write(2) and rt_sigprocmask(2), where
 * standard error was replaced before none is written, and calls are written down no more.
 * log_filtered() itself makes no system call.
 */
void log_before_filter(void);
void log_filtered(void);

/* The child of a fork: behind a filter its lines do not say its number, which nobody knows. */
void log_forked(void);

/* The log file's descriptor, which the program must not close or overwrite; -1: there is none. */
int log_descriptor(void);

bool log_enabled(enum log_level level);

/*
 * "melin: TEXT [PROGRAM PID]", with "melin: debug: " or "melin: trace: " in front at these two
 * levels. To the system's log "PROGRAM[PID]: melin: TEXT" without these two levels.
 */
void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * Whether the program's calls are written down, too (calls/trace.h). log_calls_begin() sets it, if
 * the level is LOG_LEVEL_TRACE and there is a file: once, before the program has threads.
 * log_filtered() clears it, since such a line takes more system calls than a filter may allow.
 * Relaxed: nothing else depends on it.
 */
extern _Atomic bool log_calls;
void log_calls_begin(void);

/* That time in seconds of the zone that was local when they began: localtime(3) takes a lock. */
long log_local_time(long seconds);

/*
 * A line that is complete, with its end, to the log's file as it is, by one write(2): nothing where
 * there is no file. Any thread and any handler; errno stays, no cancellation point.
 */
void log_line(const char *line, size_t length);

#endif
