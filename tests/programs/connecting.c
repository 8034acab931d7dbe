/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * usage: connecting ADDRESS PORT FROM: four threads connect again and again while main returns,
 * soon after the first of them is connected. Each connection must be made and come from FROM,
 * whatever happens to the process meanwhile: else a line says so, and the exit status is 1.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define THREADS	   4
#define RUN_US	   200000 /* from the first connection on, whenever the stack has started */
#define MAX_ROUNDS 20000  /* below the number of ports */

static struct sockaddr_in to = { .sin_family = AF_INET };
static struct in_addr from;
static sem_t connected;

/* Without stdio, whose locks the end of the process takes. */
static void fail(const char *what, const char *why)
{
	char line[120];
	int length = snprintf(line, sizeof(line), "%s: %s\n", what, why);

	if (write(STDOUT_FILENO, line, (size_t)length) == length)
		_exit(1);
}

static void *connect_on(void *unused)
{
	(void)unused;
	for (int i = 0; i < MAX_ROUNDS / THREADS; i++) {
		struct sockaddr_in name = { 0 };
		socklen_t length = sizeof(name);
		int s = socket(AF_INET, SOCK_STREAM, 0);

		if (connect(s, (struct sockaddr *)&to, sizeof(to)) < 0) {
			if (errno != EADDRNOTAVAIL)
				fail("connect", strerror(errno));
		} else if (getsockname(s, (struct sockaddr *)&name, &length) < 0 ||
			   name.sin_addr.s_addr != from.s_addr) {
			fail("connected from", inet_ntoa(name.sin_addr));
		} else if (i == 0) {
			sem_post(&connected);
		}
		close(s);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t thread;

	if (argc != 4 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1 ||
	    inet_pton(AF_INET, argv[3], &from) != 1)
		return 2;
	to.sin_port = htons((uint16_t)atoi(argv[2]));
	sem_init(&connected, 0, 0);
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&thread, NULL, connect_on, NULL))
			return 2;
	while (sem_wait(&connected) < 0 && errno == EINTR)
		continue;
	usleep(RUN_US);
	return 0;
}
