/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The claim of one process on a Linux interface: two stacks that drive the same interface would
 * take each other's frames. Only who may open packet sockets can hold it, so that no other user of
 * the machine can keep melin off an interface; it counts in one network namespace, and the kernel
 * takes it back when the process ends, however it does.
 */
#ifndef MELIN_INTERFACE_CLAIM_H
#define MELIN_INTERFACE_CLAIM_H

#include "common/reason.h"

/*
 * Takes the claim on the interface with that index in the caller's network namespace. Needs
 * CAP_NET_RAW. Returns a descriptor, whose last copy's closing gives the claim back; or a negative
 * errno value and the reason: -EBUSY, another process has it. One that was killed is waited for,
 * some seconds at most.
 */
int interface_claim(int ifindex, const char *name, struct reason *reason);

#endif
