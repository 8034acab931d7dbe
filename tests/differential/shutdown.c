/* SPDX-License-Identifier: BSD-3-Clause */
/* Differential cases: shutdown(2) in every direction and order, and what either side then sees. */
#include "harness.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

static const char *const how_names[] = { "RD", "WR", "RDWR" };

static void outcome_poll(const char *name, int fd)
{
	struct pollfd entry = { .fd = fd, .events = POLLIN | POLLOUT | POLLPRI | POLLRDHUP };

	poll(&entry, 1, 0);
	note("%s: %s", name, poll_bits((uint32_t)entry.revents));
}

static void outcome_receive(const char *name, int fd)
{
	char buffer[16];
	ssize_t n = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);

	outcome(name, n);
	if (n > 0)
		show("data", buffer, n);
}

static void look_around(struct connection connection)
{
	settle();
	outcome_poll("we poll", connection.us);
	outcome_poll("they poll", connection.them);
	outcome_receive("we receive", connection.us);
	outcome_receive("they receive", connection.them);
	outcome("we send", send(connection.us, "abc", 3, MSG_NOSIGNAL | MSG_DONTWAIT));
	settle();
	outcome_receive("they receive", connection.them);
	outcome_poll("they poll", connection.them);
}

static void case_one_way(void)
{
	for (int how = SHUT_RD; how <= SHUT_RDWR; how++) {
		struct connection connection = open_connection();

		note("shutdown %s", how_names[how]);
		outcome("shutdown", shutdown(connection.us, how));
		look_around(connection);
		outcome("once more", shutdown(connection.us, how));
		close_connection(connection);
	}
}

static void case_two_after_another(void)
{
	for (int i = 0; i < 9; i++) {
		struct connection connection = open_connection();

		note("shutdown %s, then %s", how_names[i / 3], how_names[i % 3]);
		outcome("first", shutdown(connection.us, i / 3));
		outcome("second", shutdown(connection.us, i % 3));
		look_around(connection);
		close_connection(connection);
	}
}

static void case_both_sides(void)
{
	for (int i = 0; i < 9; i++) {
		struct connection connection = open_connection();

		note("we shutdown %s, they %s", how_names[i / 3], how_names[i % 3]);
		outcome("we", shutdown(connection.us, i / 3));
		settle();
		outcome("they", shutdown(connection.them, i % 3));
		settle();
		look_around(connection);
		outcome("we once more", shutdown(connection.us, SHUT_RDWR));
		outcome("they once more", shutdown(connection.them, SHUT_RDWR));
		close_connection(connection);
	}
}

static void case_with_data_there(void)
{
	for (int how = SHUT_RD; how <= SHUT_RDWR; how++) {
		struct connection connection = open_connection();

		note("shutdown %s with data unread", how_names[how]);
		send_all(connection.them, "hello", 5);
		await_bytes(connection.us, 5);
		outcome("shutdown", shutdown(connection.us, how));
		outcome_poll("we poll", connection.us);
		outcome_receive("we receive", connection.us);
		outcome_receive("we receive", connection.us);
		settle();
		outcome_poll("they poll", connection.them);
		close_connection(connection);
	}
}

static void case_data_after_it(void)
{
	for (int how = SHUT_RD; how <= SHUT_RDWR; how++) {
		struct connection connection = open_connection();

		note("shutdown %s, then they send", how_names[how]);
		outcome("shutdown", shutdown(connection.us, how));
		settle();
		outcome("they send", send(connection.them, "hello", 5, MSG_NOSIGNAL));
		settle();
		outcome_poll("we poll", connection.us);
		outcome_receive("we receive", connection.us);
		outcome_receive("we receive", connection.us);
		settle();
		outcome_poll("they poll", connection.them);
		outcome("they send", send(connection.them, "hello", 5, MSG_NOSIGNAL));
		close_connection(connection);
	}
}

static void case_half_close(void)
{
	struct connection connection = open_connection();

	outcome("we send", send(connection.us, "question", 8, 0));
	outcome("we shut down", shutdown(connection.us, SHUT_WR));
	await(connection.them, POLLIN | POLLRDHUP);
	outcome_receive("they receive", connection.them);
	outcome_receive("they receive", connection.them);
	outcome_poll("they poll", connection.them);
	outcome_poll("we poll", connection.us);
	outcome("they send", send(connection.them, "answer", 6, 0));
	await_bytes(connection.us, 6);
	outcome_poll("we poll", connection.us);
	outcome_receive("we receive", connection.us);
	close(connection.them);
	await(connection.us, POLLHUP);
	outcome_poll("we poll", connection.us);
	outcome_receive("we receive", connection.us);
	outcome("we shut down again", shutdown(connection.us, SHUT_RDWR));
	close(connection.us);

	connection = open_connection();
	note("the other way round");
	outcome("they shut down", shutdown(connection.them, SHUT_WR));
	await(connection.us, POLLIN | POLLRDHUP);
	outcome_poll("we poll", connection.us);
	outcome_receive("we receive", connection.us);
	outcome("we send", send(connection.us, "answer", 6, 0));
	await_bytes(connection.them, 6);
	outcome_receive("they receive", connection.them);
	close(connection.us);
	await(connection.them, POLLHUP);
	outcome_poll("they poll", connection.them);
	outcome_receive("they receive", connection.them);
	close(connection.them);
}

static void case_refusals(void)
{
	struct connection connection = open_connection();
	int fd = open_socket(0), pipes[2];

	outcome("bad direction", shutdown(connection.us, 3));
	outcome("negative direction", shutdown(connection.us, -1));
	outcome("fresh", shutdown(fd, SHUT_RDWR));
	outcome("fresh, bad direction", shutdown(fd, 7));
	close(fd);
	outcome("closed", shutdown(fd, SHUT_RDWR));
	must("pipe", pipe(pipes));
	outcome("a pipe", shutdown(pipes[0], SHUT_RDWR));
	close(pipes[0]);
	close(pipes[1]);
	reset(connection.them);
	await(connection.us, POLLERR);
	outcome("after a reset", shutdown(connection.us, SHUT_RDWR));
	close(connection.us);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "one way", case_one_way, 0 },
		{ "two after another", case_two_after_another, 0 },
		{ "both sides", case_both_sides, 0 },
		{ "with data there", case_with_data_there, 0 },
		{ "data after it", case_data_after_it, 0 },
		{ "half-close", case_half_close, 0 },
		{ "refusals", case_refusals, 0 },
	};

	return run_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
