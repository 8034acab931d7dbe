/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dpdk/interface/interface_claim.c: the claim on an interface, in a network namespace of its own.
 * Of a process that goes on it is refused; that of one that has just been killed is waited for.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dpdk/interface/interface_claim.h"
#include "tap.h"

#define LOOPBACK 1

/* Its memory is freed before its descriptors are closed. */
#define MEMORY (64 << 20)

static struct reason reason;

static int claim(void)
{
	return interface_claim(LOOPBACK, "lo", &reason);
}

/* A process that has the claim until it is killed, or -1. */
static pid_t start_holder(void)
{
	int pipes[2];
	char ready = 0;
	pid_t pid;

	if (pipe(pipes) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		char *memory = malloc(MEMORY);

		if (memory && claim() >= 0) {
			memset(memory, 1, MEMORY);
			ready = memory[MEMORY / 2];
		}
		if (write(pipes[1], &ready, 1) == 1)
			pause();
		_exit(1);
	}
	close(pipes[1]);
	if (read(pipes[0], &ready, 1) != 1 || !ready)
		pid = -1;
	close(pipes[0]);
	return pid;
}

static void claim_after_kill(void)
{
	int failed = 0;

	for (int i = 0; i < 10; i++) {
		pid_t holder = start_holder();
		int taken;

		if (i == 0)
			tap_ok(holder > 0 && claim() == -EBUSY,
			       "a claim of a process that goes on is refused");
		kill(holder, SIGKILL);
		taken = claim();
		if (taken < 0)
			failed = taken;
		else
			close(taken);
		waitpid(holder, NULL, 0);
	}
	tap_ok(failed == 0, "right after kill -9 it can be had: %s",
	       failed ? reason.text : "10 of 10 times");
}

int main(void)
{
	if (unshare(CLONE_NEWNET) < 0) {
		printf("1..0 # SKIP needs the right to make a network namespace\n");
		return 0;
	}
	claim_after_kill();
	return tap_done();
}
