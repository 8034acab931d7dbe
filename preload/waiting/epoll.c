/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * epoll instances, their items and their ready lists. Not for waiting on them (epoll_wait.c).
 *
 * When the program adds a socket whose flow is not decided yet, the kernel gets the registration
 * with the program's own data, and an item of FORM_KERNEL remembers it here. When the stack takes
 * the flow later, the item changes over and the kernel's registration is removed.
 */
#include "preload/waiting/epoll.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>

#include "preload/waiting/epoll_item.h"
#include "preload/descriptors/descriptor_room.h"
#include "preload/libc/program_memory.h"
#include "preload/libc/signals.h"
#include "common/own_descriptor.h"
#include "common/system_call.h"
#include "preload/libc/symbols.h"

/* The events that epoll_wait(2) reports whether the program has asked for them or not. */
#define ALWAYS_REPORTED (EPOLLERR | EPOLLHUP)

/* The only bits that epoll_ctl(2) allows beside EPOLLEXCLUSIVE. */
#define BESIDE_EXCLUSIVE                                                                           \
	(EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLWAKEUP | EPOLLET | EPOLLEXCLUSIVE)

/* ---- readiness of an item, the ready list ---- */

static bool any_ready(struct epoll *epoll)
{
	for (struct epoll_item *item = epoll->ready; item; item = item->next_ready)
		if (epoll_item_readiness(item))
			return true;
	return false;
}

uint32_t epoll_item_readiness(const struct epoll_item *item)
{
	uint32_t ready;

	if (item->disabled)
		return 0;
	ready = item->target->operations->readiness(item->target, true);
	if (item->kernel_ready)
		ready |= EPOLLIN | EPOLLRDNORM;
	return ready & (item->events | ALWAYS_REPORTED);
}

void epoll_item_queue(struct epoll_item *item)
{
	struct epoll *epoll = item->epoll;

	if (item->queued)
		return;
	item->queued = true;
	item->next_ready = NULL;
	if (epoll->ready)
		epoll->ready_last->next_ready = item;
	else
		atomic_store(&epoll->ready, item);
	epoll->ready_last = item;
}

static void unqueue(struct epoll_item *item)
{
	struct epoll_item *previous = NULL, *each;

	if (!item->queued)
		return;
	for (each = item->epoll->ready; each && each != item; each = each->next_ready)
		previous = each;
	if (!each)
		return;
	if (previous)
		previous->next_ready = item->next_ready;
	else
		atomic_store(&item->epoll->ready, item->next_ready);
	if (item->epoll->ready_last == item)
		item->epoll->ready_last = previous;
	item->queued = false;
}

/*
 * The watch of an item: its target has become ready. The item goes to the ready list, and whoever
 * waits on the epoll instance is told. wait_lock is held.
 */
static void item_notified(struct watch *watch, uint32_t events)
{
	struct epoll_item *item = (struct epoll_item *)watch;

	if (item->form == FORM_KERNEL || item->disabled ||
	    !(events & (item->events | ALWAYS_REPORTED)))
		return;
	epoll_item_queue(item);
	wait_notify_locked(&item->epoll->object.source, EPOLLIN);
}

/*
 * After EPOLL_CTL_ADD, EPOLL_CTL_MOD or a change of form: if the target is ready by now, that is an
 * event for the item.
 */
static void look_at(struct epoll_item *item)
{
	if (!epoll_item_readiness(item))
		return;
	epoll_item_queue(item);
	wait_notify_locked(&item->epoll->object.source, EPOLLIN);
}

/* ---- lists and forms ---- */

static struct epoll_item *find(struct epoll *epoll, struct object *target, int descriptor)
{
	struct watch *watch = target->source.watches;

	for (; watch; watch = watch->next) {
		struct epoll_item *item = (struct epoll_item *)watch;

		if (watch->notify == item_notified && item->epoll == epoll &&
		    item->descriptor == descriptor)
			return item;
	}
	return NULL;
}

/* epoll_ctl(2) for the kernel half of a mixed item, with melin's tag as its data. 0 or -errno. */
static int kernel_half(struct epoll_item *item, int operation)
{
	struct epoll_event event = {
		.events = item->disabled ? 0 : item->events & (EPOLLIN | EPOLLET | EPOLLEXCLUSIVE),
		.data.u64 = item->epoll->tag,
	};

	return libc()->epoll_ctl(item->epoll->descriptor, operation, item->descriptor, &event) < 0
		       ? -errno
		       : 0;
}

