/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What melin-broker lends to whom, as libmelin.so uses it, with the kernel's connections across a
 * pair of veth interfaces and no stack. How it begins and ends is in test_broker_life.c, and what
 * comes in malformed in test_broker_messages.c.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/filter.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/broker_protocol.h"
#include "broker/broker_start.h"
#include "broker/client.h"
#include "tests/unit/broker/lent.h"
#include "tests/unit/tap.h"

#define LOW_PORT 80
#define CHANGES	 2000

/* ---- lending ---- */

static void lend_to_worker(int door)
{
	static const char *const families[] = { "IPv4", "IPv6", "mapped" };
	struct lent lent;

	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
		tap_ok(lent_open(&lent, families[i]) && lent_as_nobody(lent_lend, &lent, door),
		       "%s: a worker without rights borrows and gives back", families[i]);
		ground_close(&lent.ends);
	}
	ground_port = LOW_PORT;
	tap_ok(lent_open(&lent, "IPv4") && lent_as_nobody(lent_lend, &lent, door),
	       "at a port that only root may bind, too");
	ground_close(&lent.ends);
	ground_port = GROUND_PORT;
}

/* What is unread goes through the channel, and what is not acknowledged, little and much. */
static bool lend_data(struct lent *lent, int door)
{
	const size_t much = 60000;
	struct connection_state *state = &lent->state;
	bool held = lent_watch(lent, door) && send(lent->ends.peer, "unread", 6, MSG_NOSIGNAL) == 6;
	int unread = 0;

	for (int i = 0; held && i < 30000 && unread < 6; i++) {
		held = ioctl(lent->ends.own, FIONREAD, &unread) == 0;
		usleep(1000);
	}
	held = held && lent_borrow(lent) == REFUSAL_NONE && state->receive_size == 6 &&
	       memcmp(state->receive_data, "unread", 6) == 0;
	if (!held)
		return false;
	state->send_data = malloc(much);
	memset(state->send_data, 'm', much);
	state->send_size = much;
	held = lent_give(lent) && lent_receives(lent->ends.own, "unread");
	for (size_t done = 0; held && done < much; done++)
		held = lent_receives(lent->ends.peer, "m");
	return held && lent_goes_on(lent, "");
}

static void lend_with_data(int door)
{
	struct lent lent;

	tap_ok(lent_open(&lent, "IPv4") && lent_as_nobody(lend_data, &lent, door),
	       "data goes along, 60,000 bytes too");
	ground_close(&lent.ends);
}

/* In how many descriptors, of whatever process, the socket is open. */
static unsigned count_descriptors(int descriptor)
{
	char own[64], name[64];
	glob_t all;
	unsigned count = 0;
	ssize_t length;

	snprintf(name, sizeof(name), "/proc/self/fd/%d", descriptor);
	length = readlink(name, own, sizeof(own));
	if (length < 0 || glob("/proc/[0-9]*/fd/*", 0, NULL, &all) != 0)
		return 0;
	for (size_t i = 0; i < all.gl_pathc; i++)
		count += readlink(all.gl_pathv[i], name, sizeof(name)) == length &&
			 memcmp(name, own, (size_t)length) == 0;
	globfree(&all);
	return count;
}

/* What is closed next goes on meanwhile, and nothing of it is left with the broker. */
static void end_one(int door)
{
	struct connection_state state;
	struct lent lent;
	int error;

	if (!tap_ok(lent_open(&lent, "IPv4") && lent_watch(&lent, door) &&
			    lent_borrow(&lent) == REFUSAL_NONE && lender_may_end(lent.lender),
		    "a borrowed connection that is to be closed"))
		return;
	send(lent.ends.peer, "meanwhile", 9, 0);
	error = lender_end(lent.lender, lent.ends.own, &lent.loan, &lent.state);
	connection_state_clear(&lent.state);
	tap_ok(error == 0 && lent.loan.state == LOAN_NONE, "ended with one request: %d", error);
	tap_ok(count_descriptors(lent.ends.own) == 1, "the program alone has it open");
	tap_ok(lent_goes_on(&lent, "meanwhile"), "it is the kernel's");
	tap_ok(lender_borrow(lent.lender, lent.ends.own, &lent.loan, &state) == REFUSAL_STATE,
	       "it is watched no longer");
	lender_close(lent.lender);
	ground_close(&lent.ends);
}

