/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * poll and select over stack and kernel descriptors together. Not for epoll.
 */
#include "preload/waiting/poll.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/single_threaded.h>
#include <unistd.h>

#include "preload/descriptors/descriptor_room.h"
#include "preload/descriptors/descriptors.h"
#include "preload/libc/cancellation.h"
#include "preload/libc/interruptible.h"
#include "preload/libc/monotonic.h"
#include "preload/libc/program_memory.h"
#include "preload/libc/scratch.h"
#include "preload/libc/signals.h"
#include "preload/libc/timeout.h"
#include "preload/waiting/wait.h"

/* A descriptor of the set that the stack carries, or carries a half of. */
struct poll_entry {
	struct watch watch; /* first, so that its address is the entry's */
	struct poll_waiting *waiting;
	struct object *object; /* the call has a reference to it */
	int descriptor;
	nfds_t index;
	uint32_t events;
	bool lent; /* FORM_LENT */
};

struct poll_waiting {
	struct wait wait;
	struct waiter *waiter;
	/* A copy of the program's set, in which what is the stack's alone has descriptor -1. */
	struct pollfd *kernel;
	nfds_t count;
	nfds_t kernel_used; /* how many of its descriptors are not -1 */
	uint64_t kernel_looked;
	bool looked; /* whether the call has looked at the kernel's descriptors yet */
	struct poll_entry *entries;
	size_t entry_count, lent_count;
	bool changed;	   /* one of the stack's is the kernel's again: the call begins anew */
	bool names_melins; /* the set names a descriptor that the program does not have */
	int ready_count;
	int error;
	void *memory; /* scratch that entries and kernel lie in if the set is large, or NULL */
	void *select_memory; /* scratch that is given back when the thread is cancelled, or NULL */
};

/* ---- readiness ---- */

/* Whether the descriptor is still the object's that it was when the call began. */
static bool is_still(const struct poll_entry *entry)
{
	return atomic_load_explicit(&descriptor_table[entry->descriptor], memory_order_relaxed) ==
	       entry->object;
}

static uint32_t readiness(const struct poll_entry *entry, struct object *object)
{
	return object->operations->readiness(object, false) & (entry->events | POLLERR | POLLHUP);
}

/*
 * What is reported when the object is ready, but another thread has closed the descriptor or made
 * it another file's. Linux's poll() is woken by the file that it began with and then looks at the
 * file that has the number now, if there is one; so does this.
 */
static short elsewhere(const struct poll_entry *entry)
{
	struct pollfd now[1 + WAIT_MORE_DESCRIPTORS] = { { .fd = entry->descriptor,
							   .events = (short)entry->events } };
	struct object *object = descriptor_get(entry->descriptor);
	const bool counted = object && object->kind != OBJECT_PRIVATE;

	if (counted && object->operations->form(object) == FORM_STACK)
		now[0].revents = (short)readiness(entry, object);
	else
		wait_look(now, 1);
	if (counted)
		object_put(object);
	return now[0].revents;
}

static short entry_revents(const struct poll_entry *entry)
{
	const uint32_t ready = readiness(entry, entry->object);

	return ready && !is_still(entry) ? elsewhere(entry) : (short)ready;
}

/*
 * Another thread has closed some of the kernel's descriptors in the set while the call waits. A
 * call of the kernel's keeps the files that it began with, and these never become ready: they are
 * taken out of the set.
 */
static void forget_closed(struct poll_waiting *this)
{
	for (nfds_t i = 0; i < this->count; i++) {
		if (!(this->kernel[i].revents & POLLNVAL))
			continue;
		this->kernel[i] = (struct pollfd){ .fd = -1 };
		this->kernel_used--;
	}
}

/* False: the kernel refuses the set, and error says why. */
static bool look_at_kernel(struct poll_waiting *this)
{
	long result = wait_look(this->kernel, this->count);

	if (result < 0 && result != -EINTR) {
		this->error = (int)result;
		return false;
	}
	if (result > 0 && this->looked)
		forget_closed(this);
	this->looked = true;
	return true;
}

/* Adds what the stack's descriptors report. True: one of them is the kernel's again. */
static bool look_at_stack(struct poll_waiting *this)
{
	for (size_t i = 0; i < this->entry_count; i++) {
		struct poll_entry *entry = &this->entries[i];
		const struct object_operations *operations = entry->object->operations;

		if (entry->lent)
			continue;
		this->kernel[entry->index].revents |= entry_revents(entry);
		if (operations->has_left && operations->has_left(entry->object))
			return true;
	}
	return false;
}

