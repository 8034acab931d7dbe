/* SPDX-License-Identifier: BSD-3-Clause */
/* See tap_socket.h. */
#include "broker/tap_socket.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "broker/bpf_call.h"
#include "broker/kept_frames.h"
#include "broker/tap_instructions.h"
#include "common/own_descriptor.h"
#include "common/shared_memory.h"
#include "common/system_call.h"

_Static_assert(sizeof(struct loan_tuple) == 44, "as struct tuple of tap_program.c");

/*
 * What the socket may hold: as much as all windows of a burst of bulk transfers. Counted are the
 * kernel's buffers, which are larger than the frames in them.
 */
#define SOCKET_BUFFER (16 << 20)

/* An interface that has the program at its ingress; link is -1 while all taps rest. */
struct attachment {
	uint32_t interface;
	int link;
};

/*
 * Protects all below, and the taps' opening. A leaf: nothing but system calls and malloc() are
 * called while it is held.
 */
static pthread_mutex_t tap_lock = PTHREAD_MUTEX_INITIALIZER;

/* What all taps of the process share; there while taps is not 0. */
static struct shared {
	unsigned taps, awake; /* how many there are; how many of them do not rest */
	uint32_t last_number; /* of a tap */
	int tuples, slots, ring, marks, ingress, inject, silence;
	struct tap_slot *slot; /* mapped */
	uint8_t *mark;	       /* mapped: a bit is set while its count is not 0 */
	uint16_t *mark_counts;
	uint32_t *free_numbers; /* a queue: a number comes back as late as can be */
	uint32_t free_first, free_count, never_used;
	struct attachment *attachments;
	size_t attachment_count;
} shared;

/* ---- what all taps share ---- */

/* 0 stands for no descriptor as well: for one that has not been opened yet. */
static void close_descriptor(int descriptor)
{
	if (descriptor > 0)
		own_descriptor_close(descriptor);
}

static void close_descriptors(void)
{
	close_descriptor(shared.tuples);
	close_descriptor(shared.slots);
	close_descriptor(shared.ring);
	close_descriptor(shared.marks);
	close_descriptor(shared.ingress);
	close_descriptor(shared.inject);
	close_descriptor(shared.silence);
	for (size_t i = 0; i < shared.attachment_count; i++)
		close_descriptor(shared.attachments[i].link);
}

static void close_shared(void)
{
	close_descriptors();
	if (shared.slot)
		munmap(shared.slot, TAP_CONNECTIONS * sizeof(struct tap_slot));
	if (shared.mark)
		munmap(shared.mark, TAP_MARK_BYTES);
	kept_close();
	free(shared.free_numbers);
	free(shared.mark_counts);
	free(shared.attachments);
	shared = (struct shared){ .last_number = shared.last_number };
}

/* libc's mmap() sets errno, which tap_open() puts back. */
static int map_all(void)
{
	shared.slot = shared_memory_map(shared.slots, 0, TAP_CONNECTIONS * sizeof(struct tap_slot),
					PROT_READ | PROT_WRITE);
	shared.mark = shared_memory_map(shared.marks, 0, TAP_MARK_BYTES, PROT_READ | PROT_WRITE);
	shared.free_numbers = calloc(TAP_CONNECTIONS, sizeof(*shared.free_numbers));
	shared.mark_counts = calloc(TAP_MARK_BYTES * 8, sizeof(*shared.mark_counts));
	if (!shared.slot || !shared.mark || !shared.free_numbers || !shared.mark_counts)
		return -ENOMEM;
	return kept_open(shared.ring);
}

static int load(enum bpf_prog_type type, const uint64_t *code, size_t count, uint32_t owner)
{
	const int places[] = { shared.tuples, shared.slots, shared.ring, shared.marks, (int)owner };

	return bpf_load(type, code, count, places);
}

#define LOAD(type, code, owner) load(type, code, sizeof(code) / sizeof((code)[0]), owner)

/* Of what opens a descriptor. */
static int error_of(int descriptor)
{
	return descriptor < 0 ? descriptor : 0;
}

static int make_maps(void)
{
	const uint32_t number = sizeof(uint32_t);

	shared.tuples = bpf_make_map(BPF_MAP_TYPE_HASH, sizeof(struct loan_tuple), number,
				     TAP_CONNECTIONS, BPF_F_NO_PREALLOC);
	shared.slots = bpf_make_map(BPF_MAP_TYPE_ARRAY, number, sizeof(struct tap_slot),
				    TAP_CONNECTIONS, BPF_F_MMAPABLE);
	shared.marks = bpf_make_map(BPF_MAP_TYPE_ARRAY, number, TAP_MARK_BYTES, 1, BPF_F_MMAPABLE);
	shared.ring = bpf_make_map(BPF_MAP_TYPE_RINGBUF, 0, 0, KEPT_RING_BYTES, 0);
	return error_of(shared.tuples)
		       ?: error_of(shared.slots)
		       ?: error_of(shared.marks)
		       ?: error_of(shared.ring);
}

