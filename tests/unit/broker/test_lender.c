/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lending connections (broker/lender.h) between two network namespaces: what the tap shows, what
 * the kernel gets, what it is told when a connection comes back, what stays in the kernel and why,
 * and that nothing is left behind. Without a stack: what it would have received, absorb() takes.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "broker/lender.h"
#include "tests/unit/broker/ground.h"
#include "tests/unit/tap.h"

static struct lender *lender;

/* ---- in place of a stack ---- */

/* One frame of the tap: its TCP payload, or -1 if there is none. */
static ssize_t tap_read(struct lender *of, uint8_t *payload, size_t size, struct tcphdr *tcp)
{
	static __thread uint8_t frame[70000];
	ssize_t length = recv(lender_tap(of), frame, sizeof(frame), MSG_DONTWAIT);
	const uint8_t *ip = frame + sizeof(struct virtio_net_hdr) + ETHER_HDR_LEN;
	size_t header, whole;

	if (length < 0)
		return -1;
	if (ip[0] >> 4 == 4) {
		header = (ip[0] & 15u) * 4;
		whole = (size_t)(ip[2] << 8 | ip[3]);
	} else {
		header = sizeof(struct ip6_hdr);
		whole = header + (size_t)(ip[4] << 8 | ip[5]);
	}
	memcpy(tcp, ip + header, sizeof(*tcp));
	header += (size_t)tcp->doff * 4;
	whole -= header;
	memcpy(payload, ip + header, whole < size ? whole : size);
	return (ssize_t)whole;
}

/* What has come in order becomes part of the state, a FIN or RST, too. Returns the frames. */
static unsigned absorb(struct connection_state *state)
{
	static __thread uint8_t payload[66000];
	struct tcphdr tcp;
	ssize_t length;
	unsigned frames = 0;

	while ((length = tap_read(lender, payload, sizeof(payload), &tcp)) >= 0) {
		uint32_t skip = state->receive_next - ntohl(tcp.seq);

		frames++;
		if (skip > (uint32_t)length)
			continue;
		state->receive_data =
			realloc(state->receive_data, state->receive_size + (size_t)length + 1);
		memcpy(state->receive_data + state->receive_size, payload + skip,
		       (size_t)length - skip);
		state->receive_size += (size_t)length - skip;
		state->receive_next += (uint32_t)length - skip;
		state->remote_closed |= tcp.fin;
		state->remote_reset |= tcp.rst;
	}
	return frames;
}

/* Its frames have been seen, and it is quiet. */
static bool prepare(struct ends *ends, struct loan *loan)
{
	memset(loan, 0, sizeof(*loan));
	return ground_says(ends->peer, ends->own, "one") &&
	       lender_watch(lender, ends->own, loan) == REFUSAL_NONE &&
	       ground_says(ends->peer, ends->own, "two") &&
	       ground_says(ends->own, ends->peer, "three") && ground_settles(ends->own) &&
	       ground_settles(ends->peer);
}

static bool waits_for(int descriptor, short events)
{
	struct pollfd ready = { .fd = descriptor, .events = events };

	return poll(&ready, 1, 5000) == 1;
}

/* ---- the life of a loan ---- */

