/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Finds melin-stack.so and loads it, once in a process. Not for what it does: stack.h.
 */
#ifndef MELIN_MODULE_H
#define MELIN_MODULE_H

#include <limits.h>

#include "stack/stack.h"

/*
 * Loads the module, unless it is loaded, and stores its table of operations. 0, or -ELIBACC and the
 * reason. The first call takes some 20 ms and 50 KB of the thread's stack. One thread at a time.
 */
int module_load(const struct stack_operations **operations, struct reason *reason);

/* The path of a file beside libmelin.so; false: there is none. */
bool module_path(const char *name, char path[PATH_MAX]);

/* The folder in which the module lies, once it is loaded. */
const char *module_directory(void);

#endif