/*
 * The eventfd that is always readable, of which the process has one for all epoll instances; -1 if
 * no descriptor is left for it.
 */
static int kick_descriptor(void)
{
	static _Atomic int kick = -1;
	int descriptor = atomic_load(&kick), none = -1;

	if (descriptor >= 0 && descriptor_private(descriptor))
		return descriptor;
	none = descriptor;
	descriptor = descriptor_own_eventfd(1);
	if (descriptor < 0)
		return -1;
	if (atomic_compare_exchange_strong(&kick, &none, descriptor))
		return descriptor;
	own_descriptor_close(descriptor);
	return none;
}

/*
 * The instance has one more item of which the kernel alone does not know whether it is ready.
 * Threads that sleep in the kernel's epoll_wait() would miss that: the eventfd, which is always
 * readable, brings them out, so that they wait in melin's way.
 */
static void served_more(struct epoll *epoll)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = epoll->tag };

	atomic_fetch_add(&epoll->served, 1);
	if (atomic_load(&epoll->kernel_waiters) == 0 || epoll->kick >= 0)
		return;
	epoll->kick = kick_descriptor();
	if (epoll->kick >= 0)
		libc()->epoll_ctl(epoll->descriptor, EPOLL_CTL_ADD, epoll->kick, &event);
}

static void served_less(struct epoll *epoll)
{
	atomic_fetch_sub(&epoll->served, 1);
}

static bool is_unused(const struct object *target)
{
	return target->operations->is_unused && target->operations->is_unused(target);
}

static void note_pending(struct epoll_item *item)
{
	if (item->pending)
		return;
	item->pending = true;
	atomic_fetch_add(&item->epoll->pending, 1);
	served_more(item->epoll);
}

static void unnote_pending(struct epoll_item *item)
{
	if (!item->pending)
		return;
	item->pending = false;
	atomic_fetch_sub(&item->epoll->pending, 1);
	served_less(item->epoll);
}

/*
 * Takes an item off its lists and its target and frees it. If the kernel has a registration for it,
 * that stays. wait_lock is held.
 */
static void discard(struct epoll_item *item)
{
	unnote_pending(item);
	if (item->form != FORM_KERNEL)
		served_less(item->epoll);
	unqueue(item);
	watch_detach(&item->watch);
	LIST_REMOVE(item, every);
	free(item);
}

/* ---- items without a number ---- */

/* A number of melin's for the target's file, from such a one on, or a negative errno value. */
static int number_from(const struct epoll_item *item, int first)
{
	const int number = descriptor_find(item->target);
	int duplicate;

	if (number < 0)
		return -EBADF;
	descriptor_room_begin();
	duplicate = (int)kernel_call(SYS_fcntl, number, F_DUPFD_CLOEXEC, first, 0);
	descriptor_room_end();
	return duplicate;
}

/* Melin's lower numbers are taken by what stays open, so that it could not be had again. */
static int first_stand_in(void)
{
	const int begin = own_descriptors_begin();

	return begin + (own_descriptors_end() - begin) / 2;
}

/* Items of one file in one instance that a number stands in for. */
#define STAND_INS 16

/*
 * The program has closed the number by which it has added the target, and has another one. To the
 * kernel an item is a file and a number, and the latter may be anything by now: one of melin's
 * stands in for it, which is open for this call only.
 */
static void register_stand_in(struct epoll_item *item, struct epoll_event *event)
{
	long result = -EEXIST;
	int number;

	/* With room, so that the first number is none of the program's. */
	descriptor_room_begin();
	number = number_from(item, first_stand_in());
	for (int i = 0; i < STAND_INS && number >= 0 && result == -EEXIST; i++) {
		result = kernel_call(SYS_epoll_ctl, item->epoll->descriptor, EPOLL_CTL_ADD, number,
				     (long)event);
		kernel_close(number);
		if (result == 0)
			item->stand_in = number;
		else if (result == -EEXIST && i + 1 < STAND_INS)
			number = number_from(item, number + 1);
	}
	descriptor_room_end();
}

