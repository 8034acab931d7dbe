/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether a program file will have this library when it is executed: what ld.so(8) makes of it, as
 * far as its first bytes tell. Not for executing anything (calls_exec.c).
 */
#ifndef MELIN_PROGRAM_FILE_H
#define MELIN_PROGRAM_FILE_H

/*
 * Why the program will be without the library, in words that go on after its name; NULL if it will
 * have it or nothing can be told. A script is judged by its interpreter. Any thread; errno stays.
 */
const char *program_file_refuses(const char *path);

#endif
