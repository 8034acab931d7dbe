/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Steps of the sequences that reach a connection by what libc has beside the socket calls: aio(7),
 * vectors with flags, streams with buffers, system calls by number, files' calls.
 */
#include "sequences.h"

#include <aio.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define LENGTH 40
#define MANY   5

static void sent(struct side *side, const char *name, ssize_t n)
{
	outcome(name, n);
	side_has_sent(side, n > 0 ? (size_t)n : 0);
}

static void received(struct side *side, const char *name, ssize_t n)
{
	outcome(name, n);
	if (n > 0)
		show("data", received_data, n);
	side->received += n > 0 ? (size_t)n : 0;
}

/* ---- aio ---- */

static struct aiocb request(int fd, void *buffer, size_t size, int operation)
{
	return (struct aiocb){ .aio_fildes = fd,
			       .aio_buf = buffer,
			       .aio_nbytes = size,
			       .aio_lio_opcode = operation,
			       .aio_sigevent.sigev_notify = SIGEV_NONE };
}

static ssize_t finish(struct aiocb *control)
{
	const struct aiocb *list[] = { control };

	while (aio_error(control) == EINPROGRESS)
		aio_suspend(list, 1, NULL);
	errno = aio_error(control);
	return aio_return(control);
}

static void step_aio_write(struct side *side, int fd)
{
	const size_t length = sendable(side, LENGTH);
	struct aiocb control = request(fd, next_data(side, length), length, LIO_WRITE);

	/* No thread of libc's ignores SIGPIPE for it. */
	if (side->loose)
		return;
	outcome("aio_write", aio_write(&control));
	sent(side, "its result", finish(&control));
}

static void step_aio_read(struct side *side, int fd)
{
	struct aiocb control = request(fd, received_data, 1 + chance(100), LIO_READ);

	outcome("aio_read", aio_read(&control));
	received(side, "its result", finish(&control));
}

static void step_list(struct side *side, int fd)
{
	char *data = next_data(side, LENGTH);
	struct aiocb controls[2] = { request(fd, data, LENGTH / 2, LIO_WRITE),
				     request(fd, data + LENGTH / 2, LENGTH / 2, LIO_WRITE) };
	struct aiocb *list[] = { &controls[0], NULL, &controls[1] };

	if (side->loose || sendable(side, LENGTH) < LENGTH)
		return;
	outcome("lio_listio", lio_listio(LIO_WAIT, list, 3, NULL));
	for (int i = 0; i < 2; i++)
		sent(side, "its result", finish(&controls[i]));
}

/* ---- vectors ---- */

static void step_vectors_out(struct side *side, int fd)
{
	const size_t length = sendable(side, LENGTH);
	struct iovec part = { next_data(side, length), length };

	outcome("with an offset", pwritev2(fd, &part, 1, 0, 0));
	sent(side, "pwritev2", pwritev2(fd, &part, 1, -1, 0));
}

static void step_vectors_in(struct side *side, int fd)
{
	struct iovec parts[2] = { { received_data, 9 }, { received_data + 9, 1 + chance(5000) } };

	outcome("with an offset", preadv2(fd, parts, 2, 0, 0));
	received(side, "preadv2", preadv2(fd, parts, 2, -1, chance(2) ? RWF_NOWAIT : 0));
	outcome("with an unknown flag", preadv2(fd, parts, 2, -1, 0x4000000));
}

/* ---- streams ---- */

static void step_print(struct side *side, int fd)
{
	const int length = (int)sendable(side, LENGTH);

	sent(side, "dprintf", dprintf(fd, "%.*s", length, next_data(side, (size_t)length)));
}

/* A stream reads as much as its buffer holds, which melin chooses if the program does not. */
static void step_lines(struct side *side, int fd)
{
	const int before = bytes_of(fd);
	int copy = fd < 0 || side->loose ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
	FILE *stream = copy < 0 ? NULL : fdopen(copy, "r");
	char line[LENGTH], buffer[1000], *result;

	if (!stream)
		return;
	setvbuf(stream, buffer, _IOFBF, sizeof(buffer));
	result = fgets(line, sizeof(line), stream);
	note("fgets %s, end %d, error %d", result ? result : "nothing", feof(stream),
	     ferror(stream));
	note("fgetc %d", fgetc(stream));
	note("ungetc %d", ungetc('x', stream));
	outcome("seek", fseek(stream, 0, SEEK_CUR));
	outcome("fclose", fclose(stream));
	if (before >= 0)
		side->received += (size_t)(before - bytes_of(fd));
}

/* ---- system calls ---- */

