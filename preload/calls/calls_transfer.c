/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Interposed: moving bytes. Each wrapper brings its arguments into the form of socket_receive()
 * or socket_send(); a descriptor that is not the stack's goes to libc untouched.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "common/own_descriptor.h"
#include "common/system_call.h"
#include "preload/sockets/ancillary.h"
#include "preload/sockets/borrow.h"
#include "preload/sockets/borrow_wanted.h"
#include "preload/sockets/lent_call.h"
#include "preload/libc/monotonic.h"
#include "preload/config/config.h"
#include "preload/libc/program_memory.h"
#include "preload/sockets/pending.h"
#include "preload/libc/result.h"
#include "preload/sockets/listener.h"
#include "preload/sockets/socket_object.h"
#include "preload/libc/symbols.h"
#include "preload/calls/trace.h"
#include "preload/libc/timeout.h"
#include "preload/libc/vector.h"

/*
 * As socket_leave(), after bytes were moved: a connection that was borrowed may not pay any more.
 */
static inline ssize_t leave(struct socket *socket, enum borrow_direction direction, ssize_t result)
{
	if (result > 0 && atomic_load_explicit(&socket->borrowed, memory_order_relaxed))
		borrow_moved(socket, direction, (size_t)result);
	return socket_leave(socket, result);
}

/*
 * An interposed call that moves bytes, whose first parameter is the descriptor. Of a socket of the
 * stack's by_stack is the result, and gives the socket back. Of a connection of the kernel's that
 * may be borrowed the system call itself is made, with this number and these arguments, so that
 * it is counted. For all others the function elsewhere, libc's as a rule, is called as the program
 * has called this one. What follows are the call's arguments without the descriptor.
 */
#define TRANSFER(type, name, parameters, direction, number, arguments, by_stack, elsewhere, ...)   \
	INTERPOSED type name parameters                                                            \
	{                                                                                          \
		RETURN_TRACED(name, descriptor, __VA_ARGS__);                                      \
                                                                                                   \
		struct socket *socket = socket_get_any_at_point(descriptor);                       \
		const bool is_stacks = socket && socket_is_stacks(socket, descriptor);             \
		ssize_t result;                                                                    \
                                                                                                   \
		if (!is_stacks)                                                                    \
			result = lent_call(socket, descriptor, direction, number, descriptor,      \
					   ARGUMENTS arguments);                                   \
		if (!is_stacks && result == LENT_NOT)                                              \
			return (elsewhere)(descriptor_of_program(descriptor), __VA_ARGS__);        \
		if (is_stacks)                                                                     \
			result = by_stack;                                                         \
		return begins_anew(result) ? name(descriptor, __VA_ARGS__)                         \
					   : (type)as_libc(result);                                \
	}
#define ARGUMENTS(...) __VA_ARGS__
/* libc's function, of a call that may wait for what only a pending listener's start brings. */
#define ONCE_STARTED(name) (pending_before_blocking(), libc()->name)

/* ---- receiving ---- */

static ssize_t receive(struct socket *socket, void *buffer, size_t size, int flags)
{
	struct iovec iov = { .iov_base = buffer, .iov_len = size };

	return leave(socket, BORROW_RECEIVE, socket_receive(socket, &iov, 1, flags));
}

/* A connected TCP socket reports no address: 0, or as move_addr_to_user() says it. */
static int no_address(socklen_t *length)
{
	socklen_t room, none = 0;

	if (!memory_copy_in(&room, length, sizeof(room)))
		return -EFAULT;
	if ((int)room < 0)
		return -EINVAL;
	return memory_copy_out(length, &none, sizeof(none)) ? 0 : -EFAULT;
}

/* read(2) of nothing: as the kernel, no error is looked for, none is taken. */
static ssize_t read_or_nothing(struct socket *socket, void *buffer, size_t size)
{
	return size ? receive(socket, buffer, size, 0) : socket_leave(socket, 0);
}

TRANSFER(ssize_t, read, (int descriptor, void *buffer, size_t size), BORROW_RECEIVE, SYS_read,
	 ((long)buffer, (long)size, 0, 0, 0), read_or_nothing(socket, buffer, size), libc()->read,
	 buffer, size)