/* Whoever has nothing to watch lets the broker's tap rest, and has it woken. */
static void rest(int door)
{
	struct lent lent;

	if (!tap_ok(lent_open(&lent, "IPv4") && lent_watch(&lent, door) &&
			    lender_rest(lent.lender) == -EBUSY,
		    "what is watched keeps the tap awake"))
		return;
	lender_unwatch(lent.lender, &lent.loan);
	tap_ok(lender_rest(lent.lender) == 0 &&
		       lender_watch(lent.lender, lent.ends.own, &lent.loan) == REFUSAL_RESTING,
	       "then it rests, and nothing is watched");
	tap_ok(lender_wake(lent.lender) == 0 &&
		       lender_watch(lent.lender, lent.ends.own, &lent.loan) == REFUSAL_NONE &&
		       lent_goes_on(&lent, "") && lent_borrow(&lent) == REFUSAL_NONE &&
		       lent_give(&lent) && lent_goes_on(&lent, ""),
	       "awake again it lends");
	lender_close(lent.lender);
	ground_close(&lent.ends);
}

static int order(const void *left, const void *right)
{
	const double a = *(const double *)left, b = *(const double *)right;

	return a < b ? -1 : a > b;
}

/*
 * The median in microseconds, because the machine may have other things to do; and the least, which
 * they do not make longer.
 */
static double cost(struct lent *lent, double *least)
{
	static double costs[CHANGES];

	for (unsigned i = 0; i < CHANGES; i++) {
		double begun = lent_now();

		if (lender_borrow(lent->lender, lent->ends.own, &lent->loan, &lent->state) !=
			    REFUSAL_NONE ||
		    !lent_give(lent))
			return -1;
		costs[i] = lent_now() - begun;
	}
	qsort(costs, CHANGES, sizeof(costs[0]), order);
	*least = costs[0];
	return costs[CHANGES / 2];
}

static void measure(int door)
{
	double direct = -1, through = -1, least = 0, unused;
	struct lent lent;

	if (lent_open(&lent, "IPv4") && lent_watch(&lent, door) &&
	    lent_borrow(&lent) == REFUSAL_NONE && lent_give(&lent))
		through = cost(&lent, &least);
	lender_close(lent.lender);
	lent.loan = (struct loan){ 0 };
	if (lender_open(&lent.lender) == REFUSAL_NONE &&
	    lender_watch(lent.lender, lent.ends.own, &lent.loan) == REFUSAL_NONE &&
	    ground_says(lent.ends.peer, lent.ends.own, "seen") &&
	    lent_borrow(&lent) == REFUSAL_NONE && lent_give(&lent))
		direct = cost(&lent, &unused);
	lender_close(lent.lender);
	ground_close(&lent.ends);
	printf("# borrow and give back: %.1f us through the broker, %.1f us without\n", through,
	       direct);
	/* 40 is the aim on a machine that does nothing else. */
	tap_ok(through > 0 && least < 1000, "%d times borrowed and given back", CHANGES);
}

/* ---- who gets nothing ---- */

static enum refusal refusal_for(struct lender *lender, int descriptor)
{
	struct loan loan = { 0 };
	enum refusal refusal = lender_watch(lender, descriptor, &loan);

	close(descriptor);
	return refusal;
}

static void refuse_others(int door)
{
	struct lender *lender = NULL;
	struct lent lent;
	int pair[2];

	if (!tap_ok(lender_connect(door, &lender) == REFUSAL_NONE && lent_open(&lent, "IPv4"),
		    "a lender"))
		return;
	tap_ok(refusal_for(lender, dup(lent.ends.peer)) == REFUSAL_NAMESPACE,
	       "another network namespace's connection is refused");
	tap_ok(refusal_for(lender, dup(lent.ends.listener)) != REFUSAL_NONE,
	       "a listener is refused");
	tap_ok(refusal_for(lender, socket(AF_INET, SOCK_STREAM, 0)) != REFUSAL_NONE,
	       "a socket without a connection is refused");
	tap_ok(refusal_for(lender, socket(AF_INET, SOCK_DGRAM, 0)) != REFUSAL_NONE,
	       "a UDP socket is refused");
	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	tap_ok(refusal_for(lender, pair[0]) != REFUSAL_NONE, "a Unix socket is refused");
	close(pair[1]);
	tap_ok(refusal_for(lender, open("/etc/passwd", O_RDONLY)) != REFUSAL_NONE,
	       "a file is refused");
	tap_ok(refusal_for(lender, open("/", O_PATH)) != REFUSAL_NONE, "a path is refused");
	tap_ok(refusal_for(lender, -1) != REFUSAL_NONE, "nothing is refused");
	tap_ok(lender_watch(lender, lent.ends.own, &lent.loan) == REFUSAL_NONE,
	       "a connection is watched after all that");
	lender_close(lender);
	ground_close(&lent.ends);
}

