/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Differential cases: the calls that reach a socket by other names: sendfile, splice, stdio on a
 * descriptor, syscall(2), close_range and the fortified forms.
 */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define FILE_BYTES   300000
#define STREAM_BYTES (16 << 20) /* more than Linux takes before anybody receives */

static void they_get(int fd, int bytes)
{
	char buffer[64] = { 0 };

	outcome("they get", recv(fd, buffer, (size_t)bytes, MSG_WAITALL));
	show("data", buffer, bytes);
}

static int make_file(void)
{
	static char content[FILE_BYTES];
	char path[] = "/tmp/melin-surface.XXXXXX";
	int fd = mkstemp(path);

	must("mkstemp", fd);
	unlink(path);
	for (int i = 0; i < FILE_BYTES; i++)
		content[i] = (char)('a' + i % 26 + (i / 1000) % 3);
	must("write", write(fd, content, sizeof(content)));
	lseek(fd, 0, SEEK_SET);
	return fd;
}

static size_t collected;
static char collection[FILE_BYTES];

static void collect(int fd)
{
	collected = 0;
	while (collected < FILE_BYTES) {
		ssize_t n = recv(fd, collection + collected, FILE_BYTES - collected, 0);

		if (n <= 0)
			break;
		collected += (size_t)n;
	}
}

static void case_sendfile(void)
{
	struct connection connection = open_connection();
	int file = make_file();
	off_t offset = 100;
	off64_t offset64 = 3;
	size_t sent = 0, filled;
	pthread_t thread;

	outcome("sendfile", sendfile(connection.us, file, NULL, 5));
	they_get(connection.them, 5);
	outcome("the file's place", lseek(file, 0, SEEK_CUR));
	outcome("from a place", sendfile(connection.us, file, &offset, 5));
	they_get(connection.them, 5);
	note("then %ld", (long)offset);
	outcome("sendfile64", sendfile64(connection.us, file, &offset64, 5));
	they_get(connection.them, 5);
	outcome("the file's place", lseek(file, 0, SEEK_CUR));
	offset = FILE_BYTES - 3;
	outcome("past the end", sendfile(connection.us, file, &offset, 100));
	they_get(connection.them, 3);
	outcome("at the end", sendfile(connection.us, file, &offset, 100));
	outcome("nothing", sendfile(connection.us, file, NULL, 0));
	thread = later(0, collect, connection.them);
	offset = 0;
	while (sent < FILE_BYTES) {
		ssize_t n = sendfile(connection.us, file, &offset, FILE_BYTES - sent);

		if (n <= 0) {
			outcome("sendfile", n);
			break;
		}
		sent += (size_t)n;
	}
	join(thread);
	show("all of it", collection, (long)collected);
	offset = -1;
	outcome("negative place", sendfile(connection.us, file, &offset, 5));
	outcome("bad pointer", sendfile(connection.us, file, bad_pointer(), 5));
	outcome("closed file", sendfile(connection.us, 900, NULL, 5));
	filled = fill(connection.us);
	outcome("full",
		WHEN_FULL(connection.us, &filled, sendfile(connection.us, file, &(off_t){ 0 }, 5)));
	note("drained %s", drain(connection.them, filled) == filled ? "all" : "not all");
	close(file);
	close_connection(connection);
}

static void case_splice(void)
{
	struct connection connection = open_connection();
	int ends[2];
	char buffer[16] = { 0 };

	must("pipe", pipe(ends));
	must("write", write(ends[1], "hello", 5));
	outcome("pipe to socket", splice(ends[0], NULL, connection.us, NULL, 5, 0));
	they_get(connection.them, 5);
	send_all(connection.them, "answer", 6);
	await_bytes(connection.us, 6);
	outcome("socket to pipe", splice(connection.us, NULL, ends[1], NULL, 100, 0));
	outcome("read", read(ends[0], buffer, 16));
	show("data", buffer, 6);
	set_nonblocking(connection.us, true);
	outcome("nothing there",
		splice(connection.us, NULL, ends[1], NULL, 100, SPLICE_F_NONBLOCK));
	set_nonblocking(connection.us, false);
	outcome("with a place", splice(connection.us, &(off64_t){ 0 }, ends[1], NULL, 100, 0));
	outcome("no pipe", splice(connection.us, NULL, connection.them, NULL, 100, 0));
	close(connection.them);
	await(connection.us, POLLIN);
	outcome("at the end", splice(connection.us, NULL, ends[1], NULL, 100, 0));
	close(ends[0]);
	close(ends[1]);
	close(connection.us);
}

