/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The socket object: where it comes from, what its readiness is, its names. Not for deciding flows
 * (flow.c), for moving bytes (transfer.c), nor for what the table of descriptors and the calls that
 * wait ask of it, its end among that (socket_operations.c).
 */
#include "preload/sockets/socket_object.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>

#include "preload/config/address.h"
#include "preload/config/log.h"
#include "preload/config/rules.h"
#include "preload/process/lending.h"
#include "preload/libc/program_memory.h"
#include "common/system_call.h"
#include "preload/libc/symbols.h"
#include "preload/waiting/epoll.h"

struct socket *socket_get_any(int descriptor)
{
	return (struct socket *)descriptor_get_kind(descriptor, OBJECT_SOCKET);
}

struct socket *socket_get_next(int *descriptor)
{
	return (struct socket *)descriptor_get_next(descriptor, OBJECT_SOCKET);
}

/*
 * The program gets the twin's ENOTCONN, which does not say why: the log does, once in a process.
 */
static void warn_of_inherited(int descriptor)
{
	static _Atomic bool warned;

	if (!atomic_exchange(&warned, true))
		log_write(LOG_LEVEL_WARN,
			  "descriptor %d: a forked child cannot use its parent's connection; a "
			  "rule with ! leaves such flows to the kernel (LIMITS in libmelin(7))",
			  descriptor);
}

enum socket_state socket_settled(const struct socket *socket)
{
	enum socket_state state;

	/* Microseconds, or some ten of them with a broker. */
	while ((state = atomic_load(&socket->state)) == SOCKET_CHANGING) {
		lending_while_waiting();
		kernel_call(SYS_sched_yield, 0, 0, 0, 0);
	}
	return state;
}

bool socket_is_stacks(const struct socket *socket, int descriptor)
{
	enum socket_state state = socket_settled(socket);

	if (state == SOCKET_PENDING || state == SOCKET_AWAITING || state == SOCKET_LISTENER)
		return true;
	/* A connection that was inherited through fork() is the parent's. */
	if (state == SOCKET_CONNECTION && socket_instance(socket))
		return true;
	if (state == SOCKET_CONNECTION && process_stack_is_parents())
		warn_of_inherited(descriptor);
	return false;
}

struct socket *socket_get(int descriptor)
{
	struct socket *socket;

	if (__builtin_expect(!descriptor_known(descriptor), 1))
		return NULL;
	socket = socket_get_any(descriptor);
	if (!socket || socket_is_stacks(socket, descriptor))
		return socket;
	socket_put(socket);
	return NULL;
}

const struct instance *socket_instance(const struct socket *socket)
{
	const struct instance *running = process_stack_running();

	return running && socket->handle && socket->instance == running ? running : NULL;
}

bool socket_is_carried(const struct socket *socket)
{
	const enum socket_state state = atomic_load(&socket->state);

	return socket_instance(socket) && state != SOCKET_LENDABLE && state != SOCKET_KERNEL;
}

struct socket *socket_allocate(int domain)
{
	struct socket *socket = object_allocate(OBJECT_SOCKET, sizeof(*socket));

	if (socket) {
		socket->domain = domain;
		socket->descriptor = -1;
	}
	return socket;
}

struct socket *socket_allocate_for(int descriptor)
{
	const int domain = socket_candidate_domain(descriptor);

	return domain ? socket_allocate(domain) : NULL;
}

unsigned char socket_state_in_kernel(int descriptor)
{
	unsigned char state = TCP_CLOSE; /* the first byte of struct tcp_info */
	socklen_t length = sizeof(state);

	libc()->getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &state, &length);
	return state;
}

void socket_leave_to_kernel(struct socket *socket, int descriptor)
{
	atomic_store(&socket->state, SOCKET_KERNEL);
	epoll_left_to_kernel(&socket->object);
	if (atomic_load(&socket->object.descriptors) == 1)
		descriptor_remove_of(descriptor, &socket->object);
}

void socket_created(int descriptor, int domain)
{
	struct socket *socket = socket_allocate(domain);

	if (!socket)
		return; /* no memory: the flow stays with libc */
	status_begins_at(descriptor);
	descriptor_install(descriptor, &socket->object);
	socket_put(socket);
}

void socket_make_twin_nonblocking(struct socket *socket)
{
	int flags = libc()->fcntl(socket->descriptor, F_GETFL, 0L);

	if (flags >= 0 && atomic_load(&socket->reach) != TWIN_PASSED)
		libc()->fcntl(socket->descriptor, F_SETFL, (long)(flags | O_NONBLOCK));
}

void socket_make_twin_blocking(struct socket *socket)
{
	int flags = libc()->fcntl(socket->descriptor, F_GETFL, 0L);

	if (flags >= 0)
		libc()->fcntl(socket->descriptor, F_SETFL, (long)(flags & ~O_NONBLOCK));
}

