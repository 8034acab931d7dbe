/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * See interface_claim.h. The claim is a packet socket alone in a fanout group that takes one member
 * (packet(7), PACKET_FANOUT): the kernel refuses the second one. The group's number is the
 * interface's. The socket sees no frame: its protocol is one for local experiments
 * (IEEE 802, clause 9.2.4), and its filter takes nothing. It is bound to no interface, so that it
 * does not matter whether that is up.
 */
#include "dpdk/interface/interface_claim.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "common/own_descriptor.h"
#include "dpdk/interface/ending.h"

/* How long a process may take to end, and the time between two looks. */
#define ENDING_MS      5000
#define ENDING_LOOK_MS 5

#define EXPERIMENTAL_PROTOCOL 0x88b5

/*
 * Programs like to number their groups by a small number or their pid; those of interfaces are
 * small too. Two interfaces whose indexes differ by a multiple of 65,536 would share a claim.
 */
#define GROUP_OF(ifindex) ((uint16_t)((unsigned)(ifindex) ^ 0x6d65))

/* Linux 5.12; older headers know the first member alone, as a number. */
struct group {
	uint16_t number, type_and_flags; /* as an int: the number is the low half */
	uint32_t members_max;
};

static int join(int claim, int ifindex)
{
	static struct sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
	const struct sock_fprog filter = { .len = 1, .filter = &nothing };
	const struct sockaddr_ll address = { .sll_family = AF_PACKET,
					     .sll_protocol = htons(EXPERIMENTAL_PROTOCOL) };
	struct group group = { GROUP_OF(ifindex), PACKET_FANOUT_HASH, 1 };

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	group.number = PACKET_FANOUT_HASH;
	group.type_and_flags = GROUP_OF(ifindex);
#endif
	if (setsockopt(claim, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) < 0 ||
	    bind(claim, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
	    setsockopt(claim, SOL_PACKET, PACKET_FANOUT, &group, sizeof(group)) < 0)
		return -errno;
	return 0;
}

/* The claim, or a negative errno value. */
static int try_once(int ifindex)
{
	int claim = own_descriptor(socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	int error = claim < 0 ? -errno : join(claim, ifindex);

	if (error == 0)
		return claim;
	own_descriptor_close(claim);
	return error;
}

/*
 * Who has the claim may have been killed a moment ago. The last try comes after a look that has
 * found no process which ends, so that none can have ended in between.
 */
static int try_until_settled(int ifindex)
{
	const struct timespec pause = { .tv_nsec = ENDING_LOOK_MS * 1000000 };
	int claim = try_once(ifindex);
	bool ending = true;

	for (int i = 0; claim == -ENOSPC && ending && i < ENDING_MS / ENDING_LOOK_MS; i++) {
		ending = process_ending_any();
		if (ending)
			nanosleep(&pause, NULL);
		claim = try_once(ifindex);
	}
	return claim;
}

int interface_claim(int ifindex, const char *name, struct reason *reason)
{
	int error = try_until_settled(ifindex);

	if (error >= 0)
		return error;
	if (error == -ENOSPC)
		return reason_set(reason, -EBUSY,
				  "another process under melin uses interface %s now", name);
	if (error == -EINVAL)
		return reason_set(
			reason, error,
			"cannot claim interface %s: another program's packet sockets have fanout "
			"group %u, or the kernel is older than Linux 5.12",
			name, GROUP_OF(ifindex));
	return reason_set(reason, error, "cannot claim interface %s: %s", name,
			  strerrordesc_np(-error));
}
