/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Differential cases that chance makes: from a seed a bounded sequence of calls on a few
 * connections. All that a call says is printed, and after each step what poll() and FIONREAD say of
 * both ends. Between steps all comes to rest, so that what is printed is determined: how much of a
 * buffer a call takes is not, so what is sent is sent to its last byte.
 *
 * A case is a group and a seed: "plain 17". STEP_SEEDS=FIRST-LAST says which seeds each group has,
 * STEP_GROUP which group alone is run, STEP_STEPS=0,4,9 which steps alone (the others are left out,
 * which changes none of these): see tests/differential/shrink.
 */
#include "sequences.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define STEPS	      60
#define SEEDS	      "1-5"
#define ARRIVAL_MS    300
#define STILL_NAPS    4 /* a thread of melin's own gives connections back */
#define CASES_MAX     100000
#define CASE_LIMIT    60
#define CASE_NAME_MAX 32
#define TABLES	      6

struct sides *sides;
char received_data[2 * DATA_BYTES];

static const struct group {
	const char *name;
	const struct step *tables[TABLES]; /* the last one is NULL */
	bool nodelay;
} groups[] = {
	{ "plain", { transfer_steps }, true },
	{ "waiting", { transfer_steps, waiting_steps }, true },
	{ "options", { transfer_steps, option_steps }, false },
	{ "ends", { transfer_steps, end_steps, end_steps }, true },
	{ "sharing", { transfer_steps, sharing_steps }, true },
	{ "waking", { transfer_steps, waking_steps, waking_steps }, true },
	{ "bulk", { transfer_steps, bulk_steps }, true },
	{ "holders", { transfer_steps, sharing_steps, holder_steps, holder_steps }, true },
	{ "libc", { transfer_steps, sharing_steps, libc_steps, libc_steps }, true },
	{ "mixed",
	  { transfer_steps, waiting_steps, option_steps, end_steps, sharing_steps },
	  true },
};
#define GROUPS (sizeof(groups) / sizeof(groups[0]))

/* ---- chance ---- */

static uint64_t state;
static unsigned current_seed, current_step;

static uint64_t scramble(uint64_t value) /* splitmix64 */
{
	value += 0x9e3779b97f4a7c15u;
	value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
	value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
	return value ^ (value >> 31);
}

static void chance_begin(unsigned seed, unsigned step)
{
	state = scramble(((uint64_t)seed << 32) | step);
	current_seed = seed;
	current_step = step;
}

void chance_again(unsigned step)
{
	chance_begin(current_seed, step);
}

unsigned chance(unsigned bound)
{
	if (!bound)
		broken("a choice between nothing");
	state = scramble(state);
	return (unsigned)(state >> 33) % bound;
}

unsigned step_number(void)
{
	return current_step;
}

/* ---- sides ---- */

struct side *peer_of(const struct side *side)
{
	return &sides->side[side->index ^ 1];
}

const char *side_name(const struct side *side)
{
	static const char *const names[] = { "us", "them", "us too", "them too" };

	return names[side->index];
}

int side_descriptor(const struct side *side)
{
	for (int i = 0; i < SIDE_FDS; i++)
		if (side->fds[i] >= 0)
			return side->fds[i];
	return -1;
}

struct side *side_of(int fd)
{
	for (unsigned i = 0; fd >= 0 && i < sides->count; i++)
		for (int j = 0; j < SIDE_FDS; j++)
			if (sides->side[i].fds[j] == fd)
				return &sides->side[i];
	return NULL;
}

struct side *some_side(void)
{
	return &sides->side[chance(sides->count)];
}

int some_descriptor(const struct side *side)
{
	int fd = side->fds[chance(SIDE_FDS)];

	return fd >= 0 ? fd : side_descriptor(side);
}

void descriptor_added(struct side *side, int fd)
{
	for (int i = 0; i < SIDE_FDS; i++) {
		if (side->fds[i] >= 0)
			continue;
		side->fds[i] = fd;
		return;
	}
	close(fd);
}

