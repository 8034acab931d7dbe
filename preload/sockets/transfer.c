/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The calls on a socket that may have to wait: accept, receive and send. The stack's operations
 * never block; here they are called again and again, with waits in between, so that the calls block
 * as Linux's do. Not for the waiting itself (wait.h).
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "preload/config/config.h"
#include "preload/libc/cancellation.h"
#include "preload/libc/interruptible.h"
#include "preload/libc/monotonic.h"
#include "preload/process/process_stack.h"
#include "preload/libc/program_memory.h"
#include "preload/libc/timeout.h"
#include "preload/sockets/twin_options.h"
#include "preload/sockets/listener.h"
#include "preload/sockets/socket_object.h"
#include "common/io_vector.h"
#include "common/system_call.h"
#include "preload/libc/signals.h"
#include "preload/libc/symbols.h"

/* ---- waiting on one socket ---- */

struct socket_wait {
	struct wait wait;
	struct watch watch;
	struct waiter *waiter;
	struct socket *socket;
	uint32_t events;
	bool sent; /* it waits for acknowledgements, and not for events */
	/*
	 * With sent: how much may be left without; else it waits until so many bytes are not what
	 * there is to read, 0: for events.
	 */
	size_t bytes;
	struct pollfd twin[1 + WAIT_MORE_DESCRIPTORS]; /* a dual listener's kernel half */
};

