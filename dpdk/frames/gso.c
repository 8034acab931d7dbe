/* SPDX-License-Identifier: BSD-3-Clause */
/* See gso.h. */
#include "dpdk/frames/gso.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "lwip/pbuf.h"

#include "common/internet_checksum.h"
#include "dpdk/frames/frame.h"
#include "common/network_order.h"
#include "common/own_descriptor.h"
#include "common/system_call.h"

/* What an interface takes at once, with all headers (dev->gso_max_size of most). */
#define BYTES_MAX 65535

/* 45 segments of 1,460 bytes, each in two pieces at most (lwIP makes one). */
#define PIECES 96

/* Ethernet, IPv6 and TCP with all the options there can be. */
#define HEADER_MAX (FRAME_HEADER_LENGTH + 40 + 60)

/*
 * So much data of a single frame is copied behind its header: a copy of a few lines of the cache
 * costs less than it costs the kernel to collect a frame from several places.
 */
#define COPY_MAX 256

/*
 * A frame shorter than this mostly has no other behind it, and goes by the shorter way. Full frames
 * of the smallest MTU that is usual are longer.
 */
#define FIRST_MIN 1024

#define IPV4_LENGTH   2
#define IPV4_FRAGMENT 6
#define IPV4_CHECKSUM 10
#define IPV6_LENGTH   4
#define IPV6_NEXT     6

#define TCP_SEQUENCE	 4
#define TCP_ACKNOWLEDGED 8
#define TCP_OFFSET	 12
#define TCP_FLAGS	 13
#define TCP_WINDOW	 14
#define TCP_CHECKSUM	 16
#define TCP_URGENT	 18
#define TCP_HEADER	 20

#define FLAG_PSH 0x08
#define FLAG_ACK 0x10

/* Segments of one connection, each where the last one ends. */
struct run {
	struct sockaddr_ll to; /* the interface, or all is 0: the socket's own */
	struct virtio_net_hdr offload;
	/* Directly behind offload: of the first segment, and of a short one its data. */
	uint8_t header[HEADER_MAX + COPY_MAX];
	unsigned ip, tcp, header_length;
	uint32_t next;	      /* sequence number behind the last segment */
	unsigned size;	      /* data in each segment but the last */
	unsigned bytes;	      /* header and all data */
	unsigned frame_bytes; /* as the stack made the frames */
	bool ended;	      /* the last segment is shorter: nothing can follow */
	unsigned frames, pieces;
	struct pbuf *held[PIECES];
	struct iovec piece[1 + PIECES]; /* offload and header, data */
};
_Static_assert(offsetof(struct run, header) ==
		       offsetof(struct run, offload) + sizeof(struct virtio_net_hdr),
	       "offload and header are one piece");

struct gso {
	int socket;
	bool is_others; /* the socket is not ours to close */
	bool all;	/* frames of any kind: each is a run then, at least */
	bool refused;	/* the kernel wants no large segments: no more are made */
	unsigned count, limit;
	/* Used by gso_send() alone; not on its caller's stack, which may be small. */
	struct mmsghdr messages[GSO_RUNS_MAX];
	struct run runs[];
};

/* The parts of a frame that decide whether it can be appended to a run. */
struct segment {
	const uint8_t *bytes;
	struct frame at;
	unsigned header_length; /* with Ethernet's and IP's */
	unsigned data;
	uint32_t sequence;
	uint8_t flags;
};

static struct gso *allocate(bool all, unsigned runs)
{
	struct gso *gso = calloc(1, sizeof(*gso) + runs * sizeof(gso->runs[0]));

	if (!gso)
		return NULL;
	gso->all = all;
	gso->limit = runs;
	return gso;
}

struct gso *gso_open_on(int socket, unsigned runs)
{
	struct gso *gso = allocate(true, runs);

	if (!gso)
		return NULL;
	gso->socket = socket;
	gso->is_others = true;
	return gso;
}

struct gso *gso_open(int ifindex, bool all, unsigned runs)
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_ifindex = ifindex };
	struct gso *gso = allocate(all, runs);
	int on = 1;

	if (!gso)
		return NULL;
	/* A packet socket of protocol 0 receives nothing, so its queue cannot fill up. */
	gso->socket = own_descriptor(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
	if (gso->socket >= 0 &&
	    setsockopt(gso->socket, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)) == 0 &&
	    bind(gso->socket, (const struct sockaddr *)&address, sizeof(address)) == 0)
		return gso;
	gso_close(gso);
	return NULL;
}

static void release(struct run *run)
{
	while (run->frames)
		pbuf_free(run->held[--run->frames]);
}