/* What another client has borrowed nobody else can borrow or give back. */
static void refuse_each_other(int door)
{
	struct connection_state state;
	struct lender *other = NULL;
	struct lent lent;
	struct loan stolen;

	if (!tap_ok(lent_open(&lent, "IPv4") && lent_watch(&lent, door) &&
			    lent_borrow(&lent) == REFUSAL_NONE &&
			    lender_connect(door, &other) == REFUSAL_NONE,
		    "two clients with one connection"))
		return;
	stolen = lent.loan;
	tap_ok(lender_give(other, lent.ends.own, &stolen, &lent.state) == -EPERM,
	       "what one has borrowed the other cannot give back");
	stolen.state = LOAN_WATCHED;
	tap_ok(lender_borrow(other, lent.ends.own, &stolen, &state) != REFUSAL_NONE,
	       "nor borrow by its name");
	stolen = (struct loan){ 0 };
	tap_ok(lender_watch(other, lent.ends.own, &stolen) != REFUSAL_NONE ||
		       lender_borrow(other, lent.ends.own, &stolen, &state) != REFUSAL_NONE,
	       "nor after watching it");
	lender_close(other);
	tap_ok(lent_give(&lent) && lent_goes_on(&lent, ""), "the one gives it back");
	lender_close(lent.lender);
	ground_close(&lent.ends);
}

/* The state that comes back is a program's, which may say what it likes. */
static void refuse_other_ends(int door)
{
	struct sockaddr_storage name, before;
	socklen_t size = sizeof(name);
	struct lent lent;

	lent_open(&lent, "IPv4");
	getpeername(lent.ends.own, (struct sockaddr *)&before, &size);
	if (!tap_ok(lent_watch(&lent, door) && lent_borrow(&lent) == REFUSAL_NONE,
		    "a borrowed connection"))
		return;
	((struct sockaddr_in *)&lent.state.remote)->sin_port = htons(1);
	((struct sockaddr_in *)&lent.state.local)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	lent.state.path.interface = 1;
	lent.state.send_scale = 99;
	lent.state.largest_segment = lent.state.advertised_segment = 0;
	tap_ok(lent_give(&lent), "given back with other ends and options");
	size = sizeof(name);
	tap_ok(getpeername(lent.ends.own, (struct sockaddr *)&name, &size) == 0 &&
		       memcmp(&name, &before, size) == 0 && lent_goes_on(&lent, ""),
	       "it is the connection that it was");
	lender_close(lent.lender);
	ground_close(&lent.ends);
}

static void refuse_without_door(void)
{
	struct lender *lender;
	int pair[2];

	tap_ok(lender_connect(-1, &lender) == REFUSAL_RIGHTS, "no service: REFUSAL_RIGHTS");
	socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair);
	close(pair[1]);
	tap_ok(lender_connect(pair[0], &lender) == REFUSAL_BROKER, "a door to nobody: the same");
	close(pair[0]);
}

/* One client's, whose answer has the form of another version: shorter, or merely said to be. */
struct other_version {
	int door;
	size_t size;
};

static void *answer_as_other_version(void *argument)
{
	const struct other_version *other = argument;
	struct broker_message answer = { .version = BROKER_VERSION + 1 };
	static struct broker_reader reader;
	int channel;

	if (broker_message_receive(other->door, &reader, 0) < 0)
		return NULL;
	channel = reader.connection;
	if (broker_message_receive(channel, &reader, 0) == 0)
		send(channel, &answer, other->size, MSG_NOSIGNAL);
	close(channel);
	return NULL;
}