static bool poll_ready(struct wait *wait)
{
	struct poll_waiting *this = (struct poll_waiting *)wait;
	int ready = 0;

	for (nfds_t i = 0; i < this->count; i++)
		this->kernel[i].revents = 0;
	if (this->kernel_used && wait_kernel_due(wait, this->kernel_looked)) {
		this->kernel_looked = wait->now;
		if (!look_at_kernel(this))
			return true;
	}
	this->changed = look_at_stack(this);
	if (this->changed)
		return true;
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
	for (size_t i = 0; i < this->entry_count; i++)
		watch_attach(&this->entries[i].object->source, &this->entries[i].watch);
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
	scratch_put(this->memory);
}

static void poll_cancelled(struct wait *wait)
{
	struct poll_waiting *this = (struct poll_waiting *)wait;

	scratch_put(this->select_memory);
	give_back(this);
}

static void wait_in_kernel_cancelled(void *waiting)
{
	poll_cancelled(&((struct poll_waiting *)waiting)->wait);
}

/* Makes everything as it was before the set was looked at. */
static void begin_anew(struct poll_waiting *this)
{
	for (size_t i = 0; i < this->entry_count; i++)
		object_put(this->entries[i].object);
	this->entry_count = this->lent_count = 0;
	this->kernel_used = 0;
	this->changed = this->looked = this->names_melins = false;
	this->wait.kernel = NULL;
	this->wait.kernel_count = 0;
}

/* ---- making the set ---- */

/*
 * A reference to what has a stack half behind a descriptor, or may have one but for the reference,
 * or NULL. Listeners before their first use have it now.
 */
static struct object *stack_half(int descriptor, enum object_form *form)
{
	struct object *object;

	*form = FORM_KERNEL;
	if (!descriptor_known(descriptor))
		return NULL;
	object = descriptor_get(descriptor);
	if (!object || object->kind == OBJECT_PRIVATE)
		return NULL;
	*form = object->operations->begin_wait(object, descriptor);
	if (*form != FORM_KERNEL)
		return object;
	object_put(object);
	return NULL;
}

