/* SPDX-License-Identifier: BSD-3-Clause */
/* Differential cases: shutdown(2) in every direction and order, and what either side then sees. */
#include "step.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

static const char *const how_names[] = { "RD", "WR", "RDWR" };

static void step_poll(const char *name, int fd)
{
	struct pollfd entry = { .fd = fd, .events = POLLIN | POLLOUT | POLLPRI | POLLRDHUP };

	poll(&entry, 1, 0);
	note("%s: %s", name, poll_bits((uint32_t)entry.revents));
}

static void step_receive(const char *name, int fd)
{
	char buffer[16];
	ssize_t n = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);

	step(name, n);
	if (n > 0)
		show("data", buffer, n);
}

static void look_around(struct pair pair)
{
	settle();
	step_poll("we poll", pair.us);
	step_poll("they poll", pair.them);
	step_receive("we receive", pair.us);
	step_receive("they receive", pair.them);
	step("we send", send(pair.us, "abc", 3, MSG_NOSIGNAL | MSG_DONTWAIT));
	settle();
	step_receive("they receive", pair.them);
	step_poll("they poll", pair.them);
}

static void case_one_way(void)
{
	for (int how = SHUT_RD; how <= SHUT_RDWR; how++) {
		struct pair pair = open_pair();

		note("shutdown %s", how_names[how]);
		step("shutdown", shutdown(pair.us, how));
		look_around(pair);
		step("once more", shutdown(pair.us, how));
		close_pair(pair);
	}
}

static void case_two_after_another(void)
{
	for (int i = 0; i < 9; i++) {
		struct pair pair = open_pair();

		note("shutdown %s, then %s", how_names[i / 3], how_names[i % 3]);
		step("first", shutdown(pair.us, i / 3));
		step("second", shutdown(pair.us, i % 3));
		look_around(pair);
		close_pair(pair);
	}
}

static void case_both_sides(void)
{
	for (int i = 0; i < 9; i++) {
		struct pair pair = open_pair();

		note("we shutdown %s, they %s", how_names[i / 3], how_names[i % 3]);
		step("we", shutdown(pair.us, i / 3));
		settle();
		step("they", shutdown(pair.them, i % 3));
		settle();
		look_around(pair);
		step("we once more", shutdown(pair.us, SHUT_RDWR));
		step("they once more", shutdown(pair.them, SHUT_RDWR));
		close_pair(pair);
	}
}

static void case_with_data_there(void)
{
	for (int how = SHUT_RD; how <= SHUT_RDWR; how++) {
		struct pair pair = open_pair();

		note("shutdown %s with data unread", how_names[how]);
		send_all(pair.them, "hello", 5);
		await_bytes(pair.us, 5);
		step("shutdown", shutdown(pair.us, how));
		step_poll("we poll", pair.us);
		step_receive("we receive", pair.us);
		step_receive("we receive", pair.us);
		settle();
		step_poll("they poll", pair.them);
		close_pair(pair);
	}
}

static void case_data_after_it(void)
{
	for (int how = SHUT_RD; how <= SHUT_RDWR; how++) {
		struct pair pair = open_pair();

		note("shutdown %s, then they send", how_names[how]);
		step("shutdown", shutdown(pair.us, how));
		settle();
		step("they send", send(pair.them, "hello", 5, MSG_NOSIGNAL));
		settle();
		step_poll("we poll", pair.us);
		step_receive("we receive", pair.us);
		step_receive("we receive", pair.us);
		settle();
		step_poll("they poll", pair.them);
		step("they send", send(pair.them, "hello", 5, MSG_NOSIGNAL));
		close_pair(pair);
	}
}

static void case_half_close(void)
{
	struct pair pair = open_pair();

	step("we send", send(pair.us, "question", 8, 0));
	step("we shut down", shutdown(pair.us, SHUT_WR));
	await(pair.them, POLLIN | POLLRDHUP);
	step_receive("they receive", pair.them);
	step_receive("they receive", pair.them);
	step_poll("they poll", pair.them);
	step_poll("we poll", pair.us);
	step("they send", send(pair.them, "answer", 6, 0));
	await_bytes(pair.us, 6);
	step_poll("we poll", pair.us);
	step_receive("we receive", pair.us);
	close(pair.them);
	await(pair.us, POLLHUP);
	step_poll("we poll", pair.us);
	step_receive("we receive", pair.us);
	step("we shut down again", shutdown(pair.us, SHUT_RDWR));
	close(pair.us);

	pair = open_pair();
	note("the other way round");
	step("they shut down", shutdown(pair.them, SHUT_WR));
	await(pair.us, POLLIN | POLLRDHUP);
	step_poll("we poll", pair.us);
	step_receive("we receive", pair.us);
	step("we send", send(pair.us, "answer", 6, 0));
	await_bytes(pair.them, 6);
	step_receive("they receive", pair.them);
	close(pair.us);
	await(pair.them, POLLHUP);
	step_poll("they poll", pair.them);
	step_receive("they receive", pair.them);
	close(pair.them);
}

static void case_refusals(void)
{
	struct pair pair = open_pair();
	int fd = open_socket(0), pipes[2];

	step("bad direction", shutdown(pair.us, 3));
	step("negative direction", shutdown(pair.us, -1));
	step("fresh", shutdown(fd, SHUT_RDWR));
	step("fresh, bad direction", shutdown(fd, 7));
	close(fd);
	step("closed", shutdown(fd, SHUT_RDWR));
	must("pipe", pipe(pipes));
	step("a pipe", shutdown(pipes[0], SHUT_RDWR));
	close(pipes[0]);
	close(pipes[1]);
	reset(pair.them);
	await(pair.us, POLLERR);
	step("after a reset", shutdown(pair.us, SHUT_RDWR));
	close(pair.us);
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
