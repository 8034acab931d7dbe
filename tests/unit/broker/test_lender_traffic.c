/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lending connections (broker/lender.h) while much is going on: changes under traffic both ways, a
 * flood of the connection's own segments, tuples that come again, and processes that are killed.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "broker/lender.h"
#include "broker/repair.h"
#include "common/system_call.h"
#include "tests/unit/broker/ground.h"
#include "tests/unit/broker/stand_in.h"
#include "tests/unit/tap.h"

#define CHANGES	      200   /* borrowed and given back, under traffic; or the first argument */
#define FLOOD_CHANGES 10000 /* in a flood */
#define KILLS	      10

static struct lender *lender;
static unsigned changes = CHANGES;

/* ---- segments ---- */

static unsigned segment_of(int descriptor)
{
	struct tcp_info info = { 0 };
	socklen_t size = sizeof(info);

	getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &size);
	return info.tcpi_snd_mss;
}

/* Repair begins a connection with segments of 536 bytes, less options. */
static void keep_segments(const char *how, bool own_accepts)
{
	struct connection_state state;
	struct ends ends;
	struct loan loan;
	unsigned before, known;

	if (!tap_ok(ground_connect(how, own_accepts, &ends) && ground_prepare(lender, &ends, &loan),
		    "%s: a connection", how))
		return;
	before = segment_of(ends.own);
	for (int i = 0; i < 2; i++) {
		if (!tap_ok(lender_borrow(lender, ends.own, &loan, &state) == REFUSAL_NONE,
			    "borrowed"))
			break;
		known = state.segment;
		tap_ok(lender_give(lender, ends.own, &loan, &state) == 0 && before > 1000 &&
			       known == before && segment_of(ends.own) == before,
		       "the kernel's segments are as large as before");
		connection_state_clear(&state);
		ground_says(ends.peer, ends.own, "three");
		ground_says(ends.own, ends.peer, "four");
		tap_ok(ground_settles(ends.own) && ground_settles(ends.peer) &&
			       segment_of(ends.own) == before,
		       "and remain so");
	}
	lender_unwatch(lender, &loan);
	ground_close(&ends);
}

/* ---- while it is held ---- */

#define LARGE 12000 /* what the first window has room for: it comes as one frame */

static unsigned sent_again(int descriptor)
{
	struct tcp_info info = { 0 };
	socklen_t size = sizeof(info);

	getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &size);
	return info.tcpi_total_retrans;
}

/* Whether it comes as it was sent, to an end. */
static bool comes_whole(int descriptor, const uint8_t *bytes, size_t size)
{
	uint8_t got[LARGE + 1];
	size_t done = 0;
	ssize_t part;

	while ((part = recv(descriptor, got + done, sizeof(got) - done, 0)) > 0)
		done += (size_t)part;
	return part == 0 && done == size && memcmp(got, bytes, size) == 0;
}

/* What has come meanwhile as one large frame, with an end behind it, need not be sent again. */
static void keep_large_frame(const char *how)
{
	static uint8_t bytes[LARGE];
	struct connection_state state;
	struct ends ends;
	struct loan loan;

	for (size_t i = 0; i < LARGE; i++)
		bytes[i] = (uint8_t)rand();
	if (!tap_ok(ground_connect(how, true, &ends) && ground_prepare(lender, &ends, &loan) &&
			    lender_borrow(lender, ends.own, &loan, &state) == REFUSAL_NONE &&
			    lender_hold(lender, &loan) == 0,
		    "%s: a connection is held", how))
		return;
	kernel_set_int(ends.peer, IPPROTO_TCP, TCP_CORK, 1);
	tap_ok(send(ends.peer, bytes, LARGE, 0) == LARGE && shutdown(ends.peer, SHUT_WR) == 0,
	       "the peer sends much and ends");
	tap_ok(lender_give(lender, ends.own, &loan, &state) == 0 &&
		       comes_whole(ends.own, bytes, LARGE),
	       "when it is given back, all of that is there");
	tap_ok(sent_again(ends.peer) == 0, "and is sent once: %u again", sent_again(ends.peer));
	connection_state_clear(&state);
	lender_unwatch(lender, &loan);
	ground_close(&ends);
}

