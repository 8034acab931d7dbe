/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A link without a stack, for tests of dpdk/ alone (tests/device.bats): opens a device, answers
 * ARP, neighbour solicitations and pings by hand, counts what else comes, and says at the end what
 * it saw. Not an IP stack: no fragments, no options, no TCP but its count.
 *
 *   link_echo DEVICE ADDRESSES MODULE_DIRECTORY [key=value ...]
 *   keys: seconds, mtu, vlan, queues, rxd, txd, mbufs, eal, sleep (0: poll), hold (frames kept),
 *         fork; blast (frames to send at the end), length (of them), to (their IPv4 address), stay
 *         (seconds to go on after that); until (end as soon as so many others have come)
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/ethernet.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/internet_checksum.h"
#include "dpdk/link.h"
#include "stack/instance/allocation.h"
#include "lwip/pbuf.h"

#define HELD_MAX 65536

static struct {
	struct stack_config stack;
	unsigned seconds, sleep, hold, blast, length, fork, stay, until;
	struct in_addr to;
	struct link *link;
	struct link_info info;
	unsigned long arps, pings, solicitations, tcp, others, wakeups;
	struct pbuf *held[HELD_MAX];
	unsigned held_count;
	volatile sig_atomic_t stop;
} run = { .seconds = 3, .sleep = 1, .length = 1514 };

/* What stack/ would give lwIP. */
void melin_lwip_assertion(const char *message, const char *file, int line);

void melin_lwip_assertion(const char *message, const char *file, int line)
{
	printf("lwIP: %s (%s:%d)\n", message, file, line);
	exit(3);
}

/* What lwIP's buffers are allocated by; stack/instance/allocation.c counts for an instance. */
void *melin_memory_allocate(size_t size)
{
	return malloc(size);
}

void *melin_memory_allocate_zeroed(size_t count, size_t size)
{
	return calloc(count, size);
}

void melin_memory_free(void *memory)
{
	free(memory);
}

