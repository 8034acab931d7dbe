/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What stands in for a stack in the tests of broker/lender.h: receives what comes in order by a
 * tap, and acknowledges it. It sends no data, keeps nothing that is out of order, and is not for
 * two threads.
 */
#ifndef MELIN_TEST_STAND_IN_H
#define MELIN_TEST_STAND_IN_H

#include <stdbool.h>
#include <stddef.h>

#include "broker/lender.h"

/*
 * Takes all frames from the tap. Those of the connection, in order, become part of the state: data,
 * a FIN, a RST. Returns how many frames there were.
 */
unsigned stand_in_receive(int tap, struct connection_state *state);

/* Tells the peer what has been received. */
bool stand_in_acknowledge(int tap, struct connection_state *state);

/* The last frame that was received, with its Ethernet header. */
const void *stand_in_last_frame(size_t *size);

#endif
