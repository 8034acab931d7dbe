/* SPDX-License-Identifier: BSD-3-Clause */
/* See device.h. */
#include "device.h"

#include <ctype.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

/* What there is to know of a vdev's driver by its name. All else: frames of unknown origin. */
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

/* Reads exactly count hexadecimal digits and what must follow; NULL if it is not so. */
static const char *hex_field(const char *text, unsigned count, char follow)
{
	while (count--) {
		if (!isxdigit((unsigned char)*text++))
			return NULL;
	}
	if (!follow)
		return text;
	return *text == follow ? text + 1 : NULL;
}

/* [domain:]bus:device.function, the name alone. */
static bool is_pci_address(const char *name, bool *has_domain)
{
	const char *rest = hex_field(name, 4, ':');

	*has_domain = rest != NULL;
	rest = hex_field(rest ? rest : name, 2, ':');
	rest = rest ? hex_field(rest, 2, '.') : NULL;
	return rest && *rest >= '0' && *rest <= '7' && rest[1] == '\0';
}

static bool is_vdev_name(const char *name)
{
	return starts_with(name, "net_") || starts_with(name, "eth_") ||
	       starts_with(name, "virtio_user");
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

static int parse_interface(struct device *device, bool has_comma, char *why, size_t why_size)
{
	static const char prefix[] = "packet:";

	device->kind = DEVICE_INTERFACE;
	device->library = DEVICE_XDP_LIBRARY;
	if (starts_with(device->name, prefix)) {
		device->kind = DEVICE_PACKET;
		device->library = DEVICE_NO_DRIVER;
		memmove(device->name, device->name + sizeof(prefix) - 1,
			strlen(device->name) - sizeof(prefix) + 2);
	}
	if (has_comma) {
		snprintf(why, why_size,
			 "device \"%s,%s\" is neither a PCI address nor a vdev (net_...)",
			 device->name, device->arguments);
		return -EINVAL;
	}
	if (!device->name[0] || strlen(device->name) >= IF_NAMESIZE ||
	    strpbrk(device->name, "/: \t\n")) {
		snprintf(why, why_size, "\"%s\" cannot be the name of an interface", device->name);
		return -EINVAL;
	}
	device->kernel_peer = true;
	return 0;
}

int device_parse(const char *text, struct device *device, char *why, size_t why_size)
{
	size_t length = strcspn(text, ",");
	const char *comma = text[length] ? text + length : NULL;
	bool has_domain;

	memset(device, 0, sizeof(*device));
	device->arguments = comma ? comma + 1 : "";
	if (length == 0 || length >= sizeof(device->name) - sizeof("0000:")) {
		snprintf(why, why_size, "the device's name is %s", length ? "too long" : "empty");
		return -EINVAL;
	}
	memcpy(device->name, text, length);

	if (is_pci_address(device->name, &has_domain)) {
		device->kind = DEVICE_PCI;
		if (!has_domain)
			snprintf(device->name, sizeof(device->name), "0000:%.*s", (int)length,
				 text);
		return 0;
	}
	if (is_vdev_name(device->name)) {
		device->kind = DEVICE_VDEV;
		describe_driver(device);
		return 0;
	}
	return parse_interface(device, comma != NULL, why, why_size);
}