static int load_programs(void)
{
	shared.ingress = LOAD(BPF_PROG_TYPE_SCHED_CLS, instructions_ingress, 0);
	shared.inject = LOAD(BPF_PROG_TYPE_XDP, instructions_inject, 0);
	shared.silence = LOAD(BPF_PROG_TYPE_SOCKET_FILTER, instructions_silence, 0);
	return error_of(shared.ingress)
		       ?: error_of(shared.inject)
		       ?: error_of(shared.silence)
		       ?: bpf_probe_tcx(shared.ingress);
}

static int open_shared(void)
{
	int error = make_maps();

	error = error ?: load_programs();
	return error ? error : map_all();
}

static enum refusal refusal_of(int error)
{
	switch (error) {
	case 0:
		return REFUSAL_NONE;
	case -EPERM:
		return REFUSAL_RIGHTS;
	case -EINVAL: /* a program or a kind of link that the kernel does not know */
	case -EACCES: /* a program that it does not understand */
	case -ENOSYS:
		return REFUSAL_KERNEL;
	case -EMFILE:
	case -ENFILE:
		return REFUSAL_DESCRIPTORS;
	default:
		return REFUSAL_FAILED;
	}
}

/* ---- interfaces ---- */

/* Interfaces come and go: links to those that are gone are of no use. */
static void forget_gone(void)
{
	size_t kept = 0;

	for (size_t i = 0; i < shared.attachment_count; i++) {
		if (shared.attachments[i].link >= 0 &&
		    bpf_link_interface(shared.attachments[i].link) != 0)
			shared.attachments[kept++] = shared.attachments[i];
		else
			close_descriptor(shared.attachments[i].link);
	}
	shared.attachment_count = kept;
}