/* ---- traffic ---- */

/* Byte number so of a stream. */
static uint8_t pattern(size_t number)
{
	return (uint8_t)(number * 2654435761u >> 13);
}

struct stream {
	int descriptor;
	size_t sent, received, wrong;
	atomic_bool stop;
};

/* As much as goes without waiting, up to a few hundred bytes. */
static void send_some(struct stream *stream)
{
	uint8_t bytes[600];
	size_t size = 1 + (size_t)rand() % sizeof(bytes);
	ssize_t sent;

	for (size_t i = 0; i < size; i++)
		bytes[i] = pattern(stream->sent + i);
	sent = send(stream->descriptor, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent > 0)
		stream->sent += (size_t)sent;
}

static void receive_some(struct stream *stream)
{
	uint8_t bytes[4096];
	ssize_t got;

	while ((got = recv(stream->descriptor, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0) {
		for (ssize_t i = 0; i < got; i++)
			stream->wrong += bytes[i] != pattern(stream->received + (size_t)i);
		stream->received += (size_t)got;
	}
	if (got == 0 || errno != EAGAIN)
		stream->wrong++;
}

static void *talk(void *argument)
{
	struct stream *stream = argument;

	while (!stream->stop) {
		send_some(stream);
		receive_some(stream);
		usleep(20);
	}
	return NULL;
}

/* Borrows, receives for a moment in place of a stack, and gives back. */
static bool change(struct ends *ends, struct loan *loan)
{
	struct connection_state state;
	bool given;

	if (lender_borrow(lender, ends->own, loan, &state))
		return false;
	for (int i = rand() % 4; i > 0; i--) {
		usleep(20);
		if (stand_in_receive(lender_tap(lender), &state))
			stand_in_acknowledge(lender_tap(lender), &state);
	}
	lender_hold(lender, loan);
	if (stand_in_receive(lender_tap(lender), &state))
		stand_in_acknowledge(lender_tap(lender), &state);
	given = lender_give(lender, ends->own, loan, &state) == 0;
	connection_state_clear(&state);
	return given;
}

static bool drained(struct stream *own, struct stream *peer)
{
	for (int i = 0; i < 60000 && (own->received < peer->sent || peer->received < own->sent);
	     i++) {
		receive_some(own);
		receive_some(peer);
		usleep(1000);
	}
	return own->received == peer->sent && peer->received == own->sent;
}

static void change_under_traffic(const char *how)
{
	const unsigned long resets = ground_count("OutRsts");
	const time_t end = time(NULL) + 30 + changes / 10;
	struct stream own = { 0 }, peer = { 0 };
	struct tcp_info info = { 0 };
	socklen_t size = sizeof(info);
	unsigned done = 0, tries = 0;
	struct ends ends;
	struct loan loan;
	pthread_t thread;
	bool all;

	memset(&loan, 0, sizeof(loan));
	if (!tap_ok(ground_connect(how, true, &ends), "%s: a connection", how))
		return;
	lender_watch(lender, ends.own, &loan);
	own.descriptor = ends.own;
	peer.descriptor = ends.peer;
	pthread_create(&thread, NULL, talk, &peer);
	for (; done < changes && time(NULL) < end; tries++) {
		receive_some(&own);
		if (tries % 4 == 0 && ground_settles(ends.own))
			send_some(&own);
		if (change(&ends, &loan))
			done++;
		else
			usleep(20); /* the peer has not acknowledged all, for one */
	}
	peer.stop = true;
	pthread_join(thread, NULL);
	tap_ok(done == changes, "borrowed and given back %u times", done);
	all = drained(&own, &peer);
	tap_ok(all, "%zu bytes received of %zu, %zu of %zu", own.received, peer.sent, peer.received,
	       own.sent);
	tap_ok(own.wrong == 0 && peer.wrong == 0, "all of them right");
	tap_ok(ground_count("OutRsts") == resets, "no RST was sent");
	getsockopt(ends.peer, IPPROTO_TCP, TCP_INFO, &info, &size);
	printf("# %u segments sent again by the peer\n", info.tcpi_total_retrans);
	lender_unwatch(lender, &loan);
	ground_close(&ends);
}

/* ---- a flood ---- */

static struct {
	const void *frame;
	size_t size;
	int socket;
	atomic_bool stop;
	atomic_ulong sent;
} flood;

static void *pour(void *unused)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_halen = ETHER_ADDR_LEN };

	(void)unused;
	/* The peers' namespace has lo and this. */
	to.sll_ifindex = 2;
	to.sll_protocol = htons(ETHERTYPE_IP);
	while (!flood.stop) {
		if (sendto(flood.socket, flood.frame, flood.size, MSG_DONTWAIT,
			   (struct sockaddr *)&to, sizeof(to)) > 0)
			flood.sent++;
	}
	return NULL;
}