static void send_late(int fd)
{
	send_all(fd, "late", 4);
}

static void take_out(int pipe_end, size_t most)
{
	static char bytes[1 << 17];

	outcome("read", read(pipe_end, bytes, most < sizeof(bytes) ? most : sizeof(bytes)) > 0);
}

/* Whether the socket blocks its own flag says; whether the pipe does, SPLICE_F_NONBLOCK as well. */
static void case_splice_waits(void)
{
	struct connection connection = open_connection();
	int ends[2], size;
	static char much[1 << 17];
	pthread_t thread;
	ssize_t n;

	must("pipe", pipe(ends));
	thread = later(100, send_late, connection.them);
	outcome("waits for the socket",
		splice(connection.us, NULL, ends[1], NULL, 100, SPLICE_F_NONBLOCK));
	join(thread);
	outcome("waits for no pipe",
		splice(ends[0], NULL, connection.us, NULL, 4, SPLICE_F_NONBLOCK) +
			splice(ends[0], NULL, connection.us, NULL, 4, SPLICE_F_NONBLOCK));
	size = fcntl(ends[1], F_GETPIPE_SZ);
	must("write", write(ends[1], much, (size_t)size - 4096));
	send_all(connection.them, much, 20000);
	await_bytes(connection.us, 20000);
	n = splice(connection.us, NULL, ends[1], NULL, 20000, 0);
	note("as much as there is room for: %d", n > 0 && n < 20000);
	take_out(ends[0], sizeof(much));
	must("write", write(ends[1], much, (size_t)size));
	outcome("a full pipe", splice(connection.us, NULL, ends[1], NULL, 10, SPLICE_F_NONBLOCK));
	close(ends[0]);
	signal(SIGPIPE, SIG_IGN);
	outcome("nobody reads", splice(connection.us, NULL, ends[1], NULL, 10, 0));
	signal(SIGPIPE, SIG_DFL);
	close(ends[1]);
	close_connection(connection);
}

static __attribute__((format(printf, 2, 3))) int print_by_list(int fd, const char *format, ...)
{
	va_list arguments;
	int n;

	va_start(arguments, format);
	n = vdprintf(fd, format, arguments);
	va_end(arguments);
	return n;
}

static void case_print(void)
{
	struct connection connection = open_connection();

	outcome("dprintf", dprintf(connection.us, "number %d", 42));
	they_get(connection.them, 9);
	outcome("vdprintf", print_by_list(connection.us, "number %d", 43));
	they_get(connection.them, 9);
	close_connection(connection);
}

static void case_streams(void)
{
	struct connection connection = open_connection();
	FILE *in = fdopen(dup(connection.us), "r"), *out = fdopen(connection.us, "w");
	char line[64] = "";

	if (!in || !out)
		broken("fdopen: %s", errno_name(errno));
	outcome("fprintf", fprintf(out, "hello %s\n", "stream"));
	outcome("fflush", fflush(out));
	they_get(connection.them, 13);
	send_all(connection.them, "first line\nsecond line\n", 23);
	note("fgets: %s", fgets(line, sizeof(line), in) ? strtok(line, "\n") : "nothing");
	note("fgets: %s", fgets(line, sizeof(line), in) ? strtok(line, "\n") : "nothing");
	note("the number: %d", fileno(out) == connection.us);
	shutdown(connection.them, SHUT_WR);
	note("fgets: %s", fgets(line, sizeof(line), in) ? strtok(line, "\n") : "nothing");
	note("feof %d, ferror %d", feof(in) != 0, ferror(in) != 0);
	fprintf(out, "bye\n");
	outcome("fclose", fclose(out));
	outcome("fclose", fclose(in));
	they_get(connection.them, 4);
	outcome("they see", recv(connection.them, line, 1, 0));
	close(connection.them);
}