static void step_by_number(struct side *side, int fd)
{
	const size_t length = sendable(side, LENGTH);
	char *data = next_data(side, length);
	struct pollfd entry = { .fd = fd, .events = POLLIN | POLLOUT };

	switch (chance(5)) {
	case 0:
		received(side, "SYS_read", syscall(SYS_read, fd, received_data, 30L));
		break;
	case 1:
		received(side, "SYS_recvfrom",
			 syscall(SYS_recvfrom, fd, received_data, 30L, (long)MSG_DONTWAIT, 0L, 0L));
		break;
	case 2:
		sent(side, "SYS_write", syscall(SYS_write, fd, data, length));
		break;
	case 3:
		sent(side, "SYS_sendto",
		     syscall(SYS_sendto, fd, data, length, (long)MSG_NOSIGNAL, 0L, 0L));
		break;
	default:
		outcome("SYS_ppoll", syscall(SYS_ppoll, &entry, 1L, &(struct timespec){ 0 }, 0L));
		note("%s", poll_bits((uint32_t)(uint16_t)entry.revents));
	}
}

/* ---- many entries ---- */

static void step_many(struct side *side, int fd)
{
	struct pollfd entries[MANY] = { { .fd = fd, .events = POLLIN },
					{ .fd = -1, .events = POLLIN, .revents = 7 },
					{ .fd = 9999, .events = POLLIN },
					{ .fd = fd, .events = POLLOUT },
					{ .fd = 0, .events = POLLIN | POLLPRI } };

	(void)side;
	outcome("poll", poll(entries, MANY, (int)chance(2) * 2));
	for (int i = 0; i < MANY; i++)
		note("%s", poll_bits((uint32_t)(uint16_t)entries[i].revents));
	outcome("poll of none", poll(NULL, 0, 1));
}

/* ---- files ---- */

static void step_locks(struct side *side, int fd)
{
	struct flock lock = { .l_type = F_WRLCK };

	(void)side;
	outcome("flock", flock(fd, LOCK_EX | LOCK_NB));
	outcome("flock", flock(fd, LOCK_UN));
	outcome("F_SETLK", fcntl(fd, F_SETLK, &lock));
	outcome("F_OFD_SETLK", fcntl(fd, F_OFD_SETLK, &lock));
	outcome("F_SETLEASE", fcntl(fd, F_SETLEASE, F_RDLCK));
	outcome("F_GET_SEALS", fcntl(fd, F_GET_SEALS));
	outcome("F_GETPIPE_SZ", fcntl(fd, F_GETPIPE_SZ));
	outcome("lockf", lockf(fd, F_TEST, 0));
}

static void step_status(struct side *side, int fd)
{
	struct stat status = { 0 };
	struct statx more = { 0 };

	(void)side;
	outcome("fchmod", fchmod(fd, chance(2) ? 0640 : 0777));
	outcome("fchown", fchown(fd, (uid_t)-1, (gid_t)-1));
	outcome("fstat", fstat(fd, &status));
	note("mode 0%o, blocks %ld", status.st_mode, (long)status.st_blocks);
	outcome("statx", statx(fd, "", AT_EMPTY_PATH, STATX_MODE, &more));
	note("mode 0%o", more.stx_mode);
	outcome("futimens", futimens(fd, NULL));
	outcome("isatty", isatty(fd) ? 0 : -1);
	outcome("ttyname_r", ttyname_r(fd, received_data, 100) == ENOTTY ? 0 : 1);
	outcome("syncfs", fdatasync(fd));
	outcome("sockatmark", sockatmark(fd));
	outcome("copy_file_range", copy_file_range(fd, NULL, fd, NULL, 1, 0));
	outcome("readahead", readahead(fd, 0, 1));
}

/* The same socket by the process's own descriptor. */
static void step_by_process(struct side *side, int fd)
{
	int self = pidfd_open(getpid(), 0), copy;

	must("pidfd_open", self);
	if (!in_process()) {
		copy = pidfd_getfd(self, fd, 0);
		outcome("pidfd_getfd", copy);
		if (copy >= 0)
			descriptor_added(side, copy);
	}
	close(self);
}

const struct step libc_steps[] = {
	{ "aio_write", step_aio_write, 4 },
	{ "aio_read", step_aio_read, 4 },
	{ "list", step_list, 2 },
	{ "vectors out", step_vectors_out, 4 },
	{ "vectors in", step_vectors_in, 4 },
	{ "print", step_print, 3 },
	{ "lines", step_lines, 3 },
	{ "by number", step_by_number, 6 },
	{ "many", step_many, 3 },
	{ "locks", step_locks, 1 },
	{ "status", step_status, 2 },
	{ "by process", step_by_process, 2 },
	{ 0 },
};