void gso_close(struct gso *gso)
{
	int error = errno;

	while (gso->count)
		release(&gso->runs[--gso->count]);
	if (!gso->is_others)
		own_descriptor_close(gso->socket);
	free(gso);
	errno = error;
}

/* ---- what belongs together ---- */

/* False: not a TCP segment whose headers are in one piece. */
static bool look(const struct pbuf *frame, struct segment *segment)
{
	const uint8_t *tcp;
	unsigned tcp_header;

	segment->bytes = frame->payload;
	if (!frame_parse(segment->bytes, frame->len, frame->tot_len, &segment->at) ||
	    segment->at.tcp_length == 0)
		return false;
	tcp = segment->bytes + segment->at.tcp;
	tcp_header = (tcp[TCP_OFFSET] >> 4) * 4U;
	segment->header_length = segment->at.tcp + tcp_header;
	if (tcp_header < TCP_HEADER || tcp_header > segment->at.tcp_length ||
	    segment->header_length > frame->len || segment->header_length > HEADER_MAX)
		return false;
	segment->data = segment->at.tcp_length - tcp_header;
	segment->sequence = bytes_read32(tcp + TCP_SEQUENCE);
	segment->flags = tcp[TCP_FLAGS];
	return true;
}

/* Whether the kernel can make such segments of a large one: with data, and nothing special. */
static bool is_plain(const struct pbuf *frame, const struct segment *segment)
{
	const uint8_t *tcp = segment->bytes + segment->at.tcp;

	return segment->data && (segment->flags & ~FLAG_PSH) == FLAG_ACK &&
	       segment->at.tcp + segment->at.tcp_length == frame->tot_len && tcp[TCP_URGENT] == 0 &&
	       tcp[TCP_URGENT + 1] == 0;
}

/*
 * Two segments are of one connection if interface, hardware addresses, IP addresses and ports are
 * equal.
 */
static bool is_of_connection(const struct run *run, const struct segment *segment,
			     unsigned interface)
{
	unsigned addresses = segment->at.ip_header_length ? 12 : 8; /* to TCP's or the extensions */
	const uint8_t *ours = run->header, *theirs = segment->bytes;

	return run->to.sll_ifindex == (int)interface && run->ip == segment->at.ip &&
	       run->tcp == segment->at.tcp &&
	       memcmp(ours + run->tcp, theirs + run->tcp, TCP_SEQUENCE) == 0 &&
	       memcmp(ours + run->ip + addresses, theirs + run->ip + addresses,
		      run->tcp - run->ip - addresses) == 0 &&
	       memcmp(ours, theirs, FRAME_HEADER_LENGTH) == 0;
}

/* Compares all of the headers that is the same in each segment which the kernel cuts. */
static bool is_alike(const struct run *run, const struct segment *segment)
{
	const uint8_t *ours = run->header + run->ip, *theirs = segment->bytes + run->ip;
	unsigned options = run->tcp + TCP_HEADER;

	if (run->header_length != segment->header_length ||
	    memcmp(run->header + options, segment->bytes + options, run->header_length - options) !=
		    0)
		return false;
	if (segment->at.ip_header_length)
		return memcmp(ours, theirs, IPV4_LENGTH) == 0 &&
		       memcmp(ours + IPV4_FRAGMENT, theirs + IPV4_FRAGMENT,
			      IPV4_CHECKSUM - IPV4_FRAGMENT) == 0;
	return memcmp(ours, theirs, IPV6_LENGTH) == 0 &&
	       memcmp(ours + IPV6_NEXT, theirs + IPV6_NEXT, 2) == 0;
}

static struct run *find(struct gso *gso, const struct segment *segment, unsigned interface)
{
	unsigned i = gso->count;

	while (i--) {
		if (is_of_connection(&gso->runs[i], segment, interface))
			return &gso->runs[i];
	}
	return NULL;
}

/* ---- gathering ---- */

/* The frame's data, without the headers; false: there is no room for so many pieces. */
static bool add_pieces(struct run *run, struct pbuf *frame, unsigned skip)
{
	const struct pbuf *pbuf;
	unsigned pieces = run->pieces;

	for (pbuf = frame; pbuf; pbuf = pbuf->next) {
		if (pbuf->len == skip) {
			skip = 0;
			continue;
		}
		if (pieces == PIECES)
			return false;
		run->piece[1 + pieces++] = (struct iovec){ .iov_base = (char *)pbuf->payload + skip,
							   .iov_len = pbuf->len - skip };
		skip = 0;
	}
	run->pieces = pieces;
	pbuf_ref(frame);
	run->held[run->frames++] = frame;
	run->frame_bytes += frame->tot_len;
	return true;
}

