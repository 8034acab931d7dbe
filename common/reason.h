/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Why something has failed, as one line for the user: what is missing and what would mend it. Who
 * finds the cause writes it and returns the error; who has asked decides where it is printed. Not
 * for errors that the program sees: of those it gets the errno value alone.
 */
#ifndef MELIN_REASON_H
#define MELIN_REASON_H

/* The longest line names a rule, a path and what to do about it; longer ones are cut. */
struct reason {
	char text[512];
};

/* Writes the line, without its end, as printf(3) does. Returns error. Any thread. */
__attribute__((format(printf, 3, 4))) int reason_set(struct reason *reason, int error,
						     const char *format, ...);

#endif