void side_ended(struct side *side)
{
	peer_of(side)->expected |= POLLRDHUP;
	side->loose = peer_of(side)->loose = true;
}

void side_broken(struct side *side)
{
	peer_of(side)->expected |= POLLHUP;
	side->loose = peer_of(side)->loose = true;
	side->uncounted = peer_of(side)->uncounted = true;
}

/* A descriptor is left, here or elsewhere. */
static bool is_held(const struct side *side)
{
	return side->elsewhere > 0 || side_descriptor(side) >= 0;
}

void side_let_go(struct side *side)
{
	side->elsewhere--;
	if (!is_held(side))
		side_ended(side);
}

void side_has_sent(struct side *side, size_t bytes)
{
	side->sent += bytes;
	if (!bytes || is_held(peer_of(side)))
		return;
	side->expected |= POLLHUP;
	side->loose = true;
}

void descriptor_gone(int fd)
{
	struct side *side = side_of(fd);

	if (!side)
		return;
	for (int i = 0; i < SIDE_FDS; i++)
		if (side->fds[i] == fd)
			side->fds[i] = -1;
	if (!is_held(side))
		side_ended(side);
}

/* ---- data ---- */

size_t sendable(const struct side *side, size_t length)
{
	const struct side *peer = peer_of(side);
	size_t flight = side->sent - peer->received;

	if (!is_held(peer))
		flight = 0;
	if (flight >= FLIGHT_MAX)
		return 0;
	return length < FLIGHT_MAX - flight ? length : FLIGHT_MAX - flight;
}

char *next_data(const struct side *side, size_t length)
{
	static char data[DATA_BYTES];

	const uint64_t first = (current_step * 8ull + side->index) * DATA_BYTES;

	for (size_t i = 0; i < length; i++)
		data[i] = (char)('a' + scramble(first + i) % 26);
	return data;
}

/* ---- rest ---- */

static short bits_of(int fd)
{
	struct pollfd entry = { .fd = fd, .events = POLLIN | POLLOUT | POLLPRI | POLLRDHUP };

	return poll(&entry, 1, 0) < 0 ? -1 : entry.revents;
}

int bytes_of(int fd)
{
	int bytes = -1;

	return ioctl(fd, FIONREAD, &bytes) < 0 ? -1 : bytes;
}

/* Or nobody waits for that any more. */
static bool is_acknowledged(const struct side *side)
{
	int fd = side_descriptor(side), bytes = 0;

	return fd < 0 || bits_of(fd) & (POLLERR | POLLHUP) || ioctl(fd, SIOCOUTQ, &bytes) < 0 ||
	       bytes == 0;
}

static bool all_came_at(const struct side *side, int fd)
{
	const struct side *peer = peer_of(side);
	int bytes;

	if (fd < 0)
		return true;
	if (side->expected && (bits_of(fd) & side->expected) != side->expected)
		return false;
	if (side->uncounted)
		return is_acknowledged(peer);
	bytes = bytes_of(fd);
	return bytes < 0 || side->received + (size_t)bytes >= peer->sent;
}

void await_at(const struct side *side, int fd)
{
	int64_t end = now_ms() + ARRIVAL_MS;

	while (!all_came_at(side, fd) && now_ms() < end)
		pause_ms(1);
}

struct view {
	short bits;
	int bytes;
};

static void take_view(struct view *view)
{
	for (unsigned i = 0; i < sides->count; i++) {
		int fd = side_descriptor(&sides->side[i]);

		view[i] = (struct view){ .bits = fd < 0 ? 0 : bits_of(fd),
					 .bytes = fd < 0 ? 0 : bytes_of(fd) };
	}
}

