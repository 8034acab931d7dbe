/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * poll and select over stack and kernel descriptors together. Not for epoll.
 */
#include "poll.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "epoll.h"
#include "memory.h"
#include "pending.h"
#include "socket.h"
#include "symbols.h"
#include "wait.h"

/* One descriptor of the set that has a stack half. */
struct poll_entry {
	struct watch watch; /* first: it is the entry's address */
	struct poll_waiting *waiting;
	struct object *object; /* with a reference */
	nfds_t index;
	uint32_t events;
};

struct poll_waiting {
	struct wait wait;
	struct waiter *waiter;
	struct pollfd *set;    /* the program's */
	struct pollfd *kernel; /* the same; what is the stack's alone has descriptor -1 */
	nfds_t count;
	nfds_t kernel_used; /* entries of kernel that are not -1 */
	uint64_t kernel_looked;
	struct poll_entry *entries;
	size_t entry_count;
	bool names_melins; /* the set names a descriptor that the program does not have */
	int ready_count;
	int error;
	void *memory; /* what entries and kernel lie in if the set is large, or NULL */
};

/* ---- readiness ---- */

static short entry_revents(const struct poll_entry *entry)
{
	uint32_t ready;

	if (entry->object->kind == OBJECT_SOCKET)
		ready = socket_readiness((struct socket *)entry->object);
	else
		ready = epoll_readable((struct epoll *)entry->object) ? POLLIN | POLLRDNORM : 0;
	return (short)(ready & (entry->events | POLLERR | POLLHUP));
}

static bool poll_ready(struct wait *wait)
{
	struct poll_waiting *this = (struct poll_waiting *)wait;
	int ready = 0;

	for (nfds_t i = 0; i < this->count; i++)
		this->kernel[i].revents = 0;
	if (this->kernel_used && wait_kernel_due(wait, this->kernel_looked)) {
		this->kernel_looked = wait->now;
		if (libc()->poll(this->kernel, this->count, 0) < 0 && errno != EINTR) {
			this->error = -errno;
			return true;
		}
	}
	for (size_t i = 0; i < this->entry_count; i++)
		this->kernel[this->entries[i].index].revents |= entry_revents(&this->entries[i]);
	for (nfds_t i = 0; i < this->count; i++)
		ready += this->kernel[i].revents != 0;
	this->ready_count = ready;
	return ready > 0;
}

static void poll_notified(struct watch *watch, uint32_t events)
{
	struct poll_entry *entry = (struct poll_entry *)watch;

	if (events & (entry->events | POLLERR | POLLHUP))
		waiter_wake(entry->waiting->waiter);
}

static void poll_enroll(struct wait *wait, struct waiter *waiter)
{
	struct poll_waiting *this = (struct poll_waiting *)wait;

	this->waiter = waiter;
	for (size_t i = 0; i < this->entry_count; i++) {
		struct object *object = this->entries[i].object;

		watch_attach(object->kind == OBJECT_SOCKET ? &((struct socket *)object)->source
							   : &((struct epoll *)object)->source,
			     &this->entries[i].watch);
	}
}

static void poll_withdraw(struct wait *wait)
{
	struct poll_waiting *this = (struct poll_waiting *)wait;

	for (size_t i = 0; i < this->entry_count; i++)
		watch_detach(&this->entries[i].watch);
}

static void give_back(struct poll_waiting *this)
{
	for (size_t i = 0; i < this->entry_count; i++)
		object_put(this->entries[i].object);
	free(this->memory);
}

static void poll_cancelled(struct wait *wait)
{
	give_back((struct poll_waiting *)wait);
}

/* ---- making the set ---- */

/*
 * A reference to what has a stack half behind a descriptor, or NULL. *mixed: it has a kernel half
 * as well. Listeners before their first use have it now.
 */
static struct object *stack_half(int descriptor, bool *mixed)
{
	struct object *object;
	struct socket *socket;

	*mixed = false;
	if (!descriptor_known(descriptor))
		return NULL;
	object = descriptor_get(descriptor);
	if (!object || object->kind == OBJECT_PRIVATE)
		return NULL;
	if (object->kind == OBJECT_EPOLL) {
		struct epoll *epoll = (struct epoll *)object;

		if (atomic_load(&epoll->pending))
			epoll_use_listeners(epoll);
		*mixed = true;
		if (atomic_load(&epoll->served))
			return object;
		object_put(object);
		return NULL;
	}
	object_put(object);
	socket = socket_get(descriptor);
	if (socket && pending_is_unused(socket)) {
		pending_first_use(socket);
		socket_put(socket);
		socket = socket_get(descriptor);
	}
	if (!socket)
		return NULL;
	*mixed = socket->dual;
	return &socket->object;
}

static void fill(struct poll_waiting *this)
{
	for (nfds_t i = 0; i < this->count; i++) {
		struct poll_entry *entry = &this->entries[this->entry_count];
		bool mixed;

		this->kernel[i] = this->set[i];
		this->kernel[i].fd = descriptor_of_program(this->set[i].fd);
		this->names_melins |= this->kernel[i].fd != this->set[i].fd;
		this->kernel_used++;
		if (this->set[i].fd < 0) {
			this->kernel_used--;
			continue;
		}
		entry->object = stack_half(this->set[i].fd, &mixed);
		if (!entry->object)
			continue;
		entry->watch.notify = poll_notified;
		entry->watch.link = NULL;
		entry->waiting = this;
		entry->index = i;
		entry->events = (uint32_t)(unsigned short)this->set[i].events;
		this->entry_count++;
		if (mixed) {
			this->kernel[i].events &= POLLIN | POLLRDNORM;
		} else {
			this->kernel[i].fd = -1;
			this->kernel_used--;
		}
	}
}

