/* SPDX-License-Identifier: BSD-3-Clause */
/* dpdk/eal/device.c: what MELIN_DEV names. */
#include <errno.h>
#include <string.h>

#include "dpdk/eal/device.h"
#include "tap.h"

static const char *const kinds[] = { "loop", "interface", "interface by packets", "PCI address",
				     "vdev" };

static void is(const char *text, enum device_kind kind, const char *name, const char *arguments,
	       bool kernel_peer)
{
	struct device device;
	struct reason reason = { "" };
	int error = device_parse(text, &device, &reason);

	tap_ok(error == 0 && device.kind == kind && strcmp(device.name, name) == 0 &&
		       strcmp(device.arguments, arguments) == 0 &&
		       device.kernel_peer == kernel_peer,
	       "\"%s\" is %s %s%s", text, kinds[kind], name,
	       kernel_peer ? " with a kernel at the other end" : "");
}

static void is_refused(const char *text)
{
	struct device device;
	struct reason reason = { "" };

	tap_ok(device_parse(text, &device, &reason) == -EINVAL && reason.text[0],
	       "\"%s\" is refused: %s", text, reason.text);
}

static void drivers(void)
{
	struct device device;
	struct reason reason;

	device_parse("net_memif0,role=client", &device, &reason);
	tap_ok(device.late_descriptors && device.library &&
		       strcmp(device.library, "librte_net_memif.so") == 0,
	       "net_memif makes descriptors late and its library is known");
	device_parse("net_ring0", &device, &reason);
	tap_ok(!device.library && !device.kernel_peer, "of net_ring nothing is known");
}

int main(void)
{
	is("veth0", DEVICE_INTERFACE, "veth0", "", true);
	is("eth0", DEVICE_INTERFACE, "eth0", "", true);
	is("enp3s0f0.10", DEVICE_INTERFACE, "enp3s0f0.10", "", true);
	is("packet:veth0", DEVICE_PACKET, "veth0", "", true);
	is("0000:03:00.0", DEVICE_PCI, "0000:03:00.0", "", false);
	is("03:00.1", DEVICE_PCI, "0000:03:00.1", "", false);
	is("af:1f.7,rss=1,x=2", DEVICE_PCI, "0000:af:1f.7", "rss=1,x=2", false);
	is("net_memif0,role=client,id=1", DEVICE_VDEV, "net_memif0", "role=client,id=1", false);
	is("net_tap0", DEVICE_VDEV, "net_tap0", "", true);
	is("eth_af_packet0,iface=x", DEVICE_VDEV, "eth_af_packet0", "iface=x", true);
	is("virtio_user0,path=/dev/vhost-net", DEVICE_VDEV, "virtio_user0", "path=/dev/vhost-net",
	   true);
	is_refused("");
	is_refused("packet:");
	is_refused("packet:a:b");
	is_refused("packet:veth0,x=1");
	is_refused("packet:abcdefghijklmnop");
	is_refused(",iface=x");
	is_refused("veth0,queues=2");
	is_refused("a-name-of-16-chars");
	is_refused("with/slash");
	is_refused("03:00.8");
	is_refused("0000:03:00.9");
	is_refused("..");
	is_refused("loop");
	is_refused("net_0123456789012345678901234567890123456789012345678901234567890123456789");
	drivers();
	return tap_done();
}