static void await_stillness(void)
{
	struct view before[2 * PAIRS] = { 0 }, now[2 * PAIRS] = { 0 };
	int64_t end = now_ms() + ARRIVAL_MS, start;
	int naps = 0;

	take_view(before);
	while (naps < STILL_NAPS && now_ms() < end) {
		start = now_ms();
		pause_ms(1);
		if (now_ms() - start > 3)
			continue; /* others had the processor: melin's threads may not have */
		take_view(now);
		naps = memcmp(before, now, sizeof(now)) == 0 ? naps + 1 : 0;
		memcpy(before, now, sizeof(now));
	}
}

void rest(void)
{
	bool loose = false;

	for (unsigned i = 0; i < sides->count; i++) {
		struct side *side = &sides->side[i];

		await_at(side, side_descriptor(side));
		loose |= side->loose;
		if (!side->elsewhere || side_descriptor(side) >= 0)
			side->expected = 0;
	}
	if (loose)
		await_stillness();
}

/* ---- what is seen ---- */

static volatile sig_atomic_t signals[NSIG];

static void count_signal(int number)
{
	signals[number]++;
}

void show_signals(void)
{
	if (signals[SIGPIPE])
		note("SIGPIPE %d", (int)signals[SIGPIPE]);
	if (signals[SIGURG])
		note("SIGURG");
	/* In own mode some come that Linux does not send, without anything that is new. */
	if (signals[SIGIO] && !in_process())
		note("SIGIO");
	signals[SIGPIPE] = signals[SIGURG] = signals[SIGIO] = 0;
}

void look_at_all(void)
{
	for (unsigned i = 0; i < sides->count; i++) {
		const struct side *side = &sides->side[i];
		int fd = side_descriptor(side);

		if (fd >= 0)
			note("%s: %s, %d", side_name(side),
			     poll_bits((uint32_t)(uint16_t)bits_of(fd)), bytes_of(fd));
	}
	show_signals();
}

/* ---- sequences ---- */

int limit_waits(int fd, int name, int ms)
{
	struct timeval time = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	return setsockopt(fd, SOL_SOCKET, name, &time, sizeof(time));
}

static void side_begin(struct side *side, int fd)
{
	side->sent = side->received = 0;
	side->elsewhere = 0;
	side->expected = 0;
	side->loose = side->uncounted = false;
	for (int i = 0; i < SIDE_FDS; i++)
		side->fds[i] = -1;
	side->fds[0] = fd;
	must("SO_RCVTIMEO", limit_waits(fd, SO_RCVTIMEO, USUAL_WAIT_MS));
	must("SO_SNDTIMEO", limit_waits(fd, SO_SNDTIMEO, USUAL_WAIT_MS));
}

static void side_close(struct side *side)
{
	for (int i = 0; i < SIDE_FDS; i++) {
		if (side->fds[i] >= 0)
			close(side->fds[i]);
		side->fds[i] = -1;
	}
}

static bool without_delay;