/* What does not fit a stream's buffer is written, and the rest when the next does not fit. */
static void case_stream_buffer(void)
{
	struct connection connection = open_connection();
	FILE *in = fdopen(dup(connection.us), "r"), *out = fdopen(connection.us, "w");
	static char bytes[6000];
	int left = -1;

	if (!in || !out)
		broken("fdopen: %s", errno_name(errno));
	for (int i = 0; i < 6000; i++)
		putc('x', out);
	settle();
	must("FIONREAD", ioctl(connection.them, FIONREAD, &left));
	outcome("written", left);
	fclose(out);
	note("drained %zu", drain(connection.them, sizeof(bytes)));
	send_all(connection.them, bytes, sizeof(bytes));
	await_bytes(fileno(in), sizeof(bytes));
	outcome("first", getc(in));
	must("FIONREAD", ioctl(fileno(in), FIONREAD, &left));
	outcome("left", left);
	fclose(in);
	close(connection.them);
}

static void case_stream_before_connect(void)
{
	int listener = their_listener(5), fd = open_socket(0), them;
	struct address address = name_of(listener);
	FILE *stream = fdopen(fd, "w");

	if (!stream)
		broken("fdopen: %s", errno_name(errno));
	outcome("connect", connect(fd, (struct sockaddr *)&address.storage, address.length));
	them = accept_one(listener);
	outcome("fputs", fputs("hello\n", stream) >= 0);
	outcome("fclose", fclose(stream));
	they_get(them, 6);
	close(them);
	close(listener);
}

/* What a shell does for echo ... >&3 and read ... <&3 */
static void case_standard_streams(void)
{
	struct connection connection = open_connection();
	int before;
	char line[64] = "";

	fflush(stdout);
	before = dup(STDOUT_FILENO);
	dup2(connection.us, STDOUT_FILENO);
	printf("from %s\n", "printf");
	fflush(stdout);
	putchar('x');
	puts("yz");
	fflush(stdout);
	dup2(before, STDOUT_FILENO);
	they_get(connection.them, 16);
	outcome("the number", fileno(stdout));
	dup2(connection.us, STDOUT_FILENO);
	printf("again\n");
	fflush(stdout);
	dup2(before, STDOUT_FILENO);
	they_get(connection.them, 6);
	close(before);
	before = dup(STDIN_FILENO);
	dup2(connection.us, STDIN_FILENO);
	send_all(connection.them, "first line\nsecond line\n", 23);
	note("fgets: %s", fgets(line, sizeof(line), stdin) ? strtok(line, "\n") : "nothing");
	note("fgets: %s", fgets(line, sizeof(line), stdin) ? strtok(line, "\n") : "nothing");
	dup2(before, STDIN_FILENO);
	close(before);
	close_connection(connection);
}

static void case_update_stream(void)
{
	struct connection connection = open_connection();
	FILE *stream = fdopen(connection.us, "r+");
	char line[64] = "";

	if (!stream)
		broken("fdopen: %s", errno_name(errno));
	setvbuf(stream, NULL, _IOLBF, 0);
	outcome("fputs", fputs("question\n", stream) >= 0);
	they_get(connection.them, 9);
	send_all(connection.them, "answer\n", 7);
	fseek(stream, 0, SEEK_CUR);
	note("fgets: %s", fgets(line, sizeof(line), stream) ? strtok(line, "\n") : "nothing");
	outcome("fclose", fclose(stream));
	outcome("they see", recv(connection.them, line, 1, 0));
	close(connection.them);
}

