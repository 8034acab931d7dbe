/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Differential cases: connections that have carried messages both ways already, so that in host
 * mode they are borrowed, and what must not show of that. Not for the stack of own mode, which does
 * not have all of these options.
 */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define TURNS	 6
#define MUCH	 (8 << 20) /* more than the buffers of both ends hold */
#define AFTER_MS 50

static void use(struct connection connection)
{
	char byte;

	for (int i = 0; i < TURNS; i++) {
		send_all(connection.them, "x", 1);
		must("recv", recv(connection.us, &byte, 1, 0));
		send_all(connection.us, "x", 1);
		must("their recv", recv(connection.them, &byte, 1, 0));
	}
}

static struct connection open_used(void)
{
	struct connection connection = open_connection();

	use(connection);
	return connection;
}

static void talk(struct connection connection)
{
	char text[4] = "";

	send_all(connection.us, "abc", 3);
	note("they get %zu", drain(connection.them, 3));
	send_all(connection.them, "def", 3);
	outcome("we get", recv(connection.us, text, 3, MSG_WAITALL));
	show("data", text, 3);
}

/* ---- another thread takes the number away from a call that sleeps ---- */

static struct connection taken;
static int successor; /* what the number becomes; -1: nothing */
static size_t drained;

static void take_number(int fd)
{
	if (successor < 0)
		close(fd);
	else
		must("dup2", dup2(successor, fd));
	settle();
}

static void take_and_send(int fd)
{
	take_number(fd);
	send_all(taken.them, "late", 4);
}

static void take_and_drain(int fd)
{
	take_number(fd);
	drained = drain(taken.them, MUCH);
}

static void end_taken(void)
{
	char byte;

	outcome("the number", recv(taken.us, &byte, 1, 0));
	outcome("they see the end", recv(taken.them, &byte, 1, 0));
	close(taken.them);
}

static void read_while_taken(void)
{
	char text[8] = "";
	pthread_t thread;

	taken = open_used();
	thread = later(AFTER_MS, take_and_send, taken.us);
	outcome("recv", recv(taken.us, text, sizeof(text), 0));
	show("data", text, 4);
	join(thread);
	end_taken();
}

static void write_while_taken(void)
{
	char *much = calloc(1, MUCH);
	pthread_t thread;

	if (!much)
		broken("no memory");
	taken = open_used();
	thread = later(AFTER_MS, take_and_drain, taken.us);
	outcome("send", send(taken.us, much, MUCH, MSG_NOSIGNAL));
	join(thread);
	note("they get %s", drained == MUCH ? "all" : "not all");
	end_taken();
	free(much);
}

/* Linux goes on with the call that has begun, by the file that it began with. */
static void case_number_taken(void)
{
	const int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);

	must("/dev/null", nothing);
	for (int over = 0; over < 2; over++) {
		note(over ? "dup2" : "close");
		successor = over ? nothing : -1;
		read_while_taken();
		if (over)
			close(taken.us);
		write_while_taken();
		if (over)
			close(taken.us);
	}
	close(nothing);
}

/* ---- a call that blocks while the connection is given back, and not closed ---- */

#define ROUNDS	  30
#define SOME	  (1 << 20)
#define ASK_US	  200
#define PART_SIZE 9000

static _Atomic bool call_ended;

/* Only the kernel answers this: the connection goes back for it each time. */
static void *ask_kernel(void *argument)
{
	char text[256];

	while (!call_ended) {
		socklen_t length = sizeof(text);

		must("TCP_CC_INFO",
		     getsockopt(*(int *)argument, IPPROTO_TCP, TCP_CC_INFO, text, &length));
		usleep(ASK_US);
	}
	return NULL;
}

static struct connection marked;

/* The rest of a call whose beginning the stack has served. */
static void send_mark_from_kernel(int fd)
{
	char text[256];
	socklen_t length = sizeof(text);

	must("TCP_CC_INFO", getsockopt(fd, IPPROTO_TCP, TCP_CC_INFO, text, &length));
	send_all(marked.them, "cd", 2);
	must("urgent", send(marked.them, "!", 1, MSG_OOB));
	send_all(marked.them, "efgh", 4);
}

