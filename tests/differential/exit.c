/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Differential cases: how a process ends, and that what it sent arrives all the same. The process
 * that ends is a child (this program again) that has the stack to itself.
 */
#include "harness.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <threads.h>
#include <unistd.h>

#define BULK 300000

extern char **environ;

static char block[BULK];

/* ---- the child ---- */

static void *keep_sending(void *argument)
{
	const int fd = *(int *)argument;

	while (write(fd, block, 1000) > 0)
		;
	pause();
	return NULL;
}

static void *keep_receiving(void *argument)
{
	const int fd = *(int *)argument;

	while (read(fd, block, 1000) > 0)
		;
	pause();
	return NULL;
}

/* Other threads use the connection while the process ends. */
static void end_among_threads(int fd)
{
	static int descriptor;
	pthread_t thread;

	descriptor = fd;
	pthread_create(&thread, NULL, keep_sending, &descriptor);
	pthread_create(&thread, NULL, keep_sending, &descriptor);
	pthread_create(&thread, NULL, keep_receiving, &descriptor);
	pause_ms(20);
	exit(11);
}

/* What lies in a stream's buffer at the end. */
static void end_with_stream(int fd, bool is_standard)
{
	FILE *stream;

	if (is_standard)
		dup2(fd, STDOUT_FILENO);
	stream = is_standard ? stdout : fdopen(fd, "w");
	if (!stream)
		broken("fdopen");
	fprintf(stream, "a line and %s\n", "another one");
	exit(12);
}

static FILE *full_stream;

static void give_up(int number)
{
	(void)number;
	_exit(ferror_unlocked(full_stream) ? 15 : 14);
}

/* Nobody takes what lies in a stream's buffer: handlers run while exit() waits, not after it. */
static void end_with_full_stream(int fd)
{
	FILE *stream = fdopen(fd, "w");

	full_stream = stream;
	if (!stream)
		broken("fdopen");
	fill(fd);
	set_nonblocking(fd, false);
	fprintf(stream, "a line\n");
	signal(SIGALRM, give_up);
	alarm(1);
	exit(13);
}

/* ---- the last thread ---- */

static int last_descriptor;

static void *last_thread(void *nothing)
{
	pause_ms(50);
	send_all(last_descriptor, block, 500);
	return nothing;
}

static int last_of_c11(void *nothing)
{
	(void)nothing;
	last_thread(NULL);
	thrd_exit(1);
}

static void *until_cancelled(void *nothing)
{
	for (;;)
		pause();
	return nothing;
}

/* The main thread has ended: this one ends the others and itself. */
static void *cancel_others(void *threads)
{
	pause_ms(50);
	pthread_cancel(((pthread_t *)threads)[0]);
	pthread_cancel(((pthread_t *)threads)[1]);
	pthread_join(((pthread_t *)threads)[1], NULL);
	send_all(last_descriptor, block, 500);
	pthread_cancel(pthread_self());
	pthread_testcancel();
	return NULL;
}

static void leave_in_handler(int number)
{
	(void)number;
	pthread_exit(NULL);
}

static void leave_at_exit(void)
{
	pthread_exit(NULL);
}

static void *make_thread(void *nothing)
{
	pthread_t thread;

	pthread_create(&thread, NULL, last_thread, NULL);
	pthread_detach(thread);
	return nothing;
}

/* The process ends because its last thread does, whichever that is. */
static void end_by_last_thread(const char *how, int fd)
{
	static pthread_t threads[2];
	pthread_t thread;
	thrd_t other;

	last_descriptor = fd;
	if (strcmp(how, "last thread") == 0) {
		pthread_create(&thread, NULL, last_thread, NULL);
	} else if (strcmp(how, "last C11") == 0) {
		thrd_create(&other, last_of_c11, NULL);
		thrd_exit(1);
	} else if (strcmp(how, "last made") == 0) {
		pthread_create(&thread, NULL, make_thread, NULL);
	} else if (strcmp(how, "last cancelled") == 0) {
		threads[0] = pthread_self();
		pthread_create(&threads[1], NULL, until_cancelled, NULL);
		pthread_create(&thread, NULL, cancel_others, threads);
		until_cancelled(NULL);
	} else if (strcmp(how, "last handler") == 0) {
		signal(SIGALRM, leave_in_handler);
		alarm(1);
		until_cancelled(NULL);
	} else if (strcmp(how, "last at exit") == 0) {
		atexit(leave_at_exit);
		exit(16);
	}
	pthread_exit(NULL); /* "last main": there is no other */
}

/* ---- other ends ---- */

static int goodbye_descriptor;

