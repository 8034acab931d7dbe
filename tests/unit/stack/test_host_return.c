/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * When an instance that borrows connections from the kernel wants one to be given back, and what of
 * a connection's end it leaves to the kernel. What it carries: test_host.c.
 */
#include "tests/unit/stack/tap_instance.h"

#define KEEPIDLE  4
#define KEEPINTVL 5
#define KEEPCNT	  6

/* ---- the peer's end ---- */

static void leaves_fin(void)
{
	struct test_socket socket;
	struct connection_state state = borrow(&socket), back;

	say_flags(FIN | ACK, peer.seq, "");
	tap_ok(is_asked_for(&socket, STACK_RETURN_CLOSED), "a FIN: to be given back");
	tap_ok(!(ready(&socket) & (EPOLLIN | EPOLLRDHUP | EPOLLHUP)), "which nobody else is told");
	say_flags(FIN | ACK, peer.seq, "");
	pass_ms(1000);
	tap_ok(is_silent() && take_events(&socket) == 0,
	       "it is not acknowledged, and said only once");
	back = give(&socket);
	tap_ok(back.remote_closed && !back.remote_reset && back.receive_next == state.receive_next,
	       "its number is the next");
}

static void leaves_fin_with_data(void)
{
	struct test_socket socket;
	struct connection_state state = borrow(&socket), back;
	uint32_t events;

	say_flags(FIN | ACK, peer.seq, "last words");
	events = take_events(&socket);
	tap_ok((events & EPOLLIN) && (events & STACK_EVENT_RETURN) &&
		       reason_of(&socket) == STACK_RETURN_CLOSED,
	       "a FIN with data: both are said");
	pass_ms(100);
	tap_ok(wire_get_segment(&seen) && seen.ack == peer.seq + 10 && seen.size == 0 &&
		       !(seen.flags & FIN) && is_silent(),
	       "the data alone is acknowledged");
	tap_ok(reads(&socket, "last words"), "and read");
	put(&socket, "answer", 6, 0);
	tap_ok(wire_get_segment(&seen) && seen.size == 6 && seen.ack == peer.seq + 10,
	       "what is written meanwhile is sent");
	back = give(&socket);
	tap_ok(back.remote_closed && back.receive_next == state.receive_next + 10, "closed");
}

static void leaves_fin_behind_a_gap(void)
{
	struct test_socket socket;
	struct connection_state back;

	borrow(&socket);
	say_flags(FIN | ACK, peer.seq + 5, "behind");
	tap_ok(reason_of(&socket) == STACK_RETURN_NONE, "a FIN behind a gap: not yet");
	say_flags(ACK, peer.seq, "first");
	tap_ok(is_asked_for(&socket, STACK_RETURN_CLOSED), "when the gap is filled it is");
	tap_ok(reads(&socket, "firstbehind"), "and all data is there");
	back = give(&socket);
	tap_ok(back.remote_closed && back.receive_next == peer.seq + 11, "closed");

	borrow(&socket);
	say_flags(FIN | ACK, peer.seq + 5, "");
	say_flags(ACK, peer.seq, "first");
	tap_ok(is_asked_for(&socket, STACK_RETURN_CLOSED), "a bare one, too");
	give(&socket);

	borrow(&socket);
	say_flags(FIN | ACK, peer.seq + 5, "behind");
	back = give(&socket);
	tap_ok(!back.remote_closed && back.receive_next == peer.seq,
	       "with the gap: the peer says all of it again");
}

static void leaves_no_false_fin(void)
{
	struct test_socket socket;

	borrow(&socket);
	say_flags(FIN | ACK, peer.seq + 0x1000000, "");
	say_flags(FIN | ACK, peer.seq - 1, "");
	say_flags(FIN, peer.seq, "");
	peer.ack += 1000;
	say_flags(FIN | ACK, peer.seq, "");
	peer.ack -= 1000;
	tap_ok(reason_of(&socket) == STACK_RETURN_NONE,
	       "a FIN outside of the window, or with a wrong acknowledgement, is none");
	tell("alive");
	tap_ok(reads(&socket, "alive"), "it goes on");
	give(&socket);
}

static void leaves_reset(void)
{
	struct test_socket socket;
	struct connection_state back;

	borrow(&socket);
	tell("unread");
	pass_ms(100);
	wire_clear();
	say_flags(RST, peer.seq + 0x1000000, "");
	tap_ok(reason_of(&socket) == STACK_RETURN_NONE && is_silent(),
	       "an RST outside of the window: nothing");
	say_flags(RST, peer.seq + 10, "");
	tap_ok(reason_of(&socket) == STACK_RETURN_NONE && wire_get_segment(&seen) &&
		       seen.flags == ACK && seen.ack == peer.seq,
	       "within, but not the next: challenged");
	say_flags(RST | ACK, peer.seq, "");
	tap_ok(is_asked_for(&socket, STACK_RETURN_RESET) && is_silent(), "the next: given back");
	tap_ok(!(ready(&socket) & (EPOLLERR | EPOLLHUP)), "which nobody else is told");
	say_flags(FIN | ACK, peer.seq, "");
	tap_ok(reason_of(&socket) == STACK_RETURN_RESET, "the more pressing reason stays");
	tap_ok(reads(&socket, "unread"), "what has come is read");
	back = give(&socket);
	tap_ok(back.remote_reset, "reset");
}