static void refuse_other_version(size_t size)
{
	struct lender *lender;
	enum refusal refusal;
	pthread_t thread;
	int pair[2];

	socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair);
	pthread_create(&thread, NULL, answer_as_other_version,
		       &(struct other_version){ pair[1], size });
	refusal = lender_connect(pair[0], &lender);
	pthread_join(thread, NULL);
	tap_ok(refusal == REFUSAL_VERSION, "a broker whose version is another: %s",
	       refusal_text(refusal));
	close(pair[0]);
	close(pair[1]);
}

/* ---- a broker that goes in the middle of what it does, as the test's own threads can ---- */

static void receive(int channel, struct broker_reader *reader)
{
	if (broker_message_receive(channel, reader, 0) < 0)
		reader->message.what = -1;
}

/* Answers that all is well, until it is to do this last thing. */
static void *go_in_the_middle_of(void *argument)
{
	const int last = *(const int *)argument, off = -1, on = 1,
		  door = ((const int *)argument)[1];
	struct sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
	const struct sock_fprog filter = { 1, &nothing };
	struct broker_message answer = { .token = 1 };
	static struct broker_reader reader;
	int channel;

	receive(door, &reader);
	channel = reader.connection;
	reader.connection = -1;
	broker_message_end(&reader);
	for (;;) {
		receive(channel, &reader);
		if (reader.message.what == BROKER_BORROW || reader.message.what == BROKER_GIVE)
			setsockopt(reader.connection, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on));
		if (reader.message.what < 0 || reader.message.what == last)
			break;
		/* Any descriptor does for a tap. */
		broker_message_send(channel, &answer, reader.message.what == BROKER_TAP ? door : -1,
				    0);
		broker_message_end(&reader);
	}
	if (last == BROKER_GIVE) {
		setsockopt(reader.connection, IPPROTO_TCP, TCP_REPAIR, &off, sizeof(off));
		setsockopt(reader.connection, SOL_SOCKET, SO_ATTACH_FILTER, &filter,
			   sizeof(filter));
	}
	broker_message_end(&reader);
	close(channel);
	return NULL;
}

static bool is_closed(int descriptor)
{
	struct tcp_info info = { 0 };
	socklen_t size = sizeof(info);

	return getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 &&
	       info.tcpi_state == 7 /* TCP_CLOSE */;
}

static void lose(int last)
{
	int pair[2];
	pthread_t thread;
	struct lent lent;
	bool good = lent_open(&lent, "IPv4");
	enum refusal refusal;

	socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair);
	pthread_create(&thread, NULL, go_in_the_middle_of, (int[]){ last, pair[1] });
	good = good && lender_connect(pair[0], &lent.lender) == REFUSAL_NONE &&
	       lender_watch(lent.lender, lent.ends.own, &lent.loan) == REFUSAL_NONE;
	if (!tap_ok(good, "a connection"))
		return;
	refusal = lender_borrow(lent.lender, lent.ends.own, &lent.loan, &lent.state);
	if (last == BROKER_BORROW)
		tap_ok(refusal == REFUSAL_STATE && lent.loan.state == LOAN_NONE &&
			       is_closed(lent.ends.own),
		       "the broker goes while it borrows: the connection ends");
	else
		tap_ok(refusal == REFUSAL_NONE &&
			       lender_give(lent.lender, lent.ends.own, &lent.loan, &lent.state) ==
				       -EIO &&
			       is_closed(lent.ends.own),
		       "the broker goes while it gives back: the connection ends");
	pthread_join(thread, NULL);
	lender_close(lent.lender);
	ground_close(&lent.ends);
	close(pair[0]);
	close(pair[1]);
}

int main(void)
{
	int door;

	ground_make();
	door = broker_start(ground_broker());
	lend_to_worker(door);
	lend_with_data(door);
	end_one(door);
	rest(door);
	measure(door);
	refuse_others(door);
	refuse_each_other(door);
	refuse_other_ends(door);
	refuse_without_door();
	refuse_other_version(sizeof(struct broker_message));
	refuse_other_version(sizeof(struct broker_message) / 2);
	lose(BROKER_BORROW);
	lose(BROKER_GIVE);
	close(door);
	return tap_done();
}