static void fill(struct poll_waiting *this)
{
	for (nfds_t i = 0; i < this->count; i++) {
		struct poll_entry *entry = &this->entries[this->entry_count];
		enum object_form form;

		const int descriptor = this->kernel[i].fd;

		this->kernel[i].fd = descriptor_not_melins(descriptor, 1);
		this->names_melins |= this->kernel[i].fd != descriptor;
		this->kernel_used++;
		if (descriptor < 0) {
			this->kernel_used--;
			continue;
		}
		entry->object = stack_half(descriptor, &form);
		if (!entry->object)
			continue;
		entry->watch.notify = poll_notified;
		entry->watch.link = NULL;
		entry->waiting = this;
		entry->index = i;
		entry->descriptor = descriptor;
		entry->events = (uint32_t)(unsigned short)this->kernel[i].events;
		entry->lent = form == FORM_LENT;
		this->lent_count += entry->lent;
		this->entry_count++;
		if (entry->lent)
			continue;
		if (form == FORM_MIXED) {
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
	if (this->changed)
		return -ESTALE;
	if (this->error)
		return this->error;
	return result < 0 ? result : this->ready_count;
}

/*
 * poll(2) refuses sets with more entries than the limit of open descriptors, which is looked at for
 * sets that are larger than this only, if the program has not set a lower one itself.
 */
#define MANY 256

bool poll_concerns(const struct pollfd *set, nfds_t count)
{
	if ((count > (nfds_t)descriptor_room_at_least(MANY) &&
	     count > (nfds_t)sysconf(_SC_OPEN_MAX)) ||
	    !memory_readable(set, count * sizeof(*set)))
		return false;
	for (nfds_t i = 0; i < count; i++)
		if (descriptor_known(set[i].fd))
			return true;
	return false;
}

/* The copies of sets up to this size lie on the caller's stack. */
#define FEW 16

/* Nothing in the set is the stack's: the kernel's own wait, with references to what is lent. */
static int wait_in_kernel(struct poll_waiting *this)
{
	struct timespec left = timeout_left(this->wait.deadline);
	const struct system_call call = { SYS_ppoll,
					  (long)this->kernel,
					  (long)this->count,
					  this->wait.deadline == CLOCK_NEVER ? 0 : (long)&left,
					  (long)this->wait.mask,
					  sizeof(uint64_t), /* of the kernel's sets */
					  0 };

	return (int)cancellation_call(&call, false, wait_in_kernel_cancelled, this);
}

/*
 * Waits for the set that is in this->kernel, which has room for WAIT_MORE_DESCRIPTORS behind it and
 * whose revents are set.
 */
static bool wait_mixed_set(struct poll_waiting *this, int *result)
{
	fill(this);
	if (this->entry_count == this->lent_count && !this->names_melins) {
		/* Without another thread nobody borrows any meanwhile. */
		if (!this->lent_count || __libc_single_threaded)
			return false;
		*result = wait_in_kernel(this);
		return true;
	}
	*result = wait_on_set(this);
	return true;
}

/* Makes room for the copy of the set and for its entries. False: no memory. */
static bool make_room(struct poll_waiting *this, struct poll_entry *few_entries,
		      struct pollfd *few_descriptors)
{
	const size_t room = this->count + WAIT_MORE_DESCRIPTORS;

	this->entries = few_entries;
	this->kernel = few_descriptors;
	if (this->count <= FEW)
		return true;
	this->memory =
		scratch_get(this->count * sizeof(struct poll_entry) + room * sizeof(struct pollfd));
	if (!this->memory)
		return false;
	this->entries = this->memory;
	this->kernel = (struct pollfd *)(this->entries + this->count);
	return true;
}

static bool write_back(const struct poll_waiting *this, struct pollfd *set)
{
	if (!memory_writable(set, this->count * sizeof(*set)))
		return false;
	for (nfds_t i = 0; i < this->count; i++)
		set[i].revents = this->kernel[i].revents;
	return true;
}

static struct poll_waiting new_waiting(nfds_t count, uint64_t deadline, const sigset_t *mask)
{
	return (struct poll_waiting){
		.wait = { .ready = poll_ready,
			  .enroll = poll_enroll,
			  .withdraw = poll_withdraw,
			  .cancelled = poll_cancelled,
			  .deadline = deadline,
			  .mask = mask },
		.count = count,
	};
}

bool poll_mixed(struct pollfd *set, nfds_t count, uint64_t deadline, const sigset_t *mask,
		int *result)
{
	struct poll_entry few_entries[FEW];
	struct pollfd few[FEW + WAIT_MORE_DESCRIPTORS];
	struct poll_waiting this = new_waiting(count, deadline, mask);
	bool done = true;

	signals_hold();
	*result = -ENOMEM;
	if (make_room(&this, few_entries, few)) {
		do {
			begin_anew(&this);
			*result = -EFAULT;
			if (memory_copy_in(this.kernel, set, count * sizeof(*set)))
				done = wait_mixed_set(&this, result);
		} while (done && *result == -ESTALE);
		if (done && *result >= 0 && !write_back(&this, set))
			*result = -EFAULT;
	}
	give_back(&this);
	signals_release_under(mask);
	return done;
}

/* ---- select ---- */

/* What select(2) calls readable, writable and exceptional: Linux's POLLIN_SET and the like. */
#define SELECT_READ	 (POLLIN | POLLRDNORM | POLLRDBAND | POLLHUP | POLLERR)
#define SELECT_WRITE	 (POLLOUT | POLLWRNORM | POLLWRBAND | POLLERR)
#define SELECT_EXCEPTION POLLPRI

/* Copies of a call's sets: first what the program asks for, in the end what is true. */
struct select_sets {
	long *words[3]; /* NULL: the program has given none */
	size_t count;	/* of the words of each */
	void *memory;	/* scratch, or NULL */
};

#define SELECT_WORDS(count) (((size_t)(count) + NFDBITS - 1) / NFDBITS)
/* Copies of sets for up to FD_SETSIZE descriptors lie on the caller's stack. */
#define SELECT_FEW SELECT_WORDS(FD_SETSIZE)

static bool has(const struct select_sets *sets, int which, int descriptor)
{
	return sets->words[which] &&
	       (sets->words[which][descriptor / NFDBITS] >> (descriptor % NFDBITS)) & 1;
}

static bool any(const struct select_sets *sets, int descriptor)
{
	return has(sets, 0, descriptor) || has(sets, 1, descriptor) || has(sets, 2, descriptor);
}

/* 0, -EFAULT or -ENOMEM. The caller gives sets->memory back in any case. */
static int select_sets_begin(struct select_sets *sets, int count, fd_set *const program[3],
			     long few[3 * SELECT_FEW])
{
	long *words = few;

	sets->count = SELECT_WORDS(count);
	sets->memory = NULL;
	if (sets->count > SELECT_FEW)
		words = sets->memory = scratch_get(3 * sets->count * sizeof(*words));
	if (!words)
		return -ENOMEM;
	for (int i = 0; i < 3; i++, words += sets->count) {
		sets->words[i] = program[i] ? words : NULL;
		if (program[i] && !memory_copy_in(words, program[i], sets->count * sizeof(*words)))
			return -EFAULT;
	}
	return 0;
}

static int select_sets_report(const struct select_sets *sets, fd_set *const program[3], int bits)
{
	for (int i = 0; i < 3; i++)
		if (program[i] && !memory_copy_out(program[i], sets->words[i],
						   sets->count * sizeof(*sets->words[i])))
			return -EFAULT;
	return bits;
}

static bool select_concerns(const struct select_sets *sets, int count, nfds_t *used)
{
	bool known = false;

	*used = 0;
	for (int i = 0; i < count; i++) {
		if (!any(sets, i))
			continue;
		++*used;
		known |= descriptor_known(i);
	}
	return known;
}

/* Returns how many entries the set has. */
static nfds_t set_from_bits(struct pollfd *set, int count, const struct select_sets *sets)
{
	nfds_t used = 0;

	for (int i = 0; i < count; i++) {
		if (any(sets, i))
			set[used++] = (struct pollfd){
				.fd = i,
				.events = (short)((has(sets, 0, i) ? POLLIN | POLLRDNORM : 0) |
						  (has(sets, 1, i) ? POLLOUT | POLLWRNORM : 0) |
						  (has(sets, 2, i) ? POLLPRI : 0)),
			};
	}
	return used;
}

/*
 * Turns revents into bits. The entries are in the order in which set_from_bits() has made them,
 * since those of the stack's do not have their descriptors any more.
 */
static int bits_from_set(const struct pollfd *set, nfds_t used, int count, struct select_sets *sets)
{
	static const short means[3] = { SELECT_READ, SELECT_WRITE, SELECT_EXCEPTION };
	int bits = 0;

	for (nfds_t i = 0; i < used; i++)
		if (set[i].revents & POLLNVAL)
			return -EBADF;
	for (int i = 0; i < count; i++) {
		if (!any(sets, i))
			continue;
		for (int which = 0; which < 3; which++) {
			if (!has(sets, which, i))
				continue;
			if (set->revents & means[which])
				bits++;
			else
				sets->words[which][i / NFDBITS] &= ~(1l << (i % NFDBITS));
		}
		set++;
	}
	return bits;
}

static void report_if_closed(struct pollfd *one)
{
	if (one->revents & POLLNVAL)
		one->revents = POLLIN | POLLOUT | POLLPRI;
}

/*
 * select(2) refuses a set with a descriptor that is not open when it begins. One that another
 * thread closes meanwhile is ready in each way; it was open if it had an object, or when the wait
 * began that has begun anew.
 */
static void report_closed(const struct poll_waiting *this, bool began_anew)
{
	for (size_t i = 0; i < this->entry_count; i++)
		report_if_closed(&this->kernel[this->entries[i].index]);
	for (nfds_t i = 0; began_anew && i < this->count; i++)
		report_if_closed(&this->kernel[i]);
}

static bool select_in(struct select_sets *sets, int count, uint64_t deadline, const sigset_t *mask,
		      int *result)
{
	struct poll_entry few_entries[FEW];
	struct pollfd few[FEW + WAIT_MORE_DESCRIPTORS];
	struct poll_waiting this = new_waiting(0, deadline, mask);
	bool done = true, began_anew = false;

	this.select_memory = sets->memory;
	if (!select_concerns(sets, count, &this.count))
		return false;
	*result = -ENOMEM;
	if (make_room(&this, few_entries, few)) {
		for (;; began_anew = true) {
			begin_anew(&this);
			this.count = set_from_bits(this.kernel, count, sets);
			done = wait_mixed_set(&this, result);
			if (!done || *result != -ESTALE)
				break;
		}
		/* select(2) itself would refuse what has been closed meanwhile. */
		if (!done && began_anew) {
			*result = wait_in_kernel(&this);
			done = true;
		}
		/* After a time-out, too, when all bits are cleared. */
		if (done && *result >= 0) {
			report_closed(&this, began_anew);
			*result = bits_from_set(this.kernel, this.count, count, sets);
		}
	}
	give_back(&this);
	return done;
}

bool select_mixed(int count, fd_set *readable, fd_set *writable, fd_set *exceptional,
		  uint64_t deadline, const sigset_t *mask, int *result)
{
	fd_set *const program[3] = { readable, writable, exceptional };
	long few[3 * SELECT_FEW];
	struct select_sets sets;
	bool done = true;

	if (count <= 0)
		return false;
	signals_hold();
	*result = select_sets_begin(&sets, count, program, few);
	if (*result == 0)
		done = select_in(&sets, count, deadline, mask, result);
	if (done && *result >= 0)
		*result = select_sets_report(&sets, program, *result);
	scratch_put(sets.memory);
	signals_release_under(mask);
	return done;
}
