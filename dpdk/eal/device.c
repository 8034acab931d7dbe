/* SPDX-License-Identifier: BSD-3-Clause */
/* See device.h. */
#include "dpdk/eal/device.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/*
 * What a vdev's name tells of its driver. Of a driver that is not listed nothing is known: its
 * frames may come from anywhere.
 */
static const struct {
	const char *prefix, *library;
	bool kernel_peer, late_descriptors;
} drivers[] = {
	{ "net_af_xdp", DEVICE_XDP_LIBRARY, .kernel_peer = true },
	{ "net_af_packet", "librte_net_af_packet.so", .kernel_peer = true },
	{ "eth_af_packet", "librte_net_af_packet.so", .kernel_peer = true },
	{ "net_tap", DEVICE_TAP_LIBRARY, .kernel_peer = true },
	{ "net_tun", DEVICE_TAP_LIBRARY, .kernel_peer = true },
	{ "net_virtio_user", "librte_net_virtio.so", .kernel_peer = true },
	{ "virtio_user", "librte_net_virtio.so", .kernel_peer = true },
	{ "net_pcap", "librte_net_pcap.so", .kernel_peer = true },
	{ "eth_pcap", "librte_net_pcap.so", .kernel_peer = true },
	{ "net_memif", DEVICE_MEMIF_LIBRARY, .late_descriptors = true },
	{ "net_vhost", "librte_net_vhost.so", .kernel_peer = true, .late_descriptors = true },
};

static bool starts_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

static void describe_driver(struct device *device)
{
	size_t i;

	for (i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++) {
		if (!starts_with(device->name, drivers[i].prefix))
			continue;
		device->kernel_peer = drivers[i].kernel_peer;
		device->library = drivers[i].library;
		device->late_descriptors = drivers[i].late_descriptors;
		return;
	}
}

void device_of_tap(struct device *device)
{
	*device = (struct device){ .kind = DEVICE_TAP,
				   .name = "tap",
				   .arguments = "",
				   .kernel_peer = true,
				   .library = DEVICE_NO_DRIVER };
}

int device_parse(const char *text, struct device *device, struct reason *reason)
{
	struct device_name parsed;

	memset(device, 0, sizeof(*device));
	if (!device_name_parse(text, &parsed) || parsed.kind == DEVICE_LOOP)
		return reason_set(reason, -EINVAL,
				  "\"%s\" is no interface, PCI address or vdev (net_...)", text);
	device->kind = parsed.kind;
	memcpy(device->name, parsed.name, sizeof(device->name));
	device->arguments = parsed.arguments;
	if (device->kind == DEVICE_VDEV)
		describe_driver(device);
	if (device->kind == DEVICE_INTERFACE || device->kind == DEVICE_PACKET) {
		device->library =
			device->kind == DEVICE_PACKET ? DEVICE_NO_DRIVER : DEVICE_XDP_LIBRARY;
		device->kernel_peer = true;
	}
	return 0;
}