static void lend(const char *how, bool own_accepts)
{
	const struct loan none = { 0 };
	struct connection_state state;
	struct loan loan = none;
	struct ends ends;
	unsigned long resets = ground_count("OutRsts");

	if (!tap_ok(ground_connect(how, own_accepts, &ends), "%s: a connection", how))
		return;
	tap_ok(lender_borrow(lender, ends.own, &loan, &state) == REFUSAL_UNSEEN,
	       "not watched: refused");
	tap_ok(lender_watch(lender, ends.own, &loan) == REFUSAL_NONE && loan.path.mtu == 1500 &&
		       loan.path.interface && memcmp(loan.path.source, none.path.source, 6) &&
		       memcmp(loan.path.destination, none.path.source, 6),
	       "watched, its path is known");
	tap_ok(lender_borrow(lender, ends.own, &loan, &state) == REFUSAL_UNSEEN,
	       "nothing seen: refused");
	tap_ok(prepare(&ends, &loan), "watched again, and both ends talk");
	tap_ok(absorb(&state) == 0, "the tap shows nothing of it");
	tap_ok(lender_borrow(lender, ends.own, &loan, &state) == REFUSAL_NONE, "borrowed when %s",
	       own_accepts ? "accepted" : "connected");
	tap_ok(state.path.interface == loan.path.interface, "the state says the path");
	send(ends.peer, "meanwhile", 9, 0);
	tap_ok(waits_for(lender_tap(lender), POLLIN) && absorb(&state) == 1 &&
		       state.receive_size == 9,
	       "the tap shows what comes");
	tap_ok(lender_hold(lender, &loan) == 0 && absorb(&state) == 0, "held");
	send(ends.peer, "and later", 9, 0);
	usleep(10000);
	tap_ok(absorb(&state) == 0, "the tap is quiet");
	tap_ok(lender_give(lender, ends.own, &loan, &state) == 0, "given back");
	connection_state_clear(&state);
	{
		char got[32] = "";

		tap_ok(recv(ends.own, got, sizeof(got), MSG_DONTWAIT) == 18 &&
			       !strcmp(got, "meanwhileand later"),
		       "the kernel has what was absorbed, and what came while it was held");
		tap_ok(ground_says(ends.own, ends.peer, "after") && ground_settles(ends.peer) &&
			       ground_says(ends.peer, ends.own, "after"),
		       "both ends talk");
	}
	tap_ok(ground_settles(ends.own) &&
		       lender_borrow(lender, ends.own, &loan, &state) == REFUSAL_NONE &&
		       lender_give(lender, ends.own, &loan, &state) == 0 &&
		       ground_says(ends.peer, ends.own, "x"),
	       "and borrowed and given back again at once");
	connection_state_clear(&state);
	lender_unwatch(lender, &loan);
	lender_unwatch(lender, &loan);
	tap_ok(loan.state == LOAN_NONE && ground_says(ends.peer, ends.own, "y"), "unwatched");
	tap_ok(ground_count("OutRsts") == resets, "no RST was sent");
	ground_close(&ends);
}

/* ---- what the kernel is told ---- */

static void tell_end(const char *how, bool is_reset)
{
	struct linger at_once = { .l_onoff = 1 };
	struct connection_state state;
	struct loan loan;
	struct ends ends;
	char byte;
	ssize_t got;

	if (!ground_connect(how, true, &ends) || !prepare(&ends, &loan) ||
	    lender_borrow(lender, ends.own, &loan, &state)) {
		tap_ok(false, "%s: borrowed", how);
		return;
	}
	send(ends.peer, "z", 1, 0);
	waits_for(lender_tap(lender), POLLIN);
	absorb(&state);
	if (is_reset)
		setsockopt(ends.peer, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	close(ends.peer);
	ends.peer = -1;
	waits_for(lender_tap(lender), POLLIN);
	absorb(&state);
	tap_ok(state.remote_closed == !is_reset && state.remote_reset == is_reset,
	       "%s: the stack sees the %s", how, is_reset ? "RST" : "FIN");
	tap_ok(lender_give(lender, ends.own, &loan, &state) == 0, "given back");
	connection_state_clear(&state);
	got = recv(ends.own, &byte, 1, MSG_DONTWAIT);
	/* A RST does not take away what was received before. */
	tap_ok(got == 1 && byte == 'z', "what came before is there");
	got = recv(ends.own, &byte, 1, MSG_DONTWAIT);
	if (is_reset)
		tap_ok(got < 0 && errno == ECONNRESET, "then ECONNRESET, at once");
	else
		tap_ok(got == 0, "then the end, at once");
	lender_unwatch(lender, &loan);
	ground_close(&ends);
}

int main(void)
{
	enum refusal refusal;

	if (!ground_make()) {
		printf("1..0 # SKIP needs the right to make a network namespace\n");
		return 0;
	}
	refusal = lender_open(&lender);
	if (refusal == REFUSAL_KERNEL) {
		printf("1..0 # SKIP %s\n", refusal_text(refusal));
		return 0;
	}
	if (!tap_ok(refusal == REFUSAL_NONE, "a lender: %s", refusal_text(refusal)))
		return tap_done();
	lend("IPv4", true);
	lend("IPv4", false);
	lend("IPv6", true);
	lend("IPv6", false);
	lend("mapped", true);
	lend("mapped", false);
	tell_end("IPv4", false);
	tell_end("IPv4", true);
	tell_end("IPv6", false);
	tell_end("IPv6", true);
	lender_close(lender);
	return tap_done();
}
