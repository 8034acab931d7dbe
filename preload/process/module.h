/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * melin-stack.so: finding it and loading it, once in a process. Not for what it does: stack.h.
 */
#ifndef MELIN_MODULE_H
#define MELIN_MODULE_H

#include <limits.h>

#include "stack/stack.h"

/*
 * Stores the module's table. 0, or -ELIBACC and the reason. Takes some 20 ms the first time and
 * 50 KB of the stack. One thread at a time.
 */
int module_load(const struct stack_operations **operations, struct reason *reason);

/* The path of a file beside libmelin.so; false: there is none. */
bool module_path(const char *name, char path[PATH_MAX]);

/* Where it lies, once it is loaded. */
const char *module_directory(void);

#endif
