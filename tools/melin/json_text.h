/* SPDX-License-Identifier: BSD-3-Clause */
/* Strings in JSON (RFC 8259, section 7). Not for numbers and structure, which printf(3) writes. */
#ifndef MELIN_JSON_TEXT_H
#define MELIN_JSON_TEXT_H

#include <stdio.h>

/* The text in quotes; what is no printable ASCII but UTF-8 goes as it is. */
void json_text(FILE *stream, const char *text);

#endif
