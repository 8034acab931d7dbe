/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * epoll with the stack's sockets in it: what is reported, how often, in what order. Over a stack
 * that does what the test says; what Linux's epoll(7) says is right.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "under_melin.h"

#define COUNT 4

static int epoll;
static int descriptors[COUNT];
static struct fake_socket *connections[COUNT];
static struct epoll_event events[16];

static int control(int operation, int descriptor, uint32_t wanted)
{
	struct epoll_event event = { .events = wanted, .data.u32 = (uint32_t)descriptor };

	return epoll_ctl(epoll, operation, descriptor, &event) < 0 ? -errno : 0;
}

/* An epoll instance with four connections in it. */
static void begin(uint32_t wanted)
{
	epoll = epoll_create1(0);
	for (int i = 0; i < COUNT; i++) {
		descriptors[i] = open_connection(&connections[i], SOCK_NONBLOCK);
		control(EPOLL_CTL_ADD, descriptors[i], wanted);
	}
}

static void end(void)
{
	for (int i = 0; i < COUNT; i++)
		close(descriptors[i]);
	close(epoll);
}

static void deliver(int which)
{
	atomic_fetch_add(&connections[which]->bytes, 1);
	report(connections[which], EPOLLIN);
}

static int look(int max)
{
	return epoll_wait(epoll, events, max, 0);
}

/* Whether exactly these are reported, in this order; -1 ends the list. */
static bool reported(int max, int first, int second, int third, int fourth)
{
	const int wanted[] = { first, second, third, fourth };
	int count = look(max);

	for (int i = 0; i < COUNT; i++) {
		if (wanted[i] < 0)
			return count == i;
		if (i >= count || events[i].data.u32 != (uint32_t)descriptors[wanted[i]])
			return false;
	}
	return count == COUNT;
}

static void read_all(int which)
{
	char bytes[16];

	recv(descriptors[which], bytes, sizeof(bytes), 0);
}

static void level(void)
{
	begin(EPOLLIN);
	tap_ok(look(16) == 0, "nothing is there");
	deliver(2);
	deliver(0);
	deliver(3);
	tap_ok(reported(16, 2, 0, 3, -1), "in the order of arrival");
	tap_ok(reported(16, 2, 0, 3, -1), "again, as long as it is not read");
	tap_ok(events[0].events == EPOLLIN, "what was not asked for (EPOLLOUT) is not reported");
	read_all(0);
	tap_ok(reported(16, 2, 3, -1, -1), "what was read is not reported any more");
	end();
}

/* With room for one each is reported in its turn. */
static void fair(void)
{
	bool seen[COUNT] = { false };

	begin(EPOLLIN);
	for (int i = 0; i < COUNT; i++)
		deliver(i);
	for (int i = 0; i < COUNT; i++) {
		if (look(1) != 1)
			break;
		for (int k = 0; k < COUNT; k++)
			seen[k] |= events[0].data.u32 == (uint32_t)descriptors[k];
	}
	tap_ok(seen[0] && seen[1] && seen[2] && seen[3], "none is passed over");
	end();
}

static void edge(void)
{
	begin(EPOLLIN | EPOLLET);
	deliver(1);
	tap_ok(reported(16, 1, -1, -1, -1) && look(16) == 0, "reported once");
	deliver(1);
	tap_ok(reported(16, 1, -1, -1, -1) && look(16) == 0, "once more for what came since");
	deliver(1);
	deliver(1);
	tap_ok(reported(16, 1, -1, -1, -1) && look(16) == 0, "once for what came together");
	control(EPOLL_CTL_MOD, descriptors[1], EPOLLIN | EPOLLET);
	tap_ok(reported(16, 1, -1, -1, -1), "EPOLL_CTL_MOD looks anew");
	end();
}