/* Of a program that is compiled with _FORTIFY_SOURCE: libc ends it if there is too little room. */
INTERPOSED ssize_t __read_chk(int descriptor, void *buffer, size_t size, size_t room)
{
	return size <= room ? read(descriptor, buffer, size)
			    : libc()->__read_chk(descriptor, buffer, size, room);
}

TRANSFER(ssize_t, recv, (int descriptor, void *buffer, size_t size, int flags), BORROW_RECEIVE,
	 SYS_recvfrom, ((long)buffer, (long)size, flags, 0, 0),
	 receive(socket, buffer, size, flags), ONCE_STARTED(recv), buffer, size, flags)

INTERPOSED ssize_t __recv_chk(int descriptor, void *buffer, size_t size, size_t room, int flags)
{
	return size <= room ? recv(descriptor, buffer, size, flags)
			    : libc()->__recv_chk(descriptor, buffer, size, room, flags);
}

/* As in the kernel the data is gone if the address cannot be written. */
static ssize_t receive_from(struct socket *socket, void *buffer, size_t size, int flags,
			    const struct sockaddr *peer, socklen_t *length)
{
	const ssize_t result = receive(socket, buffer, size, flags);
	const int status = result >= 0 && peer ? no_address(length) : 0;

	return status < 0 ? status : result;
}

TRANSFER(ssize_t, recvfrom,
	 (int descriptor, void *buffer, size_t size, int flags, struct sockaddr *peer,
	  socklen_t *length),
	 BORROW_RECEIVE, SYS_recvfrom, ((long)buffer, (long)size, flags, (long)peer, (long)length),
	 receive_from(socket, buffer, size, flags, peer, length), ONCE_STARTED(recvfrom), buffer,
	 size, flags, peer, length)

INTERPOSED ssize_t __recvfrom_chk(int descriptor, void *buffer, size_t size, size_t room, int flags,
				  struct sockaddr *peer, socklen_t *length)
{
	return size <= room ? recvfrom(descriptor, buffer, size, flags, peer, length)
			    : libc()->__recvfrom_chk(descriptor, buffer, size, room, flags, peer,
						     length);
}

/* Of a whole vector of the program's, in one of the two directions. */
static ssize_t move_vector(struct socket *socket, enum borrow_direction direction,
			   const struct iovec *iov, int count, int flags)
{
	struct vector vector;
	ssize_t result = count < 0 ? -EINVAL : vector_begin(&vector, iov, (size_t)count);

	if (result < 0)
		return socket_leave(socket, result);
	if (vector.bytes)
		result = direction == BORROW_RECEIVE
				 ? socket_receive(socket, vector.iov, vector.count, flags)
				 : socket_send(socket, vector.iov, vector.count, flags);
	vector_end(&vector);
	return leave(socket, direction, result);
}

TRANSFER(ssize_t, readv, (int descriptor, const struct iovec *iov, int count), BORROW_RECEIVE,
	 SYS_readv, ((long)iov, count, 0, 0, 0), move_vector(socket, BORROW_RECEIVE, iov, count, 0),
	 libc()->readv, iov, count)

/* sendmmsg(2): more messages than this are left to the next call. */
#define MESSAGES_MAX 1024

/* What recvmsg(2) and sendmsg(2) are told; as the kernel's copy_msghdr_from_user(). */
static int import_message(struct msghdr *copy, const struct msghdr *message)
{
	if (!memory_copy_in(copy, message, sizeof(*copy)))
		return -EFAULT;
	if ((int)copy->msg_namelen < 0)
		return -EINVAL;
	return copy->msg_iovlen > IOV_MAX ? -EMSGSIZE : 0;
}

/* Both of a message and its vector: 0, and vector_end() is to follow; or -errno. */
static int begin_message(struct msghdr *copy, struct vector *vector, const struct msghdr *message)
{
	const int error = import_message(copy, message);

	return error ? error : vector_begin(vector, copy->msg_iov, copy->msg_iovlen);
}

/*
 * Writes to the program's message what recvmsg(2) returns beside the data; copy is what it has
 * asked with. 0 or -EFAULT.
 */