static void log_line(void *context, enum log_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void log_line(void *context, enum log_level level, const char *format, ...)
{
	static const char *const names[] = { "error", "warn", "info", "debug", "trace" };
	va_list arguments;

	(void)context;
	printf("log %s: ", names[level]);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	printf("\n");
	fflush(stdout);
}

static void on_signal(int signal)
{
	(void)signal;
	run.stop = 1;
}

static uint64_t now_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void parse_addresses(char *text)
{
	char *save = NULL, *item;

	for (item = strtok_r(text, ",", &save); item; item = strtok_r(NULL, ",", &save)) {
		struct ip_address *address = &run.stack.addresses[run.stack.address_count++];

		address->family = strchr(item, ':') ? AF_INET6 : AF_INET;
		address->prefix = address->family == AF_INET ? 24 : 64;
		if (inet_pton(address->family, item, address->bytes) != 1)
			exit(2);
	}
}

static void parse_setting(const char *text)
{
	static const struct {
		const char *name;
		unsigned *value;
	} settings[] = {
		{ "seconds=", &run.seconds },	{ "sleep=", &run.sleep },
		{ "hold=", &run.hold },		{ "blast=", &run.blast },
		{ "fork=", &run.fork },		{ "mtu=", &run.stack.mtu },
		{ "vlan=", &run.stack.vlan },	{ "queues=", &run.stack.queues },
		{ "rxd=", &run.stack.rxd },	{ "txd=", &run.stack.txd },
		{ "mbufs=", &run.stack.mbufs }, { "length=", &run.length },
		{ "stay=", &run.stay },		{ "until=", &run.until },
	};
	size_t i;

	if (strncmp(text, "eal=", 4) == 0) {
		run.stack.eal = text + 4;
		return;
	}
	if (strncmp(text, "to=", 3) == 0) {
		inet_pton(AF_INET, text + 3, &run.to);
		return;
	}
	for (i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		if (strncmp(text, settings[i].name, strlen(settings[i].name)) == 0) {
			*settings[i].value = (unsigned)strtoul(strchr(text, '=') + 1, NULL, 10);
			return;
		}
	}
	fprintf(stderr, "unknown setting %s\n", text);
	exit(2);
}

static void send_back(struct pbuf *frame)
{
	uint8_t *bytes = frame->payload;

	memcpy(bytes, bytes + 6, ETHER_ADDR_LEN);
	memcpy(bytes + 6, run.info.mac, ETHER_ADDR_LEN);
	run.link->operations->transmit(run.link, frame);
}

static void swap(uint8_t *a, uint8_t *b, size_t length)
{
	uint8_t keep[16];

	memcpy(keep, a, length);
	memcpy(a, b, length);
	memcpy(b, keep, length);
}

static void answer_arp(struct pbuf *frame)
{
	uint8_t *arp = (uint8_t *)frame->payload + ETHER_HDR_LEN;

	if (arp[7] != 1)
		return;
	run.arps++;
	arp[7] = 2;
	swap(arp + 14, arp + 24, 4);
	memcpy(arp + 18, arp + 8, ETHER_ADDR_LEN);
	memcpy(arp + 8, run.info.mac, ETHER_ADDR_LEN);
	send_back(frame);
}

static void answer_ping(struct pbuf *frame)
{
	uint8_t *ip = (uint8_t *)frame->payload + ETHER_HDR_LEN, *icmp = ip + 20;
	uint16_t sum = 0;
	size_t length = (size_t)(ip[2] << 8 | ip[3]) - 20;

	if (ip[9] == IPPROTO_TCP)
		run.tcp++;
	if (ip[9] != IPPROTO_ICMP || icmp[0] != 8) {
		run.others++;
		return;
	}
	run.pings++;
	swap(ip + 12, ip + 16, 4);
	icmp[0] = 0;
	memcpy(icmp + 2, &sum, 2);
	sum = (uint16_t)~checksum_fold(checksum_add(0, icmp, length));
	memcpy(icmp + 2, &sum, 2);
	send_back(frame);
}

/* The checksum of an ICMPv6 message, whose next header is not TCP's. */
static void finish_icmp6(uint8_t *ip, uint8_t *icmp, size_t length)
{
	uint64_t total = checksum_pseudo_header(ip, length);
	uint16_t sum = 0;

	total += htons(IPPROTO_ICMPV6) + (uint64_t)(uint16_t)~htons(IPPROTO_TCP);
	memcpy(icmp + 2, &sum, 2);
	sum = (uint16_t)~checksum_fold(checksum_add(total, icmp, length));
	memcpy(icmp + 2, &sum, 2);
}

static void answer_ipv6(struct pbuf *frame)
{
	uint8_t *ip = (uint8_t *)frame->payload + ETHER_HDR_LEN, *icmp = ip + 40;
	size_t length = (size_t)(ip[4] << 8 | ip[5]);

	if (ip[6] == IPPROTO_ICMPV6 && icmp[0] == 135 && length >= 32) {
		run.solicitations++;
		memcpy(ip + 24, ip + 8, 16);
		memcpy(ip + 8, icmp + 8, 16);
		icmp[0] = 136;
		icmp[4] = 0x60; /* solicited, override */
		icmp[24] = 2;	/* target link-layer address */
		memcpy(icmp + 26, run.info.mac, ETHER_ADDR_LEN);
	} else if (ip[6] == IPPROTO_ICMPV6 && icmp[0] == 128) {
		run.pings++;
		swap(ip + 8, ip + 24, 16);
		icmp[0] = 129;
	} else {
		run.tcp += ip[6] == IPPROTO_TCP;
		run.others++;
		return;
	}
	finish_icmp6(ip, icmp, length);
	send_back(frame);
}

static void handle(struct pbuf *frame)
{
	const uint8_t *bytes = frame->payload;
	unsigned type = (unsigned)(bytes[12] << 8 | bytes[13]);

	if (type == ETHERTYPE_ARP)
		answer_arp(frame);
	else if (type == ETHERTYPE_IP)
		answer_ping(frame);
	else if (type == ETHERTYPE_IPV6)
		answer_ipv6(frame);
	else
		run.others++;
	if (run.held_count < run.hold)
		run.held[run.held_count++] = frame;
	else
		pbuf_free(frame);
}

static void wait_for_frames(void)
{
	struct pollfd wait = { .fd = run.info.wait_descriptor, .events = POLLIN };

	if (!run.sleep)
		return;
	if (wait.fd < 0) {
		usleep(50);
		return;
	}
	if (poll(&wait, 1, 100) > 0)
		run.wakeups++;
}

static bool all_came(void)
{
	return run.until && run.others >= run.until;
}

static void serve(unsigned seconds)
{
	uint64_t end = now_ns() + seconds * 1000000000ULL;
	struct pbuf *frames[64];
	unsigned count, i;

	while (!run.stop && !all_came() && now_ns() < end) {
		count = run.link->operations->receive(run.link, frames, 64);
		for (i = 0; i < count; i++)
			handle(frames[i]);
		if (run.link->operations->flush(run.link) == 0 && count == 0)
			wait_for_frames();
	}
}

/* UDP to the address `to`, in a broadcast frame: nobody needs to be asked where it is. */
static void make_blast(struct pbuf *frame)
{
	uint8_t *bytes = frame->payload, *ip = bytes + ETHER_HDR_LEN;
	uint16_t sum;

	memset(bytes, 0, frame->len);
	memset(bytes, 0xff, ETHER_ADDR_LEN);
	memcpy(bytes + 6, run.info.mac, ETHER_ADDR_LEN);
	bytes[12] = 8;
	ip[0] = 0x45;
	ip[2] = (uint8_t)((frame->len - ETHER_HDR_LEN) >> 8);
	ip[3] = (uint8_t)(frame->len - ETHER_HDR_LEN);
	ip[8] = 64;
	ip[9] = IPPROTO_UDP;
	memcpy(ip + 12, run.stack.addresses[0].bytes, 4);
	memcpy(ip + 16, &run.to, 4);
	sum = (uint16_t)~checksum_fold(checksum_add(0, ip, 20));
	memcpy(ip + 10, &sum, 2);
}

static void blast(void)
{
	struct pbuf *frame = pbuf_alloc(PBUF_RAW, (uint16_t)run.length, PBUF_RAM);
	uint64_t begin = now_ns(), sent = 0, refused = 0;

	make_blast(frame);
	while (sent < run.blast && now_ns() - begin < 10000000000ULL) {
		if (run.link->operations->transmit(run.link, frame) == 0)
			sent++;
		else
			refused++;
	}
	while (run.link->operations->flush(run.link) && now_ns() - begin < 10000000000ULL)
		;
	printf("blast: %lu sent, %lu refused, %.0f a second\n", sent, refused,
	       (double)sent * 1e9 / (double)(now_ns() - begin));
	fflush(stdout);
	pbuf_free(frame);
}

/* A child that lets go of the link must end by itself, and the parent's must go on. */
static void fork_child(void)
{
	pid_t child = fork();
	int status = 0;

	if (child == 0) {
		run.link->operations->abandon(run.link);
		exit(7); /* with all that libraries do at exit */
	}
	waitpid(child, &status, 0);
	printf("child: %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
	fflush(stdout);
}

static void finish(void)
{
	struct link_counters counters;
	uint64_t begin;

	while (run.held_count)
		pbuf_free(run.held[--run.held_count]);
	run.link->operations->counters(run.link, &counters);
	printf("seen: %lu arp, %lu ping, %lu solicit, %lu tcp, %lu other, %lu wakeups\n", run.arps,
	       run.pings, run.solicitations, run.tcp, run.others, run.wakeups);
	printf("counters: rx %lu frames %lu bytes, tx %lu frames %lu bytes, drops rx %lu (%lu bad "
	       "checksum) tx %lu\n",
	       counters.rx_frames, counters.rx_bytes, counters.tx_frames, counters.tx_bytes,
	       counters.rx_drops, counters.rx_bad_checksum, counters.tx_drops);
	begin = now_ns();
	run.link->operations->close(run.link);
	printf("close: %.1f ms\n", (double)(now_ns() - begin) / 1e6);
}

int main(int argc, char **argv)
{
	struct link_config config = { .stack = &run.stack, .log = log_line, .connections = 64 };
	uint64_t begin = now_ns();
	struct reason reason;
	int error, i;

	if (argc < 4)
		return 2;
	run.stack.device = argv[1];
	parse_addresses(argv[2]);
	run.stack.module_directory = argv[3];
	for (i = 4; i < argc; i++)
		parse_setting(argv[i]);
	signal(SIGTERM, on_signal);
	error = link_open(&config, &run.link, &run.info, &reason);
	if (error) {
		printf("open: %d (%s): %s\n", error, strerrorname_np(-error), reason.text);
		return 1;
	}
	printf("open: %.1f ms, driver %s, mtu %u, wait %d\n", (double)(now_ns() - begin) / 1e6,
	       run.info.driver, run.info.mtu, run.info.wait_descriptor);
	fflush(stdout);
	if (run.fork)
		fork_child();
	serve(run.seconds);
	if (run.blast) {
		blast();
		serve(run.stay);
	}
	finish();
	return 0;
}
