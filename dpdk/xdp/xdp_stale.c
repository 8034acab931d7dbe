/* SPDX-License-Identifier: BSD-3-Clause */
/* See xdp.h: an XDP program that is on the interface already when this process takes it. */
#include "dpdk/xdp/xdp.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "dpdk/eal/journal.h"
#include "dpdk/xdp/melin_xdp.h"

/* How long the kernel may take to clean up after a process that was killed: half a second. */
#define STALE_ATTEMPTS 100
#define STALE_WAIT_US  5000

/* 1: the program is melin's, 0: it is another's; or a negative errno value. */
static int is_melin_program(__u32 id)
{
	struct bpf_prog_info info = { 0 };
	__u32 length = sizeof(info);
	int program = bpf_prog_get_fd_by_id(id), result;

	if (program < 0)
		return -errno;
	result = bpf_obj_get_info_by_fd(program, &info, &length) < 0
			 ? -errno
			 : strcmp(info.name, MELIN_XDP_PROGRAM) == 0;
	close(program);
	return result;
}

/*
 * We hold the claim, so a program of melin's belongs to a process that is dead. One that is
 * attached by a bpf_link cannot be detached and goes by itself, a moment after its process.
 */
int xdp_remove_stale(const struct interface *interface, struct reason *reason)
{
	int attempt, melin = 0;
	__u32 id = 0;

	for (attempt = 0; attempt < STALE_ATTEMPTS; attempt++) {
		if (bpf_xdp_query_id(interface->ifindex, 0, &id) < 0 || id == 0)
			return 0;
		melin = is_melin_program(id);
		if (melin == 1 && bpf_xdp_detach(interface->ifindex, 0, NULL) == 0) {
			journal_add(LOG_LEVEL_INFO, "removed a dead process's XDP program from %s",
				    interface->name);
			return 0;
		}
		if (melin != 1 && melin != -ENOENT)
			break;
		usleep(STALE_WAIT_US);
	}
	return reason_set(
		reason, -EBUSY,
		"interface %s has %s XDP program (id %u); ip link set dev %s xdp off removes it",
		interface->name, melin == 0 ? "another" : "an", id, interface->name);
}