static int report_message(struct msghdr *message, const struct msghdr *copy)
{
	if (!memory_writable(message, sizeof(*message)))
		return -EFAULT;
	if (copy->msg_name)
		message->msg_namelen = 0;
	message->msg_controllen = copy->msg_controllen;
	message->msg_flags = copy->msg_flags;
	return 0;
}

static ssize_t receive_message(struct socket *socket, struct msghdr *message, int flags)
{
	struct msghdr copy;
	struct vector vector;
	ssize_t result;
	int status = begin_message(&copy, &vector, message);

	if (status)
		return status;
	result = socket_receive(socket, vector.iov, vector.count, flags);
	vector_end(&vector);
	if (result < 0)
		return result;
	/* As ____sys_recvmsg(), which tells it although no descriptor has come. */
	copy.msg_flags = flags & MSG_CMSG_CLOEXEC;
	if (flags & MSG_OOB && result > 0)
		copy.msg_flags |= MSG_OOB;
	if (flags & MSG_OOB)
		copy.msg_controllen = 0;
	else
		ancillary_put(socket, &copy);
	status = report_message(message, &copy);
	return status < 0 ? status : result;
}

TRANSFER(ssize_t, recvmsg, (int descriptor, struct msghdr *message, int flags), BORROW_RECEIVE,
	 SYS_recvmsg, ((long)message, flags, 0, 0, 0),
	 leave(socket, BORROW_RECEIVE, receive_message(socket, message, flags)),
	 ONCE_STARTED(recvmsg), message, flags)

/* Writes to one of several messages how many bytes it has moved. Returns that, or an error. */
static ssize_t tell_length(struct mmsghdr *message, ssize_t moved)
{
	const unsigned length = (unsigned)moved;

	if (moved < 0 || memory_copy_out(&message->msg_len, &length, sizeof(length)))
		return moved;
	return -EFAULT;
}

/* As sock_error(): the error of the connection, which no other call tells then, or 0. */
static int take_error(struct socket *socket)
{
	const struct instance *instance = socket_instance(socket);

	if (!instance || !(socket_readiness(socket) & EPOLLERR))
		return 0;
	return -abs(instance->operations->exchange_error(socket->handle, 0));
}

/*
 * What has ended recvmmsg() behind its first message is the next call's, a mistake of the program
 * included. A wait that was interrupted has nothing to tell: the next call waits again.
 */
static void keep_error(struct socket *socket, ssize_t result)
{
	const struct instance *instance = socket_instance(socket);

	if (instance && result != -EAGAIN && result != -EINTR && !begins_anew(result))
		instance->operations->exchange_error(socket->handle, (int)-result);
}

/*
 * As the kernel's do_recvmmsg(): an error comes before the data, and the call ends with an urgent
 * byte. The time-out is looked at after each message, as recvmmsg(2) describes under BUGS.
 */
static int receive_messages(struct socket *socket, struct mmsghdr *messages, unsigned count,
			    int flags, uint64_t deadline)
{
	ssize_t result = flags & MSG_ERRQUEUE ? 0 : take_error(socket);
	unsigned done = 0;

	while (result >= 0 && done < count) {
		result = receive_message(socket, &messages[done].msg_hdr, flags & ~MSG_WAITFORONE);
		result = tell_length(&messages[done], result);
		if (result < 0)
			break;
		done++;
		if (flags & MSG_WAITFORONE)
			flags |= MSG_DONTWAIT;
		if (deadline != CLOCK_NEVER && clock_monotonic() >= deadline)
			break;
		if (flags & MSG_OOB && result > 0)
			break;
	}
	if (done && result < 0)
		keep_error(socket, result);
	return done ? (int)done : (int)result;
}

static int receive_messages_until(struct socket *socket, struct mmsghdr *messages, unsigned count,
				  int flags, struct timespec *timeout)
{
	uint64_t deadline = CLOCK_NEVER;
	struct timespec left;
	int result = timeout_deadline(timeout, &deadline);

	if (result == 0)
		result = receive_messages(socket, messages, count, flags, deadline);
	if (result > 0 && timeout) {
		left = timeout_left(deadline);
		if (!memory_copy_out(timeout, &left, sizeof(left)))
			result = -EFAULT;
	}
	return result;
}

