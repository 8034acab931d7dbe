/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Interposed: moving bytes. Each wrapper brings its arguments into the form of socket_receive()
 * or socket_send(); a descriptor that is not the stack's goes to libc untouched.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "ancillary.h"
#include "clock.h"
#include "config.h"
#include "memory.h"
#include "pending.h"
#include "result.h"
#include "socket.h"
#include "symbols.h"

/* ---- receiving ---- */

static ssize_t receive(struct socket *socket, void *buffer, size_t size, int flags)
{
	struct iovec iov = { .iov_base = buffer, .iov_len = size };
	ssize_t result = socket_receive(socket, &iov, 1, flags);

	socket_put(socket);
	return as_libc(result);
}

/* A connected TCP socket reports no address. */
static ssize_t no_address(socklen_t *length)
{
	if (!memory_writable(length, sizeof(*length))) {
		errno = EFAULT;
		return -1;
	}
	*length = 0;
	return 0;
}

INTERPOSED ssize_t read(int descriptor, void *buffer, size_t size)
{
	struct socket *socket = socket_get(descriptor);

	if (!socket)
		return libc()->read(descriptor_of_program(descriptor), buffer, size);
	if (size == 0) { /* as the kernel: no error is looked for, none is taken */
		socket_put(socket);
		return 0;
	}
	return receive(socket, buffer, size, 0);
}

INTERPOSED ssize_t __read_chk(int descriptor, void *buffer, size_t size, size_t room)
{
	if (size > room || !descriptor_known(descriptor))
		return libc()->__read_chk(descriptor_of_program(descriptor), buffer, size, room);
	return read(descriptor, buffer, size);
}

INTERPOSED ssize_t recv(int descriptor, void *buffer, size_t size, int flags)
{
	struct socket *socket = socket_get(descriptor);

	if (!socket) {
		pending_before_blocking();
		return libc()->recv(descriptor_of_program(descriptor), buffer, size, flags);
	}
	return receive(socket, buffer, size, flags);
}

INTERPOSED ssize_t __recv_chk(int descriptor, void *buffer, size_t size, size_t room, int flags)
{
	if (size > room || !descriptor_known(descriptor))
		return libc()->__recv_chk(descriptor_of_program(descriptor), buffer, size, room,
					  flags);
	return recv(descriptor, buffer, size, flags);
}

INTERPOSED ssize_t recvfrom(int descriptor, void *buffer, size_t size, int flags,
			    struct sockaddr *peer, socklen_t *length)
{
	struct socket *socket = socket_get(descriptor);
	ssize_t result;

	if (!socket) {
		pending_before_blocking();
		return libc()->recvfrom(descriptor_of_program(descriptor), buffer, size, flags,
					peer, length);
	}
	result = receive(socket, buffer, size, flags);
	if (result >= 0 && peer && no_address(length) < 0)
		return -1; /* as in the kernel, the data is gone */
	return result;
}

INTERPOSED ssize_t __recvfrom_chk(int descriptor, void *buffer, size_t size, size_t room, int flags,
				  struct sockaddr *peer, socklen_t *length)
{
	if (size > room || !descriptor_known(descriptor))
		return libc()->__recvfrom_chk(descriptor_of_program(descriptor), buffer, size, room,
					      flags, peer, length);
	return recvfrom(descriptor, buffer, size, flags, peer, length);
}

/* EINVAL or EFAULT as the kernel's import of an iovec says it, or 0. */
static int check_iovec(const struct iovec *iov, size_t count)
{
	size_t bytes = 0;

	if (count > IOV_MAX)
		return -EINVAL;
	if (!memory_readable(iov, count * sizeof(*iov)))
		return -EFAULT;
	for (size_t i = 0; i < count; i++) {
		if ((ssize_t)iov[i].iov_len < 0 || (ssize_t)(bytes + iov[i].iov_len) < 0)
			return -EINVAL;
		bytes += iov[i].iov_len;
	}
	return 0;
}

static bool empty(const struct iovec *iov, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (iov[i].iov_len)
			return false;
	return true;
}

INTERPOSED ssize_t readv(int descriptor, const struct iovec *iov, int count)
{
	struct socket *socket = socket_get(descriptor);
	ssize_t result;

	if (!socket)
		return libc()->readv(descriptor_of_program(descriptor), iov, count);
	result = count < 0 ? -EINVAL : check_iovec(iov, (size_t)count);
	if (result == 0 && !empty(iov, (size_t)count))
		result = socket_receive(socket, iov, (size_t)count, 0);
	socket_put(socket);
	return as_libc(result);
}

