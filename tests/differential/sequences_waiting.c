/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Steps of the sequences that wait: poll, select and epoll in all their ways, threads that sleep in
 * a call while another acts, full buffers, urgent data.
 */
#include "sequences.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS_MAX 32
#define POLLED	   3
#define LATER_MS   3

/* The second one holds the first. */
static int epolls[2] = { -1, -1 };

static const short masks[] = { POLLIN,
			       POLLOUT,
			       POLLIN | POLLOUT,
			       POLLPRI,
			       POLLRDHUP,
			       POLLIN | POLLRDHUP | POLLPRI,
			       POLLRDNORM | POLLRDBAND,
			       POLLWRNORM | POLLWRBAND,
			       0 };
static const int times[] = { 0, 0, 0, 2 };

void waiting_begin(void)
{
	for (int i = 0; i < 2; i++)
		must("epoll_create1", epolls[i] = epoll_create1(EPOLL_CLOEXEC));
}

void waiting_end(void)
{
	for (int i = 0; i < 2; i++)
		close(epolls[i]);
}

/* ---- poll, select ---- */

static nfds_t choose_entries(struct pollfd *entries, int fd)
{
	nfds_t count = 1 + chance(POLLED);

	for (nfds_t i = 0; i < count; i++)
		entries[i] = (struct pollfd){ .fd = i == 0 ? fd : some_descriptor(some_side()),
					      .events = ONE_OF(masks),
					      .revents = -1 };
	return count;
}

static void show_entries(const struct pollfd *entries, nfds_t count)
{
	for (nfds_t i = 0; i < count; i++)
		note("%s of %s", poll_bits((uint32_t)(uint16_t)entries[i].revents),
		     poll_bits((uint32_t)(uint16_t)entries[i].events));
}

static void step_poll(struct side *side, int fd)
{
	struct pollfd entries[POLLED + 1];
	nfds_t count = choose_entries(entries, fd);

	(void)side;
	outcome("poll", poll(entries, count, ONE_OF(times)));
	show_entries(entries, count);
}

static void step_ppoll(struct side *side, int fd)
{
	struct pollfd entries[POLLED + 1];
	nfds_t count = choose_entries(entries, fd);
	struct timespec time = { .tv_nsec = 1000000L * ONE_OF(times) };
	sigset_t none;

	(void)side;
	sigemptyset(&none);
	outcome("ppoll", ppoll(entries, count, &time, chance(2) ? &none : NULL));
	show_entries(entries, count);
}

static void step_select(struct side *side, int fd)
{
	fd_set sets[3];
	int other = some_descriptor(peer_of(side)), highest = fd > other ? fd : other, result;
	struct timespec wait = { 0 };
	struct timeval time = { .tv_usec = 1000 * ONE_OF(times) };

	if (fd < 0 || other < 0)
		return;
	for (int i = 0; i < 3; i++) {
		FD_ZERO(&sets[i]);
		if (chance(3))
			FD_SET(fd, &sets[i]);
		if (chance(2))
			FD_SET(other, &sets[i]);
	}
	result = chance(2) ? select(highest + 1, &sets[0], &sets[1], &sets[2], &time)
			   : pselect(highest + 1, &sets[0], &sets[1], &sets[2], &wait, NULL);
	outcome("select", result);
	for (int i = 0; i < 3; i++)
		note("set %d: %d %d", i, FD_ISSET(fd, &sets[i]) != 0,
		     FD_ISSET(other, &sets[i]) != 0);
}

/* ---- epoll ---- */

/*
 * In host mode an item with EPOLLET may be reported once more when its connection is borrowed or
 * given back (LIMITS in melin(7)): there is none there.
 */
static uint32_t choose_events(void)
{
	uint32_t events = (uint16_t)ONE_OF(masks);

	if (chance(4) == 0)
		events |= EPOLLONESHOT;
	else if (in_process() && chance(3) == 0)
		events |= EPOLLET;
	return events;
}

static void step_epoll_control(struct side *side, int fd)
{
	static const int operations[] = { EPOLL_CTL_ADD,
					  EPOLL_CTL_ADD,
					  EPOLL_CTL_ADD,
					  EPOLL_CTL_MOD,
					  EPOLL_CTL_MOD,
					  EPOLL_CTL_DEL,
					  77 };
	struct epoll_event event = { .events = choose_events() };
	int operation = ONE_OF(operations);

	event.data.u64 = step_number() * 10 + side->index;
	if (operation == EPOLL_CTL_ADD && chance(6) == 0)
		event.events |= EPOLLEXCLUSIVE;
	note("operation %d, %s", operation, poll_bits(event.events));
	outcome("epoll_ctl", epoll_ctl(epolls[chance(4) == 0], operation, fd, &event));
}

