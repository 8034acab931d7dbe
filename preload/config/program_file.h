/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether a program file will have this library when it is executed: what ld.so(8) makes of it, as
 * far as its first bytes tell. Not for executing anything (calls_exec.c).
 */
#ifndef MELIN_PROGRAM_FILE_H
#define MELIN_PROGRAM_FILE_H

#include <stdbool.h>

/* Of a path that is put into a message: longer ones are cut. */
#define PROGRAM_CULPRIT 256

/*
 * Why the program will be without the library, or the library without its system calls, in words
 * that go on after the file's name; NULL if nothing speaks against it or nothing can be told.
 * culprit: that file, which is the interpreter of a script, the program that env(1) would start for
 * it by the PATH that it will have, or path itself. Any thread; errno stays.
 */
const char *program_file_refuses(const char *path, char culprit[PROGRAM_CULPRIT]);

/* Whether the program that runs here, under this library, is such a Go program. Any thread. */
bool program_file_is_go(void);

#endif
