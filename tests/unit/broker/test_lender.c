/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lending connections (broker/lender.h) between two network namespaces: what the tap shows, what
 * the kernel gets, what it is told when a connection comes back, what stays in the kernel and why,
 * and that nothing is left behind.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "broker/lender.h"
#include "common/system_call.h"
#include "tests/unit/broker/ground.h"
#include "tests/unit/broker/stand_in.h"
#include "tests/unit/tap.h"

static struct lender *lender;

static unsigned absorb(struct connection_state *state)
{
	return stand_in_receive(lender_tap(lender), state);
}

static bool waits_for(int descriptor, short events)
{
	struct pollfd ready = { .fd = descriptor, .events = events };

	return poll(&ready, 1, 30000) == 1;
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
	tap_ok(ground_prepare(lender, &ends, &loan), "watched again, and both ends talk");
	tap_ok(absorb(&state) == 0, "the tap shows nothing of it");
	tap_ok(lender_borrow(lender, ends.own, &loan, &state) == REFUSAL_NONE, "borrowed when %s",
	       own_accepts ? "accepted" : "connected");
	tap_ok(state.path.interface == loan.path.interface, "the state says the path");
	send(ends.peer, "meanwhile", 9, 0);
	/* More than once, if it is looked for so late that the peer has sent it again. */
	tap_ok(waits_for(lender_tap(lender), POLLIN) && absorb(&state) >= 1 &&
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

		for (int i = 0, size = 0; i < 30000 && size < 18; i++) {
			ioctl(ends.own, FIONREAD, &size);
			usleep(1000);
		}
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

/* Until the end has come: what came before it may come once more, since nobody acknowledges it. */
static void absorb_end(struct connection_state *state)
{
	while (!state->remote_closed && !state->remote_reset &&
	       waits_for(lender_tap(lender), POLLIN))
		absorb(state);
}

static void tell_end(const char *how, bool is_reset)
{
	struct linger at_once = { .l_onoff = 1 };
	struct connection_state state;
	struct loan loan;
	struct ends ends;
	char byte;
	ssize_t got;

	if (!ground_connect(how, true, &ends) || !ground_prepare(lender, &ends, &loan) ||
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
	absorb_end(&state);
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

/* The peer's end comes while the connection is held: neither the stack nor the kernel has it. */
static void keep_end(const char *how)
{
	struct connection_state state;
	struct loan loan;
	struct ends ends;
	char byte;

	if (!ground_connect(how, true, &ends) || !ground_prepare(lender, &ends, &loan) ||
	    lender_borrow(lender, ends.own, &loan, &state)) {
		tap_ok(false, "%s: borrowed", how);
		return;
	}
	lender_hold(lender, &loan);
	shutdown(ends.peer, SHUT_WR);
	usleep(50000); /* less than the peer needs to send it again */
	tap_ok(absorb(&state) == 0 && lender_give(lender, ends.own, &loan, &state) == 0 &&
		       recv(ends.own, &byte, 1, MSG_DONTWAIT) == 0,
	       "%s: a FIN that came while it was held is the kernel's at once", how);
	connection_state_clear(&state);
	lender_unwatch(lender, &loan);
	ground_close(&ends);
}

/* ---- what stays in the kernel ---- */

/* There and back, after which the kernel's socket keeps its port when it is dissolved. */
static bool is_lent_once(struct ends *ends)
{
	struct connection_state state;
	struct loan loan;
	bool is_back;

	if (!ground_prepare(lender, ends, &loan) || lender_borrow(lender, ends->own, &loan, &state))
		return false;
	is_back = lender_give(lender, ends->own, &loan, &state) == 0;
	connection_state_clear(&state);
	lender_unwatch(lender, &loan);
	return is_back;
}

/* While a connection is borrowed its path may go, as it may under one of the kernel's. */
static void give_once_without(const char *how, const char *what, const char *gone,
			      const char *again, bool was_lent)
{
	struct connection_state state;
	struct ends ends;
	struct loan loan;

	ground_connect(how, true, &ends);
	tap_ok((!was_lent || is_lent_once(&ends)) && ground_prepare(lender, &ends, &loan) &&
		       lender_borrow(lender, ends.own, &loan, &state) == REFUSAL_NONE,
	       "%s: borrowed", how);
	ground_run(gone);
	tap_ok(lender_give(lender, ends.own, &loan, &state) == 0, "%s: given back without %s", how,
	       what);
	connection_state_clear(&state);
	ground_run(again);
	tap_ok(ground_says(ends.own, ends.peer, "x") && ground_says(ends.peer, ends.own, "y"),
	       "and alive when it is there again");
	lender_unwatch(lender, &loan);
	ground_close(&ends);
}

static void give_without(const char *how, const char *what, const char *gone, const char *again)
{
	give_once_without(how, what, gone, again, false);
	give_once_without(how, what, gone, again, true);
}

/* One that only tells connect() an error. */
static void give_on_route(const char *kind)
{
	char add[80], del[80];

	snprintf(add, sizeof(add), "ip route add %s " GROUND_PEER4, kind);
	snprintf(del, sizeof(del), "ip route del %s " GROUND_PEER4, kind);
	give_without("IPv4", kind, add, del);
	snprintf(add, sizeof(add), "ip route add %s " GROUND_PEER6, kind);
	snprintf(del, sizeof(del), "ip route del %s " GROUND_PEER6, kind);
	give_without("IPv6", kind, add, del);
}

static void lose_path(void)
{
	/* The addresses of IPv6 go with it. */
	static const char up[] = "ip link set own up; ip addr add " GROUND_OWN6 "/64 dev own nodad";

	give_without("IPv4", "its interface", "ip link set own down", up);
	give_without("IPv6", "its interface", "ip link set own down", up);
	give_without("IPv4", "its route", "ip route del 198.18.7.0/24",
		     "ip route add 198.18.7.0/24 dev own src " GROUND_OWN4);
	give_without("IPv6", "its route", "ip route del fd00:7::/64 dev own",
		     "ip route add fd00:7::/64 dev own");
	give_without("IPv4", "its address", "ip addr del " GROUND_OWN4 "/24 dev own",
		     "ip addr add " GROUND_OWN4 "/24 dev own");
	give_without("mapped", "its address", "ip addr del " GROUND_OWN4 "/24 dev own",
		     "ip addr add " GROUND_OWN4 "/24 dev own");
	give_without("IPv6", "its address", "ip addr del " GROUND_OWN6 "/64 dev own",
		     "ip addr add " GROUND_OWN6 "/64 dev own nodad");
	give_on_route("unreachable");
	give_on_route("blackhole");
	give_on_route("prohibit");
}

/* Stacks do not know of scopes. */
static void give_link_local(void)
{
	struct connection_state state;
	struct ends ends;
	struct loan loan;

	ground_run("ip addr add fe80::7:1/64 dev own nodad");
	ground_run_there("ip addr add fe80::7:2/64 dev peer nodad");
	if (!tap_ok(ground_connect("link-local", true, &ends) &&
			    ground_prepare(lender, &ends, &loan) &&
			    lender_borrow(lender, ends.own, &loan, &state) == REFUSAL_NONE,
		    "link-local: borrowed"))
		return;
	((struct sockaddr_in6 *)&state.local)->sin6_scope_id = 0;
	((struct sockaddr_in6 *)&state.remote)->sin6_scope_id = 0;
	tap_ok(lender_give(lender, ends.own, &loan, &state) == 0 &&
		       ground_says(ends.peer, ends.own, "x"),
	       "given back");
	connection_state_clear(&state);
	lender_unwatch(lender, &loan);
	ground_close(&ends);
}

static bool refuses_watch(int descriptor, enum refusal why)
{
	struct loan loan = { 0 };

	return lender_watch(lender, descriptor, &loan) == why && loan.state == LOAN_NONE;
}

static bool refuses_borrow(struct ends *ends, struct loan *loan, enum refusal why)
{
	struct connection_state state;

	return lender_borrow(lender, ends->own, loan, &state) == why &&
	       loan->state == LOAN_WATCHED && !state.receive_data &&
	       ground_says(ends->peer, ends->own, "lives");
}

/* The peer's carrier goes and comes; the kernel tells of it, and asks who it is, a moment later. */
static void refuse_without_carrier(void)
{
	enum refusal refusal = REFUSAL_NONE;
	struct loan loan = { 0 };
	struct ends ends;

	ground_connect("IPv4", true, &ends);
	ground_run_there("ip link set peer down");
	for (int i = 0; i < 30000 && refusal == REFUSAL_NONE; i++) {
		refusal = lender_watch(lender, ends.own, &loan);
		lender_unwatch(lender, &loan);
		usleep(1000);
	}
	tap_ok(refusal == REFUSAL_UNRESOLVED && refusal_is_passing(refusal),
	       "an interface without a carrier: refused for now");
	ground_run_there("ip link set peer up; ip addr add " GROUND_PEER6 "/64 dev peer nodad");
	for (int i = 0; i < 60 && refusal != REFUSAL_NONE && refusal_is_passing(refusal); i++) {
		ground_says(ends.peer, ends.own, "up");
		refusal = lender_watch(lender, ends.own, &loan);
		usleep(10000);
	}
	tap_ok(refusal == REFUSAL_NONE, "with it, it is watched: %s", refusal_text(refusal));
	lender_unwatch(lender, &loan);
	ground_close(&ends);
}

static void refuse_by_path(void)
{
	struct sockaddr_in name = { .sin_family = AF_INET, .sin_port = htons(7100) };
	struct sockaddr nobody = { .sa_family = AF_UNSPEC };
	int listener = socket(AF_INET, SOCK_STREAM, 0), local = socket(AF_INET, SOCK_STREAM, 0);
	struct ends ends;

	inet_pton(AF_INET, GROUND_OWN4, &name.sin_addr);
	bind(listener, (struct sockaddr *)&name, sizeof(name));
	listen(listener, 1);
	tap_ok(refuses_watch(listener, REFUSAL_STATE), "a listener: refused");
	connect(local, (struct sockaddr *)&name, sizeof(name));
	tap_ok(refuses_watch(local, REFUSAL_LOCAL), "a peer on this host: refused");
	close(local);
	close(listener);
	ground_connect("IPv4", true, &ends);
	tap_ok(refuses_watch(ends.peer, REFUSAL_NAMESPACE), "in another namespace: refused");
	ground_run("ip neigh flush dev own");
	tap_ok(refuses_watch(ends.own, REFUSAL_UNRESOLVED) &&
		       refusal_is_passing(REFUSAL_UNRESOLVED),
	       "the neighbour is not known: refused");
	ground_run("ip xfrm policy add src 10.0.0.0/8 dst 10.0.0.0/8 dir out action block");
	ground_says(ends.own, ends.peer, "x");
	tap_ok(refuses_watch(ends.own, REFUSAL_IPSEC), "an IPsec policy: refused");
	ground_run("ip xfrm policy flush");
	tap_ok(refuses_watch(ends.own, REFUSAL_NONE) == false, "without one it is not");
	connect(ends.own, &nobody, sizeof(nobody));
	tap_ok(refuses_watch(ends.own, REFUSAL_STATE), "not connected: refused");
	ground_close(&ends);
}

static void refuse_by_socket(void)
{
	struct sock_filter all = BPF_STMT(BPF_RET | BPF_K, UINT32_MAX);
	struct sock_fprog program = { .len = 1, .filter = &all };
	struct ends ends;
	struct loan loan;
	int none = 0;

	ground_connect("IPv4", true, &ends);
	ground_prepare(lender, &ends, &loan);
	setsockopt(ends.own, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
	tap_ok(refuses_borrow(&ends, &loan, REFUSAL_FILTER), "a filter: refused");
	setsockopt(ends.own, SOL_SOCKET, SO_DETACH_FILTER, &none, sizeof(none));
	send(ends.own, "held", 4, MSG_MORE);
	tap_ok(refuses_borrow(&ends, &loan, REFUSAL_BUSY), "data not acknowledged: refused");
	tap_ok(ground_says(ends.own, ends.peer, "") && loan.state == LOAN_WATCHED, "and goes on");
	lender_unwatch(lender, &loan);
	ground_close(&ends);
}

/* The peer's socket connects to the listener, at this port. */
static void meet(struct ends *ends, uint16_t port)
{
	struct sockaddr_in name = { .sin_family = AF_INET, .sin_port = htons(port) };

	inet_pton(AF_INET, GROUND_OWN4, &name.sin_addr);
	bind(ends->listener, (struct sockaddr *)&name, sizeof(name));
	listen(ends->listener, 1);
	connect(ends->peer, (struct sockaddr *)&name, sizeof(name));
	ends->own = accept(ends->listener, NULL, NULL);
}

static void refuse_multipath(void)
{
	struct ends ends = { .listener = socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP),
			     .peer = ground_socket_there(AF_INET, SOCK_STREAM, IPPROTO_MPTCP) };
	struct loan loan;

	if (ends.listener < 0 || ends.peer < 0) {
		tap_ok(true, "MPTCP: not in this kernel # SKIP");
		return;
	}
	meet(&ends, 7300);
	tap_ok(ground_prepare(lender, &ends, &loan) && refuses_borrow(&ends, &loan, REFUSAL_ULP),
	       "MPTCP: refused");
	lender_unwatch(lender, &loan);
	ground_close(&ends);
}

/* A way that the kernel has, and the tap has not. */
static void refuse_without_way(const char *how, const char *make, const char *unmake,
			       enum refusal why, const char *what)
{
	struct ends ends;

	if (!ground_run(make)) {
		tap_ok(true, "%s: not in this kernel # SKIP", what);
		return;
	}
	ground_run(unmake);
	ground_connect(how, true, &ends);
	ground_run(make);
	tap_ok(refuses_watch(ends.own, why), "%s: refused", what);
	ground_run(unmake);
	tap_ok(ground_says(ends.own, ends.peer, "back") && !refuses_watch(ends.own, why),
	       "without it not");
	ground_close(&ends);
}

static bool sign(int descriptor, const char *with)
{
	struct tcp_md5sig key = { .tcpm_keylen = 3, .tcpm_key = "key" };
	struct sockaddr_in *name = (struct sockaddr_in *)&key.tcpm_addr;

	name->sin_family = AF_INET;
	inet_pton(AF_INET, with, &name->sin_addr);
	return setsockopt(descriptor, IPPROTO_TCP, TCP_MD5SIG, &key, sizeof(key)) == 0;
}

static void refuse_signed(void)
{
	struct ends ends = { .listener = socket(AF_INET, SOCK_STREAM, 0),
			     .peer = ground_socket_there(AF_INET, SOCK_STREAM, 0) };
	struct loan loan;

	if (!sign(ends.listener, GROUND_PEER4) || !sign(ends.peer, GROUND_OWN4)) {
		tap_ok(true, "signed segments: not in this kernel # SKIP");
		return;
	}
	meet(&ends, 7200);
	tap_ok(ground_prepare(lender, &ends, &loan) && refuses_borrow(&ends, &loan, REFUSAL_SIGNED),
	       "signed segments: refused");
	lender_unwatch(lender, &loan);
	ground_close(&ends);
}

/* The frames bear another port than the socket says. */
static void refuse_translated(void)
{
	struct ends ends;
	struct loan loan = { 0 };

	if (!ground_run("nft -f - <<EOF\n"
			"table ip t {\nchain c {\n"
			"type nat hook prerouting priority -100\n"
			"tcp dport 6999 redirect to :7000\n}\n}\nEOF")) {
		tap_ok(true, "a redirected connection: no nft here # SKIP");
		return;
	}
	ground_connect_to(6999, &ends);
	tap_ok(ground_says(ends.peer, ends.own, "x") &&
		       lender_watch(lender, ends.own, &loan) == REFUSAL_NONE &&
		       ground_says(ends.peer, ends.own, "y") &&
		       ground_says(ends.own, ends.peer, "y") && ground_settles(ends.own) &&
		       refuses_borrow(&ends, &loan, REFUSAL_UNSEEN),
	       "a redirected connection: watched, but never borrowed");
	lender_unwatch(lender, &loan);
	ground_run("nft delete table ip t");
	ground_close(&ends);
}

#define TCX_INGRESS 46 /* linux/bpf.h, enum bpf_attach_type (Linux 6.6) */

/* How many programs of whoever's the interface has at its ingress. */
static unsigned programs_at(const char *interface)
{
	union bpf_attr attributes = { .query = { .target_fd = if_nametoindex(interface),
						 .attach_type = TCX_INGRESS } };

	return syscall(SYS_bpf, BPF_PROG_QUERY, &attributes, sizeof(attributes)) < 0
		       ? ~0u
		       : attributes.query.prog_cnt;
}

/* How many packet sockets of this namespace are shown every frame. */
static unsigned taps_awake(void)
{
	FILE *list = fopen("/proc/thread-self/net/packet", "r");
	char line[256], protocol[16];
	unsigned count = 0;

	while (list && fgets(line, sizeof(line), list))
		count += sscanf(line, "%*s %*s %*s %15s", protocol) == 1 &&
			 strcmp(protocol, "0003") == 0;
	if (list)
		fclose(list);
	return count;
}

/* The other lender, if there is one, is awake meanwhile. */
static void rest(struct lender *other)
{
	const unsigned others = other != NULL;
	struct ends ends;
	struct loan loan;

	ground_connect("IPv4", true, &ends);
	if (!tap_ok(ground_prepare(lender, &ends, &loan) && taps_awake() == 1 + others &&
			    programs_at("own") == 1,
		    "rest: one tap is awake besides %u", others))
		return;
	tap_ok(lender_rest(lender) == -EBUSY && taps_awake() == 1 + others,
	       "what has something to watch does not rest");
	lender_unwatch(lender, &loan);
	tap_ok(lender_rest(lender) == 0 && taps_awake() == others && programs_at("own") == others,
	       "with nothing to watch it costs frames nothing");
	tap_ok(lender_watch(lender, ends.own, &loan) == REFUSAL_RESTING &&
		       loan.state == LOAN_NONE && refusal_is_passing(REFUSAL_RESTING),
	       "it is woken before it watches");
	tap_ok(lender_rest(lender) == 0 && lender_wake(lender) == 0 && lender_wake(lender) == 0 &&
		       taps_awake() == 1 + others && programs_at("own") == 1,
	       "awake, and told so twice");
	ground_close(&ends);
	lend("IPv4", true);
}

static void rest_all(void)
{
	struct lender *other;

	rest(NULL);
	other = ground_lender();
	rest(other);
	tap_ok(lender_rest(lender) == 0 && lender_rest(other) == 0 && programs_at("own") == 0,
	       "both rest: no program is at the interface");
	lender_close(other);
	other = ground_lender();
	tap_ok(programs_at("own") == 1, "a new one is awake");
	lender_close(other);
	tap_ok(programs_at("own") == 0 && lender_wake(lender) == 0 && programs_at("own") == 1,
	       "the first one wakes when all others are gone");
}

/* The interface that the route names, on top of another one. */
static void tell_of_rules(void)
{
	const int rules = lender_open_rules(lender);
	uint8_t byte;

	if (rules < 0 || !ground_run("nft list tables >/dev/null 2>&1")) {
		tap_ok(true, "rules: no nft here # SKIP");
		return;
	}
	tap_ok(recv(rules, &byte, 1, MSG_DONTWAIT) < 0, "rules: nothing yet");
	tap_ok(ground_run("nft add table inet guard") && waits_for(rules, POLLIN),
	       "rules: a change is told");
	ground_run("nft delete table inet guard");
	close(rules);
}

static void lend_over(const char *what, const char *make, const char *unmake)
{
	/* The interface below must not answer for the address that is not its own any more. */
	ground_run("ip addr flush dev own; echo 1 >/proc/sys/net/ipv4/conf/all/arp_ignore");
	if (!ground_run(make)) {
		tap_ok(true, "over a %s: there is none in this kernel # SKIP", what);
	} else {
		ground_run_there("ip neigh flush dev peer");
		printf("# over a %s\n", what);
		lend("IPv4", true);
		tell_end("IPv4", false);
	}
	ground_run(unmake);
	ground_run("ip addr add " GROUND_OWN4 "/24 dev own;"
		   "ip addr add " GROUND_OWN6 "/64 dev own nodad");
	ground_run_there("ip neigh flush dev peer");
}

int main(void)
{
	ground_make();
	lender = ground_lender();
	lend("IPv4", true);
	lend("IPv4", false);
	lend("IPv6", true);
	lend("IPv6", false);
	lend("mapped", true);
	lend("mapped", false);
	rest_all();
	tell_end("IPv4", false);
	tell_end("IPv4", true);
	tell_end("IPv6", false);
	tell_end("IPv6", true);
	keep_end("IPv4");
	keep_end("IPv6");
	give_link_local();
	lose_path();
	refuse_without_carrier();
	refuse_by_path();
	refuse_by_socket();
	refuse_multipath();
	refuse_without_way("IPv4", "ip route add unreachable " GROUND_PEER4 "/32",
			   "ip route del unreachable " GROUND_PEER4 "/32", REFUSAL_ROUTE,
			   "a route to nowhere");
	refuse_without_way("IPv6",
			   "ip route add " GROUND_PEER6 "/128 encap seg6 mode encap segs fd00:8::1 "
			   "dev own",
			   "ip route del " GROUND_PEER6 "/128", REFUSAL_ROUTE, "a tunnel's route");
	refuse_without_way("IPv4", "ip link set own arp off", "ip link set own arp on",
			   REFUSAL_INTERFACE, "an interface without neighbours");
	refuse_without_way("IPv4", "ip link set own mtu 65522", "ip link set own mtu 1500",
			   REFUSAL_INTERFACE, "an interface of frames above 65535 bytes");
	refuse_signed();
	refuse_translated();
	tell_of_rules();
	lend_over("bridge",
		  "ip link add name bridge0 type bridge && ip link set own master bridge0 && "
		  "ip addr add " GROUND_OWN4 "/24 dev bridge0 && ip link set bridge0 up",
		  "ip link del bridge0");
	lend_over("macvlan",
		  "ip link add link own name macvlan0 type macvlan mode bridge && "
		  "ip addr add " GROUND_OWN4 "/24 dev macvlan0 && ip link set macvlan0 up",
		  "ip link del macvlan0");
	lend_over("VLAN",
		  "ip link add link own name vlan7 type vlan id 7 2>/dev/null && "
		  "ip addr add " GROUND_OWN4 "/24 dev vlan7 && ip link set vlan7 up",
		  "ip link del vlan7 2>/dev/null");
	lender_close(lender);
	return tap_done();
}