static void give_back_in_a_flood(void)
{
	static uint8_t frame[2048];
	unsigned long resets;
	struct connection_state state;
	/* Some seconds, but minutes where others want the processors, which the flood fills. */
	const time_t end = time(NULL) + 200;
	unsigned done = 0;
	struct ends ends;
	struct loan loan;
	pthread_t thread;

	if (!tap_ok(ground_connect("IPv4", true, &ends) && ground_prepare(lender, &ends, &loan) &&
			    lender_borrow(lender, ends.own, &loan, &state) == REFUSAL_NONE,
		    "a connection, borrowed"))
		return;
	/* One of its own segments, which is poured at it from now on. */
	send(ends.peer, "flood", 5, 0);
	while (stand_in_receive(lender_tap(lender), &state) == 0)
		usleep(100);
	flood.frame = memcpy(frame, stand_in_last_frame(&flood.size), sizeof(frame));
	lender_give(lender, ends.own, &loan, &state);
	connection_state_clear(&state);
	resets = ground_count("OutRsts");
	flood.socket = ground_socket_there(AF_PACKET, SOCK_RAW, 0);
	pthread_create(&thread, NULL, pour, NULL);
	for (; done < FLOOD_CHANGES && time(NULL) < end;) {
		if (lender_borrow(lender, ends.own, &loan, &state))
			continue;
		done += lender_give(lender, ends.own, &loan, &state) == 0;
		connection_state_clear(&state);
	}
	flood.stop = true;
	pthread_join(thread, NULL);
	tap_ok(done == FLOOD_CHANGES, "given back %u times in a flood of %lu segments", done,
	       flood.sent);
	tap_ok(flood.sent > FLOOD_CHANGES / 10, "there was a flood");
	tap_ok(ground_count("OutRsts") == resets, "no RST was sent");
	{
		char got[8] = "";

		tap_ok(recv(ends.own, got, sizeof(got), 0) == 5 && !strcmp(got, "flood") &&
			       ground_says(ends.peer, ends.own, "lives") &&
			       ground_says(ends.own, ends.peer, "lives"),
		       "it lives");
	}
	lender_unwatch(lender, &loan);
	close(flood.socket);
	ground_close(&ends);
}

/* ---- a firewall ---- */

#define MUCH (4 << 20) /* more than any window */

static void *send_much(void *argument)
{
	static uint8_t bytes[65536];
	const struct ends *ends = argument;

	for (size_t sent = 0; sent < MUCH; sent += sizeof(bytes))
		if (send(ends->peer, bytes, sizeof(bytes), MSG_NOSIGNAL) != sizeof(bytes))
			break;
	return NULL;
}

/* The firewall is the last thing of its test. */
static void give_back_through(struct ends *ends, struct loan *loan, struct connection_state *state,
			      const char *text)
{
	tap_ok(lender_give(lender, ends->own, loan, state) == 0 &&
		       ground_says(ends->peer, ends->own, "a") &&
		       ground_says(ends->own, ends->peer, "b"),
	       "%s", text);
	connection_state_clear(state);
	lender_unwatch(lender, loan);
	ground_run("nft delete table ip t");
	ground_close(ends);
}