/* Takes it away again, unless melin has something else there now. */
static void unregister_stand_in(struct epoll_item *item)
{
	const int number = number_from(item, item->stand_in);

	if (number == item->stand_in)
		kernel_call(SYS_epoll_ctl, item->epoll->descriptor, EPOLL_CTL_DEL, number, 0);
	kernel_close(number);
	item->stand_in = 0;
}

/* ---- epoll_ctl ---- */

static int add(struct epoll *epoll, struct object *target, int descriptor,
	       const struct epoll_event *event)
{
	struct epoll_item *item;
	int result = 0;

	if ((event->events & EPOLLEXCLUSIVE) && (event->events & ~(uint32_t)BESIDE_EXCLUSIVE))
		return -EINVAL;
	if (find(epoll, target, descriptor))
		return -EEXIST;
	item = calloc(1, sizeof(*item));
	if (!item)
		return -ENOMEM;
	item->watch.notify = item_notified;
	item->epoll = epoll;
	item->target = target;
	item->descriptor = descriptor;
	item->form = target->operations->form(target);
	item->events = event->events;
	item->data = event->data.u64;
	if (item->form == FORM_KERNEL) {
		struct epoll_event copy = *event;

		result = libc()->epoll_ctl(epoll->descriptor, EPOLL_CTL_ADD, descriptor, &copy) < 0
				 ? -errno
				 : 0;
	} else if (item->form == FORM_MIXED) {
		result = kernel_half(item, EPOLL_CTL_ADD);
	}
	if (result < 0) {
		free(item);
		return result;
	}
	LIST_INSERT_HEAD(item->form == FORM_MIXED ? &epoll->mixed : &epoll->items, item, every);
	watch_attach(&target->source, &item->watch);
	if (is_unused(target))
		note_pending(item);
	if (item->form == FORM_KERNEL) {
		atomic_store(&epoll->kernel_items, true);
	} else {
		served_more(epoll);
		look_at(item);
	}
	return 0;
}

static int modify(struct epoll *epoll, struct epoll_item *item, const struct epoll_event *event)
{
	struct epoll_event copy = *event;

	if (item->events & EPOLLEXCLUSIVE)
		return -EINVAL;
	if (item->stand_in) {
		unregister_stand_in(item);
		item->unregistered = true;
	}
	if (item->form == FORM_KERNEL &&
	    libc()->epoll_ctl(epoll->descriptor, item->unregistered ? EPOLL_CTL_ADD : EPOLL_CTL_MOD,
			      item->descriptor, &copy) < 0)
		return -errno;
	item->unregistered = false;
	item->events = event->events;
	item->data = event->data.u64;
	item->disabled = false;
	if (item->form == FORM_KERNEL)
		return 0;
	if (item->form == FORM_MIXED)
		kernel_half(item, EPOLL_CTL_MOD);
	look_at(item);
	return 0;
}

static int control(struct epoll *epoll, int operation, struct object *target, int descriptor,
		   const struct epoll_event *event)
{
	struct epoll_item *item;

	if (operation == EPOLL_CTL_ADD)
		return add(epoll, target, descriptor, event);
	if (operation == EPOLL_CTL_MOD && (event->events & EPOLLEXCLUSIVE))
		return -EINVAL;
	item = find(epoll, target, descriptor);
	if (!item)
		return -ENOENT;
	if (operation == EPOLL_CTL_MOD)
		return modify(epoll, item, event);
	if (item->stand_in)
		unregister_stand_in(item);
	else if (item->form != FORM_STACK && !item->unregistered)
		libc()->epoll_ctl(epoll->descriptor, EPOLL_CTL_DEL, descriptor, NULL);
	discard(item);
	return 0;
}

/* Whether melin has to do the call, since an item of its own is or becomes concerned. */
static bool concerns_stack(struct epoll *epoll, int operation, struct object *target,
			   int descriptor, const struct epoll_event *event)
{
	if (operation != EPOLL_CTL_ADD && operation != EPOLL_CTL_MOD && operation != EPOLL_CTL_DEL)
		return false; /* libc's returns EINVAL */
	if (operation != EPOLL_CTL_DEL && !memory_readable(event, sizeof(*event)))
		return false; /* libc's returns EFAULT */
	if (!target || target->kind == OBJECT_PRIVATE || target == &epoll->object)
		return false;
	if (target->kind == OBJECT_EPOLL || target->operations->form(target) != FORM_KERNEL)
		return true;
	/* Without an item the socket was registered in a way that melin has not seen. */
	return operation == EPOLL_CTL_ADD || find(epoll, target, descriptor);
}