static int attach(uint32_t interface)
{
	struct attachment *grown;
	int link;

	for (size_t i = 0; i < shared.attachment_count; i++) {
		if (shared.attachments[i].interface == interface)
			return 0;
	}
	forget_gone();
	grown = realloc(shared.attachments, (shared.attachment_count + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	shared.attachments = grown;
	link = bpf_link_ingress(shared.ingress, interface);
	if (link < 0)
		return link;
	grown[shared.attachment_count++] = (struct attachment){ interface, link };
	return 0;
}

/* One tap more is awake. An interface that does not get its program back is one that is new. */
static void wake_shared(void)
{
	if (shared.awake++ > 0)
		return;
	for (size_t i = 0; i < shared.attachment_count; i++)
		shared.attachments[i].link =
			bpf_link_ingress(shared.ingress, shared.attachments[i].interface);
	forget_gone();
}

/* One tap less is awake. Behind the last one the programs leave their interfaces. */
static void rest_shared(void)
{
	if (--shared.awake > 0)
		return;
	for (size_t i = 0; i < shared.attachment_count; i++) {
		const int link = shared.attachments[i].link;

		/* First, since the child of a fork closes what it finds here. */
		shared.attachments[i].link = -1;
		close_descriptor(link);
	}
}

/* ---- the packet socket ---- */

/*
 * While a tap rests it is bound to a protocol that nobody speaks: Linux then looks at it for frames
 * of that EtherType alone.
 */
#define ETH_P_NOBODY ETH_P_802_EX1

/* Waits, if the socket has been bound before: frames may be on their way to it. */
static int bind_socket(int descriptor, uint16_t protocol)
{
	const struct sockaddr_ll name = { .sll_family = AF_PACKET,
					  .sll_protocol = htons(protocol) };

	return (int)kernel_call(SYS_bind, descriptor, (long)&name, sizeof(name), 0);
}

/* The filter is there before the protocol is: nothing else ever comes. */
static int prepare_socket(int descriptor, int filter)
{
	int error = kernel_set_int(descriptor, SOL_SOCKET, SO_ATTACH_BPF, filter);

	error = error ?: kernel_set_int(descriptor, SOL_SOCKET, SO_LOCK_FILTER, 1);
	error = error ?: kernel_set_int(descriptor, SOL_PACKET, PACKET_VNET_HDR, 1);
	error = error ?: kernel_set_int(descriptor, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1);
	if (error == 0 && kernel_set_int(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, SOCKET_BUFFER) < 0)
		kernel_set_int(descriptor, SOL_SOCKET, SO_RCVBUF, SOCKET_BUFFER);
	return error ?: bind_socket(descriptor, ETH_P_ALL);
}

static int open_socket(uint32_t number)
{
	int filter = LOAD(BPF_PROG_TYPE_SOCKET_FILTER, instructions_filter, number), error;
	int descriptor;

	if (filter < 0)
		return filter;
	descriptor = own_descriptor((int)kernel_call(
		SYS_socket, AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, 0));
	error = descriptor < 0 ? descriptor : prepare_socket(descriptor, filter);
	close_descriptor(filter);
	if (error == 0)
		return descriptor;
	close_descriptor(descriptor);
	return error;
}

enum refusal tap_open(struct tap *tap)
{
	const int saved = errno;
	int error = 0;

	pthread_mutex_lock(&tap_lock);
	if (shared.taps == 0)
		error = open_shared();
	if (error == 0) {
		tap->number = ++shared.last_number;
		tap->rests = false;
		tap->socket = open_socket(tap->number);
		error = tap->socket < 0 ? tap->socket : 0;
	}
	if (error == 0) {
		shared.taps++;
		wake_shared();
	} else if (shared.taps == 0) {
		close_shared();
	}
	pthread_mutex_unlock(&tap_lock);
	errno = saved;
	return refusal_of(error);
}

/* ---- entries ---- */

static uint64_t token_of(uint32_t number)
{
	return (uint64_t)shared.slot[number].generation << 32 | number;
}

struct tap_slot *tap_entry(uint64_t token)
{
	struct tap_slot *slot;

	/* After a fork the entries were the parent's. */
	if (!shared.slot || (uint32_t)token >= TAP_CONNECTIONS)
		return NULL;
	slot = &shared.slot[(uint32_t)token];
	/* The generation of an entry that somebody holds a token of changes under the lock only. */
	return __atomic_load_n(&slot->generation, __ATOMIC_RELAXED) == token >> 32 ? slot : NULL;
}

/* A frame that comes meanwhile may see either state, since nothing orders the two. */
void tap_change(struct tap_slot *slot, enum tap_state state)
{
	__atomic_store_n(&slot->state, state, __ATOMIC_SEQ_CST);
}

/* Whoever has a token of the entry finds nothing by it from now on. */
static void retire(struct tap_slot *slot)
{
	tap_change(slot, TAP_FREE);
	__atomic_store_n(&slot->generation, slot->generation + 1, __ATOMIC_RELAXED);
}

static void free_number(uint32_t number)
{
	retire(&shared.slot[number]);
	shared.free_numbers[(shared.free_first + shared.free_count++) % TAP_CONNECTIONS] = number;
}

static int take_number(uint32_t *number)
{
	if (shared.never_used < TAP_CONNECTIONS) {
		*number = shared.never_used++;
		shared.slot[*number].generation = 1;
		return 0;
	}
	if (shared.free_count == 0)
		return -ENOSPC;
	*number = shared.free_numbers[shared.free_first];
	shared.free_first = (shared.free_first + 1) % TAP_CONNECTIONS;
	shared.free_count--;
	return 0;
}

static uint32_t mark_of(const struct loan_tuple *tuple)
{
	uint32_t ports, end;

	memcpy(&ports, &tuple->remote_port, sizeof(ports)); /* and the local one */
	memcpy(&end, tuple->remote + (tuple->family == AF_INET ? 0 : 12), sizeof(end));
	return tap_mark(ports, end);
}

static int store(const struct loan_tuple *tuple, uint32_t number)
{
	const uint32_t mark = mark_of(tuple);
	int error = bpf_store(shared.tuples, tuple, &number);

	if (error == 0 && shared.mark_counts[mark]++ == 0)
		shared.mark[mark / 8] |= (uint8_t)(1u << mark % 8);
	return error;
}

static void forget(const struct loan_tuple *tuple, uint32_t number)
{
	const uint32_t mark = mark_of(tuple);

	if (bpf_delete(shared.tuples, tuple) == 0 && --shared.mark_counts[mark] == 0)
		shared.mark[mark / 8] &= (uint8_t) ~(1u << mark % 8);
	free_number(number);
}

/*
 * The tuple is in the map already, for a loan of another time or of another tap. Its entry is used
 * anew.
 */
static int take_over(uint32_t number)
{
	struct tap_slot *slot = &shared.slot[number];

	if (slot->state == TAP_PASSED || slot->state == TAP_BORROWED || slot->state == TAP_HELD)
		return -EBUSY;
	retire(slot);
	return 0;
}

static int add(const struct tap *tap, const struct loan_tuple *tuple, uint64_t *token)
{
	struct tap_slot *slot;
	uint32_t number;
	bool known = bpf_find(shared.tuples, tuple, &number) == 0;
	int error = known ? take_over(number) : take_number(&number);

	if (error)
		return error;
	slot = &shared.slot[number];
	slot->owner = tap->number;
	slot->seen = slot->end = slot->acknowledgment = 0;
	tap_change(slot, TAP_WATCHED);
	if (!known)
		error = store(tuple, number);
	if (error)
		free_number(number);
	else
		*token = token_of(number);
	return error;
}

enum refusal tap_add(const struct tap *tap, const struct loan_tuple *tuple, uint64_t *token)
{
	int error;

	if (tap_rests(tap))
		return REFUSAL_RESTING;
	pthread_mutex_lock(&tap_lock);
	error = tap->rests ? -EAGAIN : attach(tuple->interface);
	if (error == 0)
		error = add(tap, tuple, token);
	pthread_mutex_unlock(&tap_lock);
	if (error == -EAGAIN)
		return REFUSAL_RESTING;
	if (error == -EBUSY)
		return REFUSAL_BUSY;
	/* -ERANGE: the interface has as many programs as the kernel lets it have. */
	if (error == -ENOSPC || error == -E2BIG || error == -ENOMEM || error == -ERANGE)
		return REFUSAL_FULL;
	return error == -ENODEV ? REFUSAL_INTERFACE : refusal_of(error);
}

void tap_remove(const struct loan_tuple *tuple, uint64_t token)
{
	tap_visit_kept(token, NULL);
	pthread_mutex_lock(&tap_lock);
	if (tap_entry(token))
		forget(tuple, (uint32_t)token);
	pthread_mutex_unlock(&tap_lock);
}

/* ---- rest ---- */

/* Whether a slot is the tap's. Those from never_used on are free: nobody has used them yet. */
static bool has_entries(const struct tap *tap)
{
	for (uint32_t number = 0; number < shared.never_used; number++)
		if (shared.slot[number].owner == tap->number &&
		    shared.slot[number].state != TAP_FREE)
			return true;
	return false;
}

int tap_rest(struct tap *tap)
{
	int error = 0;

	pthread_mutex_lock(&tap_lock);
	if (!tap->rests && has_entries(tap)) {
		error = -EBUSY;
	} else if (!tap->rests) {
		__atomic_store_n(&tap->rests, true, __ATOMIC_RELAXED);
		rest_shared();
	}
	pthread_mutex_unlock(&tap_lock);
	return error ?: bind_socket(tap->socket, ETH_P_NOBODY);
}

int tap_wake(struct tap *tap)
{
	const int error = bind_socket(tap->socket, ETH_P_ALL), saved = errno;

	if (error)
		return error;
	pthread_mutex_lock(&tap_lock);
	if (tap->rests) {
		wake_shared();
		__atomic_store_n(&tap->rests, false, __ATOMIC_RELAXED);
	}
	pthread_mutex_unlock(&tap_lock);
	errno = saved;
	return 0;
}

/* ---- the end ---- */

/* Nothing here but the map knows what the tap's loans were. */
static void remove_all_of(uint32_t owner)
{
	struct loan_tuple here, next;
	uint32_t number;
	bool more = bpf_next(shared.tuples, NULL, &next) == 0;

	while (more) {
		here = next;
		more = bpf_next(shared.tuples, &here, &next) == 0;
		if (bpf_find(shared.tuples, &here, &number) == 0 &&
		    shared.slot[number].owner == owner) {
			kept_free(kept_take(token_of(number)));
			forget(&here, number);
		}
	}
}

void tap_close(struct tap *tap)
{
	const int saved = errno;

	/*
	 * Closing a packet socket waits for all processors, some 10 ms (packet_release() in Linux).
	 * So it is done without the lock.
	 */
	close_descriptor(tap->socket);
	pthread_mutex_lock(&tap_lock);
	if (--shared.taps == 0) {
		close_shared();
	} else {
		remove_all_of(tap->number);
		if (!tap->rests)
			rest_shared();
	}
	pthread_mutex_unlock(&tap_lock);
	errno = saved;
}

void tap_abandon(void)
{
	close_descriptors();
	kept_abandon();
	shared = (struct shared){ .last_number = shared.last_number };
	pthread_mutex_init(&tap_lock, NULL);
}

/* ---- what is kept, and putting frames in ---- */

unsigned tap_visit_kept(uint64_t token, void (*visit)(const struct tap_kept *kept))
{
	struct kept_frame *list, *one;
	unsigned count = 0;

	if (!kept_any())
		return 0;
	pthread_mutex_lock(&tap_lock);
	list = kept_take(token);
	pthread_mutex_unlock(&tap_lock);
	for (one = list; one; one = one->next) {
		if (visit && count < TAP_FLOOD)
			visit(&one->kept);
		count += one->kept.offset == 0;
	}
	kept_free(list);
	return count;
}

int tap_silencer(void)
{
	return shared.silence;
}

int tap_inject(uint32_t interface, const void *frame, size_t size)
{
	return bpf_run_frame(shared.inject, interface, frame, size);
}
