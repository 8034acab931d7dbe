/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Socket semantics within the process (device "loop"), in virtual time: states, readiness bits and
 * errors as Linux's tcp_poll(), tcp_recvmsg(), tcp_sendmsg() and connect() give them.
 */
#include <linux/tcp.h>

#include "tests/unit/stack/common.h"

#define IN  (EPOLLIN | EPOLLRDNORM)
#define OUT (EPOLLOUT | EPOLLWRNORM)

static void test_fresh(void)
{
	struct test_socket one;
	char byte;

	create(&one, AF_INET);
	tap_ok(ready(&one) == (OUT | EPOLLHUP), "a fresh socket is OUT|HUP");
	tap_ok(get(&one, &byte, 1, 0) == -ENOTCONN, "reading from it is ENOTCONN");
	tap_ok(put(&one, "x", 1, 0) == -EPIPE, "writing to it is EPIPE");
	tap_ok(ops->shutdown(one.handle, SHUT_WR) == -ENOTCONN, "shutdown is ENOTCONN");
	drop(&one);
}

static void test_connect(void)
{
	struct test_socket listener, client, server;
	struct sockaddr_storage name;
	struct sockaddr_in *in = (struct sockaddr_in *)&name;
	char buffer[16] = "";

	create(&listener, AF_INET);
	tap_ok(ops->listen(listener.handle, address4("0.0.0.0", 80), 5) == 0, "listen");
	tap_ok(ready(&listener) == 0, "a listener without connections is not ready");
	tap_ok(ops->accept(listener.handle, &server.handle, &name) == -EAGAIN, "accept is EAGAIN");
	tap_ok(option(&listener, SOL_SOCKET, SO_ACCEPTCONN) == 1, "SO_ACCEPTCONN");
	create(&client, AF_INET);
	tap_ok(ops->connect(client.handle, NULL, address4("127.0.0.1", 80)) == -EINPROGRESS,
	       "connect is EINPROGRESS");
	tap_ok(ready(&client) == OUT, "the connected client is OUT");
	tap_ok((take_events(&client) & OUT) == OUT, "and its event said so");
	tap_ok(take_events(&listener) == IN && ready(&listener) == IN, "the listener is IN");
	tap_ok(ops->connect(client.handle, NULL, address4("127.0.0.1", 80)) == 0,
	       "connect is 0 once");
	tap_ok(ops->connect(client.handle, NULL, address4("127.0.0.1", 80)) == -EISCONN,
	       "and EISCONN then");
	tap_ok(ops->accept(listener.handle, &server.handle, &name) == 0, "accept");
	tap_ok(in->sin_addr.s_addr == htonl(INADDR_LOOPBACK) && ntohs(in->sin_port) >= 32768,
	       "with the peer's name");
	server.events = 0;
	ops->set_user(server.handle, &server);
	tap_ok(ready(&listener) == 0, "the listener is not ready any more");
	tap_ok(ops->name(server.handle, false, &name) == 0 && in->sin_port == htons(80),
	       "the local name");
	tap_ok(ops->name(client.handle, true, &name) == 0 && in->sin_port == htons(80),
	       "the peer's name");
	tap_ok(put(&client, "hello", 5, 0) == 5, "send");
	tap_ok(take_events(&server) == IN && ready(&server) == (IN | OUT),
	       "the other end is IN|OUT");
	tap_ok(ops->readable(server.handle) == 5, "five bytes are readable");
	tap_ok(get(&server, buffer, 2, MSG_PEEK) == 2 && !memcmp(buffer, "he", 2), "MSG_PEEK");
	tap_ok(get(&server, buffer, sizeof(buffer), 0) == 5 && !memcmp(buffer, "hello", 5),
	       "receive");
	tap_ok(get(&server, buffer, sizeof(buffer), 0) == -EAGAIN, "then EAGAIN");
	tap_ok(ready(&server) == OUT, "and OUT alone");
	drop(&client);
	tap_ok(take_events(&server) == (IN | EPOLLRDHUP) &&
		       ready(&server) == (IN | OUT | EPOLLRDHUP),
	       "the peer's FIN is IN|RDHUP");
	tap_ok(get(&server, buffer, sizeof(buffer), 0) == 0, "and end of stream");
	tap_ok(put(&server, "x", 1, 0) == 1, "writing to the closed peer succeeds once");
	tap_ok(ready(&server) == (IN | OUT | EPOLLRDHUP | EPOLLHUP | EPOLLERR), "its RST shows");
	tap_ok(put(&server, "x", 1, 0) == -EPIPE, "the next is EPIPE");
	drop(&server);
	drop(&listener);
}

