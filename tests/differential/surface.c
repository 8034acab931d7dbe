/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Differential cases: the calls that reach a socket by other names: sendfile, splice, stdio on a
 * descriptor, syscall(2), close_range and the fortified forms.
 */
#include "step.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

	step("they get", recv(fd, buffer, (size_t)bytes, MSG_WAITALL));
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
	struct pair pair = open_pair();
	int file = make_file();
	off_t offset = 100;
	off64_t offset64 = 3;
	size_t sent = 0;
	pthread_t thread;

	step("sendfile", sendfile(pair.us, file, NULL, 5));
	they_get(pair.them, 5);
	step("the file's place", lseek(file, 0, SEEK_CUR));
	step("from a place", sendfile(pair.us, file, &offset, 5));
	they_get(pair.them, 5);
	note("then %ld", (long)offset);
	step("sendfile64", sendfile64(pair.us, file, &offset64, 5));
	they_get(pair.them, 5);
	step("the file's place", lseek(file, 0, SEEK_CUR));
	offset = FILE_BYTES - 3;
	step("past the end", sendfile(pair.us, file, &offset, 100));
	they_get(pair.them, 3);
	step("at the end", sendfile(pair.us, file, &offset, 100));
	step("nothing", sendfile(pair.us, file, NULL, 0));
	thread = later(0, collect, pair.them);
	offset = 0;
	while (sent < FILE_BYTES) {
		ssize_t n = sendfile(pair.us, file, &offset, FILE_BYTES - sent);

		if (n <= 0) {
			step("sendfile", n);
			break;
		}
		sent += (size_t)n;
	}
	join(thread);
	show("all of it", collection, (long)collected);
	offset = -1;
	step("negative place", sendfile(pair.us, file, &offset, 5));
	step("bad pointer", sendfile(pair.us, file, bad_pointer(), 5));
	step("closed file", sendfile(pair.us, 900, NULL, 5));
	fill(pair.us);
	offset = 0;
	step("full", sendfile(pair.us, file, &offset, 5));
	close(file);
	close_pair(pair);
}

static void case_splice(void)
{
	struct pair pair = open_pair();
	int ends[2];
	char buffer[16] = { 0 };

	must("pipe", pipe(ends));
	must("write", write(ends[1], "hello", 5));
	step("pipe to socket", splice(ends[0], NULL, pair.us, NULL, 5, 0));
	they_get(pair.them, 5);
	send_all(pair.them, "answer", 6);
	await_bytes(pair.us, 6);
	step("socket to pipe", splice(pair.us, NULL, ends[1], NULL, 100, 0));
	step("read", read(ends[0], buffer, 16));
	show("data", buffer, 6);
	set_nonblocking(pair.us, true);
	step("nothing there", splice(pair.us, NULL, ends[1], NULL, 100, SPLICE_F_NONBLOCK));
	set_nonblocking(pair.us, false);
	step("with a place", splice(pair.us, &(off64_t){ 0 }, ends[1], NULL, 100, 0));
	step("no pipe", splice(pair.us, NULL, pair.them, NULL, 100, 0));
	close(pair.them);
	await(pair.us, POLLIN);
	step("at the end", splice(pair.us, NULL, ends[1], NULL, 100, 0));
	close(ends[0]);
	close(ends[1]);
	close(pair.us);
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
	struct pair pair = open_pair();

	step("dprintf", dprintf(pair.us, "number %d", 42));
	they_get(pair.them, 9);
	step("vdprintf", print_by_list(pair.us, "number %d", 43));
	they_get(pair.them, 9);
	close_pair(pair);
}

static void case_streams(void)
{
	struct pair pair = open_pair();
	FILE *in = fdopen(dup(pair.us), "r"), *out = fdopen(pair.us, "w");
	char line[64] = "";

	if (!in || !out)
		broken("fdopen: %s", errno_name(errno));
	step("fprintf", fprintf(out, "hello %s\n", "stream"));
	step("fflush", fflush(out));
	they_get(pair.them, 13);
	send_all(pair.them, "first line\nsecond line\n", 23);
	note("fgets: %s", fgets(line, sizeof(line), in) ? strtok(line, "\n") : "nothing");
	note("fgets: %s", fgets(line, sizeof(line), in) ? strtok(line, "\n") : "nothing");
	note("the number: %d", fileno(out) == pair.us);
	shutdown(pair.them, SHUT_WR);
	note("fgets: %s", fgets(line, sizeof(line), in) ? strtok(line, "\n") : "nothing");
	note("feof %d, ferror %d", feof(in) != 0, ferror(in) != 0);
	fprintf(out, "bye\n");
	step("fclose", fclose(out));
	step("fclose", fclose(in));
	they_get(pair.them, 4);
	step("they see", recv(pair.them, line, 1, 0));
	close(pair.them);
}