static int wait_on_set(struct poll_waiting *this)
{
	int result;

	if (this->kernel_used) {
		this->wait.kernel = this->kernel;
		this->wait.kernel_count = this->count;
	}
	result = wait_for(&this->wait);
	if (this->error)
		return this->error;
	if (result < 0)
		return result;
	for (nfds_t i = 0; i < this->count; i++)
		this->set[i].revents = this->kernel[i].revents;
	return this->ready_count;
}

/* Sets up to this size are below any limit of open descriptors that is in use. */
#define MANY 256

bool poll_concerns(struct pollfd *set, nfds_t count)
{
	if ((count > MANY && count > (nfds_t)sysconf(_SC_OPEN_MAX)) ||
	    !memory_writable(set, count * sizeof(*set)))
		return false;
	for (nfds_t i = 0; i < count; i++)
		if (descriptor_known(set[i].fd))
			return true;
	return false;
}

/* Sets up to this size are kept on the caller's stack. */
#define FEW 16

bool poll_mixed(struct pollfd *set, nfds_t count, uint64_t deadline, const sigset_t *mask,
		int *result)
{
	struct poll_entry few_entries[FEW];
	struct pollfd few[FEW];
	struct poll_waiting this = {
		.wait = { .ready = poll_ready,
			  .enroll = poll_enroll,
			  .withdraw = poll_withdraw,
			  .cancelled = poll_cancelled,
			  .deadline = deadline,
			  .mask = mask },
		.set = set,
		.kernel = few,
		.count = count,
		.entries = few_entries,
	};
	bool done;

	if (count > FEW) {
		this.memory = malloc(count * (sizeof(struct poll_entry) + sizeof(struct pollfd)));
		if (!this.memory) {
			*result = -ENOMEM;
			return true;
		}
		this.entries = this.memory;
		this.kernel = (struct pollfd *)(this.entries + count);
	}
	fill(&this);
	done = this.entry_count > 0 || this.names_melins;
	if (done)
		*result = wait_on_set(&this);
	give_back(&this);
	return done;
}

/* ---- select ---- */

/* What select(2) calls readable, writable and exceptional, in terms of poll(2). */
#define SELECT_READ	 (POLLIN | POLLRDNORM | POLLRDBAND | POLLHUP | POLLERR)
#define SELECT_WRITE	 (POLLOUT | POLLWRNORM | POLLWRBAND | POLLERR)
#define SELECT_EXCEPTION POLLPRI

/* Programs make sets larger than FD_SETSIZE; the macros would object to that. */
static bool bit(const fd_set *set, int descriptor)
{
	return set && (set->fds_bits[descriptor / NFDBITS] >> (descriptor % NFDBITS)) & 1;
}

static void clear_bit(fd_set *set, int descriptor)
{
	set->fds_bits[descriptor / NFDBITS] &= ~(1l << (descriptor % NFDBITS));
}

static int keep_bit(fd_set *set, int descriptor, bool keep)
{
	if (!bit(set, descriptor))
		return 0;
	if (!keep)
		clear_bit(set, descriptor);
	return keep;
}

static bool any_known_bit(int count, const fd_set *a, const fd_set *b, const fd_set *c)
{
	for (int i = 0; i < count; i++)
		if (descriptor_known(i) && (bit(a, i) || bit(b, i) || bit(c, i)))
			return true;
	return false;
}

static nfds_t set_from_bits(struct pollfd *set, int count, const fd_set *readable,
			    const fd_set *writable, const fd_set *exceptional)
{
	nfds_t used = 0;

	for (int i = 0; i < count; i++) {
		short events = (short)((bit(readable, i) ? POLLIN | POLLRDNORM : 0) |
				       (bit(writable, i) ? POLLOUT | POLLWRNORM : 0) |
				       (bit(exceptional, i) ? POLLPRI : 0));

		if (events)
			set[used++] = (struct pollfd){ .fd = i, .events = events };
	}
	return used;
}

static int bits_from_set(const struct pollfd *set, nfds_t used, fd_set *readable, fd_set *writable,
			 fd_set *exceptional)
{
	int bits = 0;

	for (nfds_t i = 0; i < used; i++)
		if (set[i].revents & POLLNVAL)
			return -EBADF;
	for (nfds_t i = 0; i < used; i++) {
		bits += keep_bit(readable, set[i].fd, set[i].revents & SELECT_READ);
		bits += keep_bit(writable, set[i].fd, set[i].revents & SELECT_WRITE);
		bits += keep_bit(exceptional, set[i].fd, set[i].revents & SELECT_EXCEPTION);
	}
	return bits;
}

bool select_mixed(int count, fd_set *readable, fd_set *writable, fd_set *exceptional,
		  uint64_t deadline, const sigset_t *mask, int *result)
{
	struct pollfd *set;
	nfds_t used;
	bool done;

	if (count <= 0 || !any_known_bit(count, readable, writable, exceptional))
		return false;
	set = calloc((size_t)count, sizeof(*set));
	if (!set) {
		*result = -ENOMEM;
		return true;
	}
	used = set_from_bits(set, count, readable, writable, exceptional);
	done = poll_mixed(set, used, deadline, mask, result);
	/* On a time-out too: then no bit stays. */
	if (done && *result >= 0)
		*result = bits_from_set(set, used, readable, writable, exceptional);
	free(set);
	return done;
}