TRANSFER(int, recvmmsg,
	 (int descriptor, struct mmsghdr *messages, unsigned count, int flags,
	  struct timespec *timeout),
	 BORROW_RECEIVE, SYS_recvmmsg, ((long)messages, count, flags, (long)timeout, 0),
	 socket_leave(socket, receive_messages_until(socket, messages, count, flags, timeout)),
	 libc()->recvmmsg, messages, count, flags, timeout)

/* ---- sending ---- */

static ssize_t transmit(struct socket *socket, const void *buffer, size_t size, int flags)
{
	struct iovec iov = { .iov_base = (void *)(uintptr_t)buffer, .iov_len = size };

	return leave(socket, BORROW_SEND, socket_send(socket, &iov, 1, flags));
}

TRANSFER(ssize_t, write, (int descriptor, const void *buffer, size_t size), BORROW_SEND, SYS_write,
	 ((long)buffer, (long)size, 0, 0, 0), transmit(socket, buffer, size, 0), libc()->write,
	 buffer, size)

TRANSFER(ssize_t, send, (int descriptor, const void *buffer, size_t size, int flags), BORROW_SEND,
	 SYS_sendto, ((long)buffer, (long)size, flags, 0, 0), transmit(socket, buffer, size, flags),
	 libc()->send, buffer, size, flags)

/* The address is ignored on a connected TCP socket. */
TRANSFER(ssize_t, sendto,
	 (int descriptor, const void *buffer, size_t size, int flags, const struct sockaddr *peer,
	  socklen_t length),
	 BORROW_SEND, SYS_sendto, ((long)buffer, (long)size, flags, (long)peer, length),
	 transmit(socket, buffer, size, flags), libc()->sendto, buffer, size, flags, peer, length)

TRANSFER(ssize_t, writev, (int descriptor, const struct iovec *iov, int count), BORROW_SEND,
	 SYS_writev, ((long)iov, count, 0, 0, 0), move_vector(socket, BORROW_SEND, iov, count, 0),
	 libc()->writev, iov, count)

/*
 * *whole: it has gone with all its bytes; NULL: it is the only one. One of several may say itself
 * that it ends a record (Linux's allowed_msghdr_flags).
 */
static ssize_t send_message(struct socket *socket, const struct msghdr *message, int flags,
			    bool *whole)
{
	struct msghdr copy;
	struct vector vector;
	ssize_t result = begin_message(&copy, &vector, message);

	if (result)
		return result;
	result = ancillary_check(&copy);
	if (result == 0)
		result = socket_send(socket, vector.iov, vector.count,
				     flags | (whole ? copy.msg_flags & MSG_EOR : 0));
	if (whole)
		*whole = result >= 0 && (size_t)result == vector.bytes;
	vector_end(&vector);
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
			listener_passed(descriptors[i]);
			borrow_end_any(descriptors[i], BORROW_PROCESS, true);
		}
	}
	return true;
}

static ssize_t send_message_elsewhere(int descriptor, const struct msghdr *message, int flags)
{
	return note_passed(message) ? libc()->sendmsg(descriptor, message, flags) : as_libc(-EBADF);
}

TRANSFER(ssize_t, sendmsg, (int descriptor, const struct msghdr *message, int flags), BORROW_SEND,
	 SYS_sendmsg, ((long)message, flags, 0, 0, 0),
	 leave(socket, BORROW_SEND, send_message(socket, message, flags, NULL)),
	 send_message_elsewhere, message, flags)

/* As the kernel's __sys_sendmmsg(): what follows a message that went in part would leave a gap. */
static int send_messages(struct socket *socket, struct mmsghdr *messages, unsigned count, int flags)
{
	ssize_t result = 0;
	unsigned done = 0;
	bool whole = true;

	count = count < MESSAGES_MAX ? count : MESSAGES_MAX;
	while (whole && done < count) {
		result = send_message(socket, &messages[done].msg_hdr, flags, &whole);
		result = tell_length(&messages[done], result);
		if (result < 0)
			break;
		done++;
	}
	return done ? (int)done : (int)result;
}

