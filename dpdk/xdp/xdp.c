/* SPDX-License-Identifier: BSD-3-Clause */
/* See xdp.h: the XDP program's maps, and what the driver leaves open. The rest is xdp_stale.c's. */
#include "dpdk/xdp/xdp.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "dpdk/xdp/melin_xdp.h"
#include "common/system_call.h"

_Static_assert(STACK_ADDRESSES_MAX == MELIN_XDP_ADDRESSES_MAX, "the XDP program's maps are small");

struct search {
	int program, settings, address4, address6; /* -1: not seen */
};

static bool is_xdp_socket(int descriptor)
{
	return kernel_get_int(descriptor, SOL_SOCKET, SO_DOMAIN) == AF_XDP;
}

/* What a descriptor is in the kernel's words: "bpf-map", "bpf-prog", "btf" or "". */
static void describe(int descriptor, char *text, size_t size)
{
	static const char prefix[] = "anon_inode:";
	char path[64];
	ssize_t length;

	snprintf(path, sizeof(path), "/proc/thread-self/fd/%d", descriptor);
	length = readlink(path, text, size - 1);
	text[length > 0 ? length : 0] = '\0';
	if (strncmp(text, prefix, sizeof(prefix) - 1) == 0)
		memmove(text, text + sizeof(prefix) - 1, strlen(text) - sizeof(prefix) + 2);
	else
		text[0] = '\0';
}

/* The maps are told apart by name; of several with one name the last opened one is ours. */
static bool look_at_map(struct search *search, int descriptor)
{
	struct bpf_map_info info = { 0 };
	__u32 length = sizeof(info);

	if (bpf_obj_get_info_by_fd(descriptor, &info, &length) < 0)
		return false;
	if (strcmp(info.name, MELIN_XDP_SETTINGS) == 0)
		search->settings = descriptor;
	else if (strcmp(info.name, MELIN_XDP_ADDRESS4) == 0)
		search->address4 = descriptor;
	else if (strcmp(info.name, MELIN_XDP_ADDRESS6) == 0)
		search->address6 = descriptor;
	else
		return strcmp(info.name, "xsks_map") == 0;
	return true;
}

static bool is_our_program(int descriptor)
{
	struct bpf_prog_info info = { 0 };
	__u32 length = sizeof(info);

	return bpf_obj_get_info_by_fd(descriptor, &info, &length) == 0 &&
	       strcmp(info.name, MELIN_XDP_PROGRAM) == 0;
}

/* Whether a descriptor of DPDK's belongs to our program; fills in search's numbers. */
static bool is_ours(struct search *search, int descriptor)
{
	char text[64];

	describe(descriptor, text, sizeof(text));
	if (strcmp(text, "bpf-map") == 0)
		return look_at_map(search, descriptor);
	if (strcmp(text, "bpf-prog") != 0)
		return is_xdp_socket(descriptor);
	if (!is_our_program(descriptor))
		return false;
	search->program = descriptor;
	return true;
}

static void look_at(int descriptor, void *context)
{
	is_ours(context, descriptor);
}

static void close_ours(int descriptor, void *context)
{
	if (is_ours(context, descriptor))
		close(descriptor);
}

static int fill_maps(const struct search *search, const struct stack_config *config)
{
	struct melin_xdp_settings settings = { .vlan = config->vlan };
	__u32 zero = 0;
	__u8 present = 1;
	unsigned i;

	for (i = 0; i < config->address_count; i++) {
		const struct ip_address *address = &config->addresses[i];
		int map = address->family == AF_INET ? search->address4 : search->address6;

		if (bpf_map_update_elem(map, address->bytes, &present, BPF_ANY) < 0)
			return -errno;
	}
	return bpf_map_update_elem(search->settings, &zero, &settings, BPF_ANY) < 0 ? -errno : 0;
}

int xdp_configure(const struct interface *interface, struct control_thread *control,
		  const struct stack_config *config, struct reason *reason)
{
	struct search search = { .program = -1, .settings = -1, .address4 = -1, .address6 = -1 };
	int error;

	control_visit(control, look_at, &search);
	if (search.program < 0 || search.settings < 0 || search.address4 < 0 || search.address6 < 0)
		return reason_set(reason, -ENOENT,
				  "the XDP program's maps are not to be found: " MELIN_XDP_OBJECT
				  " is not this version's, or /proc is not mounted");
	error = fill_maps(&search, config);
	if (!error)
		return 0;
	return reason_set(reason, error, "cannot set up the XDP program on %s: %s", interface->name,
			  strerrordesc_np(-error));
}

void xdp_close_descriptors(struct control_thread *control)
{
	struct search unused;

	control_visit(control, close_ours, &unused);
}