static void oneshot(void)
{
	begin(EPOLLIN | EPOLLONESHOT);
	deliver(1);
	tap_ok(reported(16, 1, -1, -1, -1), "reported");
	deliver(1);
	tap_ok(look(16) == 0, "and then not, whatever comes");
	control(EPOLL_CTL_MOD, descriptors[1], EPOLLIN | EPOLLONESHOT);
	tap_ok(reported(16, 1, -1, -1, -1) && look(16) == 0, "until it is asked for again");
	end();
}

static void registering(void)
{
	begin(EPOLLIN);
	tap_ok(control(EPOLL_CTL_ADD, descriptors[0], EPOLLIN) == -EEXIST, "added twice");
	deliver(0);
	tap_ok(control(EPOLL_CTL_DEL, descriptors[0], 0) == 0 && look(16) == 0,
	       "deleted while it is ready");
	tap_ok(control(EPOLL_CTL_DEL, descriptors[0], 0) == -ENOENT &&
		       control(EPOLL_CTL_MOD, descriptors[0], EPOLLIN) == -ENOENT,
	       "not there");
	tap_ok(control(EPOLL_CTL_ADD, descriptors[0], EPOLLIN) == 0 && reported(16, 0, -1, -1, -1),
	       "added while it is ready");
	tap_ok(control(EPOLL_CTL_ADD, epoll, EPOLLIN) == -EINVAL, "an epoll instance in itself");
	end();
}

/* A descriptor that is closed leaves; while a duplicate is open, the item stays. */
static void closing(void)
{
	int duplicate;

	begin(EPOLLIN);
	deliver(0);
	deliver(1);
	duplicate = dup(descriptors[1]);
	close(descriptors[0]);
	close(descriptors[1]);
	tap_ok(look(16) == 1 && events[0].data.u32 == (uint32_t)descriptors[1],
	       "closed: gone; with a duplicate: still there");
	close(duplicate);
	tap_ok(look(16) == 0, "the duplicate is closed, too");
	descriptors[0] = descriptors[1] = -1;
	end();
}

/* An instance with stack sockets in it, in another one. */
static void nested(void)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = 4711 };
	int outer;

	begin(EPOLLIN);
	outer = epoll_create1(0);
	tap_ok(epoll_ctl(outer, EPOLL_CTL_ADD, epoll, &event) == 0 &&
		       epoll_wait(outer, events, 16, 0) == 0,
	       "nothing is there");
	deliver(2);
	tap_ok(epoll_wait(outer, events, 16, 0) == 1 && events[0].data.u64 == 4711,
	       "the outer one is ready with the inner one");
	read_all(2);
	tap_ok(epoll_wait(outer, events, 16, 0) == 0, "and no longer");
	close(outer);
	end();
}

/* Descriptors of the kernel's in the same instance. */
static void mixed(void)
{
	int ends[2];
	bool pipe_seen = false, connection_seen = false;

	if (pipe(ends) < 0 || write(ends[1], "x", 1) != 1)
		exit(1);
	begin(EPOLLIN);
	control(EPOLL_CTL_ADD, ends[0], EPOLLIN);
	deliver(0);
	tap_ok(look(16) == 2, "both are reported");
	for (int i = 0; i < 2; i++) {
		look(1);
		pipe_seen |= events[0].data.u32 == (uint32_t)ends[0];
		connection_seen |= events[0].data.u32 == (uint32_t)descriptors[0];
	}
	tap_ok(pipe_seen && connection_seen, "with room for one: in turn");
	end();
	close(ends[0]);
	close(ends[1]);
}

#define FLOWS "MELIN_FLOWS=connect:127.0.0.0/8:80"

static const struct run runs[] = {
	{ "level", { FLOWS }, level },
	{ "fair", { FLOWS }, fair },
	{ "edge", { FLOWS }, edge },
	{ "oneshot", { FLOWS }, oneshot },
	{ "registering", { FLOWS }, registering },
	{ "closing", { FLOWS }, closing },
	{ "nested", { FLOWS }, nested },
	{ "mixed", { FLOWS }, mixed },
};

int main(int argc, char **argv)
{
	return run_all(argc, argv, runs, sizeof(runs) / sizeof(runs[0]));
}