static void case_stream_before_connect(void)
{
	int listener = their_listener(5), fd = open_socket(0), them;
	struct address address = name_of(listener);
	FILE *stream = fdopen(fd, "w");

	if (!stream)
		broken("fdopen: %s", errno_name(errno));
	step("connect", connect(fd, (struct sockaddr *)&address.storage, address.length));
	them = accept_one(listener);
	step("fputs", fputs("hello\n", stream) >= 0);
	step("fclose", fclose(stream));
	they_get(them, 6);
	close(them);
	close(listener);
}

/* What a shell does for echo ... >&3 and read ... <&3 */
static void case_standard_streams(void)
{
	struct pair pair = open_pair();
	int before;
	char line[64] = "";

	fflush(stdout);
	before = dup(STDOUT_FILENO);
	dup2(pair.us, STDOUT_FILENO);
	printf("from %s\n", "printf");
	fflush(stdout);
	putchar('x');
	puts("yz");
	fflush(stdout);
	dup2(before, STDOUT_FILENO);
	they_get(pair.them, 16);
	step("the number", fileno(stdout));
	dup2(pair.us, STDOUT_FILENO);
	printf("again\n");
	fflush(stdout);
	dup2(before, STDOUT_FILENO);
	they_get(pair.them, 6);
	close(before);
	before = dup(STDIN_FILENO);
	dup2(pair.us, STDIN_FILENO);
	send_all(pair.them, "first line\nsecond line\n", 23);
	note("fgets: %s", fgets(line, sizeof(line), stdin) ? strtok(line, "\n") : "nothing");
	note("fgets: %s", fgets(line, sizeof(line), stdin) ? strtok(line, "\n") : "nothing");
	dup2(before, STDIN_FILENO);
	close(before);
	close_pair(pair);
}

static void case_update_stream(void)
{
	struct pair pair = open_pair();
	FILE *stream = fdopen(pair.us, "r+");
	char line[64] = "";

	if (!stream)
		broken("fdopen: %s", errno_name(errno));
	setvbuf(stream, NULL, _IOLBF, 0);
	step("fputs", fputs("question\n", stream) >= 0);
	they_get(pair.them, 9);
	send_all(pair.them, "answer\n", 7);
	fseek(stream, 0, SEEK_CUR);
	note("fgets: %s", fgets(line, sizeof(line), stream) ? strtok(line, "\n") : "nothing");
	step("fclose", fclose(stream));
	step("they see", recv(pair.them, line, 1, 0));
	close(pair.them);
}