/* Connection tracking does not see the segments that the tap takes, hence not the windows. */
static void pass_firewall(void)
{
	struct connection_state state;
	size_t received = 0;
	struct ends ends;
	struct loan loan;
	pthread_t thread;

	if (!ground_run("nft -f - <<EOF\n"
			"table ip t {\nchain c {\ntype filter hook input priority 0\n"
			"ct state invalid counter drop\n}\n}\nEOF")) {
		tap_ok(true, "a firewall: no nft here # SKIP");
		return;
	}
	tap_ok(ground_connect("IPv4", true, &ends) && ground_prepare(lender, &ends, &loan) &&
		       lender_borrow(lender, ends.own, &loan, &state) == REFUSAL_NONE,
	       "borrowed behind a firewall");
	pthread_create(&thread, NULL, send_much, &ends);
	for (int i = 0; i < 300000 && received < MUCH; i++) {
		if (stand_in_receive(lender_tap(lender), &state))
			stand_in_acknowledge(lender_tap(lender), &state);
		else
			usleep(100);
		received += state.receive_size; /* and read */
		state.receive_size = 0;
	}
	pthread_join(thread, NULL);
	tap_ok(received == MUCH, "%zu bytes go past it", received);
	give_back_through(&ends, &loan, &state, "then both ends talk through it");
}

/* ---- what fails ---- */

/*
 * From now on that system call fails in the calling thread, if one of its arguments, counted from
 * 0, is that number.
 */
