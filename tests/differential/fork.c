/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Differential cases: fork(2), vfork(2), posix_spawn(3), system(3), popen(3), daemon(3) around
 * connections. Not compared: what a child gets that uses an established connection of its parent.
 * For sockets that both processes may use: fork_listeners.c.
 */
#include "fork.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

void ping(const char *name, int a, int b)
{
	char byte = '-';

	must("send", send(a, "x", 1, MSG_NOSIGNAL));
	outcome(name, recv(b, &byte, 1, 0));
}

void reap(pid_t child)
{
	int status = -1;

	must("waitpid", waitpid(child, &status, 0));
	if (WIFEXITED(status))
		note("child: exit status %d", WEXITSTATUS(status));
	else
		note("child: signal %d", WTERMSIG(status));
}

static void case_children_that_exec(void)
{
	struct connection connection = open_connection();
	char text[64] = "";
	FILE *pipe_end;
	pid_t child;
	char *const arguments[] = { (char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c",
				    (char *)(uintptr_t) "exit 5", NULL };

	ping("before", connection.us, connection.them);
	outcome("system", system("exit 3"));
	ping("after system", connection.us, connection.them);
	pipe_end = popen("echo from a child", "r");
	if (!pipe_end || !fgets(text, sizeof(text), pipe_end))
		broken("popen");
	note("popen: %s", strtok(text, "\n"));
	outcome("pclose", pclose(pipe_end));
	ping("after popen", connection.us, connection.them);
	outcome("posix_spawn", posix_spawn(&child, "/bin/sh", NULL, NULL, arguments, environ));
	reap(child);
	ping("after posix_spawn", connection.them, connection.us);
	child = vfork();
	if (child == 0) {
		execve("/bin/sh", arguments, environ);
		_exit(9);
	}
	reap(child);
	ping("after vfork", connection.us, connection.them);
	child = fork();
	if (child == 0) {
		execve("/bin/sh", arguments, environ);
		_exit(9);
	}
	reap(child);
	ping("after fork and exec", connection.them, connection.us);
	child = fork();
	if (child == 0) {
		execve("/nonexistent", arguments, environ);
		_exit(6);
	}
	reap(child);
	ping("after an exec that failed", connection.us, connection.them);
	close_connection(connection);
}

static pthread_t forking;
static volatile bool forks_go_on;
static volatile pid_t forker;
static volatile sig_atomic_t in_forker, in_child;

static void tell_where(int number)
{
	(void)number;
	if (getpid() == forker)
		in_forker = 1;
	else
		in_child = 1;
}

static void signal_forker(int unused)
{
	(void)unused;
	while (forks_go_on) {
		pthread_kill(forking, SIGUSR1);
		usleep(20);
	}
}

/* No child has a signal that its parent got, whenever that was. */
static void case_signals_while_forking(void)
{
	struct connection connection = open_connection();
	struct sigaction action = { .sa_handler = tell_where, .sa_flags = SA_RESTART };
	pthread_t thread;
	int children = 0;

	sigaction(SIGUSR1, &action, NULL);
	forking = pthread_self();
	forker = getpid();
	forks_go_on = true;
	thread = later(0, signal_forker, 0);
	for (int i = 0; i < 300; i++) {
		pid_t child = fork();
		int status = 0;

		must("fork", child);
		if (child == 0)
			_exit(in_child);
		must("waitpid", waitpid(child, &status, 0));
		children += status != 0;
	}
	forks_go_on = false;
	join(thread);
	signal(SIGUSR1, SIG_DFL);
	note("in the parent: %d, in children: %d", in_forker != 0, children);
	ping("the connection", connection.us, connection.them);
	close_connection(connection);
}

static void change_actions(int unused)
{
	struct sigaction action = { .sa_handler = tell_where, .sa_flags = SA_RESTART };

	(void)unused;
	while (forks_go_on)
		sigaction(SIGUSR2, &action, NULL);
}

/* Another thread is in sigaction(2) at the fork, and the child calls it, too. */
static void case_actions_while_forking(void)
{
	struct connection connection = open_connection();
	pthread_t thread;

	forks_go_on = true;
	thread = later(0, change_actions, 0);
	for (int i = 0; i < 300; i++) {
		pid_t child = fork();

		must("fork", child);
		if (child == 0) {
			signal(SIGUSR1, SIG_IGN);
			_exit(0);
		}
		must("waitpid", waitpid(child, NULL, 0));
	}
	forks_go_on = false;
	join(thread);
	signal(SIGUSR2, SIG_DFL);
	ping("the connection", connection.us, connection.them);
	close_connection(connection);
}

static void case_parent_lives_on(void)
{
	struct connection connection = open_connection();
	int listener = our_listener(5);
	char byte;
	pid_t child;

	for (int how = 0; how < 4; how++) {
		child = fork();
		must("fork", child);
		if (child == 0) {
			if (how == 1)
				close(connection.us);
			if (how == 3)
				kill(getpid(), SIGKILL);
			if (how == 2)
				exit(0);
			_exit(0);
		}
		reap(child);
		ping("the parent to them", connection.us, connection.them);
		ping("they to the parent", connection.them, connection.us);
	}
	serve_one(listener);
	outcome("nothing more", recv(connection.us, &byte, 1, MSG_DONTWAIT));
	close(connection.us);
	await(connection.them, POLLIN);
	outcome("they see", recv(connection.them, &byte, 1, 0));
	close(connection.them);
	close(listener);
}

static void case_child_of_its_own(void)
{
	struct connection connection = open_connection();
	pid_t child = fork();

	must("fork", child);
	if (child == 0) {
		struct pollfd entry = { .fd = -1, .events = POLLIN };

		outcome("poll in the child", poll(&entry, 1, 10));
		note("standard output works");
		_exit(0);
	}
	reap(child);
	ping("the parent", connection.us, connection.them);
	close_connection(connection);
}

/*
 * Whether the program gets another number than the lowest free one, for some milliseconds: melin
 * looks for holders 20 times a second at most.
 */
static bool gets_another(int lowest)
{
	const int64_t end = now_ms() + 55;
	bool other = false;

	while (now_ms() < end) {
		int fd = dup(STDOUT_FILENO);

		other |= fd != lowest;
		close(fd);
	}
	return other;
}

/* Which processes have a connection after a fork is nothing that a program's numbers tell. */
static void case_numbers_after_it(void)
{
	struct connection connection = open_talking();
	int lowest = dup(STDOUT_FILENO), others = 0;

	close(lowest);
	for (int i = 0; i < 10; i++) {
		pid_t child = fork();

		if (child == 0)
			_exit(0);
		must("fork", child);
		must("waitpid", waitpid(child, NULL, 0));
		send_all(connection.us, "x", 1);
		send_all(connection.them, "x", 1);
		drain(connection.us, 1);
		others += gets_another(lowest);
	}
	note("another number after %d forks", others);
	close_connection(connection);
}

static void case_daemon(void)
{
	int ends[2];
	char text[64] = "";
	pid_t child;

	must("pipe", pipe(ends));
	child = fork();
	must("fork", child);
	if (child == 0) {
		char byte = '-';

		if (daemon(1, 1) < 0)
			_exit(1);
		struct connection connection = open_connection();

		send_all(connection.us, "d", 1);
		recv(connection.them, &byte, 1, 0);
		dprintf(ends[1], "daemon got %c", byte);
		_exit(0);
	}
	reap(child);
	close(ends[1]);
	for (size_t used = 0; used < sizeof(text) - 1;) {
		ssize_t n = read(ends[0], text + used, sizeof(text) - 1 - used);

		if (n <= 0)
			break;
		used += (size_t)n;
	}
	note("%s", text);
	close(ends[0]);
	settle(); /* until the daemon has let go of the device too */
}

static void case_daemon_after_listen(void)
{
	int ends[2], listener;
	char text[64] = "";
	pid_t child;

	must("pipe", pipe(ends));
	child = fork();
	must("fork", child);
	if (child == 0) {
		char byte = '-';
		struct address address;

		listener = listener_unused();
		if (daemon(1, 1) < 0)
			_exit(1);
		address = name_of(listener);
		first_use(listener);
		int them = them_connect(&address), fd = accept_one(listener);

		send_all(them, "l", 1);
		recv(fd, &byte, 1, 0);
		dprintf(ends[1], "daemon got %c", byte);
		_exit(0);
	}
	reap(child);
	close(ends[1]);
	for (size_t used = 0; used < sizeof(text) - 1;) {
		ssize_t n = read(ends[0], text + used, sizeof(text) - 1 - used);

		if (n <= 0)
			break;
		used += (size_t)n;
	}
	note("%s", text);
	close(ends[0]);
	settle(); /* until the daemon has let go of the device too */
}

static void *spin_on_connection(void *argument)
{
	struct connection *connection = argument;

	for (int i = 0; i < 2000; i++) {
		char byte;

		if (send(connection->us, "x", 1, MSG_NOSIGNAL) != 1 ||
		    recv(connection->them, &byte, 1, 0) != 1)
			return (void *)1;
	}
	return NULL;
}

/* Forks while another thread is anywhere inside the library. */
static void case_fork_while_busy(void)
{
	struct connection connection = open_connection();
	pthread_t thread;
	void *failed = (void *)1;
	int good = 0;

	pthread_create(&thread, NULL, spin_on_connection, &connection);
	for (int i = 0; i < 10; i++) {
		int status = -1;
		pid_t child = fork();

		if (child == 0) {
			int fd = open("/dev/null", O_WRONLY);

			_exit(write(fd, "x", 1) == 1 && close(fd) == 0 ? 0 : 1);
		}
		if (waitpid(child, &status, 0) == child && status == 0)
			good++;
	}
	pthread_join(thread, &failed);
	note("children that were well: %d, the thread: %s", good, failed ? "failed" : "well");
	close_connection(connection);
}

/* What the child gets of the connection is not compared; that it goes on living is. */
static int child_of_clone(void *argument)
{
	struct connection *connection = argument;
	struct pollfd entry = { .fd = connection->us, .events = POLLIN };
	char byte;

	poll(&entry, 1, 1);
	send(connection->us, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	recv(connection->us, &byte, 1, MSG_DONTWAIT);
	close(open_socket(0));
	close(connection->us);
	return 7;
}

static pid_t fork_by_clone(struct connection *connection)
{
	static char stack[1 << 18] __attribute__((aligned(16)));

	return clone(child_of_clone, stack + sizeof(stack), SIGCHLD, connection);
}

static pid_t fork_by_call(long number, long first, long second, struct connection *connection)
{
	pid_t child = (pid_t)syscall(number, first, second, 0L, 0L, 0L);

	if (child == 0)
		_exit(child_of_clone(connection));
	return child;
}

static pid_t fork_by_clone3(struct connection *connection)
{
	struct clone_args arguments = { .exit_signal = SIGCHLD };

	return fork_by_call(SYS_clone3, (long)&arguments, sizeof(arguments), connection);
}

static pid_t fork_untold(struct connection *connection)
{
	pid_t child = _Fork();

	if (child == 0)
		_exit(child_of_clone(connection));
	return child;
}

/* Forks of which pthread_atfork(3) does not tell (vsftpd makes one for each session). */
static void case_other_forks(void)
{
	struct connection connection = open_connection();

	for (int way = 0; way < 5; way++) {
		pid_t child = way == 0	 ? fork_by_clone(&connection)
			      : way == 1 ? fork_by_call(SYS_clone, SIGCHLD, 0, &connection)
			      : way == 2 ? fork_by_call(SYS_fork, 0, 0, &connection)
			      : way == 3 ? fork_by_clone3(&connection)
					 : fork_untold(&connection);

		note("way %d", way);
		must("fork", child);
		reap(child);
	}
	close_connection(connection);

	struct connection other = open_connection();

	ping("the parent, to them", other.us, other.them);
	ping("the parent, to us", other.them, other.us);
	close_connection(other);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "listener for the child", case_listener_for_the_child, 0 },
		{ "bound by the parent", case_bound_by_the_parent, 0 },
		{ "socket by the parent", case_socket_by_the_parent, 0 },
		{ "daemon", case_daemon, 0 },
		{ "daemon after listen", case_daemon_after_listen, 0 },
		{ "listener for both", case_listener_for_both, 0 },
		{ "listener for the parent", case_listener_for_the_parent, 0 },
		{ "children that exec", case_children_that_exec, 0 },
		{ "parent lives on", case_parent_lives_on, 0 },
		{ "child of its own", case_child_of_its_own, 0 },
		{ "fork while busy", case_fork_while_busy, 0 },
		{ "other forks", case_other_forks, 0 },
		{ "signals while forking", case_signals_while_forking, 0 },
		{ "actions while forking", case_actions_while_forking, 0 },
		{ "numbers after it", case_numbers_after_it, 0 },
	};

	return run_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