/* What was read ahead is no reason to fail: a socket cannot go back. */
static void case_unread_input(void)
{
	struct pair pair = open_pair();
	FILE *stream = fdopen(pair.us, "r+");
	char line[64] = "";

	if (!stream)
		broken("fdopen: %s", errno_name(errno));
	send_all(pair.them, "first line\nsecond line\n", 23);
	await_bytes(pair.us, 23);
	note("fgets: %s", fgets(line, sizeof(line), stream) ? strtok(line, "\n") : "nothing");
	step("fflush", fflush(stream));
	step("fseek", fseek(stream, 0, SEEK_CUR));
	step("ftell", ftell(stream));
	note("fgets: %s", fgets(line, sizeof(line), stream) ? strtok(line, "\n") : "nothing");
	note("ferror %d", ferror(stream) != 0);
	step("fclose", fclose(stream));
	close(pair.them);
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
	struct pair pair = open_pair();
	FILE *stream = fdopen(pair.us, "w");
	struct sigaction action = { .sa_handler = no_action };
	int room = 16384;
	pthread_t thread;

	if (!stream)
		broken("fdopen: %s", errno_name(errno));
	setsockopt(pair.us, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	sigaction(SIGUSR1, &action, NULL);
	writer = pthread_self();
	thread = later(200, interrupt_and_collect, pair.them);
	step("fwrite", (long)fwrite(content, 1, sizeof(content), stream));
	step("fflush", fflush(stream));
	note("ferror %d", ferror(stream) != 0);
	fclose(stream);
	join(thread);
	note("they get %zu", drained);
	signal(SIGUSR1, SIG_DFL);
	close(pair.them);
}

static void case_system_calls(void)
{
	struct pair pair = open_pair();
	char buffer[16] = { 0 };

	step("SYS_write", syscall(SYS_write, pair.us, "hello", 5));
	they_get(pair.them, 5);
	step("SYS_sendto", syscall(SYS_sendto, pair.us, "hello", 5, 0, NULL, 0));
	they_get(pair.them, 5);
	send_all(pair.them, "answer", 6);
	await_bytes(pair.us, 6);
	step("SYS_read", syscall(SYS_read, pair.us, buffer, 3));
	show("data", buffer, 3);
	step("SYS_recvfrom", syscall(SYS_recvfrom, pair.us, buffer, 16, 0, NULL, NULL));
	show("data", buffer, 3);
	step("SYS_getpid is ours", syscall(SYS_getpid) == getpid());
	step("SYS_close", syscall(SYS_close, pair.us));
	await(pair.them, POLLIN);
	step("they see", recv(pair.them, buffer, 1, 0));
	close(pair.them);
}

static void case_close_range(void)
{
	struct pair pair = open_pair(), kept = open_pair();
	int high = fcntl(pair.us, F_DUPFD, 700), them = fcntl(pair.them, F_DUPFD, 800);
	char byte;

	close(pair.us);
	close(pair.them);
	step("close_range", close_range(690, 710, 0));
	await(them, POLLIN);
	step("they see", recv(them, &byte, 1, 0));
	step("recv", recv(high, &byte, 1, 0));
	close(them);
	high = fcntl(kept.us, F_DUPFD, 700);
	step("close_range, CLOEXEC", close_range(700, 700, CLOSE_RANGE_CLOEXEC));
	step("F_GETFD", fcntl(high, F_GETFD));
	step("close_range, the wrong way", close_range(710, 700, 0));
	send_all(kept.them, "x", 1);
	step("recv", recv(high, &byte, 1, 0));
	close(kept.us);
	closefrom(700);
	await(kept.them, POLLIN);
	step("closefrom: they see", recv(kept.them, &byte, 1, 0));
	close(kept.them);
}

static void case_vectors(void)
{
	struct pair pair = open_pair();
	char hello[] = "hello", buffer[8] = { 0 };
	struct iovec iov = { hello, 5 }, in = { buffer, 5 };

	step("pwritev2", pwritev2(pair.us, &iov, 1, -1, 0));
	they_get(pair.them, 5);
	send_all(pair.them, "world", 5);
	await_bytes(pair.us, 5);
	step("preadv2", preadv2(pair.us, &in, 1, -1, 0));
	show("data", buffer, 5);
	step("pwritev2 with a place", pwritev2(pair.us, &iov, 1, 0, 0));
	step("preadv2, NOWAIT", preadv2(pair.us, &in, 1, -1, RWF_NOWAIT));
	close_pair(pair);
}

static void case_status(void)
{
	struct pair pair = open_pair();
	struct stat status;
	struct statx extended;
	char path[64], target[64] = "";

	step("fstat", fstat(pair.us, &status));
	note("mode %o, size %ld", status.st_mode, (long)status.st_size);
	step("statx", statx(pair.us, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &extended));
	note("mode %o", extended.stx_mode);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", pair.us);
	step("readlink", readlink(path, target, sizeof(target) - 1) > 0);
	note("a socket: %d", strncmp(target, "socket:", 7) == 0);
	close_pair(pair);
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
	step("too long", sendmsg(channel[0], &message.msg_hdr, 0));
	step("too long, sendmmsg", sendmmsg(channel[0], &message, 1, 0));
	header->cmsg_len = (size_t)-1;
	step("far too long", sendmsg(channel[0], &message.msg_hdr, 0));
	header->cmsg_len = 3;
	step("too short", sendmsg(channel[0], &message.msg_hdr, 0));
	header->cmsg_len = CMSG_LEN(sizeof(int));
	step("as it should be", sendmsg(channel[0], &message.msg_hdr, 0));
	close(channel[0]);
	close(channel[1]);
	munmap(area, (size_t)page * 2);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "sendfile", case_sendfile, 0 },
		{ "splice", case_splice, 0 },
		{ "print", case_print, 0 },
		{ "streams", case_streams, 0 },
		{ "stream before connect", case_stream_before_connect, 0 },
		{ "standard streams", case_standard_streams, 0 },
		{ "update stream", case_update_stream, 0 },
		{ "unread input", case_unread_input, 0 },
		{ "interrupted stream", case_interrupted_stream, 0 },
		{ "system calls", case_system_calls, 0 },
		{ "close range", case_close_range, 0 },
		{ "vectors", case_vectors, 0 },
		{ "status", case_status, 0 },
		{ "malformed control data", case_malformed_control, 0 },
	};

	return run_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
