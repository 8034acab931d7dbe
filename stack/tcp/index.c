/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The connection index: index.h says what for. One hash table for connections (active, parked and
 * in TIME_WAIT), a small one for listeners, and doubly linked lists in the place of lwIP's singly
 * linked ones. Not for choosing ports or for sockets.
 */
#include "stack/tcp/index.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "lwip/ip.h"
#include "lwip/priv/tcp_priv.h"

#include "stack/instance_parts.h"
#include "stack/socket_parts.h"

/* As many as keep the chains short up to some hundred thousand connections. */
#define CONNECTION_BUCKETS (1u << 17)
#define CONNECTIONS_SIZE   (CONNECTION_BUCKETS * sizeof(struct tcp_pcb *))

struct index_match melin_index_match;

static inline struct index *current(void)
{
	return &melin_instance->index;
}

/*
 * The pages come from the kernel and read as zeros. One of which no bucket is used is never
 * touched, so the table's size costs no memory.
 */
int index_start(struct index *index)
{
	void *pages = mmap(NULL, CONNECTIONS_SIZE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (pages == MAP_FAILED)
		return -ENOMEM;
	index->connections = pages;
	return 0;
}

void index_stop(struct index *index)
{
	munmap(index->connections, CONNECTIONS_SIZE);
	index->connections = NULL;
}

/*
 * Which list a PCB is in is told by which of these its EXTRA_INDEX callbacks are; NULL is none.
 * lwIP calls destroy when it frees a PCB, also after the two places in tcp_slowtmr() that unlink by
 * hand.
 */
static void destroyed(u8_t id, void *data);
static const struct tcp_ext_arg_callbacks in_active = { destroyed, NULL };
static const struct tcp_ext_arg_callbacks in_parked = { destroyed, NULL };
static const struct tcp_ext_arg_callbacks in_timewait = { destroyed, NULL };
static const struct tcp_ext_arg_callbacks in_listeners = { destroyed, NULL };
static const struct tcp_ext_arg_callbacks in_bound = { destroyed, NULL };

static inline void *extra(const struct tcp_pcb *pcb, enum pcb_extra slot)
{
	return pcb->ext_args[slot].data;
}

static inline void set_extra(struct tcp_pcb *pcb, enum pcb_extra slot, void *value)
{
	pcb->ext_args[slot].data = value;
}

static inline const struct tcp_ext_arg_callbacks *membership(const struct tcp_pcb *pcb)
{
	return pcb->ext_args[EXTRA_INDEX].callbacks;
}

static inline void set_membership(struct tcp_pcb *pcb, const struct tcp_ext_arg_callbacks *list)
{
	pcb->ext_args[EXTRA_INDEX].callbacks = list;
	set_extra(pcb, EXTRA_INDEX, pcb);
}

static uint64_t hash_address(uint64_t hash, const ip_addr_t *address)
{
	if (IP_IS_V6(address)) {
		const u32_t *word = ip_2_ip6(address)->addr;

		hash = melin_random_mix(hash ^ word[0], (uint64_t)word[1] << 32 | word[2]);
		return melin_random_mix(hash, word[3]);
	}
	return melin_random_mix(hash, ip4_addr_get_u32(ip_2_ip4(address)));
}

/* Keyed: who does not know the key cannot choose ports that all meet in one bucket. */
static unsigned bucket_of(const ip_addr_t *local, u16_t local_port, const ip_addr_t *remote,
			  u16_t remote_port)
{
	uint64_t hash = melin_random_key() ^ ((uint32_t)local_port << 16 | remote_port);

	hash = hash_address(hash_address(hash, local), remote);
	return (unsigned)(hash >> 32) & (CONNECTION_BUCKETS - 1);
}

static unsigned bucket_of_pcb(const struct tcp_pcb *pcb)
{
	return bucket_of(&pcb->local_ip, pcb->local_port, &pcb->remote_ip, pcb->remote_port);
}

static void chain_add(struct tcp_pcb **bucket, struct tcp_pcb *pcb)
{
	set_extra(pcb, EXTRA_CHAIN, *bucket);
	*bucket = pcb;
}

static void chain_remove(struct tcp_pcb **bucket, const struct tcp_pcb *pcb)
{
	struct tcp_pcb *previous = NULL;
	struct tcp_pcb *each = *bucket;

	while (each && each != pcb) {
		previous = each;
		each = extra(each, EXTRA_CHAIN);
	}
	if (!each)
		return;
	if (previous)
		set_extra(previous, EXTRA_CHAIN, extra(pcb, EXTRA_CHAIN));
	else
		*bucket = extra(pcb, EXTRA_CHAIN);
}

static void list_add(struct tcp_pcb **list, struct tcp_pcb *pcb)
{
	pcb->next = *list;
	set_extra(pcb, EXTRA_PREVIOUS, NULL);
	if (*list)
		set_extra(*list, EXTRA_PREVIOUS, pcb);
	*list = pcb;
}

static void list_remove(struct tcp_pcb **list, struct tcp_pcb *pcb)
{
	struct tcp_pcb *previous = extra(pcb, EXTRA_PREVIOUS);

	if (previous)
		previous->next = pcb->next;
	else
		*list = pcb->next;
	if (pcb->next)
		set_extra(pcb->next, EXTRA_PREVIOUS, previous);
	pcb->next = NULL;
}

static unsigned *count_of(const struct tcp_ext_arg_callbacks *list)
{
	struct index *index = current();

	if (list == &in_active)
		return &index->counts.active;
	if (list == &in_parked)
		return &index->counts.parked;
	if (list == &in_timewait)
		return &index->counts.timewait;
	if (list == &in_listeners)
		return &index->counts.listeners;
	return &index->counts.bound;
}

static struct tcp_pcb **bucket_in(const struct tcp_ext_arg_callbacks *list,
				  const struct tcp_pcb *pcb)
{
	if (list == &in_listeners)
		return &current()->listeners[pcb->local_port % INDEX_LISTENER_BUCKETS];
	if (list == &in_bound)
		return NULL;
	return &current()->connections[bucket_of_pcb(pcb)];
}

/* Takes pcb out of its bucket and out of the counts; the list's own links are the caller's. */
static void forget(struct tcp_pcb *pcb)
{
	const struct tcp_ext_arg_callbacks *list = membership(pcb);
	struct tcp_pcb **bucket = bucket_in(list, pcb);

	if (current()->park_cursor == pcb)
		current()->park_cursor = pcb->next;
	if (bucket)
		chain_remove(bucket, pcb);
	(*count_of(list))--;
	set_membership(pcb, NULL);
}

static void destroyed(u8_t id, void *data)
{
	struct tcp_pcb *pcb = data;

	(void)id;
	if (!membership(pcb))
		return;
	/* tcp_slowtmr() has set its predecessor's link already, or the head of the list. */
	if (membership(pcb) != &in_parked && pcb->next)
		set_extra(pcb->next, EXTRA_PREVIOUS, extra(pcb, EXTRA_PREVIOUS));
	forget(pcb);
}

void melin_index_register(struct tcp_pcb **list, struct tcp_pcb *pcb)
{
	const struct tcp_ext_arg_callbacks *which = &in_bound;
	struct tcp_pcb **bucket;

	if (list == &tcp_active_pcbs || list == &melin_index_match.active) {
		list = &tcp_active_pcbs;
		which = &in_active;
	} else if (list == &tcp_tw_pcbs || list == &melin_index_match.timewait) {
		list = &tcp_tw_pcbs;
		which = &in_timewait;
	} else if (list == &tcp_listen_pcbs.pcbs) {
		which = &in_listeners;
	}
	list_add(list, pcb);
	set_membership(pcb, which);
	if (which != &in_listeners)
		set_extra(pcb, EXTRA_TAIL, NULL);
	bucket = bucket_in(which, pcb);
	if (bucket)
		chain_add(bucket, pcb);
	(*count_of(which))++;
}

void melin_index_remove(struct tcp_pcb **list, struct tcp_pcb *pcb)
{
	const struct tcp_ext_arg_callbacks *which = membership(pcb);

	if (!which)
		return;
	if (which == &in_active)
		list = &tcp_active_pcbs;
	else if (which == &in_timewait)
		list = &tcp_tw_pcbs;
	else if (which == &in_listeners)
		list = &tcp_listen_pcbs.pcbs;
	if (which == &in_parked) {
		forget(pcb);
		return;
	}
	forget(pcb);
	list_remove(list, pcb);
}

struct tcp_pcb *melin_index_find(const ip_addr_t *local, uint16_t local_port,
				 const ip_addr_t *remote, uint16_t remote_port)
{
	struct tcp_pcb *pcb =
		current()->connections[bucket_of(local, local_port, remote, remote_port)];

	while (pcb &&
	       (pcb->remote_port != remote_port || pcb->local_port != local_port ||
		!ip_addr_cmp(&pcb->remote_ip, remote) || !ip_addr_cmp(&pcb->local_ip, local)))
		pcb = extra(pcb, EXTRA_CHAIN);
	return pcb;
}

/* How well a listener fits: its own address before any of the family before any at all. */
static int listener_fit(const struct tcp_pcb *pcb, const ip_addr_t *local)
{
	if (IP_IS_ANY_TYPE_VAL(pcb->local_ip))
		return 1;
	if (IP_GET_TYPE(&pcb->local_ip) != IP_GET_TYPE(local))
		return 0;
	if (ip_addr_cmp(&pcb->local_ip, local))
		return 3;
	return ip_addr_isany_val(pcb->local_ip) ? 2 : 0;
}

struct tcp_pcb_listen *melin_index_find_listener(const ip_addr_t *local, uint16_t local_port,
						 const ip_addr_t *remote, uint16_t remote_port)
{
	struct tcp_pcb *first = current()->listeners[local_port % INDEX_LISTENER_BUCKETS];
	struct tcp_pcb *best = NULL;
	unsigned equals = 0;
	int best_fit = 0;

	for (struct tcp_pcb *pcb = first; pcb; pcb = extra(pcb, EXTRA_CHAIN)) {
		int fit = pcb->local_port == local_port ? listener_fit(pcb, local) : 0;

		if (fit && fit == best_fit)
			equals++;
		if (fit > best_fit) {
			best = pcb;
			best_fit = fit;
			equals = 1;
		}
	}
	if (equals > 1) { /* SO_REUSEPORT: the same client always meets the same listener */
		unsigned choice = bucket_of(local, local_port, remote, remote_port) % equals;

		for (struct tcp_pcb *pcb = first; pcb; pcb = extra(pcb, EXTRA_CHAIN)) {
			if (pcb->local_port != local_port || listener_fit(pcb, local) != best_fit)
				continue;
			best = pcb;
			if (choice-- == 0)
				break;
		}
	}
	return (struct tcp_pcb_listen *)best;
}

/* RFC 1122 4.2.2.13, as Linux: a SYN above all that the old connection received opens a new one. */
static bool ends_timewait(const struct tcp_pcb *pcb, const struct tcp_hdr *header)
{
	return (TCPH_FLAGS(header) & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN &&
	       TCP_SEQ_GT(header->seqno, pcb->rcv_nxt);
}

struct tcp_pcb **melin_index_match_segment(const struct tcp_hdr *header)
{
	const ip_addr_t *local = ip_current_dest_addr();
	const ip_addr_t *remote = ip_current_src_addr();
	struct tcp_pcb *pcb = melin_index_find(local, header->dest, remote, header->src);

	melin_index_match.active = NULL;
	melin_index_match.timewait = NULL;
	melin_index_match.listeners.listen_pcbs = NULL;
	if (pcb && pcb->state == TIME_WAIT && ends_timewait(pcb, header) &&
	    melin_index_find_listener(local, header->dest, remote, header->src)) {
		tcp_abort(pcb); /* sends nothing in this state */
		pcb = NULL;
	}
	if (!pcb) {
		melin_index_match.listeners.listen_pcbs =
			melin_index_find_listener(local, header->dest, remote, header->src);
	} else if (pcb->state == TIME_WAIT) {
		melin_index_match.timewait = pcb;
	} else {
		melin_index_unpark(pcb);
		melin_index_match.active = pcb;
	}
	return &melin_index_match.active;
}

void melin_index_unpark(struct tcp_pcb *pcb)
{
	if (membership(pcb) != &in_parked)
		return;
	list_add(&tcp_active_pcbs, pcb);
	set_membership(pcb, &in_active);
	current()->counts.parked--;
	current()->counts.active++;
}

/* Two seconds in ticks: from then on lwIP's timer sees to a keepalive. */
#define KEEPALIVE_NEAR (2000 / TCP_SLOW_INTERVAL)

/* Whether it is due within two seconds: such a connection is not parked. */
static bool keepalive_is_near(const struct tcp_pcb *pcb)
{
	return ip_get_option(pcb, SOF_KEEPALIVE) &&
	       tcp_ticks - pcb->tmr + KEEPALIVE_NEAR > pcb->keep_idle / TCP_SLOW_INTERVAL;
}

/* Of a parked connection: melin_index_keepalive_is_due() asks for the first of all. */
static void note_keepalive(const struct tcp_pcb *pcb)
{
	struct index *index = current();
	u32_t due = pcb->tmr + pcb->keep_idle / TCP_SLOW_INTERVAL - KEEPALIVE_NEAR;

	if (!ip_get_option(pcb, SOF_KEEPALIVE) ||
	    (index->keepalive_parked && (s32_t)(due - index->keepalive_first) >= 0))
		return;
	index->keepalive_parked = true;
	index->keepalive_first = due;
}

bool melin_index_keepalive_is_due(void)
{
	const struct index *index = current();

	return index->keepalive_parked && (s32_t)(tcp_ticks - index->keepalive_first) >= 0;
}

void melin_index_wake_keepalive(unsigned slice)
{
	const unsigned size = CONNECTION_BUCKETS / INDEX_SLICES;

	if (slice == 0)
		current()->keepalive_parked = false; /* those that stay parked say so again */
	for (unsigned i = slice * size; i < (slice + 1) * size; i++) {
		for (struct tcp_pcb *pcb = current()->connections[i]; pcb;
		     pcb = extra(pcb, EXTRA_CHAIN)) {
			if (membership(pcb) != &in_parked)
				continue;
			if (keepalive_is_near(pcb))
				melin_index_unpark(pcb);
			else
				note_keepalive(pcb);
		}
	}
}

/*
 * Whether lwIP's timers have nothing to do for it: all is acknowledged both ways, nothing waits. A
 * keepalive that is soon due is left to lwIP; melin_index_wake_keepalive() brings the others back
 * in time.
 */
static bool is_idle(const struct tcp_pcb *pcb)
{
	const tcpflags_t busy = TF_ACK_DELAY | TF_ACK_NOW | TF_INFR | TF_CLOSEPEND | TF_FIN |
				TF_RXCLOSED | TF_NAGLEMEMERR | TF_RTO;

	if (pcb->state != ESTABLISHED && pcb->state != CLOSE_WAIT)
		return false;
	if (pcb->unsent || pcb->unacked || pcb->ooseq || pcb->refused_data)
		return false;
	if (pcb->persist_backoff || (pcb->flags & busy) || pcb->keep_cnt_sent)
		return false;
	if (keepalive_is_near(pcb))
		return false;
	if (socket_of(pcb) && socket_of(pcb)->deferred)
		return false;
	return (u32_t)(tcp_ticks - pcb->tmr) >= 2;
}

void melin_index_park_idle(unsigned budget)
{
	struct index *index = current();
	struct tcp_pcb *pcb = index->park_cursor ? index->park_cursor : tcp_active_pcbs;
	struct tcp_pcb *next;

	for (; pcb && budget; pcb = next) {
		next = pcb->next;
		if (!is_idle(pcb))
			continue;
		budget--;
		list_remove(&tcp_active_pcbs, pcb);
		set_membership(pcb, &in_parked);
		note_keepalive(pcb);
		index->counts.active--;
		index->counts.parked++;
	}
	index->park_cursor = pcb;
}

void melin_index_for_each(void (*visit)(struct tcp_pcb *pcb, void *context), void *context)
{
	for (unsigned i = 0; i < CONNECTION_BUCKETS; i++) {
		struct tcp_pcb *next;

		for (struct tcp_pcb *pcb = current()->connections[i]; pcb; pcb = next) {
			next = extra(pcb, EXTRA_CHAIN);
			visit(pcb, context);
		}
	}
}

static int check_list(struct tcp_pcb *list, const struct tcp_ext_arg_callbacks *which)
{
	const struct tcp_pcb *previous = NULL;
	unsigned count = 0;

	for (struct tcp_pcb *pcb = list; pcb; previous = pcb, pcb = pcb->next, count++) {
		if (extra(pcb, EXTRA_PREVIOUS) != previous)
			return 1;
		if (membership(pcb) != which || extra(pcb, EXTRA_INDEX) != pcb)
			return 2;
	}
	return count == *count_of(which) ? 0 : 3;
}

int melin_index_check(void)
{
	unsigned in_buckets = 0;
	unsigned parked = 0;
	int wrong = check_list(tcp_active_pcbs, &in_active);

	if (wrong)
		return wrong;
	wrong = check_list(tcp_tw_pcbs, &in_timewait);
	if (wrong)
		return 10 + wrong;
	wrong = check_list(tcp_listen_pcbs.pcbs, &in_listeners);
	if (wrong)
		return 20 + wrong;
	for (unsigned i = 0; i < CONNECTION_BUCKETS; i++) {
		for (struct tcp_pcb *pcb = current()->connections[i]; pcb;
		     pcb = extra(pcb, EXTRA_CHAIN)) {
			in_buckets++;
			parked += membership(pcb) == &in_parked;
			if (bucket_of_pcb(pcb) != i)
				return 31;
		}
	}
	if (parked != current()->counts.parked)
		return 32;
	if (in_buckets !=
	    current()->counts.active + current()->counts.parked + current()->counts.timewait)
		return 33;
	return 0;
}
