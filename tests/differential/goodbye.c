/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A library that exit.c loads at run time: it has a connection, says goodbye over it in its
 * destructor, and closes it there.
 */
#include <unistd.h>

void goodbye_take(int descriptor);

static int connection = -1;

void goodbye_take(int descriptor)
{
	connection = descriptor;
}

__attribute__((destructor)) static void end(void)
{
	static const char text[] = "goodbye";

	if (connection >= 0 && write(connection, text, sizeof(text) - 1) > 0)
		close(connection);
}