static void test_refused(void)
{
	struct test_socket client;
	char byte;

	create(&client, AF_INET);
	tap_ok(ops->route(stack, address4("127.0.0.1", 81), NULL) == -ECONNREFUSED,
	       "route: no listener");
	tap_ok(ops->connect(client.handle, NULL, address4("127.0.0.1", 81)) == -EINPROGRESS,
	       "connect to nobody");
	tap_ok(ready(&client) == (IN | OUT | EPOLLRDHUP | EPOLLHUP | EPOLLERR), "RST: all bits");
	tap_ok(option(&client, SOL_SOCKET, SO_ERROR) == ECONNREFUSED, "SO_ERROR is ECONNREFUSED");
	tap_ok(option(&client, SOL_SOCKET, SO_ERROR) == 0, "once");
	tap_ok(get(&client, &byte, 1, 0) == 0, "reading then is end of stream");
	tap_ok(ops->connect(client.handle, NULL, address4("127.0.0.1", 81)) == -ECONNABORTED,
	       "connect again: ECONNABORTED, as the error is gone");
	tap_ok(ops->connect(client.handle, NULL, address4("127.0.0.1", 81)) == -EINPROGRESS,
	       "and then a new attempt");
	tap_ok(ops->connect(client.handle, NULL, address4("127.0.0.1", 81)) == -ECONNREFUSED,
	       "connect tells the error itself");
	drop(&client);
}

static void test_half_close(void)
{
	struct test_socket listener, client, server;
	char buffer[16];

	make_pair(&listener, &client, &server, 82);
	tap_ok(ops->shutdown(client.handle, SHUT_WR) == 0, "shutdown(WR)");
	tap_ok(put(&client, "x", 1, 0) == -EPIPE, "writing is EPIPE");
	tap_ok(ready(&client) == OUT, "the closer is OUT");
	tap_ok(ready(&server) == (IN | OUT | EPOLLRDHUP), "the peer IN|OUT|RDHUP");
	tap_ok(put(&server, "later", 5, 0) == 5 && get(&client, buffer, 16, 0) == 5,
	       "data flows the other way");
	tap_ok(ops->shutdown(server.handle, SHUT_WR) == 0, "the peer's shutdown(WR)");
	tap_ok(ready(&client) == (IN | OUT | EPOLLRDHUP | EPOLLHUP), "both ways shut: HUP");
	tap_ok(ready(&server) == (IN | OUT | EPOLLRDHUP | EPOLLHUP), "there too");
	tap_ok(get(&client, buffer, 16, 0) == 0 && get(&server, buffer, 16, 0) == 0,
	       "end of stream on both ends");
	tap_ok(option(&client, SOL_SOCKET, SO_ERROR) == 0, "no error");
	drop(&client);
	drop(&server);
	drop(&listener);
}

static void test_shutdown_read(void)
{
	struct test_socket listener, client, server;
	char buffer[16];

	make_pair(&listener, &client, &server, 83);
	ops->shutdown(server.handle, SHUT_RD);
	tap_ok(ready(&server) == (IN | OUT | EPOLLRDHUP), "shutdown(RD): IN|OUT|RDHUP");
	tap_ok(get(&server, buffer, 16, 0) == 0, "reading is end of stream");
	tap_ok(put(&client, "abc", 3, 0) == 3 && ops->unsent(client.handle) <= 3,
	       "the peer may send");
	tap_ok(get(&server, buffer, 16, 0) == 3, "and it is read, as in Linux");
	drop(&server);
	drop(&client);
	drop(&listener);
}