static void say_goodbye(void)
{
	send_all(goodbye_descriptor, "goodbye", 7);
}

static void *end_here(void *how)
{
	if (strcmp(how, "thread exits") == 0)
		exit(17);
	syscall(SYS_exit_group, 18);
	return NULL;
}

static void end_in_thread(char *how)
{
	pthread_t thread;

	pthread_create(&thread, NULL, end_here, how);
	for (;;)
		pause();
}

/* Becomes another program, after a call that cannot do that and changes nothing. */
static void end_by_exec(const char *how)
{
	char *const words[] = { (char[]){ "true" }, NULL };
	char *const no_words[] = { NULL };

	execl("/nowhere/true", "true", NULL);
	send_all(goodbye_descriptor, "still here", 10);
	if (strcmp(how, "execve") == 0)
		execve("/bin/true", words, no_words);
	if (strcmp(how, "execlp") == 0)
		execlp("true", "true", "word", NULL);
	if (strcmp(how, "execle") == 0)
		execle("/bin/true", "true", NULL, no_words);
	if (strcmp(how, "execvp") == 0)
		execvp("true", words);
	if (strcmp(how, "raw execve") == 0)
		syscall(SYS_execve, "/bin/true", words, no_words);
	if (strcmp(how, "fexecve") == 0)
		fexecve(open("/bin/true", O_PATH | O_CLOEXEC), words, no_words);
	broken("%s: %s", how, errno_name(errno));
}

/* A library that has been loaded at run time says goodbye when it is finalised. */
static void (*load_library(void))(int)
{
	char path[300];
	ssize_t length = readlink("/proc/self/exe", path, 256);
	void (*take)(int) = NULL;
	void *library, *symbol;

	must("readlink", length);
	path[length] = '\0';
	strcpy(strrchr(path, '/'), "/.libs/goodbye.so");
	library = dlopen(path, RTLD_NOW);
	symbol = library ? dlsym(library, "goodbye_take") : NULL;
	if (!symbol)
		broken("%s", dlerror());
	memcpy(&take, &symbol, sizeof(take));
	return take;
}

/* By then main()'s thread has left by exit(2), for itself alone. */
static int go_on(void *unused)
{
	(void)unused;
	usleep(200000);
	say_goodbye();
	exit(25);
}

static void leave_beside_c11(void)
{
	thrd_t other;

	thrd_create(&other, go_on, NULL);
	syscall(SYS_exit, 21);
}

static void end_otherwise(char *end, int fd)
{
	goodbye_descriptor = fd;
	if (strncmp(end, "last", 4) == 0)
		end_by_last_thread(end, fd);
	if (strstr(end, "exec")) {
		must("fcntl", fcntl(fd, F_SETFD, FD_CLOEXEC));
		end_by_exec(end);
	}
	if (strncmp(end, "thread ", 7) == 0)
		end_in_thread(end);
	if (strcmp(end, "quick") == 0) {
		at_quick_exit(say_goodbye);
		quick_exit(19);
	}
	if (strcmp(end, "exit_group") == 0)
		syscall(SYS_exit_group, 20);
	if (strcmp(end, "exit(2)") == 0)
		syscall(SYS_exit, 21);
	if (strcmp(end, "exit(2) beside C11") == 0)
		leave_beside_c11();
	if (strcmp(end, "handler") == 0) {
		atexit(say_goodbye);
		exit(22);
	}
	if (strcmp(end, "library") == 0) {
		load_library()(fd);
		exit(23);
	}
	if (strcmp(end, "daemon") == 0 && daemon(0, 0) == 0)
		_exit(24);
}

/* A store there is a fault. */
static int *volatile nowhere;

static void send_again(int number)
{
	raise(number);
}

/* As one that writes where it was: it returns, and the instruction is tried again. */
static void look_at(int number)
{
	(void)number;
}

/* As node's handlers: they are for one signal only, and send it once more to end the process. */
static void end_by_handler(const char *end)
{
	struct sigaction action = { .sa_handler = send_again, .sa_flags = (int)SA_RESETHAND };

	if (strcmp(end, "once more") == 0) {
		sigaction(SIGTERM, &action, NULL);
		kill(getpid(), SIGTERM);
	}
	if (strcmp(end, "once, nested") == 0) {
		sysv_signal(SIGINT, send_again);
		raise(SIGINT);
	}
	if (strcmp(end, "fault, once") == 0) {
		action.sa_handler = look_at;
		sigaction(SIGSEGV, &action, NULL);
		*nowhere = 1;
	}
}

