/* SPDX-License-Identifier: BSD-3-Clause */
/* dpdk/frames/sizes.c: how many buffers there are, how large, and how many may be out. */
#include "dpdk/frames/sizes.h"
#include "tap.h"

static struct pool_size size_of(struct pool_need need)
{
	struct pool_size size;

	pool_size(&need, &size);
	return size;
}

int main(void)
{
	const struct pool_need usual = {
		.queues = 1, .rxd = 2048, .txd = 2048, .connections = 64, .mtu = 1500, .xdp = true
	};
	struct pool_need need = usual;
	struct pool_size base = size_of(usual), size;

	tap_ok(base.mbufs == 2048 + 2048 + TRANSMIT_QUEUE_MAX + base.hold_limit,
	       "rings, waiting frames and held ones: %u", base.mbufs);
	tap_ok(base.hold_limit == 64 * 32, "held: 32 a connection");
	tap_ok(base.data_room >= 128 + 256 + 1500 + 14 + 4 && base.data_room < 2048,
	       "AF_XDP: two headrooms and a tagged frame: %u", base.data_room);
	tap_ok(base.memory > (size_t)base.mbufs * base.data_room, "memory: %zu", base.memory);

	need.queues = 4;
	size = size_of(need);
	tap_ok(size.mbufs - size.hold_limit - TRANSMIT_QUEUE_MAX == 4 * 4096, "four queues");
	need = usual;
	need.rxd = 128;
	size = size_of(need);
	tap_ok(size.mbufs == base.mbufs, "AF_XDP: the fill ring does not shrink with the others");
	need.connections = 100000;
	size = size_of(need);
	tap_ok(size.hold_limit == 16384, "many connections do not take all memory");

	need = usual;
	need.xdp = false;
	size = size_of(need);
	tap_ok(size.data_room >= 2048 + 128, "a card: at least the usual buffer");
	need.mtu = 9000;
	size = size_of(need);
	tap_ok((size.data_room - 128) % 1024 == 0 && size.data_room > 9000 + 18,
	       "a card with jumbo frames: %u", size.data_room);

	need = usual;
	need.mbufs = 20000;
	size = size_of(need);
	tap_ok(size.mbufs == 20000 && !size.raised && size.hold_limit > 10000,
	       "the user's number: %u held", size.hold_limit);
	need.mbufs = 100;
	size = size_of(need);
	tap_ok(size.raised && size.mbufs > 4096 && size.hold_limit > 0,
	       "too small a number is raised to %u", size.mbufs);
	tap_ok(xdp_mtu_max(4096) > 3000 && xdp_mtu_max(4096) < 3542, "AF_XDP's MTU: %u",
	       xdp_mtu_max(4096));
	return tap_done();
}
