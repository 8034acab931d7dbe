/* SPDX-License-Identifier: BSD-3-Clause */
/* See guard.h: the side of the process that has a guard. */
#include "broker/guard.h"

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
	int table = (int)kernel_call(SYS_memfd_create, (long)"melin-guard", MFD_CLOEXEC, 0, 0);
	long error = table < 0 ? table : kernel_call(SYS_ftruncate, table, GUARD_BYTES, 0, 0);

	if (error == 0)
		return table;
	kernel_close(table);
	return (int)error;
}

static int send_files(int channel, const int files[GUARD_FILES])
{
	char byte = 0;
	struct iovec part = { .iov_base = &byte, .iov_len = 1 };
	union guard_control control = { .header = { .cmsg_len = CMSG_LEN(GUARD_FILES * sizeof(int)),
						    .cmsg_level = SOL_SOCKET,
						    .cmsg_type = SCM_RIGHTS } };
	struct msghdr message = { .msg_iov = &part,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	long sent;

	memcpy(CMSG_DATA(&control.header), files, GUARD_FILES * sizeof(int));
	sent = kernel_call(SYS_sendmsg, channel, (long)&message, MSG_DONTWAIT | MSG_NOSIGNAL, 0);
	return sent < 0 ? (int)sent : 0;
}

static int start(struct guard *guard, const int files[GUARD_FILES], const char *path)
{
	int error;

	guard->entries =
		shared_memory_map(files[GUARD_TABLE], 0, GUARD_BYTES, PROT_READ | PROT_WRITE);
	if (!guard->entries)
		return -ENOMEM;
	guard->channel = broker_start_guard(path);
	error = guard->channel < 0 ? guard->channel : send_files(guard->channel, files);
	if (error) {
		own_descriptor_close(guard->channel);
		munmap(guard->entries, GUARD_BYTES);
		*guard = (struct guard){ 0 };
	}
	return error;
}

int guard_begin(struct guard *guard, int tap, const char *path)
{
	const int errno_before = errno;
	int files[GUARD_FILES], error;

	if (kernel_call(SYS_getpid, 0, 0, 0, 0) == 1)
		return -ECHILD;
	files[GUARD_TAP] = tap;
	files[GUARD_TABLE] = make_table();
	if (files[GUARD_TABLE] < 0)
		return files[GUARD_TABLE];
	error = start(guard, files, path);
	kernel_close(files[GUARD_TABLE]);
	errno = errno_before;
	return error;
}

void guard_end(struct guard *guard)
{
	if (!guard->entries)
		return;
	own_descriptor_close(guard->channel);
	munmap(guard->entries, GUARD_BYTES);
	*guard = (struct guard){ 0 };
}

/* The memory is the parent's, and not in the child (shared_memory.h). */
void guard_abandon(struct guard *guard)
{
	if (guard->entries)
		own_descriptor_close(guard->channel);
	*guard = (struct guard){ 0 };
}

/* ---- loans ---- */

static struct guard_entry *entry_of(const struct guard *guard, const struct loan *loan)
{
	return guard->entries ? &guard->entries[(uint32_t)loan->token % TAP_CONNECTIONS] : NULL;
}

void guard_note(const struct guard *guard, const struct loan *loan,
		const struct connection_state *state)
{
	struct guard_entry *entry = entry_of(guard, loan);

	if (!entry)
		return;
	entry->loan = *loan;
	injection_prepare_probe(state, &entry->probe);
	__atomic_store_n(&entry->is_lent, 1, __ATOMIC_RELEASE);
}

void guard_forget(const struct guard *guard, const struct loan *loan)
{
	struct guard_entry *entry = entry_of(guard, loan);

	if (entry)
		__atomic_store_n(&entry->is_lent, 0, __ATOMIC_RELEASE);
}
