/* SPDX-License-Identifier: BSD-3-Clause */
/* See guard.h: the side of the guard, a process of melin-broker's program. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "broker/confine.h"
#include "broker/guard.h"
#include "common/shared_memory.h"
#include "common/system_call.h"

/*
 * When the peers are made to ask, in nanoseconds after the one before: as soon as a process that was
 * killed has closed its sockets, 10,000 of them in some 20 ms, and once more on a machine under
 * load, or for a segment that was lost.
 */
static const long rounds[] = { 20000000, 180000000 };

static int receive_files(int channel, int files[GUARD_FILES])
{
	char byte;
	struct iovec part = { .iov_base = &byte, .iov_len = 1 };
	union guard_control control;
	struct msghdr message = { .msg_iov = &part,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	ssize_t got;

	do
		got = recvmsg(channel, &message, MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got != 1 || message.msg_controllen < CMSG_LEN(GUARD_FILES * sizeof(int)) ||
	    control.header.cmsg_type != SCM_RIGHTS)
		return -1;
	memcpy(files, CMSG_DATA(&control.header), GUARD_FILES * sizeof(int));
	return 0;
}

/* Until no process has the other end. */
static void await_end(int channel)
{
	struct pollfd ends = { .fd = channel };

	while (!(ends.revents & (POLLHUP | POLLERR)))
		poll(&ends, 1, -1);
}

/* Whether there is any. probes: their peers are made to ask, by the tap. */
static bool visit_lent(const struct guard_entry *entries, int tap, bool probes)
{
	bool any = false;

	for (size_t i = 0; i < TAP_CONNECTIONS; i++) {
		if (!__atomic_load_n(&entries[i].is_lent, __ATOMIC_ACQUIRE))
			continue;
		any = true;
		if (probes)
			injection_probe_peer(tap, &entries[i].loan, &entries[i].probe);
	}
	return any;
}

int guard_run(int channel)
{
	const struct guard_entry *entries;
	int files[GUARD_FILES];

	prctl(PR_SET_NAME, "melin-guard");
	kernel_give_up_capabilities();
	if (confine_rights() < 0 || receive_files(channel, files) < 0)
		return 1;
	entries = shared_memory_map(files[GUARD_TABLE], 0, GUARD_BYTES, PROT_READ);
	if (!entries)
		return 1;
	await_end(channel);
	for (size_t i = 0; i < sizeof(rounds) / sizeof(rounds[0]); i++) {
		const struct timespec pause = { .tv_nsec = rounds[i] };

		if (!visit_lent(entries, files[GUARD_TAP], false))
			break;
		nanosleep(&pause, NULL);
		visit_lent(entries, files[GUARD_TAP], true);
	}
	return 0;
}