/* ---- why else it should go back ---- */

static void notes_losses(void)
{
	static char data[8 * SEGMENT];
	struct test_socket socket;
	struct stack_losses losses;
	struct connection_state state;
	unsigned ends = 0;

	borrow(&socket);
	put(&socket, data, sizeof(data), 0);
	tap_ok(take_events(&socket) == 0 || reason_of(&socket) == STACK_RETURN_NONE,
	       "nothing is lost yet");
	pass_ms(1500);
	ops->losses(socket.handle, &losses);
	tap_ok(is_asked_for(&socket, STACK_RETURN_LOSS) && losses.timeouts >= 1 &&
		       losses.retransmitted >= 1,
	       "a timeout: %u, %u segments sent again", losses.timeouts, losses.retransmitted);
	wire_clear();
	for (int i = 0; i < 950; i++) {
		advance_clock(1000000000ull);
		ops->poll(stack);
	}
	tap_ok(is_asked_for(&socket, STACK_RETURN_TIMEOUT), "a quarter of an hour: given up");
	pass_ms(1000);
	tap_ok(!(ready(&socket) & (EPOLLERR | EPOLLHUP)), "but not ended");
	while (wire_get_segment(&seen))
		ends += (seen.flags & (RST | FIN)) != 0;
	tap_ok(ends == 0, "nor was the peer told");
	tap_ok(ops->give(socket.handle, &state) == 0 && state.send_size == sizeof(data),
	       "all goes back");
	connection_state_clear(&state);
	ops->release(socket.handle);
}

static void put_sack(uint32_t acknowledged, uint32_t left, uint32_t right)
{
	uint8_t options[24] = { 1, 1, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 5, 10 };
	struct segment segment = { .from = peer.port,
				   .to = PORT,
				   .seq = peer.seq,
				   .ack = acknowledged,
				   .flags = ACK,
				   .window = 1000,
				   .options = options,
				   .option_size = sizeof(options) };

	peers_clock++;
	for (int i = 0; i < 4; i++) {
		options[4 + i] = (uint8_t)(peers_clock >> (24 - 8 * i));
		options[16 + i] = (uint8_t)(left >> (24 - 8 * i));
		options[20 + i] = (uint8_t)(right >> (24 - 8 * i));
	}
	wire_put_segment(&segment);
	ops->poll(stack);
}

static void notes_recovery(void)
{
	static char data[8 * SEGMENT];
	struct test_socket socket;
	struct stack_losses losses;

	borrow(&socket);
	put(&socket, data, sizeof(data), 0);
	wire_clear();
	take_events(&socket);
	for (uint32_t i = 2; i < 8; i++)
		put_sack(peer.ack, peer.ack + SEGMENT, peer.ack + i * SEGMENT);
	pass_ms(20);
	ops->losses(socket.handle, &losses);
	tap_ok(is_asked_for(&socket, STACK_RETURN_LOSS) && losses.recoveries == 1 &&
		       losses.timeouts == 0,
	       "acknowledgements show a loss");
	put_sack(peer.ack + sizeof(data), 0, 0);
	tell("goes on");
	tap_ok(reads(&socket, "goes on"), "preload may leave it here");
	say_stamped(peer.seq + 2000, "later", 5, ++peers_clock);
	ops->losses(socket.handle, &losses);
	tap_ok(losses.out_of_order == 1, "what came too early is counted");
	give(&socket);
}

/* At most once a second. */
static unsigned times_asked_for(struct test_socket *socket, enum stack_return why, int seconds)
{
	unsigned times = 0;

	take_events(socket);
	for (int i = 0; i < seconds * 50; i++) {
		pass_ms(20);
		times += is_asked_for(socket, why);
	}
	tap_ok(times <= (unsigned)seconds + 1, "said %u times in %d s", times, seconds);
	return times;
}

static void leaves_keepalive(void)
{
	struct test_socket socket;

	borrow(&socket);
	set(&socket, SOL_SOCKET, SO_KEEPALIVE, 1);
	set(&socket, IPPROTO_TCP, KEEPIDLE, 10);
	set(&socket, IPPROTO_TCP, KEEPINTVL, 5);
	set(&socket, IPPROTO_TCP, KEEPCNT, 2);
	tell("before");
	take_events(&socket);
	pass_ms(9000);
	tap_ok(reason_of(&socket) == STACK_RETURN_NONE, "keepalive: not yet");
	pass_ms(2000);
	tap_ok(is_asked_for(&socket, STACK_RETURN_IDLE), "then it is the kernel's");
	tap_ok(times_asked_for(&socket, STACK_RETURN_IDLE, 10) >= 9, "as long as it is idle");
	pass_ms(100000);
	tap_ok(!(ready(&socket) & (EPOLLERR | EPOLLHUP)), "and the stack does not end it");
	give(&socket);
}