/* What was read ahead is no reason to fail: a socket cannot go back. */
static void case_unread_input(void)
{
	struct connection connection = open_connection();
	FILE *stream = fdopen(connection.us, "r+");
	char line[64] = "";

	if (!stream)
		broken("fdopen: %s", errno_name(errno));
	send_all(connection.them, "first line\nsecond line\n", 23);
	await_bytes(connection.us, 23);
	note("fgets: %s", fgets(line, sizeof(line), stream) ? strtok(line, "\n") : "nothing");
	outcome("fflush", fflush(stream));
	outcome("fseek", fseek(stream, 0, SEEK_CUR));
	outcome("ftell", ftell(stream));
	note("fgets: %s", fgets(line, sizeof(line), stream) ? strtok(line, "\n") : "nothing");
	note("ferror %d", ferror(stream) != 0);
	outcome("fclose", fclose(stream));
	close(connection.them);
}

static pthread_t writer;
static size_t drained;

static void no_action(int number)
{
	(void)number;
}

/* The writer's call ends with a part, since nobody has received yet. */
static void interrupt_and_collect(int fd)
{
	pthread_kill(writer, SIGUSR1);
	pause_ms(100);
	drained = drain(fd, STREAM_BYTES);
}

static void case_interrupted_stream(void)
{
	static char content[STREAM_BYTES];
	struct connection connection = open_connection();
	FILE *stream = fdopen(connection.us, "w");
	struct sigaction action = { .sa_handler = no_action };
	int room = 16384;
	pthread_t thread;

	if (!stream)
		broken("fdopen: %s", errno_name(errno));
	setsockopt(connection.us, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	sigaction(SIGUSR1, &action, NULL);
	writer = pthread_self();
	thread = later(200, interrupt_and_collect, connection.them);
	outcome("fwrite", (long)fwrite(content, 1, sizeof(content), stream));
	outcome("fflush", fflush(stream));
	note("ferror %d", ferror(stream) != 0);
	fclose(stream);
	join(thread);
	note("they get %zu", drained);
	signal(SIGUSR1, SIG_DFL);
	close(connection.them);
}

static void case_system_calls(void)
{
	struct connection connection = open_connection();
	char buffer[16] = { 0 };

	outcome("SYS_write", syscall(SYS_write, connection.us, "hello", 5));
	they_get(connection.them, 5);
	outcome("SYS_sendto", syscall(SYS_sendto, connection.us, "hello", 5, 0, NULL, 0));
	they_get(connection.them, 5);
	send_all(connection.them, "answer", 6);
	await_bytes(connection.us, 6);
	outcome("SYS_read", syscall(SYS_read, connection.us, buffer, 3));
	show("data", buffer, 3);
	outcome("SYS_recvfrom", syscall(SYS_recvfrom, connection.us, buffer, 16, 0, NULL, NULL));
	show("data", buffer, 3);
	outcome("SYS_getpid is ours", syscall(SYS_getpid) == getpid());
	outcome("SYS_close", syscall(SYS_close, connection.us));
	await(connection.them, POLLIN);
	outcome("they see", recv(connection.them, buffer, 1, 0));
	close(connection.them);
}

static void case_close_range(void)
{
	struct connection connection = open_connection(), kept = open_connection();
	int high = fcntl(connection.us, F_DUPFD, 700), them = fcntl(connection.them, F_DUPFD, 800);
	char byte;

	close(connection.us);
	close(connection.them);
	outcome("close_range", close_range(690, 710, 0));
	await(them, POLLIN);
	outcome("they see", recv(them, &byte, 1, 0));
	outcome("recv", recv(high, &byte, 1, 0));
	close(them);
	high = fcntl(kept.us, F_DUPFD, 700);
	outcome("close_range, CLOEXEC", close_range(700, 700, CLOSE_RANGE_CLOEXEC));
	outcome("F_GETFD", fcntl(high, F_GETFD));
	outcome("close_range, the wrong way", close_range(710, 700, 0));
	send_all(kept.them, "x", 1);
	outcome("recv", recv(high, &byte, 1, 0));
	close(kept.us);
	closefrom(700);
	await(kept.them, POLLIN);
	outcome("closefrom: they see", recv(kept.them, &byte, 1, 0));
	close(kept.them);
}

static void case_vectors(void)
{
	struct connection connection = open_connection();
	char hello[] = "hello", buffer[8] = { 0 };
	struct iovec iov = { hello, 5 }, in = { buffer, 5 };

	outcome("pwritev2", pwritev2(connection.us, &iov, 1, -1, 0));
	they_get(connection.them, 5);
	send_all(connection.them, "world", 5);
	await_bytes(connection.us, 5);
	outcome("preadv2", preadv2(connection.us, &in, 1, -1, 0));
	show("data", buffer, 5);
	outcome("pwritev2, APPEND", pwritev2(connection.us, &iov, 1, -1, RWF_APPEND));
	they_get(connection.them, 5);
	outcome("pwritev2 with a place", pwritev2(connection.us, &iov, 1, 0, 0));
	outcome("preadv2, NOWAIT", preadv2(connection.us, &in, 1, -1, RWF_NOWAIT));
	outcome("pwritev2 at place -2", pwritev2(connection.us, &iov, 1, -2, 0));
	outcome("preadv2 with a place and an unknown flag",
		preadv2(connection.us, &in, 1, 0, 1 << 30));
	close_connection(connection);
}

static volatile sig_atomic_t broken_pipes;

static void count_broken_pipe(int number)
{
	(void)number;
	broken_pipes++;
}

/* Each kernel knows some more: whether it takes them, and that the bytes go through if it does. */
static void case_flags(void)
{
	static const int both = 0x10 | 0x20; /* RWF_APPEND, RWF_NOAPPEND */
	struct connection connection = open_connection();
	char hello[] = "hello", buffer[8] = { 0 };
	struct iovec iov = { hello, 5 }, in = { buffer, 5 };
	ssize_t result;

	for (int bit = 0; bit <= 31; bit++) {
		const int flag = (int)(1u << bit);

		result = pwritev2(connection.us, &iov, 1, -1, flag);
		note("pwritev2, flag %#x: %zd, %s", flag, result,
		     result < 0 ? errno_name(errno) : "");
		if (result == 5)
			they_get(connection.them, 5);
		send_all(connection.them, "world", 5);
		await_bytes(connection.us, 5);
		result = preadv2(connection.us, &in, 1, -1, flag);
		note("preadv2, flag %#x: %zd, %s", flag, result,
		     result < 0 ? errno_name(errno) : "");
		if (result < 0)
			outcome("recv", recv(connection.us, buffer, 5, 0));
	}
	outcome("pwritev2, APPEND and NOAPPEND", pwritev2(connection.us, &iov, 1, -1, both));
	signal(SIGPIPE, count_broken_pipe);
	outcome("shutdown", shutdown(connection.us, SHUT_WR));
	outcome("pwritev2, NOSIGNAL", pwritev2(connection.us, &iov, 1, -1, 0x100));
	note("signals: %d", (int)broken_pipes);
	outcome("pwritev2", pwritev2(connection.us, &iov, 1, -1, 0));
	note("signals: %d", (int)broken_pipes);
	signal(SIGPIPE, SIG_DFL);
	close_connection(connection);
}

/* A number that no call gives. */
#define NO_ERROR_OF_OURS EHWPOISON

static void succeeds(const char *name, long result)
{
	if (result < 0 || errno != NO_ERROR_OF_OURS)
		note("%s: %ld, errno is %s", name, result, errno_name(errno));
	errno = NO_ERROR_OF_OURS;
}

/* Calls that succeed leave errno alone: they do so here until the peer closes. */
static void case_errno(void)
{
	struct connection connection = open_connection();
	struct pollfd entry = { .fd = connection.us, .events = POLLIN };
	char byte;

	errno = NO_ERROR_OF_OURS;
	for (int i = 0; i < 12; i++) {
		send_all(connection.them, "x", 1);
		succeeds("poll", poll(&entry, 1, -1));
		succeeds("recv", recv(connection.us, &byte, 1, 0));
		succeeds("send", send(connection.us, "x", 1, 0));
		must("their recv", recv(connection.them, &byte, 1, 0));
		errno = NO_ERROR_OF_OURS;
	}
	succeeds("dup2", dup2(connection.us, connection.us));
	shutdown(connection.them, SHUT_WR);
	errno = NO_ERROR_OF_OURS;
	succeeds("the end", recv(connection.us, &byte, 1, 0));
	succeeds("shutdown", shutdown(connection.us, SHUT_WR));
	succeeds("close", close(connection.us));
	note("errno is %s", errno_name(errno));
	close(connection.them);
}

static void case_status(void)
{
	struct connection connection = open_connection();
	struct stat status;
	struct statx extended;
	char path[64], target[64] = "";

	outcome("fstat", fstat(connection.us, &status));
	note("mode %o, size %ld", status.st_mode, (long)status.st_size);
	outcome("statx", statx(connection.us, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &extended));
	note("mode %o", extended.stx_mode);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", connection.us);
	outcome("readlink", readlink(path, target, sizeof(target) - 1) > 0);
	note("a socket: %d", strncmp(target, "socket:", 7) == 0);
	close_connection(connection);
}

/* unix(7) messages whose control data says that it goes on behind its end. */
static void case_malformed_control(void)
{
	long page = sysconf(_SC_PAGESIZE);
	char *area = mmap(NULL, (size_t)page * 2, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char byte = 'x';
	struct iovec iov = { &byte, 1 };
	struct cmsghdr *header;
	struct mmsghdr message = { .msg_hdr = { .msg_iov = &iov, .msg_iovlen = 1 } };
	int channel[2];

	must("socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, channel));
	must("mmap", area == MAP_FAILED ? -1 : 0);
	must("mprotect", mprotect(area + page, (size_t)page, PROT_NONE));
	header = (struct cmsghdr *)(area + page - CMSG_SPACE(sizeof(int)));
	message.msg_hdr.msg_control = header;
	message.msg_hdr.msg_controllen = CMSG_SPACE(sizeof(int));
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	memcpy(CMSG_DATA(header), &channel[0], sizeof(int));
	header->cmsg_len = CMSG_LEN(100 * sizeof(int));
	outcome("too long", sendmsg(channel[0], &message.msg_hdr, 0));
	outcome("too long, sendmmsg", sendmmsg(channel[0], &message, 1, 0));
	header->cmsg_len = (size_t)-1;
	outcome("far too long", sendmsg(channel[0], &message.msg_hdr, 0));
	header->cmsg_len = 3;
	outcome("too short", sendmsg(channel[0], &message.msg_hdr, 0));
	header->cmsg_len = CMSG_LEN(sizeof(int));
	outcome("as it should be", sendmsg(channel[0], &message.msg_hdr, 0));
	close(channel[0]);
	close(channel[1]);
	munmap(area, (size_t)page * 2);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "sendfile", case_sendfile, 0 },
		{ "splice", case_splice, 0 },
		{ "splice waits", case_splice_waits, 0 },
		{ "print", case_print, 0 },
		{ "streams", case_streams, 0 },
		{ "stream buffer", case_stream_buffer, 0 },
		{ "stream before connect", case_stream_before_connect, 0 },
		{ "standard streams", case_standard_streams, 0 },
		{ "update stream", case_update_stream, 0 },
		{ "unread input", case_unread_input, 0 },
		{ "interrupted stream", case_interrupted_stream, 0 },
		{ "system calls", case_system_calls, 0 },
		{ "close range", case_close_range, 0 },
		{ "vectors", case_vectors, 0 },
		{ "flags", case_flags, 0 },
		{ "status", case_status, 0 },
		{ "errno", case_errno, 0 },
		{ "malformed control data", case_malformed_control, 0 },
	};

	return run_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