static bool deny(long call, unsigned argument, uint32_t number, unsigned error)
{
	struct sock_filter steps[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 (uint32_t)(offsetof(struct seccomp_data, args) + 8 * argument)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { sizeof(steps) / sizeof(steps[0]), steps };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
}

/* A connection that is given back by a thread which lacks something then. */
struct giver {
	struct ends ends;
	struct loan loan;
	struct connection_state state;
	int result;
};

static void *give(void *argument)
{
	struct giver *giver = argument;

	giver->result = lender_give(lender, giver->ends.own, &giver->loan, &giver->state);
	connection_state_clear(&giver->state);
	return NULL;
}

/* Set in a thread that loses its rights in the middle of giving back. */
static __thread bool loses_rights;

int __real_repair_give_rest(int descriptor, const struct connection_state *state);
int __wrap_repair_give_rest(int descriptor, const struct connection_state *state);

int __wrap_repair_give_rest(int descriptor, const struct connection_state *state)
{
	if (loses_rights)
		kernel_give_up_capabilities();
	return __real_repair_give_rest(descriptor, state);
}

static void *give_losing_rights(void *giver)
{
	loses_rights = true;
	return give(giver);
}

static void *give_without_segment(void *giver)
{
	return deny(SYS_setsockopt, 2, IP_OPTIONS, EPERM) ? give(giver) : NULL;
}

static bool borrow_for(struct giver *giver, const char *how)
{
	*giver = (struct giver){ .result = 1 };
	return ground_connect(how, true, &giver->ends) &&
	       ground_prepare(lender, &giver->ends, &giver->loan) &&
	       lender_borrow(lender, giver->ends.own, &giver->loan, &giver->state) == REFUSAL_NONE;
}

static void run(void *(*function)(void *giver), struct giver *giver)
{
	pthread_t thread;

	pthread_create(&thread, NULL, function, giver);
	pthread_join(thread, NULL);
}

/* Whether the peer hears of a RST, though it has nothing to send. */
static bool is_reset(const struct ends *ends)
{
	struct pollfd entry = { .fd = ends->peer };

	return poll(&entry, 1, 30000) > 0 && (entry.revents & POLLERR);
}

/* What is read behind the mark of urgent data is written last. */
static void lose_rights(const char *how)
{
	struct giver giver;
	char byte;

	tap_ok(borrow_for(&giver, how), "%s: borrowed", how);
	giver.state.receive_data = (uint8_t *)strdup("abc");
	giver.state.receive_size = 3;
	giver.state.urgent = CONNECTION_URGENT_THERE;
	giver.state.urgent_number = giver.state.receive_next - 2;
	run(give_losing_rights, &giver);
	tap_ok(giver.result == -EACCES && giver.loan.state == LOAN_NONE && is_reset(&giver.ends),
	       "rights that go before the last step: lost, and its peer is reset: %d",
	       giver.result);
	tap_ok(recv(giver.ends.own, &byte, 1, 0) < 0 && errno == ECONNRESET, "as is the program");
	ground_close(&giver.ends);
}

static void keep_without_segment(void)
{
	struct giver giver;

	tap_ok(borrow_for(&giver, "IPv4"), "borrowed");
	run(give_without_segment, &giver);
	tap_ok(giver.result == 0 && ground_says(giver.ends.peer, giver.ends.own, "a") &&
		       ground_says(giver.ends.own, giver.ends.peer, "b"),
	       "segments cannot be computed anew: it lives all the same: %d", giver.result);
	lender_unwatch(lender, &giver.loan);
	ground_close(&giver.ends);
}

/* In a child: what another lender says of the connection, or why there is none, 0 to 255. */
static int refusal_behind(const struct ends *ends, long call, unsigned argument, uint32_t number,
			  unsigned error)
{
	enum refusal refusal = REFUSAL_FAILED;
	struct loan loan = { 0 };
	int status = -1;
	pid_t child = fork();

	if (child == 0) {
		lender_abandon(lender);
		if (deny(call, argument, number, error))
			refusal = lender_open(&lender);
		if (refusal == REFUSAL_NONE)
			refusal = lender_watch(lender, ends->own, &loan);
		_exit((int)refusal);
	}
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* What it would have found out is not known then: nothing is concluded. */
static void lack_descriptors(void)
{
	struct ends ends;

	if (!ground_connect("IPv4", true, &ends))
		return;
	tap_ok(refusal_behind(&ends, SYS_bpf, 0, BPF_LINK_CREATE, ENFILE) == REFUSAL_DESCRIPTORS,
	       "no descriptor for a link: no word of the kernel's age");
	tap_ok(refusal_behind(&ends, SYS_bpf, 0, BPF_LINK_CREATE, EINVAL) == REFUSAL_KERNEL,
	       "a kernel without such links");
	tap_ok(refusal_behind(&ends, SYS_socket, 2, NETLINK_XFRM, EMFILE) == REFUSAL_DESCRIPTORS,
	       "none to ask for IPsec: no policy is overlooked");
	tap_ok(refusal_behind(&ends, SYS_socket, 2, NETLINK_XFRM, EPROTONOSUPPORT) == REFUSAL_NONE,
	       "a kernel without IPsec");
	ground_close(&ends);
}

/* The kernel does not take the connection back, and the peer has nothing to send. */
static void lose(const char *how)
{
	struct connection_state state;
	char byte;
	struct ends ends;
	struct loan loan;

	tap_ok(ground_connect(how, true, &ends) && ground_prepare(lender, &ends, &loan) &&
		       lender_borrow(lender, ends.own, &loan, &state) == REFUSAL_NONE,
	       "%s: borrowed", how);
	state.scaled = true;
	state.send_scale = 99;
	tap_ok(lender_give(lender, ends.own, &loan, &state) < 0 && loan.state == LOAN_NONE &&
		       is_reset(&ends),
	       "what cannot be given back is reset at its peer");
	tap_ok(recv(ends.own, &byte, 1, 0) < 0 && errno == ECONNABORTED, "and ends here");
	connection_state_clear(&state);
	ground_close(&ends);
}

/*
 * How long tracking keeps a connection that is established, or has sent what is not acknowledged:
 * seconds, as the namespace's sysctls have it. 0: there is none.
 */
struct patience {
	unsigned established, unacknowledged;
};

static unsigned exchange_seconds(const char *what, unsigned seconds)
{
	unsigned before = 0;
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_%s", what);
	file = fopen(path, "r+");
	if (!file)
		return 0;
	if (fscanf(file, "%u", &before) != 1)
		before = 0;
	rewind(file);
	if (seconds)
		fprintf(file, "%u", seconds);
	return fclose(file) == 0 ? before : 0;
}

static struct patience exchange_patience(struct patience new)
{
	return (struct patience){ exchange_seconds("established", new.established),
				  exchange_seconds("unacknowledged", new.unacknowledged) };
}

/*
 * Tracking forgets a connection whose segments it does not see, and takes its next one for the
 * first of another.
 */
static void outlast_tracking(void)
{
	struct patience before, after;
	struct connection_state state;
	struct ends ends;
	struct loan loan;

	if (!ground_run("nft -f - <<EOF\n"
			"table ip t {\nchain c {\ntype filter hook input priority 0\n"
			"ct state established accept\n"
			"ct state new tcp flags & (syn | ack) == syn accept\ndrop\n}\n}\nEOF")) {
		tap_ok(true, "a firewall: no nft here # SKIP");
		return;
	}
	before = exchange_patience((struct patience){ 3, 3 });
	tap_ok(ground_connect("IPv4", true, &ends) && ground_prepare(lender, &ends, &loan) &&
		       lender_borrow(lender, ends.own, &loan, &state) == REFUSAL_NONE,
	       "borrowed behind a firewall that forgets soon");
	sleep(4);
	give_back_through(&ends, &loan, &state, "four seconds later both ends talk through it");
	exchange_patience(before);
	after = exchange_patience((struct patience){ 0 });
	tap_ok(before.established > 3 && memcmp(&before, &after, sizeof(before)) == 0,
	       "tracking is as patient as before: %u s", after.established);
}

/* It would drop the connection's segments, and cannot be told to let them pass. */
static void stay_behind_firewall(void)
{
	struct ends ends;

	if (!ground_run("nft -f - <<EOF\n"
			"table ip t {\nchain c {\ntype filter hook input priority 0\n"
			"ct state established accept\n}\n}\nEOF")) {
		tap_ok(true, "a firewall: no nft here # SKIP");
		return;
	}
	if (!ground_connect("IPv4", true, &ends))
		return;
	/* As in a kernel without the module that tracking is told through. */
	tap_ok(refusal_behind(&ends, SYS_socket, 2, NETLINK_NETFILTER, EPROTONOSUPPORT) ==
		       REFUSAL_TRACKED,
	       "tracking that cannot be told: the connection stays the kernel's");
	tap_ok(refusal_behind(&ends, SYS_socket, 2, NETLINK_NETFILTER, EMFILE) ==
		       REFUSAL_DESCRIPTORS,
	       "none to tell it: another time");
	ground_run("nft delete table ip t");
	ground_close(&ends);
}

/* ---- tuples that come again ---- */

#define PEER_PORT 7500

static void tuple_again(void)
{
	struct connection_state state;
	struct loan first, second;
	struct ends ends;

	tap_ok(ground_connect_from(PEER_PORT, &ends) && ground_prepare(lender, &ends, &first),
	       "watched");
	ground_close(&ends);
	tap_ok(ground_connect_from(PEER_PORT, &ends) && ground_prepare(lender, &ends, &second),
	       "its successor with the same tuple, too");
	lender_unwatch(lender, &first);
	tap_ok(lender_borrow(lender, ends.own, &second, &state) == REFUSAL_NONE,
	       "which is not forgotten with the first one");
	connection_state_clear(&state);
	/* As by a system call that nobody has noticed. */
	close(ends.own);
	close(ends.listener);
	shutdown(ends.peer, SHUT_RDWR);
	{
		struct linger at_once = { .l_onoff = 1 };

		setsockopt(ends.peer, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
		close(ends.peer);
	}
	tap_ok(ground_connect_from(PEER_PORT, &ends) && ground_says(ends.peer, ends.own, "a") &&
		       ground_says(ends.own, ends.peer, "b"),
	       "a twin was closed while it was borrowed: a third connection can be made");
	lender_unwatch(lender, &second);
	tap_ok(ground_prepare(lender, &ends, &first) &&
		       lender_borrow(lender, ends.own, &first, &state) == REFUSAL_NONE &&
		       lender_give(lender, ends.own, &first, &state) == 0 &&
		       ground_says(ends.peer, ends.own, "c"),
	       "and borrowed");
	lender_unwatch(lender, &first);
	ground_close(&ends);
}

/* ---- processes that end ---- */

/* Programs at the tcx ingress of the interface: bpf(2), BPF_PROG_QUERY. */
static unsigned programs_at_ingress(void)
{
	union bpf_attr query = { .query = { .target_fd = if_nametoindex("own"),
					    .attach_type = 46 /* BPF_TCX_INGRESS */ } };

	return syscall(SYS_bpf, BPF_PROG_QUERY, &query, sizeof(query)) < 0 ? 0
									   : query.query.prog_cnt;
}

static unsigned packet_sockets(void)
{
	FILE *list = fopen("/proc/thread-self/net/packet", "r");
	char line[256];
	unsigned lines = 0;

	while (list && fgets(line, sizeof(line), list))
		lines++;
	if (list)
		fclose(list);
	return lines - 1;
}

/* The kernel may let go of what a process had when that has ended. */
static bool are_left_soon(unsigned count)
{
	for (int i = 0; i < 30000; i++) {
		if (packet_sockets() == count && programs_at_ingress() == count)
			return true;
		usleep(1000);
	}
	return false;
}

/* In the child: a lender of its own with a borrowed connection, until it is killed. */
static void borrow_and_wait(struct ends *ends, int ready)
{
	struct connection_state state;
	struct loan loan;
	bool borrowed;

	lender_abandon(lender);
	borrowed = lender_open(&lender) == REFUSAL_NONE && ground_prepare(lender, ends, &loan) &&
		   lender_borrow(lender, ends->own, &loan, &state) == REFUSAL_NONE;
	if (write(ready, borrowed ? "y" : "n", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

static void kill_borrower(void)
{
	int ready[2], status;
	struct ends ends;
	char answer = 0, byte;
	pid_t child;

	ground_connect_from(PEER_PORT, &ends);
	if (pipe(ready) < 0)
		return;
	child = fork();
	if (child == 0)
		borrow_and_wait(&ends, ready[1]);
	tap_ok(read(ready[0], &answer, 1) == 1 && answer == 'y', "another process has borrowed");
	close(ends.own);
	close(ends.listener);
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	send(ends.peer, "x", 1, MSG_NOSIGNAL);
	tap_ok(are_left_soon(1), "it is killed, and nothing but this process's own tap is left");
	tap_ok(recv(ends.peer, &byte, 1, 0) < 0 && errno == ECONNRESET,
	       "the peer's next segment is answered by a RST");
	close(ends.peer);
	tap_ok(ground_connect_from(PEER_PORT, &ends) && ground_says(ends.peer, ends.own, "a"),
	       "a connection with the same tuple can be made");
	ground_close(&ends);
	close(ready[0]);
	close(ready[1]);
}

int main(int count, char **arguments)
{
	if (count > 1)
		changes = (unsigned)atoi(arguments[1]);
	ground_make();
	lender = ground_lender();
	srand(1);
	keep_segments("IPv4", true);
	keep_segments("IPv4", false);
	keep_segments("IPv6", true);
	keep_segments("mapped", true);
	keep_large_frame("IPv4");
	keep_large_frame("IPv6");
	change_under_traffic("IPv4");
	change_under_traffic("IPv6");
	change_under_traffic("mapped");
	give_back_in_a_flood();
	pass_firewall();
	lose("IPv4");
	lose("IPv6");
	lose_rights("IPv4");
	lose_rights("IPv6");
	keep_without_segment();
	lack_descriptors();
	outlast_tracking();
	stay_behind_firewall();
	tuple_again();
	for (int i = 0; i < KILLS; i++)
		kill_borrower();
	lender_close(lender);
	tap_ok(packet_sockets() == 0 && programs_at_ingress() == 0,
	       "nothing is left of the lender");
	return tap_done();
}
