/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where the files of melin lie, for the program that runs: beside it in the build folder, or where
 * both have been installed, wherever that has been moved to as a whole. Not for what is in them.
 */
#ifndef MELIN_INSTALLED_H
#define MELIN_INSTALLED_H

#include <limits.h>
#include <stdbool.h>

/* libmelin.so. False: there is none; path is then where it should be. */
bool installed_library(char path[PATH_MAX]);

/* A file beside melin-stack.so: "melin-broker". False as above. */
bool installed_beside_stack(const char *name, char path[PATH_MAX]);

/* The folder of the profiles that melin brings, which are the host's to change. */
void installed_profiles(char path[PATH_MAX]);

#endif
