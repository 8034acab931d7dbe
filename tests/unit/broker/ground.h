/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ground for tests of broker/lender.h: this thread in a network namespace of its own, another
 * namespace for the peers, and a veth pair between them. Not for loopback.
 */
#ifndef MELIN_TEST_GROUND_H
#define MELIN_TEST_GROUND_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/lender.h"

#define GROUND_OWN4  "198.18.7.1"
#define GROUND_PEER4 "198.18.7.2"
#define GROUND_OWN6  "fd00:7::1"
#define GROUND_PEER6 "fd00:7::2"
#define GROUND_PORT  7000

/* The port of the next connection's listener; GROUND_PORT at first. */
extern uint16_t ground_port;

/* A connection between the two namespaces. */
struct ends {
	int own, peer, listener;
};

/* Called once, and first: where namespaces are not to be had the program is skipped. */
void ground_make(void);
/* A lender of this process's own. Where the kernel has no way to lend the program is skipped. */
struct lender *ground_lender(void);
/* The path of this build's melin-broker. Without one the test fails. */
const char *ground_broker(void);

/* Runs a shell command here, or in the peers' namespace; whether it has succeeded. */
bool ground_run(const char *command);
bool ground_run_there(const char *command);

/* socket(2) in the peers' namespace. */
int ground_socket_there(int domain, int type, int protocol);

/*
 * how: "IPv4", "IPv6", "link-local" (fe80::7:1 and :2, which the caller has added) or "mapped" (own
 * is an AF_INET6 socket); own is the accepted end, or the connected one.
 */
bool ground_connect(const char *how, bool own_accepts, struct ends *ends);
void ground_close(struct ends *ends);

/* By IPv4, accepted here. The peer connects to another port, or its own port is a certain one. */
bool ground_connect_to(uint16_t port, struct ends *ends);
bool ground_connect_from(uint16_t port, struct ends *ends);

/* Sends text and receives it at the other end. */
bool ground_says(int from, int to, const char *text);

/* Has it watched: frames of both directions have been seen then, and it is quiet. */
bool ground_prepare(struct lender *lender, struct ends *ends, struct loan *loan);

/* A field of TCP's counts in this namespace, "OutRsts". */
unsigned long ground_count(const char *field);

/* Waits for up to 2 s until all that was sent is acknowledged. */
bool ground_settles(int descriptor);

#endif