static bool socket_ready(struct wait *wait)
{
	struct socket_wait *this = (struct socket_wait *)wait;
	const struct instance *instance = socket_instance(this->socket);

	if (this->sent)
		return !instance ||
		       instance->operations->unsent(this->socket->handle) <= this->bytes;
	if (this->bytes && instance &&
	    instance->operations->readable(this->socket->handle) == this->bytes &&
	    !(socket_readiness(this->socket) & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
		return false;
	if (socket_readiness(this->socket) & this->events)
		return true;
	this->twin[0].fd = atomic_load(&this->socket->descriptor);
	return this->wait.kernel_count && wait_look(this->twin, 1) > 0;
}

static void socket_notified(struct watch *watch, uint32_t events)
{
	struct socket_wait *this =
		(struct socket_wait *)((char *)watch - offsetof(struct socket_wait, watch));

	if (this->sent || (events & (this->events | EPOLLERR | EPOLLHUP)))
		waiter_wake(this->waiter);
}

static void socket_enroll(struct wait *wait, struct waiter *waiter)
{
	struct socket_wait *this = (struct socket_wait *)wait;

	this->waiter = waiter;
	watch_attach(&this->socket->object.source, &this->watch);
}

static void socket_withdraw(struct wait *wait)
{
	watch_detach(&((struct socket_wait *)wait)->watch);
}

/* The reference is the interposed call's, which will not return. */
static void socket_cancelled(struct wait *wait)
{
	socket_put(((struct socket_wait *)wait)->socket);
}

/* By signal(7), calls that have a time-out do not begin anew after a handler, and others do. */
static int wait_on_socket(struct socket *socket, uint32_t events, bool sent, size_t bytes,
			  bool deaf, uint64_t deadline)
{
	struct socket_wait this = {
		.wait = { .ready = socket_ready,
			  .enroll = socket_enroll,
			  .withdraw = socket_withdraw,
			  .cancelled = sent ? NULL : socket_cancelled,
			  .deadline = deadline,
			  .restarts = deadline == CLOCK_NEVER,
			  .deaf = deaf },
		.watch = { .notify = socket_notified },
		.socket = socket,
		.events = events,
		.sent = sent,
		.bytes = bytes,
		.twin = { { .fd = atomic_load(&socket->descriptor), .events = POLLIN } },
	};

	if (listener_has_kernel_half(socket)) {
		this.wait.kernel = this.twin;
		this.wait.kernel_count = 1;
	}
	return wait_for(&this.wait);
}

int socket_wait(struct socket *socket, uint32_t events, uint64_t deadline)
{
	return wait_on_socket(socket, events, false, 0, false, deadline);
}

void socket_wait_deaf(struct socket *socket, uint32_t events)
{
	wait_on_socket(socket, events, false, 0, true, CLOCK_NEVER);
}

void socket_wait_sent(struct socket *socket, size_t left, uint64_t deadline)
{
	wait_on_socket(socket, 0, true, left, false, deadline);
}

/*
 * Waits until there are more than have bytes to read, or none because somebody has taken them or
 * the connection has been given back, or no more can come.
 */
static int socket_wait_readable(struct socket *socket, size_t have, uint64_t deadline)
{
	return wait_on_socket(socket, EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP, false, have,
			      false, deadline);
}

static uint64_t receive_deadline(struct socket *socket)
{
	uint64_t timeout = atomic_load(&socket->receive_timeout);

	return timeout ? clock_after(timeout) : CLOCK_NEVER;
}

/* ---- accept ---- */

/*
 * An accepted connection gets a twin, whose descriptor the program gets, as any other one. The twin
 * is made first: if there is no descriptor for it (EMFILE) the connection has to stay in the queue.
 */
static int accept_from_stack(struct socket *listener, const struct instance *instance,
			     struct sockaddr *peer, socklen_t *length, int flags)
{
	struct stack_socket *handle;
	struct sockaddr_storage name;
	struct socket *socket;
	int descriptor, result;

	if (!(instance->operations->readiness(listener->handle) & (EPOLLIN | EPOLLERR | EPOLLHUP)))
		instance->operations->poll(instance->stack);
	if (!(instance->operations->readiness(listener->handle) & (EPOLLIN | EPOLLERR | EPOLLHUP)))
		return -EAGAIN;
	descriptor = libc()->socket(listener->domain, SOCK_STREAM | flags, 0);
	if (descriptor < 0)
		return -errno;
	socket = socket_allocate(listener->domain);
	result = socket ? instance->operations->accept(listener->handle, &handle, &name) : -ENOMEM;
	if (result < 0) {
		if (socket)
			socket_put(socket);
		kernel_call(SYS_close, descriptor, 0, 0, 0);
		return result;
	}
	socket->instance = instance;
	socket->handle = handle;
	socket->nonblocking = flags & SOCK_NONBLOCK;
	socket->low_water = listener->low_water;
	socket->receive_timeout = listener->receive_timeout;
	socket->send_timeout = listener->send_timeout;
	twin_options_inherit(listener, listener->descriptor, socket, descriptor);
	socket->state = SOCKET_CONNECTION;
	instance->operations->set_user(handle, socket);
	descriptor_install(descriptor, &socket->object);
	socket_put(socket);
	flow_counted_at(descriptor, FLOW_TAKEN_ACCEPT, 0);
	result = peer ? socket_copy_name(&name, peer, length) : 0;
	if (result < 0) { /* the connection is lost, as it is in Linux */
		descriptor_remove(descriptor);
		kernel_call(SYS_close, descriptor, 0, 0, 0);
		return result;
	}
	return descriptor;
}

/*
 * Of a twin that blocks only one thread at a time may accept. If two threads saw the same
 * connection, the second one would sleep in the kernel, where the stack's half cannot wake it. This
 * is no mutex, since its owner may not exist in a child of fork().
 */
static bool begin_blocking_accept(struct socket *listener)
{
	const uint32_t process = (uint32_t)getpid();
	const uint64_t self = (uint64_t)process << 32 | (uint32_t)gettid();
	uint64_t owner = atomic_load(&listener->listener.acceptor);

	if (owner != self && owner >> 32 == process)
		return false;
	return atomic_compare_exchange_strong(&listener->listener.acceptor, &owner, self);
}

/* accept4(2) that is no cancellation point: the caller holds what would be lost with the thread. */
static int ask_twin(int descriptor, struct sockaddr *peer, socklen_t *length, int flags)
{
	return (int)kernel_call(SYS_accept4, descriptor, (long)peer, (long)length, flags);
}

static int accept_if_there(int descriptor, struct sockaddr *peer, socklen_t *length, int flags)
{
	struct pollfd twin = { .fd = descriptor, .events = POLLIN };

	if (wait_look(&twin, 1) <= 0)
		return -EAGAIN;
	return ask_twin(descriptor, peer, length, flags);
}

static int accept_from_kernel(struct socket *listener, struct sockaddr *peer, socklen_t *length,
			      int flags)
{
	const int descriptor = atomic_load(&listener->descriptor);
	int result;

	if (!listener->listener.dual)
		return -EAGAIN;
	if (atomic_load(&listener->reach) != TWIN_PASSED)
		return ask_twin(descriptor, peer, length, flags);
	/* A twin that was passed may block: socket_make_twin_nonblocking(). */
	if (atomic_load(&listener->nonblocking))
		return accept_if_there(descriptor, peer, length, flags);
	if (!begin_blocking_accept(listener))
		return -EAGAIN;
	result = accept_if_there(descriptor, peer, length, flags);
	atomic_store(&listener->listener.acceptor, 0);
	return result;
}

/*
 * Asks both halves of a listener. Which one is first changes, so that a flood of connections to one
 * does not keep those to the other from being accepted.
 */
static int accept_once(struct socket *listener, struct sockaddr *peer, socklen_t *length, int flags)
{
	const struct instance *instance = socket_instance(listener);
	bool kernel_first = !instance || (++listener->listener.turn & 7) == 0;
	int result = -EAGAIN;

	if (kernel_first)
		result = accept_from_kernel(listener, peer, length, flags);
	if (result == -EAGAIN && instance)
		result = accept_from_stack(listener, instance, peer, length, flags);
	if (result == -EAGAIN && !kernel_first)
		result = accept_from_kernel(listener, peer, length, flags);
	return result;
}

int socket_accept(struct socket *listener, struct sockaddr *peer, socklen_t *length, int flags)
{
	uint64_t deadline = 0;
	int result;

	if (atomic_load(&listener->state) == SOCKET_CONNECTION)
		return -EINVAL;
	if (flags & ~(SOCK_NONBLOCK | SOCK_CLOEXEC))
		return -EINVAL;
	for (;;) {
		if (atomic_load(&listener->failed) && atomic_exchange(&listener->failed, false))
			return -ENETDOWN;
		result = accept_once(listener, peer, length, flags);
		if (result != -EAGAIN || atomic_load(&listener->nonblocking))
			return result;
		if (!deadline)
			deadline = receive_deadline(listener);
		result = socket_wait(listener, EPOLLIN | EPOLLERR | EPOLLHUP, deadline);
		if (result <= 0)
			return result == 0 ? -EAGAIN : result;
	}
}

/* ---- receive and send ---- */

/* How far a call has come in the program's iovec. */
struct cursor {
	const struct iovec *iov;
	size_t count;
	size_t offset;	  /* into its first entry */
	struct iovec one; /* the rest of that entry, if the offset is not 0 */
};

static const struct iovec *cursor_iov(struct cursor *cursor, size_t *count)
{
	if (cursor->offset == 0) {
		*count = cursor->count;
		return cursor->iov;
	}
	cursor->one.iov_base = (char *)cursor->iov->iov_base + cursor->offset;
	cursor->one.iov_len = cursor->iov->iov_len - cursor->offset;
	*count = 1;
	return &cursor->one;
}

static void cursor_advance(struct cursor *cursor, size_t bytes)
{
	cursor->offset += bytes;
	while (cursor->count && cursor->offset >= cursor->iov->iov_len) {
		cursor->offset -= cursor->iov->iov_len;
		cursor->iov++;
		cursor->count--;
	}
}

static void rest_cancelled(void *socket)
{
	socket_put(socket);
}

/*
 * A descriptor of a connection that the stack has just let go of. Who gives it back has not ended
 * then: the kernel's socket is in repair mode until that, and what is sent into it would be lost.
 * The call's reference keeps others from borrowing it again.
 */
static int settled_descriptor(const struct socket *socket)
{
	socket_settled(socket);
	return atomic_load(&socket->descriptor);
}

static int ask_number(int descriptor, unsigned long request)
{
	int number = 0;

	kernel_call(SYS_ioctl, descriptor, (long)request, (long)&number, 0);
	return number;
}

static bool is_at_mark(int descriptor)
{
	return ask_number(descriptor, SIOCATMARK);
}

/*
 * Whether the kernel has something for a call that has received already: as its
 * tcp_recvmsg_locked() does, the call ends at urgent data, which SO_OOBINLINE leaves in the stream.
 */
static bool has_more(int descriptor)
{
	return !is_at_mark(descriptor) && ask_number(descriptor, FIONREAD) > 0;
}

/* False: an error or the end has come, the time is over, or a signal. */
static bool wait_for_rest(struct socket *socket, struct pollfd *entry, uint64_t deadline)
{
	struct timespec left = timeout_left(deadline);
	const struct system_call call = {
		SYS_ppoll, (long)entry, 1, (long)(deadline == CLOCK_NEVER ? NULL : &left), 0, 0, 0
	};

	return cancellation_call(&call, false, rest_cancelled, socket) > 0 &&
	       !(entry->revents & (POLLERR | POLLHUP | POLLRDHUP));
}

/*
 * A connection that was borrowed is the kernel's again in the middle of a call that has moved done
 * bytes and blocks: the kernel does the rest of the call. The call waits until as many bytes as are
 * enough have been moved, and takes what else is there. The count is that of both. The kernel is
 * only asked for what it can do at once: it would tell an error, which is the next call's.
 */
static ssize_t rest_in_kernel(struct socket *socket, long number, struct cursor *cursor,
			      size_t done, size_t enough, int flags, uint64_t deadline)
{
	const bool receives = number == SYS_recvfrom;
	struct pollfd entry = { .events = receives ? POLLIN | POLLRDHUP : POLLOUT };
	bool waits = true;
	size_t count;

	while (cursor->count) {
		const struct iovec *rest = cursor_iov(cursor, &count);
		long result;

		entry.fd = settled_descriptor(socket);
		waits = waits && done < enough && !(receives && is_at_mark(entry.fd)) &&
			wait_for_rest(socket, &entry, deadline);
		if (receives ? !has_more(entry.fd) : !waits)
			break;
		result = kernel_call6(number, entry.fd, (long)rest->iov_base, (long)rest->iov_len,
				      flags | MSG_DONTWAIT, 0, 0);
		if (result == -EAGAIN && waits)
			continue;
		if (result <= 0)
			break;
		done += (size_t)result;
		cursor_advance(cursor, (size_t)result);
	}
	return (ssize_t)done;
}

/*
 * The program has closed the last number of a connection that was borrowed, and had a call on it:
 * the number may be anything by now. The call goes on by the duplicate that is kept for it, unless
 * it begins anew after a handler, by the number: so the kernel's does.
 */
static ssize_t by_kept(struct socket *socket, long number, const struct iovec *iov, size_t count,
		       int flags)
{
	struct msghdr message = { .msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = count };
	const struct system_call call = {
		number, settled_descriptor(socket), (long)&message, flags, 0, 0, 0
	};
	const ssize_t result = cancellation_call(&call, false, rest_cancelled, socket);

	return result == -EINTR ? socket_interrupted(socket, number == SYS_recvmsg) : result;
}

/* The bytes for which a call of so many waits, as sock_rcvlowat() says. */
static size_t receive_target(const struct socket *socket, size_t wanted, int flags)
{
	int low = 1;
	socklen_t length = sizeof(low);

	if (flags & MSG_WAITALL)
		return wanted;
	socket->instance->operations->get_option(socket->handle, SOL_SOCKET, SO_RCVLOWAT, &low,
						 &length);
	return low > 0 && (size_t)low < wanted ? (size_t)low : wanted;
}

/*
 * MSG_WAITALL, or a mark set by SO_RCVLOWAT: a peek waits until so much is there at once, a read
 * collects it bit by bit. What lies below the mark when the wait ends is taken, too.
 */
static ssize_t receive_many(struct socket *socket, const struct iovec *iov, size_t count, int flags,
			    uint64_t deadline)
{
	const struct stack_operations *operations = socket->instance->operations;
	struct cursor cursor = { .iov = iov, .count = count };
	const size_t wanted = io_vector_size(iov, count);
	const size_t target = receive_target(socket, wanted, flags);
	ssize_t result, waited = 1;
	size_t done = 0;

	for (;;) {
		const struct iovec *rest = cursor_iov(&cursor, &count);
		/* It has come to the mark while this waited: the call ends there, as below. */
		if (done && operations->urgent(socket->handle) == 0)
			return (ssize_t)done;
		/* Before the call: what comes after this has not been looked at. */
		const size_t before = operations->readable(socket->handle);

		result = operations->receive(socket->handle, rest, count,
					     (flags & (MSG_PEEK | MSG_TRUNC)) |
						     (done ? STACK_REST : 0));
		if (result == 0)
			return (ssize_t)done;
		if (result == -ESTALE && done)
			return rest_in_kernel(socket, SYS_recvfrom, &cursor, done, target,
					      flags & MSG_TRUNC, deadline);
		if (result < 0 && result != -EAGAIN)
			return done ? (ssize_t)done : result;
		if (result > 0 && (flags & MSG_PEEK)) {
			if ((size_t)result >= target)
				return result;
			if (operations->urgent(socket->handle) == (size_t)result)
				return result;
			if (socket_readiness(socket) & (EPOLLRDHUP | EPOLLHUP))
				return result;
			/*
			 * The bytes stay, so the socket is ready in any case: wait for more than
			 * there was, an urgent byte that is stepped over included.
			 */
			if (waited <= 0 || socket_wait_readable(socket, before, deadline) <= 0)
				return result;
			continue;
		}
		if (result > 0) {
			done += (size_t)result;
			cursor_advance(&cursor, (size_t)result);
			/*
			 * The call ends at urgent data, so that the program can see where that is.
			 */
			if (done >= target || operations->urgent(socket->handle) == 0)
				return (ssize_t)done;
			continue;
		}
		if (waited <= 0)
			return done ? (ssize_t)done : waited == 0 ? -EAGAIN : waited;
		waited = socket_wait(
			socket, EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP | (done ? EPOLLPRI : 0),
			deadline);
	}
}

/* MSG_OOB. It never waits, whether the socket blocks or not, as in Linux and BSD. */
static ssize_t receive_urgent(struct socket *socket, const struct iovec *iov, size_t count,
			      int flags)
{
	char byte;
	struct iovec nowhere = { .iov_base = &byte, .iov_len = 1 };
	bool bad = !(flags & MSG_TRUNC) && !memory_writable_vector(iov, count, 1);
	ssize_t result;

	result = socket->instance->operations->receive(socket->handle, bad ? &nowhere : iov,
						       bad ? 1 : count,
						       flags & (MSG_OOB | MSG_PEEK | MSG_TRUNC));
	return bad && result > 0 ? -EFAULT : result;
}

/* flags: the program's, in which any bit may be set. own: STACK_SPLICE, or 0. */
static ssize_t receive_here(struct socket *socket, const struct iovec *iov, size_t count, int flags,
			    int own)
{
	const struct instance *instance = socket_instance(socket);
	bool waits = !atomic_load(&socket->nonblocking) && !(flags & MSG_DONTWAIT);
	uint64_t deadline = 0;
	ssize_t result;

	if (flags & MSG_ERRQUEUE)
		return -EAGAIN; /* the queue of errors is always empty, and never waited for */
	if (!instance || atomic_load(&socket->state) != SOCKET_CONNECTION)
		return config_get()->host ? -ESTALE : -ENOTCONN;
	if (flags & MSG_OOB)
		return receive_urgent(socket, iov, count, flags);
	if (((flags & MSG_WAITALL) || atomic_load(&socket->low_water)) && waits &&
	    io_vector_size(iov, count) > 0)
		return receive_many(socket, iov, count, flags, receive_deadline(socket));
	for (;;) {
		result = instance->operations->receive(socket->handle, iov, count,
						       (flags & (MSG_PEEK | MSG_TRUNC)) | own);
		if (result != -EAGAIN || !waits)
			return result;
		if (!deadline)
			deadline = receive_deadline(socket);
		result = socket_wait(socket,
				     EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP |
					     (own & STACK_SPLICE ? EPOLLPRI : 0),
				     deadline);
		/* As tcp_recvmsg(): who asks for nothing has it after one wait. */
		if (result >= 0 && io_vector_size(iov, count) == 0)
			return 0;
		if (result <= 0)
			return result == 0 ? -EAGAIN : result;
	}
}

static ssize_t receive(struct socket *socket, const struct iovec *iov, size_t count, int flags,
		       int own)
{
	const ssize_t result = receive_here(socket, iov, count, flags, own);

	return __builtin_expect(result == -ESTALE, 0) && socket->kept
		       ? by_kept(socket, SYS_recvmsg, iov, count, flags)
		       : result;
}

ssize_t socket_receive(struct socket *socket, const struct iovec *iov, size_t count, int flags)
{
	return receive(socket, iov, count, flags, 0);
}

ssize_t socket_look_for_splice(struct socket *socket, const struct iovec *iov, size_t count)
{
	return receive(socket, iov, count, MSG_PEEK, STACK_SPLICE);
}

/* As sk_stream_error() does, whose signal says that the process itself has sent it. */
static void raise_broken_pipe(void)
{
	siginfo_t info = {
		.si_signo = SIGPIPE,
		.si_code = SI_USER,
		.si_pid = getpid(),
		.si_uid = getuid(),
	};

	signals_to_this_thread(SIGPIPE, &info);
}

static uint64_t send_deadline(uint64_t timeout)
{
	return timeout ? clock_after(timeout) : CLOCK_NEVER;
}

static ssize_t send_here(struct socket *socket, const struct iovec *iov, size_t count, int flags)
{
	const struct instance *instance = socket_instance(socket);
	bool waits = !atomic_load(&socket->nonblocking) && !(flags & MSG_DONTWAIT);
	struct cursor cursor = { .iov = iov, .count = count };
	size_t wanted = io_vector_size(iov, count), done = 0;
	uint64_t timeout = atomic_load(&socket->send_timeout), deadline = 0;
	ssize_t result = 0;

	if (!instance || atomic_load(&socket->state) != SOCKET_CONNECTION)
		/* It is the kernel's again, or a listener, as tcp_sendmsg() says. */
		result = config_get()->host ? -ESTALE : -EPIPE;
	else if (flags & MSG_FASTOPEN)
		result = -EISCONN; /* as inet_stream_connect() says of an established one */
	while (result >= 0) {
		const struct iovec *rest = cursor_iov(&cursor, &count);

		result = instance->operations->send(socket->handle, rest, count,
						    (flags & (MSG_MORE | MSG_OOB | MSG_EOR)) |
							    (done ? STACK_REST : 0));
		if (result >= 0) {
			done += (size_t)result;
			if (done >= wanted)
				return (ssize_t)done;
			cursor_advance(&cursor, (size_t)result);
			continue;
		}
		if (result != -EAGAIN || !waits)
			break;
		if (!deadline)
			deadline = send_deadline(timeout);
		result = socket_wait(socket, EPOLLOUT | EPOLLERR | EPOLLHUP, deadline);
		if (result == 0)
			result = -EAGAIN;
	}
	if (done && result == -ESTALE && waits)
		return rest_in_kernel(socket, SYS_sendto, &cursor, done, SIZE_MAX,
				      flags | MSG_NOSIGNAL,
				      deadline ? deadline : send_deadline(timeout));
	if (done)
		return (ssize_t)done;
	if (result == -EPIPE && !(flags & MSG_NOSIGNAL))
		raise_broken_pipe();
	return result;
}

ssize_t socket_send(struct socket *socket, const struct iovec *iov, size_t count, int flags)
{
	const ssize_t result = send_here(socket, iov, count, flags);

	return __builtin_expect(result == -ESTALE, 0) && socket->kept
		       ? by_kept(socket, SYS_sendmsg, iov, count, flags)
		       : result;
}