/* Urgent data ends the call, wherever in the stream it is and who serves the call by then. */
static void case_mark_meanwhile(void)
{
	for (int in_line = 0; in_line < 2; in_line++) {
		char text[16] = "";
		pthread_t thread;

		marked = open_used();
		must("SO_OOBINLINE",
		     setsockopt(marked.us, SOL_SOCKET, SO_OOBINLINE, &in_line, sizeof(in_line)));
		use(marked);
		send_all(marked.them, "ab", 2);
		await_bytes(marked.us, 2);
		thread = later(AFTER_MS, send_mark_from_kernel, marked.us);
		outcome("recv", recv(marked.us, text, sizeof(text), MSG_WAITALL));
		show("data", text, 4);
		join(thread);
		settle();
		note("at the mark: %d", sockatmark(marked.us));
		outcome("the rest", recv(marked.us, text, sizeof(text), MSG_DONTWAIT));
		close_connection(marked);
	}
}

static unsigned char pattern(size_t at)
{
	return (unsigned char)(at * 7 + (at >> 9));
}

/* As long as what comes is what was sent. */
static void *take_in(void *argument)
{
	unsigned char part[PART_SIZE];
	size_t done = 0;
	ssize_t n;

	while ((n = recv(*(int *)argument, part, sizeof(part), 0)) > 0) {
		for (ssize_t i = 0; i < n; i++)
			done += part[i] == pattern(done);
		usleep(ASK_US); /* so that who sends has to wait */
	}
	drained = done;
	return NULL;
}

static void case_given_back_meanwhile(void)
{
	unsigned char *much = malloc(SOME);

	if (!much)
		broken("no memory");
	for (size_t i = 0; i < SOME; i++)
		much[i] = pattern(i);
	for (int round = 0; round < ROUNDS; round++) {
		struct connection connection = open_used();
		pthread_t asker, taker;

		call_ended = false;
		pthread_create(&asker, NULL, ask_kernel, &connection.us);
		pthread_create(&taker, NULL, take_in, &connection.them);
		outcome("send", send(connection.us, much, SOME, MSG_NOSIGNAL));
		call_ended = true;
		pthread_join(asker, NULL);
		outcome("shutdown", shutdown(connection.us, SHUT_WR));
		pthread_join(taker, NULL);
		note("they get %s", drained == SOME ? "all" : "something else");
		close_connection(connection);
	}
	free(much);
}

/* ---- options that tell of the kernel's socket, or bind the connection to it ---- */

static void get(int fd, const char *text, int level, int name)
{
	int value = 0x5a5a5a5a;
	socklen_t length = sizeof(value);
	const int result = getsockopt(fd, level, name, &value, &length);

	outcome(text, result);
	if (result == 0)
		note("%s: %d, length %u", text, length ? value : 0, length);
}

static void set(int fd, const char *text, int level, int name, int value)
{
	outcome(text, setsockopt(fd, level, name, &value, sizeof(value)));
}

/* clang-format off */
#define OPTION(level, name) { #name, level, name }
/* clang-format on */
static const struct {
	const char *text;
	int level, name;
} twins[] = {
	OPTION(SOL_SOCKET, SO_REUSEADDR),	 OPTION(SOL_SOCKET, SO_ATTACH_FILTER),
	OPTION(SOL_SOCKET, SO_DETACH_FILTER),	 OPTION(SOL_SOCKET, SO_LOCK_FILTER),
	OPTION(IPPROTO_TCP, TCP_REPAIR),	 OPTION(IPPROTO_TCP, TCP_REPAIR_QUEUE),
	OPTION(IPPROTO_TCP, TCP_QUEUE_SEQ),	 OPTION(IPPROTO_TCP, TCP_REPAIR_OPTIONS),
	OPTION(IPPROTO_TCP, TCP_REPAIR_WINDOW),	 OPTION(IPPROTO_TCP, TCP_CONGESTION),
	OPTION(IPPROTO_IPV6, IPV6_UNICAST_HOPS), OPTION(IPPROTO_IP, IP_TTL),
};