bool epoll_control(int descriptor, int operation, int target_descriptor, struct epoll_event *event,
		   int *result)
{
	struct epoll *epoll = epoll_get(descriptor);
	struct object *target;
	bool done;

	if (!epoll)
		return false;
	target = descriptor_get(target_descriptor);
	if (target && target->kind != OBJECT_PRIVATE && target->operations->settle)
		target->operations->settle(target); /* its registrations may be on their way */
	wait_lock_acquire();
	done = concerns_stack(epoll, operation, target, target_descriptor, event);
	if (done)
		*result = control(epoll, operation, target, target_descriptor, event);
	else if (operation == EPOLL_CTL_ADD)
		atomic_store(&epoll->kernel_items, true);
	wait_lock_release();
	if (target)
		object_put(target);
	epoll_put(epoll);
	return done;
}

/* ---- flows that are decided while registered ---- */

/* Calls visit() for each item whose target the object is, with wait_lock, which it takes. */
static void each_item(struct object *object, void (*visit)(struct epoll_item *))
{
	struct watch *watch, *next;

	wait_lock_acquire();
	for (watch = object->source.watches; watch; watch = next) {
		next = watch->next;
		if (watch->notify == item_notified)
			visit((struct epoll_item *)watch);
	}
	wait_lock_release();
}

/*
 * Whether the number that the program registered is the target's still: if not, the kernel's
 * registration is out of reach, and stays.
 */
static bool has_number(const struct epoll_item *item)
{
	return atomic_load(&descriptor_table[item->descriptor]) == item->target;
}

/* What epoll_ctl(2) sets and EPOLLONESHOT leaves: Linux's EP_PRIVATE_BITS. */
#define LEFT_WHEN_FIRED (EPOLLWAKEUP | EPOLLONESHOT | EPOLLET | EPOLLEXCLUSIVE)

/* A line of proc_pid_fdinfo(5): "tfd: NUMBER events: HEX data: HEX"; whether it is the item's. */
static bool is_line_of(const struct epoll_item *item, const char *line, unsigned long *events)
{
	const char *name = strstr(line, "events:");

	if (strncmp(line, "tfd:", 4) != 0 || !name ||
	    strtol(line + 4, NULL, 10) != (item->stand_in ? item->stand_in : item->descriptor))
		return false;
	*events = strtoul(name + strlen("events:"), NULL, 16);
	return true;
}

/* Looks for the item's line in such a file, all of whose lines are shorter than the room. */
static bool find_events(int file, const struct epoll_item *item, unsigned long *events)
{
	char text[1024];
	size_t size = 0;
	long got;

	while ((got = kernel_call(SYS_read, file, (long)(text + size),
				  (long)(sizeof(text) - 1 - size), 0)) > 0) {
		char *line = text, *end;

		size += (size_t)got;
		text[size] = '\0';
		for (; (end = strchr(line, '\n')); line = end + 1) {
			*end = '\0';
			if (is_line_of(item, line, events))
				return true;
		}
		size -= (size_t)(line - text);
		memmove(text, line, size);
	}
	return false;
}

/*
 * Whether the kernel has reported a one-shot item and disabled it: the kernel alone knows, since
 * the thread that was told may not have come out of its wait yet. By system calls of melin's own,
 * since wait_lock is held, and with a number of melin's own.
 */
static bool kernel_has_fired(const struct epoll_item *item)
{
	char path[64];
	unsigned long events = EPOLLIN;
	int file;

	snprintf(path, sizeof(path), "/proc/thread-self/fdinfo/%d", item->epoll->descriptor);
	descriptor_room_begin();
	file = (int)kernel_call(SYS_openat, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC, 0);
	file = own_descriptor(file);
	descriptor_room_end();
	if (file < 0)
		return false;
	if (!find_events(file, item, &events))
		events = EPOLLIN;
	own_descriptor_close(file);
	return !(events & ~(unsigned long)LEFT_WHEN_FIRED);
}