static int compare_events(const void *first, const void *second)
{
	const struct epoll_event *one = first, *other = second;

	return one->data.u64 < other->data.u64 ? -1 : one->data.u64 > other->data.u64;
}

/* The order is that in which they became ready, and for the kernel's and the stack's its own. */
static void show_events(struct epoll_event *events, int count)
{
	outcome("epoll_wait", count);
	if (count > 1)
		qsort(events, (size_t)count, sizeof(*events), compare_events);
	for (int i = 0; i < count; i++)
		note("%llu: %s", (unsigned long long)events[i].data.u64,
		     poll_bits(events[i].events));
}

static void step_epoll_wait(struct side *side, int fd)
{
	struct epoll_event events[EVENTS_MAX] = { 0 };
	struct timespec none = { 0 };
	int epoll = epolls[chance(4) == 0];

	(void)side;
	(void)fd;
	if (chance(3) == 0)
		show_events(events, epoll_pwait2(epoll, events, EVENTS_MAX, &none, NULL));
	else
		show_events(events, epoll_wait(epoll, events, EVENTS_MAX, ONE_OF(times)));
}

static void step_nested(struct side *side, int fd)
{
	struct epoll_event event = { .events = EPOLLIN };
	struct pollfd entry = { .fd = epolls[0], .events = POLLIN };

	(void)side;
	(void)fd;
	event.data.u64 = 1000000;
	outcome("nested",
		epoll_ctl(epolls[1], chance(4) ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, epolls[0], &event));
	outcome("poll of the set", poll(&entry, 1, 0));
	note("%s", poll_bits((uint32_t)(uint16_t)entry.revents));
	entry.fd = epolls[1];
	outcome("poll of the outer set", poll(&entry, 1, 0));
}

/* The same socket by another number, and the number for another socket. */
static void step_number_moves(struct side *side, int fd)
{
	int copy = dup(fd);

	outcome("dup", copy);
	if (copy < 0)
		return;
	descriptor_gone(fd);
	close(fd);
	descriptor_added(side, copy);
}

/* ---- sleeping while another thread acts ---- */

static void act_send(int fd)
{
	struct side *side = side_of(fd);
	ssize_t n = send(fd, next_data(side, 20), 20, MSG_NOSIGNAL | MSG_DONTWAIT);

	side_has_sent(side, n > 0 ? (size_t)n : 0);
}

static void act_shutdown(int fd)
{
	shutdown(fd, SHUT_WR);
	side_ended(side_of(fd));
}

static void sleep_in_recv(struct side *side, int fd)
{
	ssize_t n = recv(fd, received_data, DATA_BYTES, 0);

	outcome("received", n);
	show("data", received_data, n);
	side->received += n > 0 ? (size_t)n : 0;
}

static void sleep_in_poll(struct side *side, int fd)
{
	struct pollfd entry = { .fd = fd, .events = POLLIN | POLLRDHUP };

	(void)side;
	outcome("poll", poll(&entry, 1, 5000));
	note("%s", poll_bits((uint32_t)(uint16_t)entry.revents));
}

static void sleep_in_epoll(struct side *side, int fd)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP };
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	(void)side;
	outcome("epoll_ctl", epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
	show_events(&event, epoll_wait(epoll, &event, 1, 5000));
	close(epoll);
}

static void step_sleep(struct side *side, int fd)
{
	static void (*const sleeps[])(struct side *, int) = { sleep_in_recv, sleep_in_poll,
							      sleep_in_epoll };
	int other = side_descriptor(peer_of(side));
	pthread_t thread;

	if (other < 0 || sendable(peer_of(side), 20) < 20)
		return;
	limit_waits(fd, SO_RCVTIMEO, LONG_WAIT_MS);
	thread = later(LATER_MS, chance(8) ? act_send : act_shutdown, other);
	ONE_OF(sleeps)(side, fd);
	join(thread);
	limit_waits(fd, SO_RCVTIMEO, USUAL_WAIT_MS);
}

/* ---- full buffers ---- */