/* On a connection each: what the socket tells, and what it is after a change. */
static void case_twins_options(void)
{
	for (size_t i = 0; i < sizeof(twins) / sizeof(twins[0]); i++) {
		const char *text = twins[i].text;
		const int level = twins[i].level, name = twins[i].name;
		struct connection connection = open_used();

		get(connection.us, text, level, name);
		close_connection(connection);
		connection = open_used();
		/* A value that takes the rights of an administrator is refused before. */
		set(connection.us, text, level, name, name == TCP_REPAIR ? 0 : 1);
		talk(connection);
		get(connection.us, text, level, name);
		close_connection(connection);
	}
}

/* What a child sets is set for its parent, too, when that borrows the connection again. */
static void case_childs_options(void)
{
	struct connection connection = open_used();
	pid_t child = fork();

	must("fork", child);
	if (child == 0) {
		set(connection.us, "SO_RCVBUF", SOL_SOCKET, SO_RCVBUF, 12345);
		set(connection.us, "SO_SNDBUF", SOL_SOCKET, SO_SNDBUF, 23456);
		set(connection.us, "TCP_NODELAY", IPPROTO_TCP, TCP_NODELAY, 1);
		must("F_SETFL", fcntl(connection.us, F_SETFL, O_NONBLOCK));
		_exit(0);
	}
	must("waitpid", waitpid(child, NULL, 0));
	set_nonblocking(connection.us, false);
	use(connection);
	settle(); /* melin looks whether the child has it still */
	use(connection);
	get(connection.us, "SO_RCVBUF", SOL_SOCKET, SO_RCVBUF);
	get(connection.us, "SO_SNDBUF", SOL_SOCKET, SO_SNDBUF);
	get(connection.us, "TCP_NODELAY", IPPROTO_TCP, TCP_NODELAY);
	talk(connection);
	close_connection(connection);
}

/* Each call that peeks begins where the last one has ended. */
static void case_peek_offset(void)
{
	struct connection connection = open_used();
	char text[8] = "";

	set(connection.us, "SO_PEEK_OFF", SOL_SOCKET, SO_PEEK_OFF, 0);
	send_all(connection.them, "0123456789", 10);
	await_bytes(connection.us, 10);
	for (int i = 0; i < 3; i++) {
		outcome("peek", recv(connection.us, text, 3, MSG_PEEK));
		show("data", text, 3);
	}
	outcome("read", recv(connection.us, text, 4, 0));
	show("data", text, 4);
	get(connection.us, "SO_PEEK_OFF", SOL_SOCKET, SO_PEEK_OFF);
	set(connection.us, "SO_PEEK_OFF", SOL_SOCKET, SO_PEEK_OFF, -1);
	outcome("read", recv(connection.us, text, 6, 0));
	show("data", text, 6);
	talk(connection);
	close_connection(connection);
}

/* What is sent with it keeps its place in the queue of errors, which the kernel has. */
static void case_zero_copy(void)
{
	struct connection connection = open_used();
	char data[8], control[128];
	struct iovec iov = { .iov_base = data, .iov_len = sizeof(data) };
	struct msghdr message = { .msg_iov = &iov,
				  .msg_iovlen = 1,
				  .msg_control = control,
				  .msg_controllen = sizeof(control) };

	set(connection.us, "SO_ZEROCOPY", SOL_SOCKET, SO_ZEROCOPY, 1);
	talk(connection);
	outcome("send", send(connection.us, "zero", 4, MSG_ZEROCOPY));
	note("they get %zu", drain(connection.them, 4));
	await(connection.us, POLLERR);
	outcome("its notice", recvmsg(connection.us, &message, MSG_ERRQUEUE));
	note("flags %x, control %zu", (unsigned)message.msg_flags, message.msg_controllen);
	talk(connection);
	close_connection(connection);
}

/* ---- an error that recvmmsg() has left behind its first message ---- */

static ssize_t receive_again(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_DONTWAIT);
}

static ssize_t send_again(int fd)
{
	return send(fd, "x", 1, MSG_NOSIGNAL);
}

static ssize_t ask_again(int fd)
{
	int error = -1;
	socklen_t length = sizeof(error);

	must("SO_ERROR", getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length));
	note("SO_ERROR: %s", errno_name(error));
	return 0;
}