static int send_messages_elsewhere(int descriptor, struct mmsghdr *messages, unsigned count,
				   int flags)
{
	for (unsigned i = 0; i < count && memory_readable(&messages[i], sizeof(*messages)); i++) {
		if (note_passed(&messages[i].msg_hdr))
			continue;
		if (i == 0)
			return (int)as_libc(-EBADF);
		count = i; /* the error is the next call's */
	}
	return libc()->sendmmsg(descriptor, messages, count, flags);
}

TRANSFER(int, sendmmsg, (int descriptor, struct mmsghdr *messages, unsigned count, int flags),
	 BORROW_SEND, SYS_sendmmsg, ((long)messages, count, flags, 0, 0),
	 socket_leave(socket, send_messages(socket, messages, count, flags)),
	 send_messages_elsewhere, messages, count, flags)

/* ---- vectors with a place and flags: at place -1 they are readv() and writev() ---- */

/* Linux 6.18 */
#ifndef RWF_NOSIGNAL
#define RWF_NOSIGNAL 0x100
#endif

/* What each kernel that has preadv2() takes for a socket. */
#define FLAGS_OLD (RWF_NOWAIT | RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_APPEND)

/*
 * What a kernel says of further flags, which each has some more of: a socket that is not connected
 * has nothing to read, once they have been looked at. 0, -EOPNOTSUPP or -EINVAL; 1: there is no
 * socket to be had.
 */
static int ask_kernel(int flags)
{
	struct iovec iov = { .iov_base = &(char){ 0 }, .iov_len = 1 };
	const int asked = own_descriptor(
		(int)kernel_call(SYS_socket, AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0, 0));
	long result;

	if (asked < 0)
		return 1;
	result = kernel_call6(SYS_preadv2, asked, (long)&iov, 1, -1, 0, flags);
	own_descriptor_close(asked);
	return result == -EOPNOTSUPP || result == -EINVAL ? (int)result : 0;
}

static int check_flags(int flags)
{
	/* The flags that were asked for last, and above them what the kernel has said. */
	static _Atomic uint64_t last;
	uint64_t known = atomic_load_explicit(&last, memory_order_relaxed);
	int answer;

	if (__builtin_expect(!(flags & ~FLAGS_OLD), 1))
		return 0;
	if ((uint32_t)known != (uint32_t)flags) {
		answer = ask_kernel(flags);
		if (answer > 0)
			return -EOPNOTSUPP; /* as old kernels; the next call asks again */
		known = (uint64_t)-answer << 32 | (uint32_t)flags;
		atomic_store_explicit(&last, known, memory_order_relaxed);
	}
	return -(int)(known >> 32);
}

static int check_place(off_t place, int flags)
{
	if (place < -1)
		return -EINVAL;
	return place == -1 ? check_flags(flags) : -ESPIPE;
}

static ssize_t move_at(struct socket *socket, enum borrow_direction direction,
		       const struct iovec *iov, int count, off_t place, int flags)
{
	const int bad = check_place(place, flags);

	return bad ? socket_leave(socket, bad)
		   : move_vector(socket, direction, iov, count,
				 (flags & RWF_NOWAIT ? MSG_DONTWAIT : 0) |
					 (flags & RWF_NOSIGNAL ? MSG_NOSIGNAL : 0));
}

TRANSFER(ssize_t, preadv2,
	 (int descriptor, const struct iovec *iov, int count, off_t place, int flags),
	 BORROW_RECEIVE, SYS_preadv2, ((long)iov, count, place, 0, flags),
	 move_at(socket, BORROW_RECEIVE, iov, count, place, flags), libc()->preadv2, iov, count,
	 place, flags)

TRANSFER(ssize_t, pwritev2,
	 (int descriptor, const struct iovec *iov, int count, off_t place, int flags), BORROW_SEND,
	 SYS_pwritev2, ((long)iov, count, place, 0, flags),
	 move_at(socket, BORROW_SEND, iov, count, place, flags), libc()->pwritev2, iov, count,
	 place, flags)

INTERPOSED_ALIAS(preadv2, preadv64v2);
INTERPOSED_ALIAS(pwritev2, pwritev64v2);
INTERPOSED_ALIAS(read, __read);
INTERPOSED_ALIAS(write, __write);
INTERPOSED_ALIAS(send, __send);