static bool has_lost_path(struct test_socket *socket)
{
	pass_ms(200);
	return is_asked_for(socket, STACK_RETURN_PATH);
}

static void notes_paths(void)
{
	static const struct {
		const char *what;
		struct link_path_news news;
	} harmless[] = {
		{ "another interface", { .what = LINK_PATH_INTERFACE, .interface = 8 } },
		{ "its own, as it was",
		  { .what = LINK_PATH_INTERFACE, .interface = 7, .is_up = true, .mtu = 1500,
		    .mac = { 2, 0, 0, 0, 0, 10 } } },
		{ "another address", { .what = LINK_PATH_LOCAL, .family = AF_INET,
				       .address = { 198, 18, 0, 11 } } },
		{ "an address of IPv6", { .what = LINK_PATH_LOCAL, .family = AF_INET6,
					  .address = { 198, 18, 0, 10 } } },
		{ "another route", { .what = LINK_PATH_REMOTE, .family = AF_INET, .prefix = 23,
				     .address = { 198, 18, 2, 0 } } },
		{ "another neighbour", { .what = LINK_PATH_NEIGHBOUR, .interface = 7,
					 .mac = { 2, 0, 0, 0, 0, 3 } } },
		{ "a neighbour elsewhere", { .what = LINK_PATH_NEIGHBOUR, .interface = 8,
					     .mac = { 2, 0, 0, 0, 0, 2 } } },
	}, harmful[] = {
		{ "its interface is down", { .what = LINK_PATH_INTERFACE, .interface = 7 } },
		{ "a smaller MTU",
		  { .what = LINK_PATH_INTERFACE, .interface = 7, .is_up = true, .mtu = 1400,
		    .mac = { 2, 0, 0, 0, 0, 10 } } },
		{ "another MAC address",
		  { .what = LINK_PATH_INTERFACE, .interface = 7, .is_up = true, .mtu = 1500,
		    .mac = { 2, 0, 0, 0, 0, 9 } } },
		{ "its address is gone", { .what = LINK_PATH_LOCAL, .family = AF_INET,
					   .address = { 198, 18, 0, 10 } } },
		{ "its route", { .what = LINK_PATH_REMOTE, .family = AF_INET, .prefix = 23,
				 .address = { 198, 18, 0, 0 } } },
		{ "the default route", { .what = LINK_PATH_REMOTE, .family = AF_INET } },
		{ "its neighbour", { .what = LINK_PATH_NEIGHBOUR, .interface = 7,
				     .mac = { 2, 0, 0, 0, 0, 2 } } },
		{ "anything", { .what = LINK_PATH_ANY } },
	};
	const uint32_t before = ops->path_changes(stack);
	struct test_socket socket;

	borrow(&socket);
	for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++) {
		memory_link_change_path(&harmless[i].news);
		tap_ok(!has_lost_path(&socket), "%s: stays", harmless[i].what);
	}
	give(&socket);
	for (size_t i = 0; i < sizeof(harmful) / sizeof(harmful[0]); i++) {
		borrow(&socket);
		memory_link_change_path(&harmful[i].news);
		tap_ok(has_lost_path(&socket), "%s: goes back", harmful[i].what);
		give(&socket);
	}
	tap_ok(ops->path_changes(stack) - before ==
		       (sizeof(harmless) + sizeof(harmful)) / sizeof(harmful[0]),
	       "who is about to borrow one hears of all of them");
}

/* Without any way the kernel could not have it back, and nothing may be sent. */
static void waits_for_a_way(void)
{
	struct link_path_news news = { .what = LINK_PATH_INTERFACE, .interface = 7 };
	struct test_socket socket;
	struct connection_state state;

	borrow(&socket);
	memory_link.has_no_way = true;
	memory_link_change_path(&news);
	tap_ok(!has_lost_path(&socket) && reason_of(&socket) == STACK_RETURN_NONE,
	       "its interface is down, and there is no other way: stays");
	put(&socket, "unheard", 7, 0);
	pass_ms(3000);
	tap_ok(is_silent(), "and says nothing");
	news = (struct link_path_news){ .what = LINK_PATH_LOCAL, .family = AF_INET, .is_up = true };
	memory_link_change_path(&news);
	tap_ok(!has_lost_path(&socket), "there is an address, but still no way");
	memory_link.has_no_way = false;
	memory_link_change_path(&news);
	tap_ok(has_lost_path(&socket), "there is one again: goes back");
	tap_ok(ops->give(socket.handle, &state) == 0 && state.send_size == 7,
	       "with what could not be sent");
	connection_state_clear(&state);
	ops->release(socket.handle);
}

static void tests(void)
{
	open_tap();
	leaves_fin();
	leaves_fin_with_data();
	leaves_fin_behind_a_gap();
	leaves_no_false_fin();
	leaves_reset();
	notes_losses();
	notes_recovery();
	leaves_keepalive();
	notes_paths();
	waits_for_a_way();
	tap_ok(complaints == 0, "lwIP never complained");
}

int main(void)
{
	return run_at_each_start(tests);
}
