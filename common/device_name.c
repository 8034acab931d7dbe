/* SPDX-License-Identifier: BSD-3-Clause */
/* See device_name.h. */
#include "common/device_name.h"

#include <ctype.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#define DOMAIN "0000:"

/* form: x is a hexadecimal digit, 7 a function's number (0 to 7), all else itself. */
static bool has_form(const char *text, const char *form)
{
	for (; *form; text++, form++) {
		if (*form == 'x'   ? !isxdigit((unsigned char)*text)
		    : *form == '7' ? *text < '0' || *text > '7'
				   : *text != *form)
			return false;
	}
	return *text == '\0';
}

/* [domain:]bus:device.function; writes the domain that a short one leaves out. */
static bool is_pci_address(char *name)
{
	if (has_form(name, "xxxx:xx:xx.7"))
		return true;
	if (!has_form(name, "xx:xx.7"))
		return false;
	memmove(name + strlen(DOMAIN), name, strlen(name) + 1);
	memcpy(name, DOMAIN, strlen(DOMAIN));
	return true;
}

/* As DPDK's vdevs begin; whether there is such a driver is DPDK's to say. */
static bool is_vdev(const char *name)
{
	static const char *const beginnings[] = { "net_", "eth_", "virtio_user" };

	for (size_t i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++) {
		const size_t length = strlen(beginnings[i]);

		if (strncmp(name, beginnings[i], length) == 0 && name[length])
			return true;
	}
	return false;
}

/* What the kernel allows: dev_valid_name(). */
static bool is_interface(const char *name)
{
	return name[0] && strlen(name) < IF_NAMESIZE && strcmp(name, ".") != 0 &&
	       strcmp(name, "..") != 0 && !name[strcspn(name, "/: \t\n\v\f\r")];
}

bool device_name_parse(const char *text, struct device_name *result)
{
	static const char packet[] = "packet:";
	const size_t length = strcspn(text, ",");
	const bool has_arguments = text[length] == ',';

	if (length + strlen(DOMAIN) >= sizeof(result->name))
		return false;
	snprintf(result->name, sizeof(result->name), "%.*s", (int)length, text);
	result->arguments = has_arguments ? text + length + 1 : "";
	if (is_pci_address(result->name)) {
		result->kind = DEVICE_PCI;
		return true;
	}
	if (is_vdev(result->name)) {
		result->kind = DEVICE_VDEV;
		return true;
	}
	if (strncmp(result->name, packet, strlen(packet)) == 0) {
		result->kind = DEVICE_PACKET;
		memmove(result->name, result->name + strlen(packet),
			strlen(result->name + strlen(packet)) + 1);
	} else {
		result->kind = strcmp(result->name, "loop") == 0 ? DEVICE_LOOP : DEVICE_INTERFACE;
	}
	return !has_arguments && is_interface(result->name);
}