static bool append(struct run *run, struct pbuf *frame, const struct segment *segment)
{
	const uint8_t *from = segment->bytes + run->tcp;
	uint8_t *to = run->header + run->tcp;

	if (run->ended || segment->sequence != run->next || segment->data > run->size ||
	    run->bytes + segment->data > BYTES_MAX || !is_alike(run, segment) ||
	    !add_pieces(run, frame, segment->header_length))
		return false;
	run->next += segment->data;
	run->bytes += segment->data;
	run->ended = segment->data < run->size;
	/* The newest segment's acknowledgement and window are true of the whole run. */
	memcpy(to + TCP_ACKNOWLEDGED, from + TCP_ACKNOWLEDGED, 4);
	memcpy(to + TCP_WINDOW, from + TCP_WINDOW, 2);
	to[TCP_FLAGS] |= segment->flags;
	return true;
}

static bool begin(struct run *run, struct pbuf *frame, const struct segment *segment)
{
	run->ip = segment->at.ip;
	run->tcp = segment->at.tcp;
	run->header_length = segment->header_length;
	run->next = segment->sequence + segment->data;
	run->size = segment->data;
	run->bytes = segment->header_length + segment->data;
	run->frames = run->pieces = run->frame_bytes = 0;
	run->ended = false;
	/* An opaque frame has no header of its own, nor bytes to copy one from. */
	if (segment->header_length)
		memcpy(run->header, segment->bytes, segment->header_length);
	return add_pieces(run, frame, segment->header_length);
}

/* A frame that nothing can be appended to: as it is, but for a TCP segment's checksum. */
static bool begin_single(struct run *run, struct pbuf *frame, const struct segment *segment)
{
	static const struct segment opaque;

	if (!begin(run, frame, segment ? segment : &opaque))
		return false;
	run->ended = true;
	return true;
}

/* Which interface a run leaves by; Ethernet's type says which protocol it is. */
static void address(struct run *run, const struct pbuf *frame, unsigned interface)
{
	const uint8_t *type = (const uint8_t *)frame->payload + FRAME_HEADER_LENGTH - 2;

	run->to = (struct sockaddr_ll){ .sll_ifindex = (int)interface };
	if (!interface)
		return;
	run->to.sll_family = AF_PACKET;
	memcpy(&run->to.sll_protocol, type, sizeof(run->to.sll_protocol));
}

bool gso_take(struct gso *gso, struct pbuf *frame, unsigned interface, bool *send_first)
{
	struct segment segment;
	struct run *run = NULL, *next = &gso->runs[gso->count];
	bool is_tcp, plain, taken;

	*send_first = false;
	if (!gso->all && (gso->refused || (gso->count == 0 && frame->tot_len < FIRST_MIN)))
		return false;
	is_tcp = look(frame, &segment);
	plain = is_tcp && !gso->refused && is_plain(frame, &segment);
	if (is_tcp && gso->count)
		run = find(gso, &segment, interface);
	if (run && plain && append(run, frame, &segment))
		return true;
	if (gso->count == gso->limit)
		taken = false;
	else if (plain && (gso->all || segment.data >= FIRST_MIN))
		taken = begin(next, frame, &segment);
	else
		taken = gso->all && begin_single(next, frame, is_tcp ? &segment : NULL);
	if (taken)
		address(next, frame, interface);
	gso->count += taken;
	*send_first = !taken && (run || gso->count == gso->limit);
	return taken;
}

/* ---- sending ---- */

/*
 * Sets the lengths and checksums of the whole run. TCP's checksum is left for whoever cuts the
 * segment, as an offload.
 */
static void finish(struct run *run)
{
	uint8_t *ip = run->header + run->ip, *tcp = run->header + run->tcp;
	unsigned tcp_length = run->bytes - run->tcp;
	bool is_ipv4 = ip[0] >> 4 == 4;
	uint16_t sum = 0;

	run->offload = (struct virtio_net_hdr){ 0 };
	if (run->tcp == 0)
		return;
	run->offload = (struct virtio_net_hdr){ .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
						.hdr_len = (uint16_t)run->header_length,
						.csum_start = (uint16_t)run->tcp,
						.csum_offset = TCP_CHECKSUM };
	if (run->frames > 1) {
		run->offload.gso_type =
			is_ipv4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
		run->offload.gso_size = (uint16_t)run->size;
	}
	if (is_ipv4) {
		bytes_write16(ip + IPV4_LENGTH, (uint16_t)(run->bytes - run->ip));
		memcpy(ip + IPV4_CHECKSUM, &sum, sizeof(sum));
		sum = (uint16_t)~checksum_fold(checksum_add(0, ip, run->tcp - run->ip));
		memcpy(ip + IPV4_CHECKSUM, &sum, sizeof(sum));
	} else {
		bytes_write16(ip + IPV6_LENGTH, (uint16_t)(run->bytes - run->ip - 40));
	}
	sum = checksum_fold(checksum_pseudo_header(ip, tcp_length));
	memcpy(tcp + TCP_CHECKSUM, &sum, sizeof(sum));
}

