/* SPDX-License-Identifier: BSD-3-Clause */
/* Steps of the sequences that transfer so much that they wait for room, one way or both ways. */
#include "sequences.h"

#include <errno.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define BULK	 300000
#define BULK_MIN 100000

static char bulk[BULK], bulk_received[BULK];
static size_t bulk_expected, bulk_came;

static void fill_bulk(void)
{
	for (size_t i = 0; i < BULK; i++)
		bulk[i] = (char)('a' + (i * 7 + i / 251 + step_number()) % 26);
}

static void receive_bulk(int fd)
{
	bulk_came = 0;
	while (bulk_came < bulk_expected) {
		struct pollfd entry = { .fd = fd, .events = POLLIN };
		ssize_t n = recv(fd, bulk_received + bulk_came, bulk_expected - bulk_came,
				 MSG_DONTWAIT);

		if (n > 0)
			bulk_came += (size_t)n;
		else if (n == 0 || errno != EAGAIN || poll(&entry, 1, LONG_WAIT_MS) != 1)
			return;
	}
}

static ssize_t pour_by_sendfile(int fd, char *data, size_t length)
{
	int file = memfd_create("bulk", MFD_CLOEXEC);
	ssize_t n;

	must("write", write(file, data, length));
	n = sendfile(fd, file, &(off_t){ 0 }, length);
	close(file);
	return n;
}

static ssize_t pour_by_writev(int fd, char *data, size_t length)
{
	struct iovec parts[2] = { { data, length / 3 },
				  { data + length / 3, length - length / 3 } };

	return writev(fd, parts, 2);
}

static ssize_t pour_by_write(int fd, char *data, size_t length)
{
	return write(fd, data, length);
}

static ssize_t pour_by_send(int fd, char *data, size_t length)
{
	return send(fd, data, length, MSG_NOSIGNAL);
}

typedef ssize_t pour_function(int fd, char *data, size_t length);

static size_t pour(int fd, pour_function *call, size_t length)
{
	size_t done = 0;

	while (done < length) {
		struct pollfd entry = { .fd = fd, .events = POLLOUT };
		ssize_t n = call(fd, bulk + done, length - done);

		if (n > 0)
			done += (size_t)n;
		else if (errno != EAGAIN || poll(&entry, 1, LONG_WAIT_MS) != 1)
			break;
	}
	return done;
}

static bool flows_freely(struct side *side, int fd)
{
	const struct side *peer = peer_of(side);

	return fd >= 0 && side_descriptor(peer) >= 0 && !side->loose && !peer->loose;
}

static void step_pour(struct side *side, int fd)
{
	static pour_function *const calls[] = { pour_by_write, pour_by_writev, pour_by_send,
						pour_by_sendfile };
	struct side *peer = peer_of(side);
	const size_t before = side->sent - peer->received;
	const size_t length = BULK_MIN + chance(BULK - BULK_MIN - FLIGHT_MAX);
	pour_function *call = ONE_OF(calls);
	pthread_t thread;
	size_t done;

	if (!flows_freely(side, fd))
		return;
	fill_bulk();
	bulk_expected = before + length;
	limit_waits(fd, SO_SNDTIMEO, LONG_WAIT_MS);
	thread = later(0, receive_bulk, side_descriptor(peer));
	done = pour(fd, call, length);
	join(thread);
	note("%zu sent, %zu received", done, bulk_came);
	show("data", bulk_received, (long)bulk_came);
	side->sent += done;
	peer->received += bulk_came;
	await(fd, POLLOUT);
	limit_waits(fd, SO_SNDTIMEO, USUAL_WAIT_MS);
}

struct end {
	struct side *side;
	int fd;
	size_t sent, to_send, came, expected;
};

static void end_begin(struct end *end, struct side *side, int fd, size_t length)
{
	*end = (struct end){ .side = side,
			     .fd = fd,
			     .to_send = length,
			     .expected = peer_of(side)->sent - side->received + length };
}

static short wishes(const struct end *end)
{
	return (short)((end->came < end->expected ? POLLIN : 0) |
		       (end->sent < end->to_send ? POLLOUT : 0));
}

static void move_some(struct end *end, short events, size_t chunk)
{
	const size_t left = end->to_send - end->sent;
	ssize_t n = 0;

	if (events & POLLOUT)
		n = send(end->fd, bulk + end->sent, left < chunk ? left : chunk,
			 MSG_DONTWAIT | MSG_NOSIGNAL);
	end->sent += n > 0 ? (size_t)n : 0;
	n = 0;
	if (events & POLLIN)
		n = recv(end->fd, bulk_received, chunk, MSG_DONTWAIT);
	end->came += n > 0 ? (size_t)n : 0;
}

static bool move_on(struct end *ends, size_t chunk)
{
	struct pollfd entries[2];

	for (int i = 0; i < 2; i++)
		entries[i] = (struct pollfd){ .fd = ends[i].fd, .events = wishes(&ends[i]) };
	if (!(entries[0].events | entries[1].events) || poll(entries, 2, LONG_WAIT_MS) <= 0 ||
	    (entries[0].revents | entries[1].revents) & (POLLERR | POLLHUP | POLLNVAL))
		return false;
	for (int i = 0; i < 2; i++)
		move_some(&ends[i], entries[i].revents, chunk);
	return true;
}

/* Both ends send and receive by turns, as poll() says. */
static void step_exchange(struct side *side, int fd)
{
	const size_t chunk = 1000 + chance(30000), length = BULK_MIN + chance(BULK_MIN);
	struct end ends[2];

	if (!flows_freely(side, fd))
		return;
	fill_bulk();
	end_begin(&ends[0], side, fd, length);
	end_begin(&ends[1], peer_of(side), side_descriptor(peer_of(side)), length);
	while (move_on(ends, chunk))
		;
	for (int i = 0; i < 2; i++) {
		note("%zu sent, %zu of %zu received", ends[i].sent, ends[i].came, ends[i].expected);
		/* The last acknowledgements may be on their way. */
		await(ends[i].fd, POLLOUT);
		ends[i].side->sent += ends[i].sent;
		ends[i].side->received += ends[i].came;
	}
}

const struct step bulk_steps[] = {
	{ "pour", step_pour, 1 },
	{ "exchange", step_exchange, 1 },
	{ 0 },
};
