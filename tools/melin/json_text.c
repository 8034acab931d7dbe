/* SPDX-License-Identifier: BSD-3-Clause */
/* See json_text.h. */
#include "tools/melin/json_text.h"

void json_text(FILE *stream, const char *text)
{
	putc('"', stream);
	for (; *text; text++) {
		const unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			fprintf(stream, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			fprintf(stream, "\\u%04x", c);
		else
			putc(c, stream);
	}
	putc('"', stream);
}