static void change_over(struct epoll_item *item)
{
	if (item->form != FORM_KERNEL)
		return;
	if (item->events & EPOLLONESHOT)
		item->disabled = item->unregistered || kernel_has_fired(item);
	if (item->stand_in)
		unregister_stand_in(item);
	else if (has_number(item) && !item->unregistered)
		libc()->epoll_ctl(item->epoll->descriptor, EPOLL_CTL_DEL, item->descriptor, NULL);
	item->unregistered = false;
	unnote_pending(item);
	item->form = item->target->operations->form(item->target);
	if (item->form == FORM_MIXED) {
		LIST_REMOVE(item, every);
		LIST_INSERT_HEAD(&item->epoll->mixed, item, every);
		kernel_half(item, EPOLL_CTL_ADD);
	}
	served_more(item->epoll);
	look_at(item);
}

static void change_back(struct epoll_item *item)
{
	struct epoll_event event = { .events = item->events, .data.u64 = item->data };

	if (item->form != FORM_STACK)
		return;
	unqueue(item);
	item->form = FORM_KERNEL;
	served_less(item->epoll);
	atomic_store(&item->epoll->kernel_items, true);
	item->unregistered = item->disabled;
	if (item->disabled)
		return;
	if (!has_number(item))
		register_stand_in(item, &event);
	else if (libc()->epoll_ctl(item->epoll->descriptor, EPOLL_CTL_ADD, item->descriptor,
				   &event) < 0)
		libc()->epoll_ctl(item->epoll->descriptor, EPOLL_CTL_MOD, item->descriptor, &event);
}

void epoll_given_back(struct object *object)
{
	each_item(object, change_back);
}

bool epoll_is_out_of_reach(struct object *object)
{
	bool is_out = false;

	wait_lock_acquire();
	for (struct watch *watch = object->source.watches; watch && !is_out; watch = watch->next) {
		const struct epoll_item *item = (struct epoll_item *)watch;

		is_out = watch->notify == item_notified && item->form == FORM_KERNEL &&
			 !item->unregistered && !item->stand_in && !has_number(item);
	}
	wait_lock_release();
	return is_out;
}

void epoll_taken_by_stack(struct object *object)
{
	each_item(object, change_over);
}

/*
 * An item that the kernel does not have is needed until the program arms it again, one that it has
 * by another number until the program changes it.
 */
static void leave(struct epoll_item *item)
{
	if (!item->unregistered && !item->stand_in)
		discard(item);
}

void epoll_left_to_kernel(struct object *object)
{
	each_item(object, leave);
}

void epoll_listener_unused(struct object *object)
{
	each_item(object, note_pending);
}

/*
 * The program uses the pending listeners in a list of items. Returns the operations of their kind,
 * or before if there are none. wait_lock is held.
 */
static const struct object_operations *use_listeners(const struct epoll_item_list *list,
						     const struct object_operations *before)
{
	struct epoll_item *item;

	LIST_FOREACH(item, list, every) {
		if (!item->pending)
			continue;
		before = item->target->operations;
		if (!before->use(item->target))
			unnote_pending(item); /* otherwise use_all() does it, by change_over() */
	}
	return before;
}

void epoll_use_listeners(struct epoll *epoll)
{
	const struct object_operations *operations = NULL;

	wait_lock_acquire();
	operations = use_listeners(&epoll->items, operations);
	operations = use_listeners(&epoll->mixed, operations);
	wait_lock_release();
	if (operations)
		operations->use_all();
}

/*
 * Whether a thread sleeps on the source. A watch that is not an item's is a sleeping thread's;
 * behind an item threads may sleep on the epoll instance. wait_lock is held.
 */
static bool is_waited_on(const struct source *source)
{
	for (struct watch *watch = source->watches; watch; watch = watch->next)
		if (watch->notify != item_notified ||
		    is_waited_on(&((struct epoll_item *)watch)->epoll->object.source))
			return true;
	return false;
}

bool epoll_is_waited_on(struct object *object)
{
	bool waited_on;

	wait_lock_acquire();
	waited_on = is_waited_on(&object->source);
	wait_lock_release();
	return waited_on;
}

/* The kernel's registrations need no care: the kernel drops them when the file is closed. */
void epoll_forget(struct object *object)
{
	if (object->source.watches)
		each_item(object, discard);
}

/* ---- the instance ---- */

