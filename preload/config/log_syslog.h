/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Delivers a line to the system's log as syslog(3) does, but by system calls of melin's own: the
 * program's openlog() stays as it is, libc's lock is not taken (a signal handler may log), and no
 * descriptor stays open. Not for deciding what goes there (log.h).
 */
#ifndef MELIN_LOG_SYSLOG_H
#define MELIN_LOG_SYSLOG_H

/*
 * One line without its end, at a level of syslog.h (LOG_WARNING), facility LOG_USER as syslog(3)
 * has it by default. It goes to /dev/log in the form of RFC 3164 4.1 without a time, which the
 * receiver adds: to compose one, libc would read the time zone under a lock. Never waits. Where
 * nobody reads /dev/log the line is lost. Any thread and any handler; errno stays.
 */
void log_syslog(int level, const char *program, long process, const char *line);

#endif
