/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What melin-broker gives up before it serves anybody. Not for what clients may ask (serve.h).
 */
#ifndef MELIN_CONFINE_H
#define MELIN_CONFINE_H

/*
 * Makes the process a service's: working directory, standard streams, scheduling and signal mask do
 * not depend on the program that has started it.
 */
void confine_leave_program(void);

/*
 * Leaves the calling thread, and those that it makes, no capabilities but those that lending takes,
 * and no system calls but those that serving takes: they open no file, run no program and see no
 * other process. 0; or -1 and errno, and the process must not serve.
 */
int confine_rights(void);

#endif
