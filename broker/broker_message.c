/* SPDX-License-Identifier: BSD-3-Clause */
/* See broker_protocol.h: the form of messages, for both sides. Neither trusts the other's. */
#include "broker/broker_protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "common/system_call.h"

/* The connection or the tap, and the file with the data. */
#define DESCRIPTORS 2

/* Room for one descriptor more, so that too many are seen as such. */
union control {
	struct cmsghdr header;
	char room[CMSG_SPACE((DESCRIPTORS + 1) * sizeof(int))];
};

static bool fits_inline(const struct connection_state *state)
{
	return state->send_size + state->receive_size <= BROKER_INLINE;
}

static bool is_bounded(const struct connection_state *state)
{
	return state->send_size <= BROKER_DATA_MAX && state->receive_size <= BROKER_DATA_MAX;
}

/* ---- sending ---- */

/* The data as a file of memory, or a negative errno value. */
static int data_file(struct iovec *parts)
{
	int file = (int)kernel_call(SYS_memfd_create, (long)"melin", MFD_CLOEXEC, 0, 0);

	for (unsigned i = 0; file >= 0 && i < 2; i++) {
		while (parts[i].iov_len > 0) {
			long done = kernel_call(SYS_write, file, (long)parts[i].iov_base,
						(long)parts[i].iov_len, 0);

			if (done <= 0) {
				kernel_close(file);
				return done ? (int)done : -ENOSPC;
			}
			parts[i].iov_base = (uint8_t *)parts[i].iov_base + done;
			parts[i].iov_len -= (size_t)done;
		}
	}
	return file;
}

static long send_parts(int channel, struct iovec *parts, const int *descriptors, unsigned count,
		       int flags)
{
	union control control;
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = 3 };
	long sent;

	if (count > 0) {
		memset(&control, 0, sizeof(control));
		control.header.cmsg_len = CMSG_LEN(count * sizeof(int));
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		memcpy(CMSG_DATA(&control.header), descriptors, count * sizeof(int));
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(count * sizeof(int));
	}
	do
		sent = kernel_call(SYS_sendmsg, channel, (long)&message, flags | MSG_NOSIGNAL, 0);
	while (sent == -EINTR);
	return sent;
}

int broker_message_send(int channel, const struct broker_message *message, int descriptor,
			int flags)
{
	const struct connection_state *state = &message->state;
	struct broker_message head = *message;
	struct iovec parts[] = {
		{ .iov_base = &head, .iov_len = sizeof(head) },
		{ .iov_base = state->send_data, .iov_len = state->send_size },
		{ .iov_base = state->receive_data, .iov_len = state->receive_size },
	};
	int descriptors[DESCRIPTORS], file = -1;
	unsigned count = 0;
	long sent;

	if (!is_bounded(state))
		return -EFBIG;
	head.version = BROKER_VERSION;
	/* No addresses of this process. */
	head.state.send_data = head.state.receive_data = NULL;
	if (descriptor >= 0)
		descriptors[count++] = descriptor;
	if (!fits_inline(state)) {
		file = data_file(parts + 1);
		if (file < 0)
			return file;
		descriptors[count++] = file;
	}
	sent = send_parts(channel, parts, descriptors, count, flags);
	kernel_close(file);
	return sent < 0 ? (int)sent : 0;
}

/* ---- receiving ---- */

#ifndef SCM_PIDFD /* Linux 6.5 */
#define SCM_PIDFD 0x04
#endif

/*
 * All that have come, for which there is room: also the PID descriptor that a client has asked for
 * at this end of the channel, which it has made and may still have (unix(7), SO_PASSPIDFD).
 */
static unsigned take_descriptors(struct msghdr *header, int *descriptors)
{
	unsigned count = 0;

	for (struct cmsghdr *control = CMSG_FIRSTHDR(header); control;
	     control = CMSG_NXTHDR(header, control)) {
		const size_t size = control->cmsg_len - CMSG_LEN(0);

		if (control->cmsg_level != SOL_SOCKET ||
		    (control->cmsg_type != SCM_RIGHTS && control->cmsg_type != SCM_PIDFD))
			continue;
		memcpy(descriptors + count, CMSG_DATA(control), size);
		count += (unsigned)(size / sizeof(int));
	}
	return count;
}

/*
 * Whether the kernel has left out descriptors for which there was room: the process can have no
 * more.
 */
