/* SPDX-License-Identifier: BSD-3-Clause */
/* See bpf_call.h. */
#include "broker/bpf_call.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/tap_program.h"
#include "common/own_descriptor.h"
#include "common/system_call.h"

/* linux/bpf.h of Linux 6.6: enum bpf_attach_type, and a flag of BPF_LINK_CREATE. */
#define ATTACH_TCX_INGRESS 46
#define LINK_BEFORE	   (1u << 3) /* with no other link named: before all */
#define LINK_TYPE_TCX	   11

/* The programs call helpers that the kernel keeps for those that it may read: dual-licensed. */
static const char licence[] = "Dual BSD/GPL";

static int bpf(enum bpf_cmd command, union bpf_attr *attributes)
{
	return (int)kernel_call(SYS_bpf, command, (long)attributes, sizeof(*attributes), 0);
}

int bpf_make_map(enum bpf_map_type type, size_t key, size_t value, uint32_t entries, uint32_t flags)
{
	union bpf_attr attributes = { .map_type = type,
				      .key_size = (uint32_t)key,
				      .value_size = (uint32_t)value,
				      .max_entries = entries,
				      .map_flags = flags };

	return own_descriptor(bpf(BPF_MAP_CREATE, &attributes));
}

static union bpf_attr element(int map, const void *key, const void *value)
{
	return (union bpf_attr){ .map_fd = (uint32_t)map,
				 .key = (uint64_t)(uintptr_t)key,
				 .value = (uint64_t)(uintptr_t)value };
}

int bpf_store(int map, const void *key, const void *value)
{
	union bpf_attr attributes = element(map, key, value);

	return bpf(BPF_MAP_UPDATE_ELEM, &attributes);
}

int bpf_find(int map, const void *key, void *value)
{
	union bpf_attr attributes = element(map, key, value);

	return bpf(BPF_MAP_LOOKUP_ELEM, &attributes);
}

int bpf_delete(int map, const void *key)
{
	union bpf_attr attributes = element(map, key, NULL);

	return bpf(BPF_MAP_DELETE_ELEM, &attributes);
}

int bpf_next(int map, const void *key, void *next)
{
	union bpf_attr attributes = element(map, key, next);

	return bpf(BPF_MAP_GET_NEXT_KEY, &attributes);
}

#define LOAD_64_BITS BPF_DW /* BPF_LD and BPF_IMM, which belong to it, are 0 */

/* An instruction that loads 64 bits has two parts, each with half of the number. */
static void replace(struct bpf_insn *instruction, const int *places)
{
	const uint64_t number =
		(uint32_t)instruction[0].imm | (uint64_t)(uint32_t)instruction[1].imm << 32;

	if (number < TAP_PLACE_TUPLES || number > TAP_PLACE_OWNER)
		return;
	if (number != TAP_PLACE_OWNER)
		instruction[0].src_reg = BPF_PSEUDO_MAP_FD;
	instruction[0].imm = places[number - TAP_PLACE_TUPLES];
	instruction[1].imm = 0;
}

/*
 * The kernel gives up with EAGAIN when a signal comes while it looks through the program, and libc
 * sends one to each thread when the program changes its user. That takes less than a millisecond,
 * so that a second attempt succeeds but for the strangest signals.
 */
#define LOAD_ATTEMPTS 10

static int load_whatever_comes(union bpf_attr *attributes)
{
	int program = -EAGAIN;

	for (int i = 0; i < LOAD_ATTEMPTS && program == -EAGAIN; i++)
		program = bpf(BPF_PROG_LOAD, attributes);
	return program;
}

int bpf_load(enum bpf_prog_type type, const uint64_t *code, size_t count, const int *places)
{
	struct bpf_insn *instructions = malloc(count * sizeof(*instructions));
	union bpf_attr attributes = { .prog_type = type,
				      .insns = (uint64_t)(uintptr_t)instructions,
				      .insn_cnt = (uint32_t)count,
				      .license = (uint64_t)(uintptr_t)licence };
	int program;

	if (!instructions)
		return -ENOMEM;
	memcpy(instructions, code, count * sizeof(*instructions));
	for (size_t i = 0; i < count; i++) {
		if (instructions[i].code != LOAD_64_BITS)
			continue;
		replace(&instructions[i], places);
		i++;
	}
	memcpy(attributes.prog_name, "melin_tap", sizeof("melin_tap"));
	program = load_whatever_comes(&attributes);
	free(instructions);
	return own_descriptor(program);
}

int bpf_link_ingress(int program, uint32_t interface)
{
	union bpf_attr attributes = { .link_create = { .prog_fd = (uint32_t)program,
						       .target_ifindex = interface,
						       .attach_type = ATTACH_TCX_INGRESS,
						       .flags = LINK_BEFORE } };

	return own_descriptor(bpf(BPF_LINK_CREATE, &attributes));
}

uint32_t bpf_link_interface(int link)
{
	/* Of struct bpf_link_info: type, id, prog_id, then for tcx the interface. */
	uint32_t info[32] = { 0 };
	union bpf_attr attributes = { .info = { .bpf_fd = (uint32_t)link,
						.info_len = sizeof(info),
						.info = (uint64_t)(uintptr_t)info } };

	if (bpf(BPF_OBJ_GET_INFO_BY_FD, &attributes) < 0 || info[0] != LINK_TYPE_TCX)
		return 0;
	return info[4];
}

int bpf_probe_tcx(int program)
{
	/*
	 * No interface has the index 0. A kernel that knows this kind of link finds that out, and
	 * answers ENODEV.
	 */
	int error = bpf_link_ingress(program, 0);

	return error == -ENODEV ? 0 : error == -EOPNOTSUPP || error == -E2BIG ? -EINVAL : error;
}

int bpf_run_frame(int program, uint32_t interface, const void *frame, size_t size)
{
	struct xdp_md context = { .data_end = (uint32_t)size, .ingress_ifindex = interface };
	union bpf_attr attributes = { .test = { .prog_fd = (uint32_t)program,
						.data_size_in = (uint32_t)size,
						.data_in = (uint64_t)(uintptr_t)frame,
						.ctx_in = (uint64_t)(uintptr_t)&context,
						.ctx_size_in = sizeof(context),
						.repeat = 1,
						.batch_size = 1,
						.flags = BPF_F_TEST_XDP_LIVE_FRAMES } };

	return bpf(BPF_PROG_TEST_RUN, &attributes);
}
