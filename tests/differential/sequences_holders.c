/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Steps of the sequences by which others hold a connection for longer than a step: a child that
 * acts when it is told to, or is killed; a message that nobody has received yet. And programs that
 * are executed with a connection as their standard input or output. In own mode a connection stays
 * in its process: there are none of these there.
 */
#include "sequences.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define HOLDERS	   2
#define LENGTH_MAX 50

extern char **environ;

/* ---- children ---- */

enum order { TRANSFER, SHUT, LEAVE };

struct command {
	enum order order;
	unsigned step;
};

static struct holder {
	pid_t pid; /* 0: none */
	int commands, answers;
	int fd; /* in the child */
	struct side *side;
} holders[HOLDERS];

static void keep_only(int fd)
{
	for (unsigned i = 0; i < sides->count; i++)
		for (int j = 0; j < SIDE_FDS; j++)
			if (sides->side[i].fds[j] >= 0 && sides->side[i].fds[j] != fd)
				close(sides->side[i].fds[j]);
}

static void obey(const struct holder *holder, const struct command *command)
{
	chance_again(command->step);
	await_at(holder->side, holder->fd);
	switch (command->order) {
	case TRANSFER:
		run_transfer(holder->side, holder->fd);
		break;
	case SHUT:
		outcome("shutdown", shutdown(holder->fd, SHUT_WR));
		side_ended(holder->side);
		break;
	default:
		_exit(7);
	}
	show_signals();
}

static void be_held(const struct holder *holder, int commands, int answers)
{
	struct command command;

	keep_only(holder->fd);
	do {
		if (write(answers, "k", 1) != 1 ||
		    read(commands, &command, sizeof(command)) != sizeof(command))
			_exit(1);
		obey(holder, &command);
	} while (true);
}

static void await_answer(const struct holder *holder)
{
	char answer;

	if (read(holder->answers, &answer, 1) != 1)
		note("the child is gone");
}

static void tell(const struct holder *holder, enum order order)
{
	struct command command = { .order = order, .step = step_number() };

	must("write", write(holder->commands, &command, sizeof(command)));
}

static struct holder *free_holder(void)
{
	for (int i = 0; i < HOLDERS; i++)
		if (!holders[i].pid)
			return &holders[i];
	return NULL;
}

static struct holder *some_holder(void)
{
	struct holder *holder = &ONE_OF(holders);

	if (!holder->pid)
		holder = &holders[holder == holders];
	return holder->pid ? holder : NULL;
}

/* Far away: sequences compare the lowest free numbers. */
static void make_pipe(int ends[2])
{
	int pair[2];

	must("pipe2", pipe2(pair, O_CLOEXEC));
	for (int i = 0; i < 2; i++) {
		must("F_DUPFD", ends[i] = fcntl(pair[i], F_DUPFD_CLOEXEC, 200));
		close(pair[i]);
	}
}

static void step_hold(struct side *side, int fd)
{
	struct holder *holder = free_holder();
	int commands[2], answers[2];

	if (in_process() || fd < 0 || !holder)
		return;
	make_pipe(commands);
	make_pipe(answers);
	*holder = (struct holder){ .fd = fd, .side = side };
	holder->pid = fork();
	if (holder->pid == 0)
		be_held(holder, commands[0], answers[1]);
	must("fork", holder->pid);
	close(commands[0]);
	close(answers[1]);
	holder->commands = commands[1];
	holder->answers = answers[0];
	side->elsewhere++;
	await_answer(holder);
}

static void step_tell(struct side *side, int fd)
{
	struct holder *holder = some_holder();

	(void)side;
	(void)fd;
	if (!holder)
		return;
	note("the child, for %s", side_name(holder->side));
	tell(holder, chance(8) ? TRANSFER : SHUT);
	await_answer(holder);
}

static void end_holder(struct holder *holder, bool kills)
{
	int status = 0;

	if (kills)
		kill(holder->pid, SIGKILL);
	else
		tell(holder, LEAVE);
	must("waitpid", waitpid(holder->pid, &status, 0));
	close(holder->commands);
	close(holder->answers);
	holder->pid = 0;
	side_let_go(holder->side);
}

/* One that has a connection alone may have borrowed it, and then nobody hears of SIGKILL. */
static void step_end(struct side *side, int fd)
{
	struct holder *holder = some_holder();

	(void)side;
	(void)fd;
	if (!holder)
		return;
	note("%s", side_name(holder->side));
	end_holder(holder, chance(2) && side_descriptor(holder->side) >= 0);
}

/* What remains is elsewhere. */
static void step_leave(struct side *side, int fd)
{
	if (!side->elsewhere)
		return;
	while ((fd = side_descriptor(side)) >= 0) {
		outcome("close", close(fd));
		descriptor_gone(fd);
	}
}

/* ---- a message on its way ---- */

static int parcel[2] = { -1, -1 };
static struct side *parcel_side; /* NULL: there is none */