static bool lacks_descriptors(const struct msghdr *header, unsigned count)
{
	return (header->msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == MSG_CTRUNC && count <= DESCRIPTORS;
}

/* Bytes of the message, its descriptors in *count and descriptors; or a negative errno value. */
static long receive_parts(int channel, struct broker_reader *reader, int *descriptors,
			  unsigned *count, int flags)
{
	union control control;
	struct iovec parts[] = {
		{ .iov_base = &reader->message, .iov_len = sizeof(reader->message) },
		{ .iov_base = reader->data, .iov_len = sizeof(reader->data) },
	};
	struct msghdr header = {
		.msg_iov = parts,
		.msg_iovlen = 2,
		.msg_control = &control,
		/* Not sizeof: alignment would leave room for more. */
		.msg_controllen = CMSG_LEN((DESCRIPTORS + 1) * sizeof(int)),
	};
	long got;

	do
		got = kernel_call(SYS_recvmsg, channel, (long)&header, flags | MSG_CMSG_CLOEXEC, 0);
	while (got == -EINTR);
	if (got < 0)
		return got == -ECONNRESET ? -EPIPE : got;
	*count = take_descriptors(&header, descriptors);
	if (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
		return lacks_descriptors(&header, *count) ? -EMFILE : -EPROTO;
	/* Nobody sends messages of no bytes: this is the end. */
	return got ?: -EPIPE;
}

/* What came from outside may be no bool at all, which the compiler may take as it likes. */
static void normalise_bools(struct connection_state *state)
{
	bool *const all[] = { &state->scaled,	     &state->sack,	   &state->timestamps,
			      &state->remote_closed, &state->remote_reset, &state->reuse_address,
			      &state->keepalive,     &state->sends_urgent };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		uint8_t byte;

		memcpy(&byte, all[i], sizeof(byte));
		*all[i] = byte != 0;
	}
}

/* The data is as long as the state says, in the message or in a file. */
static int check(struct broker_reader *reader, size_t size, const int *descriptors, unsigned count)
{
	struct broker_message *message = &reader->message;
	struct connection_state *state = &message->state;
	bool has_file;

	if (size < sizeof(*message) || message->version != BROKER_VERSION || !is_bounded(state))
		return -EPROTO;
	state->send_data = state->receive_data = NULL;
	normalise_bools(state);
	has_file = !fits_inline(state);
	if (count < has_file || count > has_file + 1u)
		return -EPROTO;
	if (size - sizeof(*message) != (has_file ? 0 : state->send_size + state->receive_size))
		return -EPROTO;
	if (has_file)
		reader->file = descriptors[--count];
	if (count > 0)
		reader->connection = descriptors[0];
	return 0;
}

int broker_message_receive(int channel, struct broker_reader *reader, int flags)
{
	int descriptors[DESCRIPTORS + 1], error;
	unsigned count = 0;
	long size = receive_parts(channel, reader, descriptors, &count, flags);

	reader->connection = reader->file = -1;
	error = size < 0 ? (int)size : check(reader, (size_t)size, descriptors, count);
	for (unsigned i = 0; error && i < count; i++)
		kernel_close(descriptors[i]);
	return error;
}

void broker_message_end(struct broker_reader *reader)
{
	kernel_close(reader->connection);
	kernel_close(reader->file);
	reader->connection = reader->file = -1;
}

/* ---- the data ---- */

/*
 * Reads from the file that has come with a message. It must be a file of memory: these have seals,
 * and nobody can make them slow, as FUSE can. It is read and not mapped, because its owner may cut
 * it.
 */
static int read_file(int file, uint8_t *to, size_t size, size_t offset)
{
	if (kernel_call(SYS_fcntl, file, F_GET_SEALS, 0, 0) < 0)
		return -EPROTO;
	while (size > 0) {
		long got = kernel_call(SYS_pread64, file, (long)to, (long)size, (long)offset);

		if (got <= 0)
			return -EPROTO;
		to += got;
		size -= (size_t)got;
		offset += (size_t)got;
	}
	return 0;
}

static int read_part(const struct broker_reader *reader, uint8_t **data, size_t size, size_t offset)
{
	if (size == 0)
		return 0;
	*data = malloc(size);
	if (!*data)
		return -ENOMEM;
	if (reader->file >= 0)
		return read_file(reader->file, *data, size, offset);
	memcpy(*data, reader->data + offset, size);
	return 0;
}

int broker_message_data(struct broker_reader *reader)
{
	struct connection_state *state = &reader->message.state;
	int error = read_part(reader, &state->send_data, state->send_size, 0);

	error = error
			?: read_part(reader, &state->receive_data, state->receive_size,
				     state->send_size);
	if (error)
		connection_state_clear(state);
	return error;
}