static void test_reset(void)
{
	struct linger linger = { .l_onoff = 1 };
	struct test_socket listener, client, server;
	char buffer[16];

	make_pair(&listener, &client, &server, 84);
	put(&server, "unread", 6, 0);
	drop(&client); /* with unread data */
	tap_ok(ready(&server) == (IN | OUT | EPOLLRDHUP | EPOLLHUP | EPOLLERR),
	       "close with unread data resets");
	tap_ok(get(&server, buffer, 16, 0) == -ECONNRESET, "ECONNRESET");
	tap_ok(get(&server, buffer, 16, 0) == 0, "then end of stream");
	tap_ok(put(&server, "x", 1, 0) == -EPIPE, "and EPIPE");
	drop(&server);
	drop(&listener);

	make_pair(&listener, &client, &server, 84);
	put(&client, "data", 4, 0);
	ops->set_option(client.handle, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	drop(&client);
	tap_ok(get(&server, buffer, 16, 0) == 4, "linger zero: what came before is read");
	tap_ok(put(&server, "x", 1, 0) == -ECONNRESET, "then the reset, on write too");
	tap_ok(put(&server, "x", 1, 0) == -EPIPE, "once");
	drop(&server);
	drop(&listener);
}

static void test_backlog(void)
{
	struct test_socket listener, clients[4], server;
	unsigned connected = 0;

	create(&listener, AF_INET);
	ops->listen(listener.handle, address4("127.0.0.1", 85), 1);
	for (int i = 0; i < 4; i++) {
		create(&clients[i], AF_INET);
		ops->connect(clients[i].handle, NULL, address4("127.0.0.1", 85));
		connected += ready(&clients[i]) == OUT;
	}
	tap_ok(connected == 2, "a backlog of 1 holds two, as in Linux; %u", connected);
	tap_ok(!(ready(&clients[3]) & EPOLLERR), "the others are not refused");
	tap_ok(accept_one(&listener, &server), "accept one");
	pass_ms(1500);
	tap_ok(ready(&clients[2]) == OUT || ready(&clients[3]) == OUT,
	       "one more gets in with its next SYN");
	drop(&server);
	drop(&listener);
	tap_ok(ready(&clients[1]) & EPOLLERR, "closing the listener resets those in the queue");
	for (int i = 0; i < 4; i++)
		drop(&clients[i]);
}

static void test_in_use(void)
{
	struct test_socket one, two, three;

	create(&one, AF_INET);
	create(&two, AF_INET);
	create(&three, AF_INET6);
	tap_ok(ops->listen(one.handle, address4("127.0.0.1", 86), 1) == 0, "listen on 127.0.0.1");
	tap_ok(ops->listen(two.handle, address4("0.0.0.0", 86), 1) == -EADDRINUSE, "EADDRINUSE");
	tap_ok(ops->listen(three.handle, address6("::", 86), 1) == -EADDRINUSE,
	       "EADDRINUSE for a dual-stack wildcard");
	tap_ok(ops->listen(two.handle, address4("127.0.0.2", 86), 1) == 0,
	       "another address is free");
	tap_ok(ops->listen(three.handle, address6("2001:db8::1", 87), 1) == -EADDRNOTAVAIL,
	       "EADDRNOTAVAIL");
	drop(&two);
	set(&one, SOL_SOCKET, SO_REUSEPORT, 1);
	create(&two, AF_INET);
	set(&two, SOL_SOCKET, SO_REUSEPORT, 1);
	tap_ok(ops->listen(two.handle, address4("127.0.0.1", 86), 1) == 0,
	       "SO_REUSEPORT shares it");
	drop(&one);
	drop(&two);
	drop(&three);
}

static void test_ip6(void)
{
	struct test_socket listener, client, server;
	struct sockaddr_storage peer;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&peer;
	char buffer[16];

	create(&listener, AF_INET6);
	tap_ok(ops->listen(listener.handle, address6("::", 88), 4) == 0, "a dual-stack listener");
	create(&client, AF_INET6);
	tap_ok(ops->connect(client.handle, NULL, address6("::1", 88)) == -EINPROGRESS &&
		       ready(&client) == OUT,
	       "connect to ::1");
	tap_ok(ops->accept(listener.handle, &server.handle, &peer) == 0 &&
		       IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr),
	       "accept says ::1");
	tap_ok(put(&client, "six", 3, 0) == 3, "send");
	tap_ok(get(&server, buffer, 16, 0) == 3, "receive");
	drop(&client);
	drop(&server);
	create(&client, AF_INET);
	ops->connect(client.handle, NULL, address4("127.9.9.9", 88));
	tap_ok(ready(&client) == OUT, "IPv4 reaches it, on any 127.x");
	tap_ok(ops->accept(listener.handle, &server.handle, &peer) == 0 &&
		       IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr),
	       "as a mapped address");
	drop(&client);
	drop(&server);
	drop(&listener);
}

