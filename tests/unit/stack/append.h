/* SPDX-License-Identifier: BSD-3-Clause */
/* A segment that the memory link cannot carry, given to stack/tcp/reassembly.h past it. */
#ifndef MELIN_TEST_APPEND_H
#define MELIN_TEST_APPEND_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Of the one connection that has received something behind a gap: whether that many bytes which
 * follow it are copied to what is there. In a file of its own, since lwIP's and Linux's names for
 * TCP do not go together.
 */
bool append_behind_gap(uint16_t size);

#endif