bool epoll_is_kernels(int descriptor)
{
	const struct epoll *epoll;

	if (!descriptor_known(descriptor))
		return false;
	epoll = (const struct epoll *)atomic_load_explicit(&descriptor_table[descriptor],
							   memory_order_acquire);
	return epoll && epoll->object.kind == OBJECT_EPOLL && !atomic_load(&epoll->served) &&
	       !atomic_load(&epoll->pending) && epoll->kick < 0;
}

struct epoll *epoll_get(int descriptor)
{
	return (struct epoll *)descriptor_get_kind(descriptor, OBJECT_EPOLL);
}

void epoll_created(int descriptor)
{
	struct epoll *epoll = object_allocate(OBJECT_EPOLL, sizeof(*epoll));

	if (!epoll)
		return; /* no memory: it is the kernel's alone, and sees no socket of the stack's */
	epoll->descriptor = descriptor;
	epoll->kick = -1;
	epoll->kept = -1;
	/* The program's data may be anything, and must never equal the tag by accident. */
	if (getrandom(&epoll->tag, sizeof(epoll->tag), 0) != sizeof(epoll->tag))
		epoll->tag = (uint64_t)(uintptr_t)epoll * 0x9e3779b97f4a7c15u;
	descriptor_install(descriptor, &epoll->object);
	epoll_put(epoll);
}

/*
 * The program closes the last descriptor of an instance while a thread waits on it. In the kernel
 * such a wait goes on, since the call keeps the file open. melin's wait names the file by a
 * descriptor in each of its system calls, and that number may be the program's for something else
 * at once: so melin keeps a duplicate until the calls have ended.
 */
static void keep_open(struct epoll *epoll, int descriptor)
{
	int duplicate = libc()->dup(descriptor);

	if (duplicate < 0)
		return; /* the waiting calls get EBADF */
	epoll->kept = own_descriptor(duplicate);
	atomic_store(&epoll->descriptor, epoll->kept);
	/* Whoever is about to sleep on the old number looks again. */
	wait_notify(&epoll->object.source, EPOLLIN);
}

static void descriptor_closed(struct object *object, int descriptor, bool is_last)
{
	struct epoll *epoll = (struct epoll *)object;
	unsigned tries = 0;

	while (!descriptor_succeed(object, &epoll->descriptor, descriptor, is_last))
		descriptor_pause(&tries);
	if (is_last && atomic_load(&object->references) > 1) /* besides the table's */
		keep_open(epoll, descriptor);
}

static _Atomic int *known(struct object *object)
{
	return &((struct epoll *)object)->descriptor;
}

static void destroy(struct object *object)
{
	struct epoll *epoll = (struct epoll *)object;

	wait_lock_acquire();
	/* NOLINTBEGIN(clang-analyzer-unix.Malloc): what is freed is taken off the list first. */
	while (!LIST_EMPTY(&epoll->items))
		discard(LIST_FIRST(&epoll->items));
	while (!LIST_EMPTY(&epoll->mixed))
		discard(LIST_FIRST(&epoll->mixed));
	/* NOLINTEND(clang-analyzer-unix.Malloc) */
	wait_lock_release();
	own_descriptor_close(epoll->kept);
}

static uint32_t readiness(struct object *object, bool locked)
{
	struct epoll *epoll = (struct epoll *)object;
	bool ready;

	if (!epoll->ready)
		return 0;
	if (!locked)
		wait_lock_acquire();
	ready = any_ready(epoll);
	if (!locked)
		wait_lock_release();
	return ready ? EPOLLIN | EPOLLRDNORM : 0;
}

static enum object_form form(const struct object *object)
{
	(void)object;
	return FORM_MIXED;
}

static enum object_form begin_wait(struct object *object, int descriptor)
{
	struct epoll *epoll = (struct epoll *)object;

	(void)descriptor;
	if (atomic_load(&epoll->pending))
		epoll_use_listeners(epoll);
	return atomic_load(&epoll->served) ? FORM_MIXED : FORM_KERNEL;
}

const struct object_operations epoll_operations = {
	.descriptor_closed = descriptor_closed,
	.closed = epoll_forget, /* in the instances that it was added to */
	.known = known,
	.destroy = destroy,
	.readiness = readiness,
	.form = form,
	.begin_wait = begin_wait,
};
