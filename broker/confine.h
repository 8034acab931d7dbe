/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What melin-broker gives up before it serves anybody. Not for what clients may ask (serve.h).
 */
#ifndef MELIN_CONFINE_H
#define MELIN_CONFINE_H

/*
 * The process is nobody's but its own: working directory, standard streams, scheduling and signal
 * mask are a service's, whatever the program has that it was started by.
 */
void confine_leave_program(void);

/*
 * The calling thread, and those that it makes, have the capabilities alone that lending takes, gain
 * no others, and make no system calls but those that serving takes: they open no file, run no
 * program and see no other process. 0; or -1 and errno, and the process must not serve.
 */
int confine_rights(void);

#endif