static ssize_t receive_much(int fd)
{
	char byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct mmsghdr message = { .msg_hdr = { .msg_iov = &iov, .msg_iovlen = 1 } };

	return recvmmsg(fd, &message, 1, MSG_DONTWAIT, NULL);
}

/* There is nothing in the queue of errors, and the look takes none. */
static ssize_t look_for_errors(int fd)
{
	struct msghdr message = { 0 };

	return recvmsg(fd, &message, MSG_ERRQUEUE);
}

static ssize_t look_for_urgent(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_OOB | MSG_DONTWAIT);
}

static ssize_t read_nothing(int fd)
{
	char byte;

	return read(fd, &byte, 0);
}

static ssize_t splice_out(int fd)
{
	ssize_t result;
	int ends[2], error;

	must("pipe", pipe(ends));
	set_nonblocking(fd, true);
	result = splice(fd, NULL, ends[1], NULL, 1, SPLICE_F_NONBLOCK);
	error = errno;
	set_nonblocking(fd, false);
	close(ends[0]);
	close(ends[1]);
	errno = error;
	return result;
}

/* What those see who wait for it; instance: an epoll that it was added to before. */
static void look_at(int fd, int instance)
{
	struct pollfd entry = { .fd = fd, .events = POLLIN };
	struct epoll_event event = { 0 };

	outcome("poll", poll(&entry, 1, 0));
	note("%s", poll_bits((unsigned short)entry.revents));
	outcome("epoll_wait", epoll_wait(instance, &event, 1, 0));
	note("%s", poll_bits(event.events));
}

static int watched(int fd)
{
	struct epoll_event event = { .events = EPOLLIN };
	const int instance = epoll_create1(0);

	must("epoll_create1", instance);
	must("epoll_ctl", epoll_ctl(instance, EPOLL_CTL_ADD, fd, &event));
	return instance;
}

/* The connection is the kernel's from now on, for as long as a child has it. */
static pid_t share(struct connection connection)
{
	const pid_t child = fork();

	must("fork", child);
	if (child == 0)
		close(connection.them);
	while (child == 0)
		pause();
	return child;
}

static void end(pid_t child)
{
	must("kill", kill(child, SIGKILL));
	must("waitpid", waitpid(child, NULL, 0));
}

/* It may be borrowed again by the next call. */
static void give_back(int fd)
{
	char text[256];
	socklen_t length = sizeof(text);

	must("TCP_CC_INFO", getsockopt(fd, IPPROTO_TCP, TCP_CC_INFO, text, &length));
}

static void leave_error(int fd)
{
	char first;
	struct iovec good = { .iov_base = &first, .iov_len = 1 };
	struct iovec bad = { .iov_base = bad_pointer(), .iov_len = 1 };
	struct mmsghdr messages[] = { { .msg_hdr = { .msg_iov = &good, .msg_iovlen = 1 } },
				      { .msg_hdr = { .msg_iov = &bad, .msg_iovlen = 1 } } };

	await_bytes(fd, 2);
	outcome("recvmmsg", recvmmsg(fd, messages, 2, MSG_DONTWAIT, NULL));
}

/* Which the kernel's socket does not know of when it serves the next call, or some do. */
static void case_error_left(void)
{
	static const struct {
		const char *name;
		ssize_t (*call)(int fd);
	} calls[] = {
		{ "recv", receive_again },	     { "send", send_again },
		{ "getsockopt", ask_again },	     { "recvmmsg", receive_much },
		{ "MSG_ERRQUEUE", look_for_errors }, { "MSG_OOB", look_for_urgent },
		{ "read of nothing", read_nothing }, { "splice", splice_out },
	};

	for (size_t i = 0; i < 2 * sizeof(calls) / sizeof(calls[0]); i++) {
		struct connection connection = open_used();
		const bool shared = i % 2;
		const int instance = watched(connection.us);
		pid_t child = 0;

		send_all(connection.them, "ab", 2);
		leave_error(connection.us);
		if (shared)
			child = share(connection);
		else
			give_back(connection.us);
		look_at(connection.us, instance);
		outcome("the byte that is left", receive_again(connection.us));
		look_at(connection.us, instance);
		outcome(calls[i / 2].name, calls[i / 2].call(connection.us));
		look_at(connection.us, instance);
		outcome("and again", calls[i / 2].call(connection.us));
		if (shared)
			end(child);
		close(instance);
		close_connection(connection);
	}
}