static ssize_t receive_message(struct socket *socket, struct msghdr *message, int flags)
{
	ssize_t result;

	if (!memory_writable(message, sizeof(*message)))
		return -EFAULT;
	if (message->msg_iovlen > IOV_MAX)
		return -EMSGSIZE;
	result = check_iovec(message->msg_iov, message->msg_iovlen);
	if (result == 0)
		result = socket_receive(socket, message->msg_iov, message->msg_iovlen, flags);
	if (result >= 0) {
		message->msg_namelen = 0;
		message->msg_flags = flags & MSG_OOB && result > 0 ? MSG_OOB : 0;
		if (flags & MSG_OOB)
			message->msg_controllen = 0;
		else
			ancillary_put(socket, message);
	}
	return result;
}

INTERPOSED ssize_t recvmsg(int descriptor, struct msghdr *message, int flags)
{
	struct socket *socket = socket_get(descriptor);
	ssize_t result;

	if (!socket) {
		pending_before_blocking();
		return libc()->recvmsg(descriptor_of_program(descriptor), message, flags);
	}
	result = receive_message(socket, message, flags);
	socket_put(socket);
	return as_libc(result);
}

static bool valid_time(const struct timespec *timeout)
{
	return !timeout || (memory_readable(timeout, sizeof(*timeout)) && timeout->tv_sec >= 0 &&
			    timeout->tv_nsec >= 0 && timeout->tv_nsec < 1000000000);
}

/* The time-out is looked at after each message, as recvmmsg(2) describes under BUGS. */
INTERPOSED int recvmmsg(int descriptor, struct mmsghdr *messages, unsigned count, int flags,
			struct timespec *timeout)
{
	struct socket *socket = socket_get(descriptor);
	ssize_t result = 0;
	uint64_t deadline;
	unsigned done;

	if (!socket || !valid_time(timeout)) {
		if (socket)
			socket_put(socket);
		return libc()->recvmmsg(descriptor_of_program(descriptor), messages, count, flags,
					timeout);
	}
	deadline = clock_deadline_timespec(timeout);
	for (done = 0; done < count; done++) {
		result = receive_message(socket, &messages[done].msg_hdr, flags & ~MSG_WAITFORONE);
		if (result < 0)
			break;
		messages[done].msg_len = (unsigned)result;
		if (flags & MSG_WAITFORONE)
			flags |= MSG_DONTWAIT;
		if (timeout && clock_monotonic() >= deadline) {
			done++;
			break;
		}
	}
	socket_put(socket);
	return done ? (int)done : (int)as_libc(result);
}

/* ---- sending ---- */

static ssize_t transmit(struct socket *socket, const void *buffer, size_t size, int flags)
{
	struct iovec iov = { .iov_base = (void *)(uintptr_t)buffer, .iov_len = size };
	ssize_t result = socket_send(socket, &iov, 1, flags);

	socket_put(socket);
	return as_libc(result);
}

INTERPOSED ssize_t write(int descriptor, const void *buffer, size_t size)
{
	struct socket *socket = socket_get(descriptor);

	if (!socket)
		return libc()->write(descriptor_of_program(descriptor), buffer, size);
	return transmit(socket, buffer, size, 0);
}

INTERPOSED ssize_t send(int descriptor, const void *buffer, size_t size, int flags)
{
	struct socket *socket = socket_get(descriptor);

	if (!socket)
		return libc()->send(descriptor_of_program(descriptor), buffer, size, flags);
	return transmit(socket, buffer, size, flags);
}

/* The address is ignored on a connected TCP socket. */
INTERPOSED ssize_t sendto(int descriptor, const void *buffer, size_t size, int flags,
			  const struct sockaddr *peer, socklen_t length)
{
	struct socket *socket = socket_get(descriptor);

	if (!socket)
		return libc()->sendto(descriptor_of_program(descriptor), buffer, size, flags, peer,
				      length);
	return transmit(socket, buffer, size, flags);
}

INTERPOSED ssize_t writev(int descriptor, const struct iovec *iov, int count)
{
	struct socket *socket = socket_get(descriptor);
	ssize_t result;

	if (!socket)
		return libc()->writev(descriptor_of_program(descriptor), iov, count);
	result = count < 0 ? -EINVAL : check_iovec(iov, (size_t)count);
	if (result == 0 && !empty(iov, (size_t)count))
		result = socket_send(socket, iov, (size_t)count, 0);
	socket_put(socket);
	return as_libc(result);
}

static ssize_t send_message(struct socket *socket, const struct msghdr *message, int flags)
{
	ssize_t result;

	if (!memory_readable(message, sizeof(*message)))
		return -EFAULT;
	if (message->msg_iovlen > IOV_MAX)
		return -EMSGSIZE;
	result = check_iovec(message->msg_iov, message->msg_iovlen);
	if (result == 0)
		result = ancillary_check(message);
	if (result == 0)
		result = socket_send(socket, message->msg_iov, message->msg_iovlen, flags);
	return result;
}

