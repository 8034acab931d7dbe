/* SPDX-License-Identifier: BSD-3-Clause */
/* See witness.h: the side of the witness, a process of melin-broker's program. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "broker/confine.h"
#include "broker/peer_process.h"
#include "broker/witness.h"
#include "common/shared_memory.h"
#include "common/system_call.h"

static int receive_files(int channel, int files[WITNESS_FILES])
{
	char byte;
	struct iovec part = { .iov_base = &byte, .iov_len = 1 };
	union witness_control control;
	struct msghdr message = { .msg_iov = &part,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	ssize_t got;

	do
		got = recvmsg(channel, &message, MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got != 1 || message.msg_controllen < CMSG_LEN(WITNESS_FILES * sizeof(int)) ||
	    control.header.cmsg_type != SCM_RIGHTS)
		return -1;
	memcpy(files, CMSG_DATA(&control.header), WITNESS_FILES * sizeof(int));
	return 0;
}

/* Until the process has ended, or nobody has the channel's other end. */
static void await_end(int channel, int process)
{
	struct pollfd ends[] = { { .fd = channel }, { .fd = process, .events = POLLIN } };

	while (!(ends[0].revents & (POLLHUP | POLLERR)) && !ends[1].revents)
		poll(ends, 2, -1);
}

/* Whether there is any. probes: their peers are made to ask, by the tap. */
static bool visit_lent(const struct witness_entry *entries, int tap, bool probes)
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

int witness_run(int channel)
{
	const struct witness_entry *entries;
	const int process = peer_process_of(channel);
	int files[WITNESS_FILES];

	prctl(PR_SET_NAME, "melin-witness");
	kernel_give_up_capabilities();
	if (confine_rights() < 0 || receive_files(channel, files) < 0)
		return 1;
	entries = shared_memory_map(files[WITNESS_TABLE], 0, WITNESS_BYTES, PROT_READ);
	if (!entries)
		return 1;
	await_end(channel, process);
	if (!visit_lent(entries, files[WITNESS_TAP], false))
		return 0;
	peer_process_await_death(process);
	/*
	 * Twice, for a segment that is lost, and without a pause: the tap is all that is left of a
	 * process that others believe gone.
	 */
	visit_lent(entries, files[WITNESS_TAP], true);
	visit_lent(entries, files[WITNESS_TAP], true);
	return 0;
}