static void return_from(int number)
{
	static int runs;

	(void)number;
	if (++runs > 1)
		_exit(1);
}

/* A handler that returns does not keep abort(3) from ending the process, and runs once. */
static void end_by_abort(const char *end)
{
	struct sigaction action = { .sa_handler = return_from };

	if (strcmp(end, "abort, ignored") == 0)
		action.sa_handler = SIG_IGN;
	if (strcmp(end, "abort, once") == 0)
		action.sa_flags = (int)SA_RESETHAND;
	sigaction(SIGABRT, &action, NULL);
	if (strcmp(end, "abort, once") == 0)
		raise(SIGABRT);
	abort();
}

static void end_by_signal(const char *end)
{
	static const struct {
		const char *name;
		int number;
	} signals[] = { { "terminate", SIGTERM }, { "interrupt", SIGINT }, { "pipe", SIGPIPE },
			{ "quit", SIGQUIT },	  { "user", SIGUSR1 },	   { "segment", SIGSEGV },
			{ "cpu", SIGXCPU },	  { "kill", SIGKILL } };
	const struct rlimit none = { 0, 0 };

	setrlimit(RLIMIT_CORE, &none);
	if (strcmp(end, "abort") == 0)
		abort();
	if (strncmp(end, "abort, ", 7) == 0)
		end_by_abort(end);
	if (strcmp(end, "real-time") == 0)
		raise(SIGRTMIN + 3);
	if (strcmp(end, "fault") == 0)
		*nowhere = 1;
	if (strcmp(end, "alarm") == 0) {
		alarm(1);
		for (;;)
			pause();
	}
	if (strcmp(end, "default again") == 0) {
		struct sigaction action = { .sa_handler = SIG_DFL }, old;

		signal(SIGTERM, leave_in_handler);
		sigaction(SIGTERM, &action, &old);
		sigaction(SIGTERM, NULL, &old);
		if (old.sa_handler == SIG_DFL)
			kill(getpid(), SIGTERM);
		pause();
	}
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (strcmp(end, signals[i].name) == 0)
			raise(signals[i].number);
}

static int child_main(char *end, const char *what, uint16_t port)
{
	struct address address;
	int fd;

	if (strcmp(end, "library") == 0 && strcmp(what, "little") == 0)
		load_library(); /* before there is a stack */
	if (in_process()) {
		struct connection connection = open_connection();

		fd = connection.us;
	} else {
		address = their_address(port);
		fd = connect_to(&address);
	}
	for (int i = 0; i < BULK; i++)
		block[i] = (char)(i * 3 + i / 251);
	if (strcmp(end, "threads") == 0)
		end_among_threads(fd);
	if (strcmp(end, "full stream") == 0)
		end_with_full_stream(fd);
	if (strcmp(end, "stream") == 0 || strcmp(end, "standard") == 0)
		end_with_stream(fd, strcmp(end, "standard") == 0);
	if (in_process() || strcmp(what, "little") == 0)
		send_all(fd, block, 1000);
	else
		send_all(fd, block, BULK);
	end_otherwise(end, fd);
	if (strcmp(end, "exit") == 0)
		exit(7);
	if (strcmp(end, "_exit") == 0)
		_exit(8);
	if (strcmp(end, "close") == 0) {
		close(fd);
		exit(9);
	}
	end_by_handler(end);
	end_by_signal(end);
	return 10;
}

/* ---- the parent ---- */

/* What the peer does with what is sent to it. */
enum receipt { SHOWN, DISCARDED, REFUSED };

static void receive_to_end(int peer, enum receipt receipt)
{
	static char got[BULK];
	size_t there = 0;
	ssize_t n;
	char byte;

	if (receipt == DISCARDED)
		drain(peer, SIZE_MAX);
	if (receipt != SHOWN)
		return;
	while (there < sizeof(got) && (n = recv(peer, got + there, sizeof(got) - there, 0)) > 0)
		there += (size_t)n;
	show("arrived", got, (long)there);
	outcome("and then", recv(peer, &byte, 1, 0));
}

static void watch(const char *end, const char *what, enum receipt receipt)
{
	int listener = their_listener(5), status = -1, peer;
	struct address address = name_of(listener);
	char port[8];
	char self[] = "/proc/self/exe", word[] = "child", end_word[16], what_word[16];
	char *const arguments[] = { self, word, end_word, what_word, port, NULL };
	pid_t child;
	char path[256];
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);

	must("readlink", length);
	path[length] = '\0';
	snprintf(port, sizeof(port), "%u", port_of(&address));
	snprintf(end_word, sizeof(end_word), "%s", end);
	snprintf(what_word, sizeof(what_word), "%s", what);
	note("%s, %s", end, what);
	errno = posix_spawn(&child, path, NULL, NULL, arguments, environ);
	if (errno)
		broken("posix_spawn: %s", errno_name(errno));
	if (!in_process()) {
		peer = accept_one(listener);
		receive_to_end(peer, receipt);
		close(peer);
	}
	must("waitpid", waitpid(child, &status, 0));
	if (WIFEXITED(status))
		note("exit status %d", WEXITSTATUS(status));
	else
		note("signal %d", WTERMSIG(status));
	close(listener);
}