/* unix(7): descriptors that travel along. False: one of them is melin's own. */
static bool note_passed(const struct msghdr *message)
{
	struct msghdr copy;
	struct cmsghdr *header;
	const char *end;

	if (!config_active() || !memory_readable(message, sizeof(*message)) ||
	    message->msg_controllen < sizeof(*header) ||
	    !memory_readable(message->msg_control, message->msg_controllen))
		return true;
	copy = *message;
	end = (const char *)copy.msg_control + copy.msg_controllen;
	for (header = CMSG_FIRSTHDR(&copy); header; header = CMSG_NXTHDR(&copy, header)) {
		const int *descriptors = (const int *)CMSG_DATA(header);

		/* Nothing travels with such a message: it is EINVAL to the kernel. */
		if (header->cmsg_len < CMSG_LEN(0) ||
		    header->cmsg_len > (size_t)(end - (const char *)header))
			return true;
		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < (header->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
			if (descriptor_of_program(descriptors[i]) != descriptors[i])
				return false;
			socket_passed(descriptors[i]);
		}
	}
	return true;
}

INTERPOSED ssize_t sendmsg(int descriptor, const struct msghdr *message, int flags)
{
	struct socket *socket = socket_get(descriptor);
	ssize_t result;

	if (!socket) {
		if (!note_passed(message))
			return as_libc(-EBADF);
		return libc()->sendmsg(descriptor_of_program(descriptor), message, flags);
	}
	result = send_message(socket, message, flags);
	socket_put(socket);
	return as_libc(result);
}

INTERPOSED int sendmmsg(int descriptor, struct mmsghdr *messages, unsigned count, int flags)
{
	struct socket *socket = socket_get(descriptor);
	ssize_t result = 0;
	unsigned done;

	if (!socket) {
		for (unsigned i = 0; i < count && memory_readable(&messages[i], sizeof(*messages));
		     i++) {
			if (note_passed(&messages[i].msg_hdr))
				continue;
			if (i == 0)
				return (int)as_libc(-EBADF);
			count = i; /* the error is the next call's */
		}
		return libc()->sendmmsg(descriptor_of_program(descriptor), messages, count, flags);
	}
	for (done = 0; done < count; done++) {
		result = send_message(socket, &messages[done].msg_hdr, flags);
		if (result < 0)
			break;
		messages[done].msg_len = (unsigned)result;
	}
	socket_put(socket);
	return done ? (int)done : (int)as_libc(result);
}

/* ---- vectors with a place and flags: at place -1 they are readv() and writev() ---- */

static int check_place(const struct iovec *iov, int count, off_t place, int flags)
{
	if (flags & ~(RWF_NOWAIT | RWF_HIPRI | RWF_DSYNC | RWF_SYNC))
		return -EOPNOTSUPP;
	if (place != -1)
		return -ESPIPE;
	return count < 0 ? -EINVAL : check_iovec(iov, (size_t)count);
}

INTERPOSED ssize_t preadv2(int descriptor, const struct iovec *iov, int count, off_t place,
			   int flags)
{
	struct socket *socket = socket_get(descriptor);
	ssize_t result;

	if (!socket)
		return libc()->preadv2(descriptor_of_program(descriptor), iov, count, place, flags);
	result = check_place(iov, count, place, flags);
	if (result == 0 && !empty(iov, (size_t)count))
		result = socket_receive(socket, iov, (size_t)count,
					flags & RWF_NOWAIT ? MSG_DONTWAIT : 0);
	socket_put(socket);
	return as_libc(result);
}

INTERPOSED ssize_t pwritev2(int descriptor, const struct iovec *iov, int count, off_t place,
			    int flags)
{
	struct socket *socket = socket_get(descriptor);
	ssize_t result;

	if (!socket)
		return libc()->pwritev2(descriptor_of_program(descriptor), iov, count, place,
					flags);
	result = check_place(iov, count, place, flags);
	if (result == 0 && !empty(iov, (size_t)count))
		result = socket_send(socket, iov, (size_t)count,
				     flags & RWF_NOWAIT ? MSG_DONTWAIT : 0);
	socket_put(socket);
	return as_libc(result);
}

INTERPOSED_ALIAS(preadv2, preadv64v2);
INTERPOSED_ALIAS(pwritev2, pwritev64v2);
INTERPOSED_ALIAS(read, __read);
INTERPOSED_ALIAS(write, __write);
INTERPOSED_ALIAS(send, __send);
