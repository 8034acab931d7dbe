/* SPDX-License-Identifier: BSD-3-Clause */
/* See borrow_info.h. */
#include "preload/sockets/borrow_info.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/system_call.h"
#include "preload/process/process_stack.h"
#include "preload/process/status.h"
#include "preload/sockets/socket_object.h"
#include "preload/waiting/wait.h"

/* What is counted from a connection's beginning on. */
static const struct count {
	uint16_t at;
	uint8_t size;
	bool kept; /* the twin does not forget it when the connection is made anew in it */
} counts[BORROW_INFO_COUNTS] = {
#define FIELD(field)                                                                               \
	.at = offsetof(struct tcp_info, field), .size = sizeof(((struct tcp_info *)NULL)->field)
	{ FIELD(tcpi_total_retrans) },
	{ FIELD(tcpi_bytes_acked) },
	{ FIELD(tcpi_bytes_received) },
	{ FIELD(tcpi_bytes_sent) },
	{ FIELD(tcpi_bytes_retrans) },
	{ FIELD(tcpi_segs_out) },
	{ FIELD(tcpi_segs_in) },
	{ FIELD(tcpi_data_segs_in) },
	{ FIELD(tcpi_data_segs_out) },
	{ FIELD(tcpi_delivered) },
	{ FIELD(tcpi_delivered_ce) },
	{ FIELD(tcpi_dsack_dups) },
	{ FIELD(tcpi_reord_seen) },
	{ FIELD(tcpi_rcv_ooopack) },
	{ FIELD(tcpi_busy_time), .kept = true },
	{ FIELD(tcpi_rwnd_limited), .kept = true },
	{ FIELD(tcpi_sndbuf_limited), .kept = true },
#undef FIELD
};

static uint64_t read_count(const void *info, const struct count *count)
{
	uint64_t eight;
	uint32_t four;

	if (count->size == sizeof(eight)) {
		memcpy(&eight, (const char *)info + count->at, sizeof(eight));
		return eight;
	}
	memcpy(&four, (const char *)info + count->at, sizeof(four));
	return four;
}

/* A count of four bytes wraps, as the kernel's. */
static void add_count(void *info, const struct count *count, uint64_t more)
{
	uint64_t eight = read_count(info, count) + more;
	uint32_t four = (uint32_t)eight;

	if (count->size == sizeof(eight))
		memcpy((char *)info + count->at, &eight, sizeof(eight));
	else
		memcpy((char *)info + count->at, &four, sizeof(four));
}

/* Newer kernels, and the stack, tell more than struct tcp_info of the headers at hand. */
struct whole {
	struct tcp_info info;
	char more[128];
};

static void read_twin(int descriptor, struct tcp_info *twin)
{
	memset(twin, 0, sizeof(*twin));
	kernel_get_option(descriptor, IPPROTO_TCP, TCP_INFO, twin, sizeof(*twin));
}

/* The stack counts the SYN of each connection among what was delivered; the twin has it already. */
static int read_stack(const struct socket *socket, struct whole *whole, socklen_t *length)
{
	static const struct count delivered = { offsetof(struct tcp_info, tcpi_delivered), 4,
						false };
	int result = socket->instance->operations->get_option(socket->handle, IPPROTO_TCP, TCP_INFO,
							      whole, length);

	if (result == 0)
		add_count(&whole->info, &delivered, UINT64_MAX);
	return result;
}

static void add_counts(struct tcp_info *info, const uint64_t more[BORROW_INFO_COUNTS])
{
	for (size_t i = 0; i < BORROW_INFO_COUNTS; i++)
		add_count(info, &counts[i], more[i]);
}

/* The last measurement, for what has not been measured since the connection changed its carrier. */
static void fill_in(struct tcp_info *info, const struct borrow_info *before)
{
	if (!info->tcpi_rtt && before->rtt) {
		info->tcpi_rtt = before->rtt;
		info->tcpi_rttvar = before->rttvar;
		info->tcpi_min_rtt = before->min_rtt;
	}
	if (!info->tcpi_delivery_rate)
		info->tcpi_delivery_rate = before->delivery_rate;
}