/* A stream of numbers that depends on the place: any byte lost or moved shows. */
static unsigned char pattern(size_t at)
{
	return (unsigned char)(at * 2654435761u >> 13);
}

static void test_bulk(void)
{
	static unsigned char out[100000], in[100000];
	const size_t all = 50u * 1000 * 1000;
	struct test_socket listener, client, server;
	size_t sent = 0, received = 0, wrong = 0, blocked = 0;

	make_pair(&listener, &client, &server, 89);
	while (received < all) {
		size_t part = all - sent < sizeof(out) ? all - sent : sizeof(out);
		ssize_t count;

		for (size_t i = 0; i < part; i++)
			out[i] = pattern(sent + i);
		count = put(&client, out, part, 0);
		if (count > 0)
			sent += (size_t)count;
		else if (part)
			blocked++;
		count = get(&server, in, 1 + rand() % sizeof(in), 0);
		for (ssize_t i = 0; i < count; i++)
			wrong += in[i] != pattern(received + (size_t)i);
		if (count > 0)
			received += (size_t)count;
		else
			pass_ms(10);
	}
	tap_ok(wrong == 0, "50 MB, byte for byte");
	tap_ok(melin_index_check() == 0, "the index is whole");
	printf("# sender blocked %zu times\n", blocked);
	drop(&client);
	drop(&server);
	drop(&listener);
}

static void test_back_pressure(void)
{
	static char data[1 << 20];
	struct test_socket listener, client, server;
	size_t queued = 0, drained = 0;
	ssize_t count;

	make_pair(&listener, &client, &server, 90);
	while ((count = put(&client, data, sizeof(data), 0)) > 0)
		queued += (size_t)count;
	tap_ok(count == -EAGAIN, "a full buffer is EAGAIN");
	tap_ok(!(ready(&client) & EPOLLOUT), "and not OUT");
	tap_ok(ops->readable(server.handle) >= 60000 && ops->readable(server.handle) <= 131072,
	       "the peer holds a window's worth: %zu", ops->readable(server.handle));
	take_events(&client);
	pass_ms(60000);
	tap_ok(!(ready(&client) & (EPOLLERR | EPOLLOUT)), "a minute of zero window kills nothing");
	while (drained < queued) {
		count = get(&server, data, sizeof(data), 0);
		if (count > 0)
			drained += (size_t)count;
		else
			pass_ms(100);
	}
	tap_ok(drained == queued, "all %zu bytes arrive", queued);
	tap_ok(take_events(&client) & EPOLLOUT, "OUT is an event again");
	drop(&client);
	drop(&server);
	drop(&listener);
}

static void run_tests(void)
{
	open_loop();
	test_fresh();
	test_connect();
	test_refused();
	test_half_close();
	test_shutdown_read();
	test_reset();
	test_backlog();
	test_in_use();
	test_ip6();
	test_bulk();
	test_back_pressure();
	pass_ms(70000);
	tap_ok(stack->index.counts.active + stack->index.counts.parked +
			       stack->index.counts.timewait ==
		       0,
	       "nothing is left after TIME_WAIT");
	ops->close(stack, 100, &(struct stack_counters){ 0 });
}

int main(void)
{
	return run_at_each_start(run_tests);
}
