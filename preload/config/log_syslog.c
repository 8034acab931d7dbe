/* SPDX-License-Identifier: BSD-3-Clause */
/* See log_syslog.h. */
#include "preload/config/log_syslog.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <syslog.h>

#include "common/system_call.h"

/* "<15>", the longest name and number, "[", "]: ". */
#define HEAD_SIZE 64

/* A socket connected to the system's log, or a negative errno value. */
static int connect_to_log(int type)
{
	static const struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "/dev/log" };
	const int flags = SOCK_CLOEXEC | SOCK_NONBLOCK;
	int log = (int)kernel_call(SYS_socket, AF_UNIX, type | flags, 0, 0);
	long error;

	if (log < 0)
		return log;
	error = kernel_call(SYS_connect, log, (long)&address, sizeof(address), 0);
	if (error == 0)
		return log;
	kernel_call(SYS_close, log, 0, 0, 0);
	return (int)error;
}

void log_syslog(int level, const char *program, long process, const char *line)
{
	char head[HEAD_SIZE];
	struct iovec parts[2] = { { .iov_base = head } };
	const struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };
	int type = SOCK_DGRAM, log = connect_to_log(type);

	if (log == -EPROTOTYPE) {
		type = SOCK_STREAM;
		log = connect_to_log(type);
	}
	if (log < 0)
		return;
	parts[0].iov_len = (size_t)snprintf(head, sizeof(head),
					    "<%d>%.31s[%ld]: ", LOG_USER | level, program, process);
	parts[1].iov_base = (void *)(size_t)line;
	/* Lines in a stream are told apart by the zero behind each. */
	parts[1].iov_len = strlen(line) + (type == SOCK_STREAM);
	kernel_call(SYS_sendmsg, log, (long)&message, MSG_NOSIGNAL | MSG_DONTWAIT, 0);
	kernel_call(SYS_close, log, 0, 0, 0);
}
