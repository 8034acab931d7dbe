/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * melin-stack.so: finding it and loading it, once in a process. Not for what it does: stack.h.
 */
#ifndef MELIN_MODULE_H
#define MELIN_MODULE_H

#include "stack/stack.h"

/*
 * The module's table, or NULL and one line in why. Takes some 20 ms the first time and 50 KB of the
 * stack. One thread at a time.
 */
const struct stack_operations *module_load(char *why, size_t why_size);

/* Where it lies, once it is loaded. */
const char *module_directory(void);

#endif
