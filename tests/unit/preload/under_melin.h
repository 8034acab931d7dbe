/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the tests of libmelin.so with the fake stack begin with: the program executes itself anew
 * with libmelin.so preloaded, once for each set of variables. Beside that link to the library lies
 * the fake melin-stack.so, so that it is the one that is loaded.
 */
#ifndef MELIN_UNDER_MELIN_H
#define MELIN_UNDER_MELIN_H

#include <arpa/inet.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../tap.h"
#include "fake_stack.h"

/* The folder that this program lies in, with the link to libmelin.so and the fake stack. */
static inline const char *fake_folder(void)
{
	static char folder[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", folder, sizeof(folder) - 1);

	folder[length > 0 ? length : 0] = '\0';
	*strrchr(folder, '/') = '\0';
	return folder;
}

/* A symbol of the fake stack, as libmelin.so has loaded it, or will. */
static inline void *fake_symbol(const char *name)
{
	char path[PATH_MAX + 20];
	void *module;

	snprintf(path, sizeof(path), "%s/melin-stack.so", fake_folder());
	module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	return module ? dlsym(module, name) : NULL;
}

static struct fake_stack *stack;
static void (*report)(struct fake_socket *socket, uint32_t events);

static inline bool find_fake_stack(void)
{
	stack = fake_symbol("fake_stack");
	report = (void (*)(struct fake_socket *, uint32_t))fake_symbol("fake_stack_report");
	return stack && report;
}

/* One run under melin: its name, the variables beyond MELIN_DEV, and what it does. */
struct run {
	const char *name;
	const char *variables[4];
	void (*function)(void);
};

/* What is preloaded before libmelin.so, seen from the folder of the tests. */
#ifdef __SANITIZE_ADDRESS__
#define BEFORE_MELIN "%s/../../lib/sanitizer_start.so:"
#else
#define BEFORE_MELIN "%.0s"
#endif

/*
 * Executes this program with the run's name as its argument; its checks are told as lines of TAP
 * without numbers, which are counted here. A run that ends in any other way is a failed check.
 */
static inline void run_under_melin(const struct run *run)
{
	char library[2 * PATH_MAX + 100], line[512];
	int ends[2], status = -1;
	pid_t child;
	FILE *lines;

	snprintf(library, sizeof(library), "LD_PRELOAD=" BEFORE_MELIN "%s/libmelin.so",
		 fake_folder(), fake_folder());
	if (pipe(ends) < 0)
		exit(1);
	fflush(stdout);
	child = fork();
	if (child == 0) {
		dup2(ends[1], STDOUT_FILENO);
		close(ends[0]);
		putenv(library);
		setenv("MELIN_DEV", "loop", 1);
		for (size_t i = 0; i < 4 && run->variables[i]; i++)
			putenv(strdup(run->variables[i]));
		execl("/proc/self/exe", "test", run->name, NULL);
		_exit(127);
	}
	close(ends[1]);
	lines = fdopen(ends[0], "r");
	while (lines && fgets(line, sizeof(line), lines)) {
		bool held = strncmp(line, "ok ", 3) == 0;

		line[strcspn(line, "\n")] = '\0';
		if (held || strncmp(line, "not ok ", 7) == 0)
			tap_ok(held, "%s: %s", run->name, strchr(line + (held ? 3 : 7), ' ') + 1);
	}
	if (lines)
		fclose(lines);
	waitpid(child, &status, 0);
	tap_ok(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s: ran to its end (status %#x)",
	       run->name, (unsigned)status);
}

/* main(): all runs, or in the program that run_under_melin() executes the one that is named. */
static inline int run_all(int argc, char **argv, const struct run *runs, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (argc == 1) {
			run_under_melin(&runs[i]);
		} else if (!strcmp(argv[1], runs[i].name)) {
			if (!find_fake_stack())
				return 1;
			runs[i].function();
			return tap_done();
		}
	}
	return argc == 1 ? tap_done() : 1;
}

static inline struct sockaddr_in address4(const char *text, uint16_t port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };

	inet_pton(AF_INET, text, &address.sin_addr);
	return address;
}

static inline int connect4(int descriptor, const char *text, uint16_t port)
{
	struct sockaddr_in address = address4(text, port);

	return connect(descriptor, (struct sockaddr *)&address, sizeof(address));
}

/* A connection of the fake stack, established. */
static inline int open_connection(struct fake_socket **socket_of_stack, int flags)
{
	int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	connect4(descriptor, "127.0.0.1", 80);
	*socket_of_stack = stack->last;
	if (stack->last)
		report(stack->last, EPOLLOUT);
	connect4(descriptor, "127.0.0.1", 80);
	if (!(flags & SOCK_NONBLOCK))
		fcntl(descriptor, F_SETFL, 0);
	return descriptor;
}

#endif