/*
 * Collects what of a run goes to the kernel, and returns in how many pieces: in one where that is
 * cheap.
 */
static unsigned collect(struct run *run)
{
	uint8_t *end = run->header + run->header_length;
	unsigned apart = run->pieces;

	if (run->frames == 1 && run->frame_bytes - run->header_length <= COPY_MAX) {
		for (unsigned i = 1; i <= run->pieces; i++)
			end = mempcpy(end, run->piece[i].iov_base, run->piece[i].iov_len);
		apart = 0;
	}
	run->piece[0] = (struct iovec){ .iov_base = &run->offload,
					.iov_len = (size_t)(end - (uint8_t *)&run->offload) };
	return 1 + apart;
}

/* Whether the first run that was not sent is kept, to be sent once more. */
static bool is_kept(struct gso *gso, const struct run *run, long error)
{
	if (error == -EAGAIN || error == -EINTR)
		return true;
	/*
	 * The interface is down, has gone, or its queue is full: frames are lost on a wire too. The
	 * rest is for good, unless it is about a single frame (the MTU is smaller now), which says
	 * nothing of large segments.
	 */
	if (run->frames > 1 && error != -ENETDOWN && error != -ENXIO && error != -ENODEV &&
	    error != -ENOBUFS && error != -ENOMEM)
		gso->refused = true;
	return false;
}

static void forget(struct gso *gso, unsigned done)
{
	unsigned i;

	for (i = 0; i < done; i++)
		release(&gso->runs[i]);
	gso->count -= done;
	for (i = 0; done && i < gso->count; i++)
		gso->runs[i] = gso->runs[i + done];
}

bool gso_is_empty(const struct gso *gso)
{
	return gso->count == 0;
}

/* How many runs, from this one on, the kernel has taken, or a negative errno value. */
static long submit(struct gso *gso, unsigned first)
{
	const int flags = MSG_DONTWAIT | MSG_NOSIGNAL;
	struct mmsghdr *messages = gso->messages + first;
	const unsigned count = gso->count - first;
	const struct msghdr *only = &messages->msg_hdr;
	long result;

	if (count > 1 || only->msg_iovlen > 1)
		return kernel_call(SYS_sendmmsg, gso->socket, (long)messages, count, flags);
	/*
	 * Mostly this is a reply of one piece: sendto() takes 80 ns less than the 590 of the other
	 * call.
	 */
	result = kernel_call6(SYS_sendto, gso->socket, (long)only->msg_iov->iov_base,
			      (long)only->msg_iov->iov_len, flags, (long)only->msg_name,
			      only->msg_namelen);
	return result < 0 ? result : 1;
}

unsigned gso_send(struct gso *gso, struct gso_counts *counts)
{
	struct mmsghdr *messages = gso->messages;
	unsigned i, done = 0, waiting = 0;

	memset(counts, 0, sizeof(*counts));
	memset(messages, 0, gso->count * sizeof(messages[0]));
	for (i = 0; i < gso->count; i++) {
		finish(&gso->runs[i]);
		messages[i].msg_hdr.msg_iov = gso->runs[i].piece;
		messages[i].msg_hdr.msg_iovlen = collect(&gso->runs[i]);
		if (gso->runs[i].to.sll_ifindex) {
			messages[i].msg_hdr.msg_name = &gso->runs[i].to;
			messages[i].msg_hdr.msg_namelen = sizeof(gso->runs[i].to);
		}
	}
	while (done < gso->count) {
		long sent = submit(gso, done);

		for (i = 0; sent > 0 && i < (unsigned)sent; i++, done++) {
			counts->sent += gso->runs[done].frames;
			counts->bytes += gso->runs[done].frame_bytes;
		}
		if (sent < 0 && is_kept(gso, &gso->runs[done], sent))
			break;
		if (sent < 0)
			counts->lost += gso->runs[done++].frames;
	}
	forget(gso, done);
	for (i = 0; i < gso->count; i++)
		waiting += gso->runs[i].frames;
	return waiting;
}
