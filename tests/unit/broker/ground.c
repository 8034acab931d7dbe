/* SPDX-License-Identifier: BSD-3-Clause */
/* See ground.h. */
#include "tests/unit/broker/ground.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

uint16_t ground_port = GROUND_PORT;

static int here, there;

/* ---- namespaces ---- */

/* A child that waits in a namespace of its own until it is ended. */
static pid_t start_peer(void)
{
	int ready[2];
	char byte;
	pid_t child;

	if (pipe(ready) < 0)
		return -1;
	child = fork();
	if (child == 0) {
		if (unshare(CLONE_NEWNET) < 0 || write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	if (child > 0 && read(ready[0], &byte, 1) != 1)
		child = -1;
	close(ready[0]);
	return child;
}

static int open_namespace(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
	return open(path, O_RDONLY | O_CLOEXEC);
}

bool ground_run(const char *command)
{
	return system(command) == 0;
}

bool ground_run_there(const char *command)
{
	bool done;

	if (setns(there, CLONE_NEWNET) < 0)
		return false;
	done = system(command) == 0;
	return setns(here, CLONE_NEWNET) == 0 && done;
}

static bool make_namespaces(void)
{
	char command[256];
	bool made = false;
	pid_t peer;

	if (unshare(CLONE_NEWNET) < 0)
		return false;
	here = open_namespace(getpid());
	peer = start_peer();
	there = peer > 0 ? open_namespace(peer) : -1;
	if (there >= 0) {
		snprintf(command, sizeof(command),
			 "ip link add own type veth peer name peer netns %d", peer);
		made = ground_run(command) &&
		       ground_run("ip link set lo up; ip addr add " GROUND_OWN4 "/24 dev own;"
				  "ip addr add " GROUND_OWN6 "/64 dev own nodad;"
				  "ip link set own up") &&
		       ground_run_there("ip addr add " GROUND_PEER4 "/24 dev peer;"
					"ip addr add " GROUND_PEER6 "/64 dev peer nodad;"
					"ip link set peer up");
	}
	if (peer > 0) {
		kill(peer, SIGKILL);
		waitpid(peer, NULL, 0);
	}
	return made;
}

/* The program has printed nothing yet. */
static void skip(const char *reason)
{
	printf("1..0 # SKIP %s\n", reason);
	exit(0);
}

void ground_make(void)
{
	if (!make_namespaces())
		skip("needs the right to make network namespaces");
}

struct lender *ground_lender(void)
{
	struct lender *lender = NULL;
	enum refusal refusal = lender_open(&lender);

	if (refusal == REFUSAL_KERNEL)
		skip(refusal_text(refusal));
	if (refusal != REFUSAL_NONE) {
		printf("Bail out! no lender: %s\n", refusal_text(refusal));
		exit(1);
	}
	return lender;
}

const char *ground_broker(void)
{
	static char path[PATH_MAX];
	const char *build = getenv("TESTS_BUILD");
	char command[PATH_MAX];

	snprintf(command, sizeof(command), "%s/melin-broker", build ? build : ".");
	if (!realpath(command, path)) {
		printf("Bail out! there is no %s\n", command);
		exit(1);
	}
	return path;
}

int ground_socket_there(int domain, int type, int protocol)
{
	int made;

	if (setns(there, CLONE_NEWNET) < 0)
		return -1;
	made = socket(domain, type, protocol);
	if (setns(here, CLONE_NEWNET) < 0)
		abort();
	return made;
}

/* ---- connections ---- */

/* Of link-local addresses: both interfaces are the second one of their namespace. */
static const uint32_t scope = 2;

static socklen_t name_of(const char *how, bool own, struct sockaddr_storage *name)
{
	const bool is_link = !strcmp(how, "link-local");
	const bool is_ipv4 = !is_link && strcmp(how, "IPv6") != 0;
	const char *text = is_ipv4   ? own ? GROUND_OWN4 : GROUND_PEER4
			   : is_link ? own ? "fe80::7:1" : "fe80::7:2"
			   : own     ? GROUND_OWN6
				     : GROUND_PEER6;
	struct sockaddr_in *in = (struct sockaddr_in *)name;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)name;
	char mapped[64];

	memset(name, 0, sizeof(*name));
	if (!strcmp(how, "IPv4")) {
		in->sin_family = AF_INET;
		in->sin_port = htons(ground_port);
		inet_pton(AF_INET, text, &in->sin_addr);
		return sizeof(*in);
	}
	snprintf(mapped, sizeof(mapped), "%s%s", is_ipv4 ? "::ffff:" : "", text);
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(ground_port);
	inet_pton(AF_INET6, mapped, &in6->sin6_addr);
	if (is_link)
		in6->sin6_scope_id = scope;
	return sizeof(*in6);
}

/* How the next connection is made. */
static uint16_t to_port, from_port;

static bool bind_peer(int connected)
{
	struct sockaddr_in name = { .sin_family = AF_INET, .sin_port = htons(from_port) };
	int on = 1;

	if (from_port == 0)
		return true;
	setsockopt(connected, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	return bind(connected, (struct sockaddr *)&name, sizeof(name)) == 0;
}

bool ground_connect(const char *how, bool own_accepts, struct ends *ends)
{
	const char *peers = !strcmp(how, "mapped") ? "IPv4" : how;
	const char *listens = own_accepts ? how : peers, *connects = own_accepts ? peers : how;
	struct sockaddr_storage name, to;
	socklen_t size = name_of(listens, own_accepts, &name);
	socklen_t to_size = name_of(connects, own_accepts, &to);
	int on = 1, connected, accepted;

	ends->listener = own_accepts ? socket(name.ss_family, SOCK_STREAM, 0)
				     : ground_socket_there(name.ss_family, SOCK_STREAM, 0);
	connected = own_accepts ? ground_socket_there(to.ss_family, SOCK_STREAM, 0)
				: socket(to.ss_family, SOCK_STREAM, 0);
	/* At the same place in both kinds of names. */
	((struct sockaddr_in *)&to)->sin_port = htons(to_port ? to_port : ground_port);
	setsockopt(ends->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(ends->listener, (struct sockaddr *)&name, size) < 0 ||
	    listen(ends->listener, 64) < 0 || !bind_peer(connected) ||
	    connect(connected, (struct sockaddr *)&to, to_size) < 0)
		return false;
	accepted = accept(ends->listener, NULL, NULL);
	ends->own = own_accepts ? accepted : connected;
	ends->peer = own_accepts ? connected : accepted;
	/* What is sent is sent at once, also while nothing is acknowledged. */
	setsockopt(ends->peer, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return accepted >= 0;
}

bool ground_connect_to(uint16_t port, struct ends *ends)
{
	bool connected;

	to_port = port;
	connected = ground_connect("IPv4", true, ends);
	to_port = 0;
	return connected;
}

bool ground_connect_from(uint16_t port, struct ends *ends)
{
	bool connected;

	from_port = port;
	connected = ground_connect("IPv4", true, ends);
	from_port = 0;
	return connected;
}

void ground_close(struct ends *ends)
{
	struct linger at_once = { .l_onoff = 1 };

	setsockopt(ends->peer, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	setsockopt(ends->own, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	close(ends->peer);
	close(ends->own);
	close(ends->listener);
}

bool ground_says(int from, int to, const char *text)
{
	char got[64] = "";
	struct pollfd ready = { .fd = to, .events = POLLIN };
	size_t size = strlen(text), done = 0;

	if (send(from, text, size, MSG_NOSIGNAL) != (ssize_t)size)
		return false;
	while (done < size && poll(&ready, 1, 30000) == 1) {
		ssize_t part = recv(to, got + done, sizeof(got) - 1 - done, 0);

		if (part <= 0)
			return false;
		done += (size_t)part;
	}
	return strcmp(got, text) == 0;
}

bool ground_settles(int descriptor)
{
	int bytes = -1;

	for (int i = 0; i < 30000; i++) {
		ioctl(descriptor, SIOCOUTQ, &bytes);
		if (bytes == 0)
			return true;
		usleep(1000);
	}
	return false;
}

bool ground_prepare(struct lender *lender, struct ends *ends, struct loan *loan)
{
	memset(loan, 0, sizeof(*loan));
	return ground_says(ends->peer, ends->own, "one") &&
	       lender_watch(lender, ends->own, loan) == REFUSAL_NONE &&
	       ground_says(ends->peer, ends->own, "two") &&
	       ground_says(ends->own, ends->peer, "three") && ground_settles(ends->own) &&
	       ground_settles(ends->peer);
}

unsigned long ground_count(const char *field)
{
	char names[2048], values[2048], *name, *value, *name_rest, *value_rest;
	FILE *file = fopen("/proc/thread-self/net/snmp", "r");
	unsigned long count = 0;

	while (file && fgets(names, sizeof(names), file) && fgets(values, sizeof(values), file)) {
		if (strncmp(names, "Tcp:", 4))
			continue;
		name = strtok_r(names, " \n", &name_rest);
		value = strtok_r(values, " \n", &value_rest);
		for (; name && value; name = strtok_r(NULL, " \n", &name_rest),
				      value = strtok_r(NULL, " \n", &value_rest))
			if (!strcmp(name, field))
				count = strtoul(value, NULL, 10);
	}
	if (file)
		fclose(file);
	return count;
}
