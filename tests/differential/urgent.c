/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Differential cases: urgent data (MSG_OOB). melin may refuse it with EOPNOTSUPP and leaves what a
 * peer sends urgently in the stream, see LIMITS in libmelin(7): compared is that all the rest of
 * the stream is unharmed either way. What recv(2) says of urgent data that is not there is in
 * receive.c.
 */
#include "step.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static void send_urgently(const char *name, int fd, const char *text, size_t length)
{
	ssize_t n = send(fd, text, length, MSG_OOB | MSG_NOSIGNAL);

	note("%s: %s", name,
	     n == (ssize_t)length || (n < 0 && errno == EOPNOTSUPP) ? "sent or refused"
								    : errno_name(errno));
}

/* Everything up to the end, capital letters (what was urgent) left out. */
static void collect(const char *name, int fd)
{
	char all[64], plain[64];
	size_t used = 0, kept = 0;

	while (used < sizeof(all)) {
		ssize_t n = recv(fd, all + used, sizeof(all) - used, 0);

		if (n <= 0) {
			step("at the end", n);
			break;
		}
		used += (size_t)n;
	}
	for (size_t i = 0; i < used; i++)
		if (all[i] >= 'a' && all[i] <= 'z')
			plain[kept++] = all[i];
	show(name, plain, (long)kept);
}

static void exchange(int from, int to, bool in_line)
{
	int on = in_line;

	step("SO_OOBINLINE", setsockopt(to, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on)));
	step("send", send(from, "abc", 3, 0));
	send_urgently("urgently", from, "X", 1);
	step("send", send(from, "def", 3, 0));
	send_urgently("urgently", from, "Y", 1);
	step("send", send(from, "ghi", 3, 0));
	shutdown(from, SHUT_WR);
	collect("arrived", to);
}

static void case_receive(void)
{
	for (int in_line = 0; in_line < 2; in_line++) {
		struct pair pair = open_pair();

		exchange(pair.them, pair.us, in_line);
		close_pair(pair);
	}
}

static void case_send(void)
{
	for (int in_line = 0; in_line < 2; in_line++) {
		struct pair pair = open_pair();

		exchange(pair.us, pair.them, in_line);
		close_pair(pair);
	}
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "receive", case_receive, 0 },
		{ "send", case_send, 0 },
	};

	return run_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