static void open_pair(unsigned first)
{
	struct connection connection = open_talking();
	int on = 1;

	side_begin(&sides->side[first], connection.us);
	side_begin(&sides->side[first + 1], connection.them);
	if (!without_delay)
		return;
	setsockopt(connection.us, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(connection.them, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static void reopen(struct side *side)
{
	unsigned first = side->index & ~1u;

	note("a new connection");
	holders_release(side);
	side_close(&sides->side[first]);
	side_close(&sides->side[first + 1]);
	open_pair(first);
}

static const struct step *choose(const struct step *const *tables)
{
	unsigned count = 0, total = 0, rest_of_it;
	const struct step *step;

	while (count < TABLES && tables[count])
		count++;
	for (step = tables[chance(count)], rest_of_it = 0; step[rest_of_it].name; rest_of_it++)
		total += step[rest_of_it].weight;
	rest_of_it = chance(total);
	for (; rest_of_it >= step->weight; step++)
		rest_of_it -= step->weight;
	return step;
}

void run_transfer(struct side *side, int fd)
{
	static const struct step *const tables[] = { transfer_steps, NULL };
	const struct step *step = choose(tables);

	note("%s", step->name);
	step->run(side, fd);
}

static bool wanted(unsigned step)
{
	const char *list = getenv("STEP_STEPS");
	char *end;

	if (!list)
		return true;
	for (; *list; list = *end == ',' ? end + 1 : end)
		if (strtoul(list, &end, 10) == step)
			return true;
	return false;
}

static void run_step(const struct group *group)
{
	struct side *side = some_side();
	const struct step *step;
	int fd;

	if (!is_held(side) && chance(4) > 0) {
		note("- %u", current_step);
		reopen(side);
		return;
	}
	fd = some_descriptor(side);
	step = choose(group->tables);
	note("- %u %s: %s", current_step, side_name(side), step->name);
	step->run(side, fd);
	rest();
	look_at_all();
}

static void run_sequence(const struct group *group, unsigned seed)
{
	chance_begin(seed, ~0u);
	sides->count = 2 + 2 * chance(PAIRS);
	without_delay = group->nodelay || chance(2);
	for (unsigned i = 0; i < 2 * PAIRS; i++) {
		sides->side[i].index = i;
		memset(sides->side[i].fds, 0xff, sizeof(sides->side[i].fds));
	}
	for (unsigned i = 0; i < sides->count; i += 2)
		open_pair(i);
	waiting_begin();
	holders_begin();
	for (unsigned i = 0; i < STEPS; i++) {
		chance_begin(seed, i);
		if (wanted(i))
			run_step(group);
	}
	holders_end();
	waiting_end();
	for (unsigned i = 0; i < sides->count; i++)
		side_close(&sides->side[i]);
}

/* ---- cases ---- */

static struct test_case *cases;
static size_t case_count;

static void run_case(void)
{
	const char *name = case_name(), *space = strchr(name, ' ');

	for (size_t i = 0; i < GROUPS; i++)
		if (strncmp(groups[i].name, name, (size_t)(space - name)) == 0)
			run_sequence(&groups[i], (unsigned)atoi(space));
}

static void add_case(const char *group, unsigned seed)
{
	static char names[CASES_MAX][CASE_NAME_MAX];
	char *name = names[case_count % CASES_MAX];

	if (case_count == CASES_MAX)
		broken("too many cases");
	snprintf(name, CASE_NAME_MAX, "%s %u", group, seed);
	cases[case_count++] = (struct test_case){ name, run_case, CASE_LIMIT };
}

static void add_range(void)
{
	const char *only = getenv("STEP_GROUP"), *range = getenv("STEP_SEEDS");
	unsigned first = 1, last = 0;

	if (sscanf(range ? range : SEEDS, "%u-%u", &first, &last) != 2)
		broken("STEP_SEEDS is FIRST-LAST");
	for (size_t i = 0; i < GROUPS; i++)
		for (unsigned j = first; (!only || !strcmp(only, groups[i].name)) && j <= last; j++)
			add_case(groups[i].name, j);
}

static void add_named(const char *name)
{
	for (size_t i = 0; i < GROUPS; i++) {
		size_t length = strlen(groups[i].name);

		if (strncmp(name, groups[i].name, length) == 0 && name[length] == ' ')
			add_case(groups[i].name, (unsigned)atoi(name + length));
	}
}

int main(int argc, char **argv)
{
	static const int caught[] = { SIGPIPE, SIGURG, SIGIO };
	struct sigaction action = { .sa_handler = count_signal, .sa_flags = SA_RESTART };

	for (size_t i = 0; i < sizeof(caught) / sizeof(caught[0]); i++)
		must("sigaction", sigaction(caught[i], &action, NULL));
	cases = calloc(CASES_MAX, sizeof(*cases));
	sides = mmap(NULL, sizeof(*sides), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	if (!cases || sides == MAP_FAILED)
		broken("no memory");
	if (argc == 1 || strncmp(argv[1], "--", 2) == 0)
		add_range();
	for (int i = 1; i < argc; i++)
		add_named(argv[i]);
	return run_cases(argc, argv, cases, case_count);
}
