/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A cable that is not perfect: carries Ethernet frames between two interfaces and loses, repeats,
 * delays or disorders some of them, or puts a VLAN tag on them. In user space, because not every
 * kernel has netem and 802.1Q. Random numbers come from a fixed seed, so that a run can be
 * repeated. Not fast: for some ten thousand frames a second.
 *
 * usage: cable INTERFACE INTERFACE [loss=PERCENT] [duplicate=PERCENT] [disorder=PERCENT]
 *              [delay=MILLISECONDS] [vlan=ID]
 *
 * disorder: a frame waits 2 ms longer, so that others pass it. vlan: frames towards the first
 * interface get the tag; of those that come from it only the ones with the tag are carried on,
 * without it. Prints "ready", and ends on any signal.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FRAME_MAX	9216 /* more than any MTU of the tests */
#define WAITING_MAX	8192 /* frames under way: 10 ms at some 100,000 frames a second, and room */
#define TAG_BYTES	4
#define ADDRESSES_BYTES 12 /* where the tag goes: behind the two MAC addresses */

struct frame {
	struct frame *next;
	uint64_t due_ns;
	int to; /* index of the end */
	size_t length;
	unsigned char bytes[];
};

static struct {
	double loss, duplicate, disorder; /* 0 .. 100 */
	double delay_ms;
	unsigned vlan;
} cable;

static int ends[2];
static struct frame *waiting; /* by the time when they are due */
static unsigned waiting_count;

static void die(const char *what)
{
	fprintf(stderr, "cable: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static bool happens(double percent)
{
	return percent > 0 && drand48() * 100 < percent;
}

static int open_end(const char *interface)
{
	struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex(interface),
	};
	struct packet_mreq promiscuous = {
		.mr_ifindex = address.sll_ifindex,
		.mr_type = PACKET_MR_PROMISC,
	};
	int on = 1, size = 8 << 20;
	int end = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, 0);

	if (end < 0 || !address.sll_ifindex)
		die(interface);
	setsockopt(end, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	setsockopt(end, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	/* The kernel takes a VLAN tag off the frame and tells it beside it. */
	if (setsockopt(end, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)) ||
	    setsockopt(end, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) ||
	    setsockopt(end, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promiscuous, sizeof(promiscuous)) ||
	    bind(end, (struct sockaddr *)&address, sizeof(address)))
		die(interface);
	return end;
}

/* The VLAN id that the kernel took off a frame, 0 for none. */
static unsigned tag_of(struct msghdr *message)
{
	struct cmsghdr *control;
	struct tpacket_auxdata data;

	for (control = CMSG_FIRSTHDR(message); control; control = CMSG_NXTHDR(message, control)) {
		if (control->cmsg_level != SOL_PACKET || control->cmsg_type != PACKET_AUXDATA)
			continue;
		memcpy(&data, CMSG_DATA(control), sizeof(data));
		if (data.tp_status & TP_STATUS_VLAN_VALID)
			return data.tp_vlan_tci & 0xfff;
	}
	return 0;
}

static void enqueue(int to, const unsigned char *bytes, size_t length)
{
	struct frame *frame, **place;

	if (waiting_count == WAITING_MAX)
		return;
	frame = malloc(sizeof(*frame) + length);
	if (!frame)
		die("malloc");
	frame->to = to;
	frame->length = length;
	frame->due_ns = now_ns() + (uint64_t)(cable.delay_ms * 1e6);
	if (happens(cable.disorder))
		frame->due_ns += 2000000;
	memcpy(frame->bytes, bytes, length);
	place = &waiting;
	while (*place && (*place)->due_ns <= frame->due_ns)
		place = &(*place)->next;
	frame->next = *place;
	*place = frame;
	waiting_count++;
}

/* Towards the first end: with the tag. */
static size_t put_tag(unsigned char *bytes, size_t length)
{
	unsigned char tag[TAG_BYTES] = { 0x81, 0x00, (unsigned char)(cable.vlan >> 8),
					 (unsigned char)cable.vlan };

	memmove(bytes + ADDRESSES_BYTES + TAG_BYTES, bytes + ADDRESSES_BYTES,
		length - ADDRESSES_BYTES);
	memcpy(bytes + ADDRESSES_BYTES, tag, TAG_BYTES);
	return length + TAG_BYTES;
}

/* All frames that have come in at one end. */
static void receive(int from)
{
	unsigned char bytes[FRAME_MAX + TAG_BYTES];
	char control[256];

	for (;;) {
		struct iovec part = { .iov_base = bytes, .iov_len = FRAME_MAX };
		struct msghdr message = { .msg_iov = &part,
					  .msg_iovlen = 1,
					  .msg_control = control,
					  .msg_controllen = sizeof(control) };
		ssize_t got = recvmsg(ends[from], &message, 0);
		size_t length = (size_t)got;

		if (got < 0 && errno == EAGAIN)
			return;
		if (got < 0)
			die("receive");
		if (length < ADDRESSES_BYTES + 2 || happens(cable.loss))
			continue;
		if (cable.vlan && from == 0 && tag_of(&message) != cable.vlan)
			continue;
		if (cable.vlan && from == 1)
			length = put_tag(bytes, length);
		enqueue(!from, bytes, length);
		if (happens(cable.duplicate))
			enqueue(!from, bytes, length);
	}
}

/* Sends what is due. Returns the milliseconds until the next, -1 for none. */
static int send_due(void)
{
	while (waiting) {
		struct frame *frame = waiting;
		uint64_t now = now_ns();

		if (frame->due_ns > now)
			return (int)((frame->due_ns - now + 999999) / 1000000);
		/* A full queue loses the frame, as cables do. */
		if (send(ends[frame->to], frame->bytes, frame->length, 0) < 0 && errno != EAGAIN &&
		    errno != ENOBUFS)
			die("send");
		waiting = frame->next;
		waiting_count--;
		free(frame);
	}
	return -1;
}

static void set(const char *word)
{
	if (sscanf(word, "loss=%lf", &cable.loss) == 1 ||
	    sscanf(word, "duplicate=%lf", &cable.duplicate) == 1 ||
	    sscanf(word, "disorder=%lf", &cable.disorder) == 1 ||
	    sscanf(word, "delay=%lf", &cable.delay_ms) == 1 ||
	    sscanf(word, "vlan=%u", &cable.vlan) == 1)
		return;
	fprintf(stderr, "cable: unknown word \"%s\"\n", word);
	exit(1);
}

int main(int count, char **words)
{
	struct pollfd polled[2];
	int word;

	if (count < 3) {
		fprintf(stderr, "usage: cable INTERFACE INTERFACE [loss=PERCENT] ...\n");
		return 1;
	}
	for (word = 3; word < count; word++)
		set(words[word]);
	srand48(1);
	for (word = 0; word < 2; word++) {
		ends[word] = open_end(words[1 + word]);
		polled[word] = (struct pollfd){ .fd = ends[word], .events = POLLIN };
	}
	puts("ready");
	fflush(stdout);
	for (;;) {
		if (poll(polled, 2, send_due()) < 0 && errno != EINTR)
			die("poll");
		receive(0);
		receive(1);
	}
}
