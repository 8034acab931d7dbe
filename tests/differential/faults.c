/* SPDX-License-Identifier: BSD-3-Clause */
/* Differential cases: pointers that lead nowhere, or do not any more. */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define AREA 262144
#define PAGE 4096

static char *new_area(void)
{
	char *area = mmap(NULL, AREA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (area == MAP_FAILED)
		broken("mmap: %s", errno_name(errno));
	return area;
}

static void unmap(char *area)
{
	munmap(area, AREA);
}

static void protect(char *area)
{
	mprotect(area, AREA, PROT_NONE);
}

static void make_read_only(char *area)
{
	mprotect(area, AREA, PROT_READ);
}

static void replace(char *area)
{
	mmap(area, AREA, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

static void move(char *area)
{
	munmap(mremap(area, AREA, AREA, MREMAP_MAYMOVE | MREMAP_FIXED, new_area()), AREA);
}

static int file = -1;

static void truncate_file(char *area)
{
	(void)area;
	must("ftruncate", ftruncate(file, 0));
}

/* The buffer has been in use, and then it is gone while something waits to be read. */
static void gone(const char *how, void (*take_away)(char *), char *area, bool sends)
{
	static const size_t sizes[] = { 1, 100, 4000, 160000 };
	struct connection connection = open_connection();
	char got[64];

	note("%s", how);
	outcome("send", send(connection.us, area, 50, 0));
	drain(connection.them, 50);
	send_all(connection.them, "abcdefghij", 10);
	outcome("recv", recv(connection.us, area, 10, MSG_WAITALL));
	send_all(connection.them, "klmnopqrst", 10);
	await_bytes(connection.us, 10);
	take_away(area);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		outcome("recv", recv(connection.us, area, sizes[i], MSG_DONTWAIT));
		outcome("read", read(connection.us, area + 5, sizes[i]));
		outcome("peek", recv(connection.us, area, sizes[i], MSG_PEEK));
		if (sends)
			outcome("send", send(connection.us, area, sizes[i], MSG_DONTWAIT));
	}
	outcome("all is there", recv(connection.us, got, sizeof(got), 0));
	show("data", got, 10);
	outcome("nothing more", recv(connection.us, area, 10, MSG_DONTWAIT));
	shutdown(connection.us, SHUT_WR);
	outcome("they got", recv(connection.them, got, sizeof(got), 0));
	close_connection(connection);
}

static void case_gone(void)
{
	char name[] = "/tmp/melin-faults-XXXXXX", *area = new_area();

	gone("munmap", unmap, area, true);
	gone("mprotect", protect, new_area(), true);
	gone("read only", make_read_only, new_area(), false);
	gone("mmap", replace, new_area(), true);
	gone("mremap", move, new_area(), true);
	file = mkstemp(name);
	must("mkstemp", file);
	unlink(name);
	must("ftruncate", ftruncate(file, AREA));
	area = mmap(NULL, AREA, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	gone("truncated", truncate_file, area, true);
	close(file);
}

static volatile sig_atomic_t faults;

static void count_fault(int number)
{
	(void)number;
	faults++;
	signal(SIGSEGV, SIG_DFL);
}

/* The program has a handler of its own, which hears nothing of all this, and works. */
static void case_own_handler(void)
{
	struct sigaction action = { .sa_handler = count_fault, .sa_flags = SA_RESTART }, old;

	faults = 0;
	sigaction(SIGSEGV, &action, NULL);
	gone("munmap", unmap, new_area(), true);
	note("the handler ran %d times", (int)faults);
	sigaction(SIGSEGV, NULL, &old);
	note("it is %s", old.sa_handler == count_fault ? "in place" : "gone");
	raise(SIGSEGV);
	note("the handler ran %d times", (int)faults);
}

/* The program ignores the signal of a bad pointer. */
static void case_ignored(void)
{
	struct sigaction action = { .sa_handler = SIG_IGN }, old;

	sigaction(SIGSEGV, &action, NULL);
	gone("munmap", unmap, new_area(), true);
	note("kill %d", raise(SIGSEGV));
	sigaction(SIGSEGV, NULL, &old);
	note("it is %s", old.sa_handler == SIG_IGN ? "ignored" : "not ignored");
	signal(SIGSEGV, SIG_DFL);
}

static void use_bad_pointer(int number)
{
	struct connection connection = open_connection();
	char *area = new_area();

	(void)number;
	unmap(area);
	outcome("send in a handler", send(connection.us, area, 10, 0));
	close_connection(connection);
}

/* A handler that blocks everything, and a wait that does. */
static void case_blocked_meanwhile(void)
{
	struct sigaction action = { .sa_handler = use_bad_pointer, .sa_flags = SA_RESTART }, old;
	struct connection connection = open_connection();
	struct epoll_event event = { .events = EPOLLIN };
	int epoll = epoll_create1(0);
	char *area = new_area();

	sigfillset(&action.sa_mask);
	sigaction(SIGUSR1, &action, NULL);
	raise(SIGUSR1);
	sigaction(SIGUSR1, NULL, &old);
	for (int i = 1; i <= SIGRTMAX; i++)
		if (sigismember(&old.sa_mask, i) != (i != SIGKILL && i != SIGSTOP) && i != 32 &&
		    i != 33)
			note("signal %d is not in the mask", i);
	must("epoll_ctl", epoll_ctl(epoll, EPOLL_CTL_ADD, connection.us, &event));
	send_all(connection.them, "a", 1);
	await_bytes(connection.us, 1);
	unmap(area);
	outcome("epoll_pwait",
		epoll_pwait(epoll, (struct epoll_event *)area, 1, 1000, &action.sa_mask));
	close(epoll);
	close_connection(connection);
}

/* A part is good. */
static void case_partly(void)
{
	struct connection connection = open_connection();
	char *area = new_area(), got[64];
	struct iovec iov[2] = { { area, 100 }, { area + AREA / 2, 100 } };
	static char all[AREA];
	ssize_t n;

	munmap(area + AREA / 2, AREA / 2);
	outcome("writev", writev(connection.us, iov, 2));
	outcome("send over the end", send(connection.us, area + AREA / 2 - 50, 100, 0));
	send_all(connection.them, "0123456789", 10);
	await_bytes(connection.us, 10);
	iov[0].iov_len = 4;
	outcome("readv", readv(connection.us, iov, 2));
	outcome("recv over the end", recv(connection.us, area + AREA / 2 - 4, 10, 0));
	outcome("recv before the end", recv(connection.us, area + AREA / 2 - 4, 4, 0));
	outcome("the rest", recv(connection.us, got, sizeof(got), 0));
	show("data", got, 6);
	memset(area, 'p', AREA / 2);
	set_nonblocking(connection.us, true);
	n = send(connection.us, area + AREA / 2 - 70000, 140000, 0);
	note("send of much: %s", n > 0 && n <= 70000 ? "a part" : "not a part");
	shutdown(connection.us, SHUT_WR);
	note("they got %s",
	     (ssize_t)drain(connection.them, sizeof(all)) == n ? "that" : "something else");
	close_connection(connection);
	munmap(area, AREA / 2);
}

static char *taken;

static void take_it(int fd)
{
	(void)fd;
	munmap(taken, AREA);
}

static void take_and_read(int fd)
{
	munmap(taken, AREA);
	pause_ms(50);
	note("they get %s", drain(fd, SIZE_MAX) > 0 ? "something" : "nothing");
}

/* It goes away while the call waits. */
static void case_meanwhile(void)
{
	struct connection connection = open_connection();
	struct pollfd *set;
	pthread_t thread;
	int epoll = epoll_create1(0);
	struct epoll_event event = { .events = EPOLLIN };
	ssize_t n;

	must("epoll_ctl", epoll_ctl(epoll, EPOLL_CTL_ADD, connection.us, &event));
	taken = new_area();
	set = (struct pollfd *)taken;
	set[0] = (struct pollfd){ connection.us, POLLIN, 0 };
	thread = later(50, take_it, 0);
	outcome("poll", poll(set, 1, 1000));
	join(thread);
	taken = new_area();
	FD_SET(connection.us, (fd_set *)taken);
	thread = later(50, take_it, 0);
	outcome("select", select(connection.us + 1, (fd_set *)taken, NULL, NULL,
				 &(struct timeval){ .tv_sec = 1 }));
	join(thread);
	taken = new_area();
	thread = later(50, take_it, 0);
	outcome("epoll_wait", epoll_wait(epoll, (struct epoll_event *)taken, 1, 1000));
	join(thread);
	taken = new_area();
	fill(connection.us);
	set_nonblocking(connection.us, false);
	thread = later(50, take_and_read, connection.them);
	n = send(connection.us, taken, AREA, 0);
	note("send: %s", n < 0 ? errno_name(errno) : n < AREA ? "a part" : "all");
	shutdown(connection.us, SHUT_WR);
	join(thread);
	close(epoll);
	close_connection(connection);
}

static void case_messages(void)
{
	struct connection connection = open_connection();
	void *bad = bad_pointer();
	char got[16];
	struct iovec iov = { got, sizeof(got) };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct mmsghdr *area = (struct mmsghdr *)new_area();
	socklen_t length = 1000;
	struct sockaddr_storage name;

	outcome("sendmsg", sendmsg(connection.us, bad, 0));
	outcome("recvmsg", recvmsg(connection.us, bad, MSG_DONTWAIT));
	message.msg_iov = bad;
	outcome("sendmsg, iov", sendmsg(connection.us, &message, 0));
	outcome("recvmsg, iov", recvmsg(connection.us, &message, MSG_DONTWAIT));
	message.msg_iovlen = 5000;
	outcome("sendmsg, long iov", sendmsg(connection.us, &message, 0));
	message.msg_iov = &iov;
	message.msg_iovlen = 1;
	message.msg_namelen = (socklen_t)-1;
	message.msg_name = &name;
	outcome("recvmsg, name", recvmsg(connection.us, &message, MSG_DONTWAIT));
	outcome("writev", writev(connection.us, bad, 2));
	outcome("readv", readv(connection.us, bad, 2));
	outcome("readv, many", readv(connection.us, bad, 500));
	outcome("readv, none", readv(connection.us, bad, 0));
	outcome("sendmmsg", sendmmsg(connection.us, bad, 1, 0));
	outcome("recvmmsg", recvmmsg(connection.us, bad, 1, MSG_DONTWAIT, NULL));
	outcome("recvmmsg, time", recvmmsg(connection.us, area, 1, MSG_DONTWAIT, bad));
	outcome("recvmmsg, bad time", recvmmsg(connection.us, area, 1, MSG_DONTWAIT,
					       &(struct timespec){ .tv_nsec = -1 }));
	outcome("recvmmsg, bad time, bad descriptor",
		recvmmsg(-1, area, 1, MSG_DONTWAIT, &(struct timespec){ .tv_sec = -1 }));
	send_all(connection.them, "xyz", 3);
	await_bytes(connection.us, 3);
	outcome("recvfrom", recvfrom(connection.us, got, 1, 0, (void *)&name, bad));
	length = (socklen_t)-5;
	outcome("recvfrom", recvfrom(connection.us, got, 1, 0, (void *)&name, &length));
	outcome("recvfrom", recvfrom(connection.us, got, 1, 0, NULL, bad));
	munmap(area, AREA);
	close_connection(connection);
}

static void case_names(void)
{
	int listener = our_listener(5), fd, other;
	struct address address = name_of(listener);
	struct sockaddr_storage name;
	socklen_t length = sizeof(name);
	struct connection connection = open_connection();
	void *bad = bad_pointer();
	char byte;

	set_nonblocking(listener, true);
	outcome("accept, nobody there", accept(listener, bad, &length));
	other = them_connect(&address);
	await(listener, POLLIN);
	outcome("accept", accept(listener, bad, &length));
	await(other, POLLIN);
	outcome("they see", recv(other, &byte, 1, 0));
	close(other);
	other = them_connect(&address);
	await(listener, POLLIN);
	outcome("accept, length", accept(listener, (void *)&name, bad));
	close(other);
	other = them_connect(&address);
	await(listener, POLLIN);
	fd = accept(listener, NULL, bad);
	note("accept, no name: %s", fd >= 0 ? "good" : errno_name(errno));
	close(fd);
	close(other);
	close(listener);
	length = sizeof(name);
	outcome("getsockname", getsockname(connection.us, bad, &length));
	outcome("getsockname, length", getsockname(connection.us, (void *)&name, bad));
	outcome("getsockname, nowhere", getsockname(connection.us, NULL, &length));
	length = 0;
	outcome("getsockname, no room", getsockname(connection.us, bad, &length));
	length = (socklen_t)-1;
	outcome("getpeername, negative", getpeername(connection.us, (void *)&name, &length));
	length = sizeof(name);
	outcome("getpeername", getpeername(connection.us, bad, &length));
	outcome("connect", connect(connection.us, bad, sizeof(struct sockaddr_in)));
	outcome("bind", bind(connection.us, bad, sizeof(struct sockaddr_in)));
	outcome("ioctl", ioctl(connection.us, FIONREAD, bad));
	outcome("ioctl", ioctl(connection.us, FIONBIO, bad));
	length = sizeof(int);
	outcome("getsockopt", getsockopt(connection.us, IPPROTO_TCP, TCP_NODELAY, bad, &length));
	outcome("getsockopt, length",
		getsockopt(connection.us, IPPROTO_TCP, TCP_NODELAY, &byte, bad));
	outcome("setsockopt",
		setsockopt(connection.us, IPPROTO_TCP, TCP_NODELAY, bad, sizeof(int)));
	close_connection(connection);
}

/* Each through syscall(2), since libc's own functions read the memory themselves. */
static void bad_times(const char *name, int fd, int epoll, const void *time, const void *mask,
		      size_t size)
{
	struct {
		const void *mask;
		size_t size;
	} sized = { mask, size };
	struct pollfd entry = { fd, POLLIN, 0 };
	struct epoll_event event;
	fd_set set;

	note("%s", name);
	outcome("ppoll", syscall(SYS_ppoll, &entry, 1, time, mask, size));
	outcome("epoll_pwait2", syscall(SYS_epoll_pwait2, epoll, &event, 1, time, mask, size));
	outcome("epoll_pwait", syscall(SYS_epoll_pwait, epoll, &event, 1, 0, mask, size));
	FD_ZERO(&set);
	FD_SET(fd, &set);
	outcome("pselect6", syscall(SYS_pselect6, fd + 1, &set, NULL, NULL, time, &sized));
#ifdef SYS_select
	if (!mask)
		outcome("select", syscall(SYS_select, fd + 1, &set, NULL, NULL, time));
#endif
	if (!mask)
		outcome("epoll_pwait2", epoll_pwait2(epoll, &event, 1, time, NULL));
}

static void all_bad_times(int fd)
{
	struct timespec negative = { .tv_sec = -1 }, large = { .tv_nsec = 1000000000 };
	struct timespec at_once = { 0 }, soon = { .tv_nsec = 30000000 };
	struct epoll_event event = { .events = EPOLLIN };
	int epoll = epoll_create1(0);
	struct pollfd entry = { fd, POLLIN, 0 };
	char *area = new_area();
	uint64_t mask = 0;
	fd_set set;

	must("epoll_ctl", epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
	bad_times("bad time", fd, epoll, bad_pointer(), NULL, 8);
	munmap(area, AREA);
	bad_times("no time any more", fd, epoll, area, NULL, 8);
	bad_times("negative", fd, epoll, &negative, NULL, 8);
	/* select(2) has microseconds there, of which it takes any number. */
	outcome("ppoll, large", syscall(SYS_ppoll, &entry, 1, &large, NULL, 8));
	bad_times("bad mask", fd, epoll, &at_once, bad_pointer(), 8);
	bad_times("mask of another size", fd, epoll, &at_once, &mask, 16);
	bad_times("both bad", fd, epoll, bad_pointer(), bad_pointer(), 7);
	bad_times("all good", fd, epoll, &at_once, &mask, 8);
	outcome("pselect6, bad mask's address",
		syscall(SYS_pselect6, 0, NULL, NULL, NULL, &at_once, bad_pointer()));
	outcome("ppoll that waits", syscall(SYS_ppoll, &entry, 1, &soon, &mask, 8));
	note("%s", soon.tv_sec || soon.tv_nsec ? "time is left" : "no time is left");
	outcome("poll, bad set", poll(bad_pointer(), 1, 0));
	outcome("poll, no set", poll(bad_pointer(), 0, 0));
	outcome("select, bad set",
		select(fd + 1, bad_pointer(), NULL, NULL, &(struct timeval){ 0 }));
	FD_ZERO(&set);
	FD_SET(fd, &set);
	outcome("select, bad second set",
		select(fd + 1, &set, bad_pointer(), NULL, &(struct timeval){ 0 }));
	outcome("epoll_ctl", epoll_ctl(epoll, EPOLL_CTL_MOD, fd, bad_pointer()));
	outcome("epoll_wait, nothing there", epoll_wait(epoll, bad_pointer(), 1, 0));
	outcome("epoll_wait, none", epoll_wait(epoll, &event, 0, 0));
	outcome("epoll_wait, too many", epoll_wait(epoll, bad_pointer(), INT32_MAX, 0));
	close(epoll);
}

static void case_times(void)
{
	struct connection connection = open_connection();
	int pipes[2];

	all_bad_times(connection.us);
	must("pipe", pipe(pipes));
	note("of the kernel's");
	all_bad_times(pipes[0]);
	close(pipes[0]);
	close(pipes[1]);
	close_connection(connection);
}

static void case_events(void)
{
	struct connection connections[3];
	struct epoll_event events[3], event = { .events = EPOLLIN | EPOLLET };
	int epoll = epoll_create1(0);
	char *area = new_area();

	for (int i = 0; i < 3; i++) {
		connections[i] = open_connection();
		must("epoll_ctl", epoll_ctl(epoll, EPOLL_CTL_ADD, connections[i].us, &event));
		send_all(connections[i].them, "x", 1);
		await(connections[i].us, POLLIN);
	}
	munmap(area + PAGE, AREA - PAGE);
	outcome("nowhere", epoll_wait(epoll, bad_pointer(), 3, 1000));
	outcome("room for two",
		epoll_wait(epoll, (void *)(area + PAGE - 2 * sizeof(events[0]) - 3), 3, 1000));
	outcome("the rest", epoll_wait(epoll, events, 3, 1000));
	outcome("no more", epoll_wait(epoll, events, 3, 0));
	for (int i = 0; i < 3; i++)
		close_connection(connections[i]);
	munmap(area, PAGE);
	close(epoll);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "gone", case_gone, 30 },
		{ "partly", case_partly, 0 },
		{ "meanwhile", case_meanwhile, 0 },
		{ "messages", case_messages, 0 },
		{ "names", case_names, 0 },
		{ "times", case_times, 0 },
		{ "events", case_events, 0 },
		{ "own handler", case_own_handler, 0 },
		{ "ignored", case_ignored, 0 },
		{ "blocked meanwhile", case_blocked_meanwhile, 0 },
	};

	return run_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
