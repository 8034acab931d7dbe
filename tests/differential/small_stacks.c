/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Differential cases: calls on a connection, and the first flow of a process, from where there is
 * little room: the smallest thread, a coroutine, a handler on its alternate stack.
 */
#include "harness.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>

enum { THREAD = 16384, COROUTINE = 4096, GUARD = 65536 };

/* What the talk gave, printed where there is room. */
static struct {
	int fd;
	struct address peer;
	long connected, sent, polled, added, waited, got, shut;
	char text[8];
} talk;

static void talk_now(void)
{
	struct pollfd entry = { .fd = talk.fd, .events = POLLIN };
	struct epoll_event event = { .events = EPOLLIN };
	struct iovec parts[2] = { { talk.text, 2 }, { talk.text + 2, 3 } };
	int epoll = epoll_create1(0);

	talk.sent = send(talk.fd, "hello", 5, 0);
	talk.polled = poll(&entry, 1, 3000);
	talk.added = epoll_ctl(epoll, EPOLL_CTL_ADD, talk.fd, &event);
	talk.waited = epoll_wait(epoll, &event, 1, 3000);
	talk.got = readv(talk.fd, parts, 2);
	talk.shut = shutdown(talk.fd, SHUT_WR);
	close(epoll);
}

static void connect_now(void)
{
	talk.fd = open_socket(0);
	talk.connected =
		connect(talk.fd, (const struct sockaddr *)&talk.peer.storage, talk.peer.length);
}

static void *in_thread(void *function)
{
	((void (*)(void))function)();
	return NULL;
}

static void on_thread(void (*function)(void))
{
	pthread_attr_t attributes;
	pthread_t thread;

	pthread_attr_init(&attributes);
	must("stack size", -pthread_attr_setstacksize(&attributes, THREAD));
	must("thread", -pthread_create(&thread, &attributes, in_thread, (void *)function));
	pthread_join(thread, NULL);
	pthread_attr_destroy(&attributes);
}

/* Memory with pages below it that fault. */
static char *guarded(size_t size)
{
	char *memory = mmap(NULL, GUARD + size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			    -1, 0);

	if (memory == MAP_FAILED)
		broken("no memory");
	mprotect(memory, GUARD, PROT_NONE);
	return memory + GUARD;
}

static void on_coroutine(void (*function)(void))
{
	static ucontext_t outside, inside;

	getcontext(&inside);
	inside.uc_stack.ss_sp = guarded(COROUTINE);
	inside.uc_stack.ss_size = COROUTINE;
	inside.uc_link = &outside;
	makecontext(&inside, function, 0);
	swapcontext(&outside, &inside);
}

static void (*handled)(void);

static void handler(int number)
{
	(void)number;
	handled();
}

static void on_alternate_stack(void (*function)(void))
{
	/* What the kernel puts there itself depends on the processor. */
	size_t size = (size_t)sysconf(_SC_MINSIGSTKSZ) + 3072;
	stack_t stack = { .ss_size = size };
	struct sigaction action = { .sa_handler = handler, .sa_flags = SA_ONSTACK };

	size = (size + 4095) & ~(size_t)4095;
	stack.ss_size = size;
	stack.ss_sp = guarded(size);
	handled = function;
	must("sigaltstack", sigaltstack(&stack, NULL));
	sigaction(SIGUSR1, &action, NULL);
	raise(SIGUSR1);
	stack = (stack_t){ .ss_flags = SS_DISABLE };
	sigaltstack(&stack, NULL);
}

/* They have spoken already, so that nothing waits for them. */
static void talk_from(void (*place)(void (*function)(void)))
{
	struct connection connection = open_connection();
	char heard[8] = "";

	memset(&talk, 0, sizeof(talk));
	talk.fd = connection.us;
	send_all(connection.them, "world", 5);
	place(talk_now);
	outcome("send", talk.sent);
	outcome("poll", talk.polled);
	outcome("epoll_ctl", talk.added);
	outcome("epoll_wait", talk.waited);
	outcome("readv", talk.got);
	show("text", talk.text, talk.got);
	outcome("shutdown", talk.shut);
	outcome("they receive", recv(connection.them, heard, 5, MSG_WAITALL));
	show("heard", heard, 5);
	outcome("their end", recv(connection.them, heard, 5, 0));
	close_connection(connection);
}

/* The first flow of the process starts the stack. */
static void case_first_connect(void)
{
	int listener = their_listener(5), peer;

	memset(&talk, 0, sizeof(talk));
	talk.peer = name_of(listener);
	on_coroutine(connect_now);
	outcome("connect", talk.connected);
	peer = accept_one(listener);
	send_all(peer, "world", 5);
	on_thread(talk_now);
	outcome("readv", talk.got);
	close(talk.fd);
	close(peer);
	close(listener);
}

static void case_thread(void)
{
	talk_from(on_thread);
}

static void case_coroutine(void)
{
	talk_from(on_coroutine);
}

static void case_alternate_stack(void)
{
	talk_from(on_alternate_stack);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "first connect", case_first_connect, 0 },
		{ "thread", case_thread, 0 },
		{ "coroutine", case_coroutine, 0 },
		{ "alternate stack", case_alternate_stack, 0 },
	};

	return run_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
