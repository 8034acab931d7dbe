/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Asks the service's broker for so many lenders, prints how many it has got, and keeps them until
 * its standard input ends, or until it is killed: broker_clients COUNT [keep]
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "broker/client.h"

int main(int count, char **arguments)
{
	const int wanted = count > 1 ? atoi(arguments[1]) : 0;
	struct lender *lender;
	int got = 0;
	char byte;

	for (int i = 0; i < wanted; i++)
		got += lender_connect(-1, &lender) == REFUSAL_NONE;
	printf("%d of %d\n", got, wanted);
	fflush(stdout);
	while (count > 2 ? pause() < 0 : read(STDIN_FILENO, &byte, 1) > 0)
		;
	return 0;
}