static void case_exit(void)
{
	watch("exit", "little", SHOWN);
	watch("exit", "much", SHOWN);
}

static void case_exit_at_once(void)
{
	watch("_exit", "little", SHOWN);
	watch("_exit", "much", SHOWN);
}

static void case_return(void)
{
	watch("return", "little", SHOWN);
	watch("return", "much", SHOWN);
}

static void case_close(void)
{
	watch("close", "little", SHOWN);
	watch("close", "much", SHOWN);
}

static void case_streams(void)
{
	watch("stream", "little", SHOWN);
	watch("standard", "little", SHOWN);
	if (in_process())
		watch("full stream", "little", REFUSED);
}

static void case_threads(void)
{
	for (int i = 0; i < 5; i++)
		watch("threads", "much", DISCARDED);
}

static void case_last_thread(void)
{
	watch("last thread", "little", SHOWN);
	watch("last thread", "much", SHOWN);
	watch("last C11", "little", SHOWN);
	watch("last made", "little", SHOWN);
	watch("last cancelled", "little", SHOWN);
	watch("last handler", "little", SHOWN);
	watch("last at exit", "little", SHOWN);
	watch("last main", "much", SHOWN);
}

static void case_other_ends(void)
{
	watch("quick", "little", SHOWN);
	watch("quick", "much", SHOWN);
	watch("exit_group", "much", SHOWN);
	watch("exit(2)", "much", SHOWN);
	watch("exit(2) beside C11", "much", SHOWN);
	watch("thread exits", "much", SHOWN);
	watch("thread groups", "much", SHOWN);
	watch("daemon", "little", SHOWN);
}

static void case_goodbye(void)
{
	watch("handler", "little", SHOWN);
	watch("library", "little", SHOWN);
	watch("library", "much", SHOWN);
}

static void case_exec(void)
{
	watch("execve", "little", SHOWN);
	watch("execve", "much", SHOWN);
	watch("execlp", "little", SHOWN);
	watch("execle", "little", SHOWN);
	watch("execvp", "much", SHOWN);
	watch("raw execve", "much", SHOWN);
	watch("fexecve", "little", SHOWN);
}

static void case_signal(void)
{
	watch("terminate", "little", SHOWN);
	watch("terminate", "much", SHOWN);
	watch("interrupt", "much", SHOWN);
	watch("pipe", "much", SHOWN);
	watch("quit", "much", SHOWN);
	watch("user", "much", SHOWN);
	watch("cpu", "much", SHOWN);
	watch("real-time", "much", SHOWN);
	watch("alarm", "much", SHOWN);
	watch("default again", "much", SHOWN);
	watch("once more", "much", SHOWN);
	watch("once, nested", "much", SHOWN);
}

static void case_fault(void)
{
	watch("abort", "little", SHOWN);
	watch("abort", "much", SHOWN);
	watch("abort, handled", "much", SHOWN);
	watch("abort, ignored", "much", SHOWN);
	watch("abort, once", "much", SHOWN);
	watch("fault", "much", SHOWN);
	watch("segment", "much", SHOWN);
	watch("fault, once", "much", SHOWN);
}

/* What was sent is the kernel's to deliver, but nobody's over a stack. */
static void case_kill(void)
{
	watch("kill", "little", REFUSED);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "exit", case_exit, 0 },
		{ "exit at once", case_exit_at_once, 0 },
		{ "return", case_return, 0 },
		{ "close", case_close, 0 },
		{ "streams", case_streams, 0 },
		{ "threads", case_threads, 0 },
		{ "signal", case_signal, 0 },
		{ "exec", case_exec, 0 },
		{ "fault", case_fault, 0 },
		{ "kill", case_kill, 0 },
		{ "last thread", case_last_thread, 0 },
		{ "other ends", case_other_ends, 0 },
		{ "goodbye", case_goodbye, 0 },
	};

	if (argc == 5 && strcmp(argv[1], "child") == 0)
		return child_main(argv[2], argv[3], (uint16_t)atoi(argv[4]));
	return run_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