/* How much fits into them is for each kernel to say. */
static size_t send_until_full(int fd)
{
	static char chunk[65536];
	size_t total = 0;
	ssize_t n;

	for (int refusals = 0; refusals < 8;) {
		n = send(fd, chunk, sizeof(chunk), MSG_DONTWAIT | MSG_NOSIGNAL);
		total += n > 0 ? (size_t)n : 0;
		refusals = n < 0 ? refusals + 1 : 0;
		if (n < 0)
			pause_ms(2);
	}
	return total;
}

static void step_fill(struct side *side, int fd)
{
	struct side *peer = peer_of(side);
	int other = side_descriptor(peer);
	size_t total, before = side->sent - peer->received;

	if (other < 0 || side->loose || sendable(side, 1) < 1)
		return;
	/* What is left below the mark would not be read. */
	setsockopt(other, SOL_SOCKET, SO_RCVLOWAT, &(int){ 1 }, sizeof(int));
	total = send_until_full(fd);
	note("%s", total > 0 ? "full" : "nothing is taken");
	await(other, POLLIN);
	note("%zu bytes are missing", before + total - drain(other, before + total));
	side->sent += total;
	peer->received = side->sent;
	await(fd, POLLOUT);
}

/* ---- urgent data, modes ---- */

static void step_urgent(struct side *side, int fd)
{
	ssize_t n = send(fd, next_data(side, 3), 3, MSG_OOB | MSG_NOSIGNAL | MSG_DONTWAIT);
	outcome("urgent", n);
	side_has_sent(side, n > 0 ? (size_t)n : 0);
	side->loose = peer_of(side)->loose = true;
	side->uncounted = peer_of(side)->uncounted = true;
}

static void step_receive_urgent(struct side *side, int fd)
{
	int mark = -1;
	ssize_t n = recv(fd, received_data, 3, MSG_OOB | MSG_DONTWAIT | (chance(2) ? MSG_PEEK : 0));

	(void)side;
	outcome("urgent", n);
	if (n > 0)
		show("data", received_data, n);
	outcome("SIOCATMARK", ioctl(fd, SIOCATMARK, &mark));
	note("%d", mark);
}

static void step_in_line(struct side *side, int fd)
{
	(void)side;
	outcome("SO_OOBINLINE",
		setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &(int){ (int)chance(2) }, sizeof(int)));
}

static void step_nonblocking(struct side *side, int fd)
{
	int on = (int)chance(2);

	(void)side;
	if (chance(2))
		outcome("FIONBIO", ioctl(fd, FIONBIO, &on));
	else
		outcome("F_SETFL", fcntl(fd, F_SETFL, on ? O_NONBLOCK : 0));
	outcome("F_GETFL", fcntl(fd, F_GETFL));
}

static void step_low_water(struct side *side, int fd)
{
	static const int values[] = { 1, 1, 10, 100, 3000 };

	(void)side;
	outcome("SO_RCVLOWAT",
		setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &(int){ ONE_OF(values) }, sizeof(int)));
}

static void step_asynchronous(struct side *side, int fd)
{
	int flags = fcntl(fd, F_GETFL);

	(void)side;
	outcome("F_GETFL", flags);
	if (flags < 0)
		return;
	outcome("F_SETOWN", fcntl(fd, F_SETOWN, getpid()));
	outcome("F_SETFL", fcntl(fd, F_SETFL, chance(3) == 0 ? flags | O_ASYNC : flags & ~O_ASYNC));
	outcome("F_GETFL", fcntl(fd, F_GETFL));
}

const struct step waiting_steps[] = {
	{ "poll", step_poll, 6 },
	{ "ppoll", step_ppoll, 4 },
	{ "select", step_select, 5 },
	{ "epoll_ctl", step_epoll_control, 12 },
	{ "epoll_wait", step_epoll_wait, 12 },
	{ "nested", step_nested, 3 },
	{ "number moves", step_number_moves, 2 },
	{ "sleep", step_sleep, 6 },
	{ "fill", step_fill, 2 },
	{ "urgent", step_urgent, 2 },
	{ "receive urgent", step_receive_urgent, 3 },
	{ "in line", step_in_line, 1 },
	{ "nonblocking", step_nonblocking, 3 },
	{ "low water", step_low_water, 2 },
	{ "asynchronous", step_asynchronous, 1 },
	{ 0 },
};
