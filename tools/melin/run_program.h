/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Looks at the program that melin run is about to start: whether there is one, and whether
 * libmelin.so can work in it. Not for starting it (run.c).
 */
#ifndef MELIN_RUN_PROGRAM_H
#define MELIN_RUN_PROGRAM_H

#include "common/reason.h"

/* As of a shell, env(1) and nice(1). */
#define RUN_NOT_FOUND	   127
#define RUN_NOT_EXECUTABLE 126

/*
 * Looks for file as execvp(3) does, and at what it finds. 0; or RUN_NOT_FOUND or RUN_NOT_EXECUTABLE
 * and the reason, in which what would mend it is said.
 */
int run_program_look(const char *file, struct reason *reason);

#endif
