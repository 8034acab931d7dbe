/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a reader of the status page may ask for (common/status_page.h): the stack's counters, the
 * connections that it carries, and that all of them go back to the kernel. By melin's thread beside
 * (process/lending.h), and only when somebody asks. Not for the page (process/status.h).
 */
#ifndef MELIN_STATUS_ROWS_H
#define MELIN_STATUS_ROWS_H

#include <stdint.h>

/* lending_work.status: wanted is of enum status_request. */
void status_rows_answer(uint32_t wanted);

/* Own mode, in which that is all the work that the thread has: called once, at the beginning. */
void status_rows_begin(void);

#endif
