/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Steps of the sequences that give a connection more descriptors, another process, thread or
 * stream. In own mode a connection stays in its process: there is no fork and no message there.
 */
#include "sequences.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void added(struct side *side, const char *name, int fd)
{
	outcome(name, fd);
	if (fd >= 0)
		descriptor_added(side, fd);
}

static void step_duplicate(struct side *side, int fd)
{
	switch (chance(4)) {
	case 0:
		added(side, "dup", dup(fd));
		break;
	case 1:
		added(side, "F_DUPFD", fcntl(fd, F_DUPFD, 20 + (int)chance(5)));
		break;
	case 2:
		added(side, "F_DUPFD_CLOEXEC", fcntl(fd, F_DUPFD_CLOEXEC, 0));
		break;
	default:
		outcome("dup2 onto itself", dup2(fd, fd));
		outcome("dup3 onto itself", dup3(fd, fd, 0));
		outcome("dup2 from nowhere", dup2(-1, fd));
		outcome("F_DUPFD -1", fcntl(fd, F_DUPFD, -1));
	}
}

/* Onto a number that is free, or that another descriptor of some side has. */
static void step_onto(struct side *side, int fd)
{
	int target = chance(2) ? 40 + (int)chance(4) : some_descriptor(some_side());
	int result;

	if (fd < 0 || target < 0 || target == fd)
		return;
	result = chance(2) ? dup2(fd, target) : dup3(fd, target, O_CLOEXEC);
	outcome("onto", result);
	if (result < 0)
		return;
	descriptor_gone(target);
	descriptor_added(side, target);
}

static void step_close_one(struct side *side, int fd)
{
	(void)side;
	outcome("close", close(fd));
	descriptor_gone(fd);
	outcome("once more", close(fd));
}

static void step_close_range(struct side *side, int fd)
{
	(void)side;
	if (fd < 0)
		return;
	outcome("on exec", close_range((unsigned)fd, (unsigned)fd, CLOSE_RANGE_CLOEXEC));
	outcome("F_GETFD", fcntl(fd, F_GETFD));
	if (chance(2))
		return;
	outcome("close_range", close_range((unsigned)fd, (unsigned)fd, 0));
	descriptor_gone(fd);
}

static void step_flags(struct side *side, int fd)
{
	(void)side;
	outcome("F_SETFD", fcntl(fd, F_SETFD, (int)chance(2)));
	outcome("F_GETFD", fcntl(fd, F_GETFD));
	outcome("F_GETFL", fcntl(fd, F_GETFL));
	note("its owner is %s", fcntl(fd, F_GETOWN) == getpid() ? "this process" : "none");
}

/* ---- another process ---- */

static void child(struct side *side, int fd)
{
	unsigned steps = chance(4);

	note("the child");
	for (unsigned i = 0; i < steps; i++) {
		struct side *who = chance(2) ? side : peer_of(side);

		run_transfer(who, side_descriptor(who));
		rest();
	}
	if (chance(4) == 0) {
		outcome("shutdown", shutdown(fd, SHUT_WR));
		side_ended(side);
	}
	if (chance(3) == 0)
		close(fd);
	if (chance(2))
		_exit((int)steps);
	fflush(NULL);
	_exit(7);
}

static void step_fork(struct side *side, int fd)
{
	pid_t pid;
	int status = 0;

	if (in_process())
		return;
	pid = fork();
	if (pid == 0)
		child(side, fd);
	must("fork", pid);
	must("waitpid", waitpid(pid, &status, 0));
	note("its status 0x%x", status);
}

void send_descriptor(int by, int fd)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { .header = { .cmsg_len = CMSG_LEN(sizeof(int)),
				  .cmsg_level = SOL_SOCKET,
				  .cmsg_type = SCM_RIGHTS } };
	char byte = 'x';
	struct msghdr header = { .msg_iov = &(struct iovec){ &byte, 1 },
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control) };

	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	outcome("sendmsg", sendmsg(by, &header, 0));
}

int receive_descriptor(int by)
{
	char byte, control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct msghdr header = { .msg_iov = &(struct iovec){ &byte, 1 },
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof(control) };
	int fd = -1;

	outcome("recvmsg", recvmsg(by, &header, MSG_DONTWAIT));
	if (CMSG_FIRSTHDR(&header))
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&header)), sizeof(fd));
	return fd;
}

static void step_message(struct side *side, int fd)
{
	bool first = chance(2);
	int pair[2];

	if (in_process() || fd < 0)
		return;
	must("socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	send_descriptor(pair[0], fd);
	if (first) { /* it lives in the message alone, perhaps */
		close(fd);
		for (int i = 0; i < SIDE_FDS; i++)
			if (side->fds[i] == fd)
				side->fds[i] = -1;
	}
	added(side, "by a message", receive_descriptor(pair[1]));
	close(pair[0]);
	close(pair[1]);
}

/* ---- threads ---- */

/* A thread that blocks SIGSEGV is ended by a bad pointer (LIMITS in libmelin(7)). */
static void do_transfer(int fd)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGSEGV);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	run_transfer(side_of(fd), fd);
}

static void step_thread(struct side *side, int fd)
{
	(void)side;
	if (fd >= 0)
		join(later(0, do_transfer, fd));
}

/* ---- files and streams ---- */

static void step_file(struct side *side, int fd)
{
	struct stat status = { 0 };
	char path[64], target[64] = "";

	(void)side;
	outcome("fstat", fstat(fd, &status));
	note("mode 0%o, size %ld", status.st_mode, (long)status.st_size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	outcome("readlink", readlink(path, target, sizeof(target) - 1) > 0 ? 0 : -1);
	note("%.7s", target);
	outcome("open", open(path, O_RDWR | O_CLOEXEC));
}

static void step_stream_out(struct side *side, int fd)
{
	int copy = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0), result;
	FILE *stream = copy < 0 ? NULL : fdopen(copy, "w");
	const int length = (int)sendable(side, 50);

	if (!stream)
		return;
	outcome("fprintf", fprintf(stream, "%.*s", length, next_data(side, (size_t)length)));
	result = fflush(stream);
	outcome("fflush", result);
	side_has_sent(side, result == 0 ? (size_t)length : 0);
	outcome("fclose", fclose(stream));
}

static void step_stream_in(struct side *side, int fd)
{
	int copy = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
	FILE *stream = copy < 0 ? NULL : fdopen(copy, "r");
	size_t n;

	if (!stream)
		return;
	setvbuf(stream, NULL, _IONBF, 0);
	n = fread(received_data, 1, 30, stream);
	note("fread %zu, end %d, error %d", n, feof(stream), ferror(stream));
	show("data", received_data, (long)n);
	side->received += n;
	outcome("fclose", fclose(stream));
}

const struct step sharing_steps[] = {
	{ "duplicate", step_duplicate, 8 }, { "onto", step_onto, 5 },
	{ "close one", step_close_one, 5 }, { "close_range", step_close_range, 2 },
	{ "flags", step_flags, 2 },	    { "fork", step_fork, 2 },
	{ "message", step_message, 2 },	    { "thread", step_thread, 4 },
	{ "file", step_file, 2 },	    { "stream out", step_stream_out, 2 },
	{ "stream in", step_stream_in, 2 }, { 0 },
};