static void parcel_begin(void)
{
	int pair[2];

	must("socketpair", socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	for (int i = 0; i < 2; i++) {
		must("F_DUPFD", parcel[i] = fcntl(pair[i], F_DUPFD_CLOEXEC, 200));
		close(pair[i]);
	}
}

static void parcel_end(void)
{
	close(parcel[0]);
	close(parcel[1]);
	if (parcel_side)
		side_let_go(parcel_side);
	parcel_side = NULL;
}

static void step_post(struct side *side, int fd)
{
	if (in_process() || fd < 0 || parcel_side)
		return;
	send_descriptor(parcel[0], fd);
	parcel_side = side;
	side->elsewhere++;
	if (chance(2))
		return;
	outcome("close", close(fd));
	descriptor_gone(fd);
}

static void step_fetch(struct side *side, int fd)
{
	(void)side;
	if (!parcel_side)
		return;
	note("%s", side_name(parcel_side));
	fd = receive_descriptor(parcel[1]);
	outcome("its number", fd);
	if (fd >= 0)
		descriptor_added(parcel_side, fd);
	side_let_go(parcel_side);
	parcel_side = NULL;
}

static void step_lose(struct side *side, int fd)
{
	(void)side;
	(void)fd;
	if (!parcel_side)
		return;
	parcel_end();
	parcel_begin();
}

/* ---- programs ---- */

static void by_fork(char **arguments, int input, int output)
{
	pid_t pid = chance(2) ? fork() : vfork();
	int status = 0;

	if (pid == 0) {
		dup2(input, 0);
		dup2(output, 1);
		execvp(arguments[0], arguments);
		_exit(127);
	}
	must("fork", pid);
	must("waitpid", waitpid(pid, &status, 0));
	note("its status 0x%x", status);
}

static void by_spawn(char **arguments, int input, int output)
{
	posix_spawn_file_actions_t actions;
	int status = 0;
	pid_t pid;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, input, 0);
	posix_spawn_file_actions_adddup2(&actions, output, 1);
	errno = posix_spawnp(&pid, arguments[0], &actions, NULL, arguments, environ);
	must("posix_spawnp", errno ? -1 : 0);
	posix_spawn_file_actions_destroy(&actions);
	must("waitpid", waitpid(pid, &status, 0));
	note("its status 0x%x", status);
}

static int move_aside(int number, int fd)
{
	int saved = fcntl(number, F_DUPFD_CLOEXEC, 200);

	must("F_DUPFD", saved);
	must("dup2", dup2(fd, number));
	return saved;
}

static void move_back(int number, int saved)
{
	must("dup2", dup2(saved, number));
	close(saved);
}

/* The program makes the connection its own standard input or output, as inetd(8) does. */
static void by_system(char **arguments, int input, int output)
{
	int saved_input = move_aside(0, input), saved_output = move_aside(1, output), status;

	status = system(arguments[2]);
	move_back(1, saved_output);
	move_back(0, saved_input);
	note("its status 0x%x", status);
}

static void execute(char *text, int input, int output)
{
	static void (*const ways[])(char **, int, int) = { by_fork, by_spawn, by_system };
	char shell[] = "sh", option[] = "-c", *arguments[] = { shell, option, text, NULL };

	ONE_OF(ways)(arguments, input, output);
}

static void step_execute_reader(struct side *side, int fd)
{
	const int there = bytes_of(fd), most = 1 + (int)chance(LENGTH_MAX);
	char text[64], data[LENGTH_MAX];
	int output[2];
	ssize_t n;

	if (in_process() || fd < 0)
		return;
	snprintf(text, sizeof(text), "exec head -c %d 2>/dev/null",
		 there > 0 && there < most ? there : most);
	make_pipe(output);
	execute(text, fd, output[1]);
	close(output[1]);
	n = read(output[0], data, sizeof(data));
	outcome("it has read", n);
	show("data", data, n);
	side->received += n > 0 ? (size_t)n : 0;
	close(output[0]);
}

static void step_execute_writer(struct side *side, int fd)
{
	const int length = (int)sendable(side, 1 + chance(LENGTH_MAX));
	const size_t before = side->sent;
	char text[128];
	int input;

	if (in_process() || fd < 0 || length == 0 || side->loose)
		return;
	snprintf(text, sizeof(text), "printf %%s %.*s 2>/dev/null", length,
		 next_data(side, (size_t)length));
	must("open", input = open("/dev/null", O_RDONLY | O_CLOEXEC));
	execute(text, input, fd);
	close(input);
	side->sent = before;
	side_has_sent(side, (size_t)length);
}

/* ---- the whole ---- */

void holders_begin(void)
{
	parcel_begin();
}

void holders_release(const struct side *side)
{
	for (int i = 0; i < HOLDERS; i++)
		if (holders[i].pid && (holders[i].side == side || holders[i].side == peer_of(side)))
			end_holder(&holders[i], false);
	if (!parcel_side || (parcel_side != side && parcel_side != peer_of(side)))
		return;
	parcel_end();
	parcel_begin();
}

void holders_end(void)
{
	for (int i = 0; i < HOLDERS; i++)
		if (holders[i].pid)
			end_holder(&holders[i], false);
	parcel_end();
}

const struct step holder_steps[] = {
	{ "hold", step_hold, 6 },
	{ "tell", step_tell, 14 },
	{ "end", step_end, 4 },
	{ "leave", step_leave, 2 },
	{ "post", step_post, 4 },
	{ "fetch", step_fetch, 4 },
	{ "lose", step_lose, 1 },
	{ "execute a reader", step_execute_reader, 4 },
	{ "execute a writer", step_execute_writer, 4 },
	{ 0 },
};