/* Where the stack has seen or done nothing since it has the connection, the twin's figure holds. */
static void add_twin(struct tcp_info *info, const struct tcp_info *twin)
{
	if (!info->tcpi_data_segs_out)
		info->tcpi_last_data_sent = twin->tcpi_last_data_sent;
	if (!info->tcpi_data_segs_in)
		info->tcpi_last_data_recv = twin->tcpi_last_data_recv;
	if (!info->tcpi_segs_in)
		info->tcpi_last_ack_recv = twin->tcpi_last_ack_recv;
	if (!info->tcpi_delivery_rate)
		info->tcpi_delivery_rate = twin->tcpi_delivery_rate;
	info->tcpi_options |= twin->tcpi_options;
	info->tcpi_rcv_rtt = twin->tcpi_rcv_rtt;
	info->tcpi_advmss = twin->tcpi_advmss;
	info->tcpi_rcv_mss = twin->tcpi_rcv_mss;
}

int borrow_info_get(struct socket *socket, int twin, void *value, socklen_t *length)
{
	const struct instance *instance = socket_instance(socket);
	struct whole whole = { 0 };
	struct tcp_info twins;
	socklen_t size = sizeof(whole);

	if (!instance)
		return -ESTALE;
	instance->operations->poll(instance->stack);
	if (atomic_load(&wait_errand_due))
		wait_errand();
	if (socket_settled(socket) != SOCKET_CONNECTION || !socket_instance(socket) ||
	    read_stack(socket, &whole, &size) < 0)
		return -ESTALE;
	read_twin(twin, &twins);
	add_twin(&whole.info, &twins);
	for (size_t i = 0; i < BORROW_INFO_COUNTS; i++)
		add_count(&whole.info, &counts[i], read_count(&twins, &counts[i]));
	add_counts(&whole.info, socket->info.counts);
	fill_in(&whole.info, &socket->info);
	if (*length > size)
		*length = size;
	memcpy(value, &whole, *length);
	return 0;
}

void borrow_info_complete(int descriptor, void *value, socklen_t length)
{
	struct socket *socket = socket_get_any(descriptor);
	struct whole whole = { 0 };

	if (!socket)
		return;
	if (length <= sizeof(whole)) {
		memcpy(&whole, value, length);
		add_counts(&whole.info, socket->info.counts);
		fill_in(&whole.info, &socket->info);
		memcpy(value, &whole, length);
	}
	socket_put(socket);
}

void borrow_info_keep(struct socket *socket)
{
	const int descriptor = atomic_load(&socket->descriptor);
	struct borrow_info *before = &socket->info;
	struct whole whole = { 0 };
	struct tcp_info twin;
	socklen_t size = sizeof(whole);

	if (read_stack(socket, &whole, &size) < 0)
		return;
	before->kept = true;
	read_twin(descriptor, &twin);
	status_carried_at(descriptor, whole.info.tcpi_bytes_sent + twin.tcpi_bytes_sent,
			  whole.info.tcpi_bytes_received + twin.tcpi_bytes_received);
	for (size_t i = 0; i < BORROW_INFO_COUNTS; i++)
		before->counts[i] += read_count(&whole.info, &counts[i]) +
				     (counts[i].kept ? 0 : read_count(&twin, &counts[i]));
	add_twin(&whole.info, &twin);
	fill_in(&whole.info, before);
	before->delivery_rate = whole.info.tcpi_delivery_rate;
	before->rtt = whole.info.tcpi_rtt;
	before->rttvar = whole.info.tcpi_rttvar;
	before->min_rtt = whole.info.tcpi_min_rtt;
}

void borrow_info_put_back(struct socket *socket, size_t unread)
{
	struct borrow_info *before = &socket->info;

	if (!before->kept)
		return;
	for (size_t i = 0; i < BORROW_INFO_COUNTS; i++) {
		if (counts[i].at == offsetof(struct tcp_info, tcpi_bytes_received))
			before->counts[i] -= unread;
	}
	status_carried_at(atomic_load(&socket->descriptor), 0, -(uint64_t)unread);
}