uint32_t socket_readiness(const struct socket *socket)
{
	const struct instance *instance = socket_instance(socket);

	if (atomic_load_explicit(&socket->failed, memory_order_relaxed))
		return EPOLLIN | EPOLLERR;
	return instance ? instance->operations->readiness(socket->handle) : 0;
}

/*
 * O_ASYNC of fcntl(2). If the program has chosen the signal (F_SETSIG), that says what has happened
 * to which descriptor. Its code is SI_SIGIO instead of POLL_IN or POLL_OUT, since the kernel allows
 * no process to send these.
 */
static void signal_readiness(const struct socket *socket, int owner, uint32_t events)
{
	bool input = events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR);
	int number = atomic_load(&socket->signal);
	siginfo_t info = {
		.si_signo = number,
		.si_code = SI_SIGIO,
	};

	if (!number) {
		kill(owner, SIGIO);
		return;
	}
	info.si_band = input ? POLLIN | POLLRDNORM : POLLOUT | POLLWRNORM | POLLWRBAND;
	info.si_fd = atomic_load(&socket->signal_descriptor);
	if (kernel_call(SYS_rt_sigqueueinfo, owner, number, (long)&info, 0) < 0)
		kill(owner, number);
}

static void signal_owner(const struct socket *socket, int owner, uint32_t events)
{
	if (events & STACK_EVENT_URGENT)
		kill(owner, SIGURG);
	if (!(events & STACK_EVENT_QUIET) && (events & ~STACK_EVENT_URGENT) &&
	    atomic_load_explicit(&socket->signals, memory_order_relaxed))
		signal_readiness(socket, owner, events);
}

void socket_event(void *user, uint32_t events)
{
	struct socket *socket = user;
	int owner = atomic_load_explicit(&socket->owner, memory_order_relaxed);

	if (owner)
		signal_owner(socket, owner, events);
	events &= ~(STACK_EVENT_URGENT | STACK_EVENT_QUIET);
	if (events)
		wait_notify(&socket->object.source, events);
}

bool socket_local_name(int descriptor, struct sockaddr_storage *name, struct ip_address *address,
		       uint16_t *port)
{
	socklen_t length = sizeof(*name);

	return libc()->getsockname(descriptor, (struct sockaddr *)name, &length) == 0 &&
	       address_from_sockaddr((struct sockaddr *)name, length, address, port) == 0;
}

/*
 * As Linux's move_addr_to_user(): the name is cut to the room that the program has, and the program
 * is told its full length.
 */
int socket_copy_name(const struct sockaddr_storage *from, struct sockaddr *name, socklen_t *length)
{
	const socklen_t full = from->ss_family == AF_INET ? sizeof(struct sockaddr_in)
							  : sizeof(struct sockaddr_in6);
	socklen_t room;

	if (!memory_copy_in(&room, length, sizeof(room)))
		return -EFAULT;
	if ((int)room < 0)
		return -EINVAL;
	if (!memory_copy_out(name, from, room < full ? room : full) ||
	    !memory_copy_out(length, &full, sizeof(full)))
		return -EFAULT;
	return 0;
}

ssize_t socket_interrupted(const struct socket *socket, bool receives)
{
	const uint64_t timeout =
		atomic_load(receives ? &socket->receive_timeout : &socket->send_timeout);

	return signals_waiting() && !timeout ? -ERESTART : -EINTR;
}

int socket_name(struct socket *socket, int descriptor, bool peer, struct sockaddr *name,
		socklen_t *length)
{
	struct sockaddr_storage storage;
	int result;

	if (atomic_load(&socket->state) != SOCKET_CONNECTION || atomic_load(&socket->borrowed) ||
	    (!peer && atomic_load(&socket->rebound))) {
		/*
		 * A borrowed connection's twin has its names, and one that is bound anew its own.
		 * Else the twin is bound to the listener's address; a listener has no peer.
		 */
		result = peer ? libc()->getpeername(descriptor, name, length)
			      : libc()->getsockname(descriptor, name, length);
		return result < 0 ? -errno : 0;
	}
	result = socket->instance->operations->name(socket->handle, peer, &storage);
	return result < 0 ? result : socket_copy_name(&storage, name, length);
}

int socket_shutdown(struct socket *socket, int descriptor, int how)
{
	const struct instance *instance = socket_instance(socket);
	int result = 0;

	if (how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR)
		return -EINVAL;
	if (instance)
		result = instance->operations->shutdown(socket->handle, how);
	if (atomic_load(&socket->state) == SOCKET_CONNECTION)
		return result;
	/* The twin of a listener listens as well, and has to end that, too. */
	result = libc()->shutdown(descriptor, how) < 0 ? -errno : 0;
	wait_notify(&socket->object.source, EPOLLIN | EPOLLHUP | EPOLLRDHUP);
	return result;
}