/* A reset that comes before the error has been told takes its place. */
static void case_reset_after_error(void)
{
	ssize_t (*const calls[])(int fd) = { receive_again, send_again, ask_again };

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		struct connection connection = open_used();
		pid_t child;

		send_all(connection.them, "ab", 2);
		leave_error(connection.us);
		child = share(connection);
		outcome("the byte that is left", receive_again(connection.us));
		reset(connection.them);
		await(connection.us, POLLHUP);
		outcome("call", calls[i](connection.us));
		outcome("SO_ERROR", ask_again(connection.us));
		outcome("recv", receive_again(connection.us));
		end(child);
		close(connection.us);
	}
}

/* What keeps a connection in the kernel for good keeps such an error, too. */
static void case_error_left_for_good(void)
{
	struct connection connection = open_used();

	send_all(connection.them, "ab", 2);
	leave_error(connection.us);
	outcome("a bad direction", shutdown(connection.us, 7));
	outcome("the byte that is left", receive_again(connection.us));
	outcome("recv", receive_again(connection.us));
	outcome("and again", receive_again(connection.us));
	close_connection(connection);
}

/* The parent goes on when the child has ended. */
static void case_vfork(void)
{
	struct connection connection = open_used();
	char text[12];
	int status;
	pid_t child = vfork();

	if (child == 0) {
		usleep(AFTER_MS * 1000);
		_exit(send(connection.us, "child ", 6, 0) != 6);
	}
	must("vfork", child);
	send_all(connection.us, "parent", 6);
	must("waitpid", waitpid(child, &status, 0));
	must("recv", recv(connection.them, text, sizeof(text), MSG_WAITALL));
	show("they get", text, sizeof(text));
	talk(connection);
	close_connection(connection);
}

/* What io_submit(2) names the kernel carries out itself. */
static void submit(aio_context_t context, struct iocb *request)
{
	struct timespec limit = { .tv_sec = 5 };
	struct io_event event = { 0 };

	outcome("io_submit", syscall(SYS_io_submit, context, 1, &request));
	outcome("io_getevents", syscall(SYS_io_getevents, context, 1, 1, &event, &limit));
	note("request %d: %lld", (int)event.data, (long long)event.res);
}

static void case_kernels_requests(void)
{
	struct connection connection = open_used();
	char data[4] = "abc";
	struct iocb request = { .aio_fildes = (uint32_t)connection.us,
				.aio_lio_opcode = IOCB_CMD_PWRITE,
				.aio_buf = (uintptr_t)data,
				.aio_nbytes = 3,
				.aio_data = 1 };
	aio_context_t context = 0;

	outcome("io_setup", syscall(SYS_io_setup, 4, &context));
	outcome("bad list", syscall(SYS_io_submit, context, 1, bad_pointer()));
	submit(context, &request);
	note("they get %zu", drain(connection.them, 3));
	use(connection);
	send_all(connection.them, "de", 2);
	request.aio_lio_opcode = IOCB_CMD_PREAD;
	request.aio_data = 2;
	submit(context, &request);
	show("data", data, 3);
	syscall(SYS_io_destroy, context);
	talk(connection);
	close_connection(connection);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "number taken", case_number_taken, 0 },
		{ "given back meanwhile", case_given_back_meanwhile, 0 },
		{ "mark meanwhile", case_mark_meanwhile, 0 },
		{ "error left", case_error_left, 0 },
		{ "reset after error", case_reset_after_error, 0 },
		{ "error left for good", case_error_left_for_good, 0 },
		{ "twin's options", case_twins_options, 0 },
		{ "child's options", case_childs_options, 0 },
		{ "peek offset", case_peek_offset, 0 },
		{ "zero copy", case_zero_copy, 0 },
		{ "vfork", case_vfork, 0 },
		{ "kernel's requests", case_kernels_requests, 0 },
	};

	return run_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
