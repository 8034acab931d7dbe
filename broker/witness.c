/* SPDX-License-Identifier: BSD-3-Clause */
/* See witness.h: the side of the process that has a witness. */
#include "broker/witness.h"

#include <errno.h>
#include <linux/memfd.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "broker/broker_start.h"
#include "common/own_descriptor.h"
#include "common/shared_memory.h"
#include "common/system_call.h"

/* The memory of entries that are not in use is not there. */
static int make_table(void)
{
	int table;
	long error;

	if (!shared_memory_allowed(WITNESS_BYTES))
		return -EFBIG;
	table = (int)kernel_call(SYS_memfd_create, (long)"melin-witness", MFD_CLOEXEC, 0, 0);
	error = table < 0 ? table : kernel_call(SYS_ftruncate, table, WITNESS_BYTES, 0, 0);
	if (error == 0)
		return table;
	kernel_close(table);
	return (int)error;
}

static int send_files(int channel, const int files[WITNESS_FILES])
{
	char byte = 0;
	struct iovec part = { .iov_base = &byte, .iov_len = 1 };
	union witness_control control = { .header = { .cmsg_len =
							      CMSG_LEN(WITNESS_FILES * sizeof(int)),
						      .cmsg_level = SOL_SOCKET,
						      .cmsg_type = SCM_RIGHTS } };
	struct msghdr message = { .msg_iov = &part,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	long sent;

	memcpy(CMSG_DATA(&control.header), files, WITNESS_FILES * sizeof(int));
	sent = kernel_call(SYS_sendmsg, channel, (long)&message, MSG_DONTWAIT | MSG_NOSIGNAL, 0);
	return sent < 0 ? (int)sent : 0;
}

static int start(struct witness *witness, const int files[WITNESS_FILES], const char *path)
{
	int error;

	witness->entries =
		shared_memory_map(files[WITNESS_TABLE], 0, WITNESS_BYTES, PROT_READ | PROT_WRITE);
	if (!witness->entries)
		return -ENOMEM;
	witness->channel = broker_start_witness(path);
	error = witness->channel < 0 ? witness->channel : send_files(witness->channel, files);
	if (error) {
		own_descriptor_close(witness->channel);
		munmap(witness->entries, WITNESS_BYTES);
		*witness = (struct witness){ 0 };
	}
	return error;
}

int witness_begin(struct witness *witness, int tap, const char *path)
{
	const int errno_before = errno;
	int files[WITNESS_FILES], error;

	if (kernel_call(SYS_getpid, 0, 0, 0, 0) == 1)
		return -ECHILD;
	files[WITNESS_TAP] = tap;
	files[WITNESS_TABLE] = make_table();
	if (files[WITNESS_TABLE] < 0)
		return files[WITNESS_TABLE];
	error = start(witness, files, path);
	kernel_close(files[WITNESS_TABLE]);
	errno = errno_before;
	return error;
}

void witness_end(struct witness *witness)
{
	if (!witness->entries)
		return;
	own_descriptor_close(witness->channel);
	munmap(witness->entries, WITNESS_BYTES);
	*witness = (struct witness){ 0 };
}

/* The memory is the parent's, and not in the child (shared_memory.h). */
void witness_abandon(struct witness *witness)
{
	if (witness->entries)
		own_descriptor_close(witness->channel);
	*witness = (struct witness){ 0 };
}

/* ---- loans ---- */

static struct witness_entry *entry_of(const struct witness *witness, const struct loan *loan)
{
	return witness->entries ? &witness->entries[(uint32_t)loan->token % TAP_CONNECTIONS] : NULL;
}

void witness_note(const struct witness *witness, const struct loan *loan,
		  const struct connection_state *state)
{
	struct witness_entry *entry = entry_of(witness, loan);

	if (!entry)
		return;
	entry->loan = *loan;
	injection_prepare_probe(state, &entry->probe);
	__atomic_store_n(&entry->is_lent, 1, __ATOMIC_RELEASE);
}

void witness_forget(const struct witness *witness, const struct loan *loan)
{
	struct witness_entry *entry = entry_of(witness, loan);

	if (entry)
		__atomic_store_n(&entry->is_lent, 0, __ATOMIC_RELEASE);
}
