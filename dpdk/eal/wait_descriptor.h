/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The descriptor to sleep on until frames arrive (link_info.wait_descriptor). Not for who sleeps on
 * it: stack.h, watch_begin(). On a program thread.
 */
#ifndef MELIN_WAIT_DESCRIPTOR_H
#define MELIN_WAIT_DESCRIPTOR_H

#include <stdbool.h>

struct device_link;

/* Sets info.wait_descriptor, -1 if the device has nothing to wait on. */
int wait_open(struct device_link *link);
void wait_close(struct device_link *link);
/*
 * When the device has gone, the first takes its descriptors out of what is slept on; when the
 * device is there again, the second puts the backend's new one in. 0 or a negative errno value.
 */
void wait_forget(struct device_link *link);
int wait_again(struct device_link *link);

/*
 * For control_share(): whether a descriptor is one to sleep on; and whether a driver might use it
 * where frames are handled.
 */
bool wait_is_needed(int descriptor);
bool wait_may_be_used(int descriptor);

#endif
