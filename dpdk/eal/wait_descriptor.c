/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Something to sleep on until frames arrive. DPDK has no call for it with these drivers, but their
 * sockets can be found among the descriptors: AF_XDP's and AF_PACKET's, and tap queues, are
 * readable when frames wait. Not for devices that only interrupts announce.
 */
#include "dpdk/device_link.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "common/own_descriptor.h"
#include "common/system_call.h"
#include "dpdk/eal/wait_descriptor.h"

/* /dev/net/tun, as Documentation/admin-guide/devices.txt numbers it */
#define TUN_DEVICE makedev(10, 200)

#define SOURCES_MAX 64

struct sources {
	unsigned count;
	int descriptors[SOURCES_MAX];
};

static bool is_frame_socket(int descriptor)
{
	const int domain = kernel_get_int(descriptor, SOL_SOCKET, SO_DOMAIN);

	return domain == AF_XDP || domain == AF_PACKET;
}

static bool is_tap(int descriptor)
{
	struct stat status;

	return fstat(descriptor, &status) == 0 && S_ISCHR(status.st_mode) &&
	       status.st_rdev == TUN_DEVICE;
}

static bool is_source(int descriptor)
{
	struct pollfd look = { .fd = descriptor, .events = POLLIN };

	if (!is_frame_socket(descriptor) && !is_tap(descriptor))
		return false;
	/* A tap queue that is detached from its device is in error for ever. */
	return poll(&look, 1, 0) >= 0 && !(look.revents & (POLLERR | POLLNVAL));
}

bool wait_is_needed(int descriptor)
{
	return is_frame_socket(descriptor) || is_tap(descriptor);
}

bool wait_may_be_used(int descriptor)
{
	struct stat status;

	/*
	 * Files of memory are used by DPDK's thread alone, and so are the pipes with which EAL
	 * fills the table.
	 */
	return fstat(descriptor, &status) == 0 && !S_ISREG(status.st_mode) &&
	       !S_ISFIFO(status.st_mode);
}

static void collect(int descriptor, void *context)
{
	struct sources *sources = context;

	if (sources->count < SOURCES_MAX && is_source(descriptor))
		sources->descriptors[sources->count++] = descriptor;
}

/* Always an epoll descriptor, also for one source: it is ours to close. */
int wait_open(struct device_link *link)
{
	struct sources sources = { 0 };
	struct epoll_event event = { .events = EPOLLIN };
	unsigned i;

	link->info.wait_descriptor = -1;
	if (!link->device.kernel_peer)
		return 0;
	if (link->backend->wait_descriptor)
		sources = (struct sources){ 1, { link->backend->wait_descriptor(link) } };
	else
		control_visit(link->control, collect, &sources);
	if (sources.count == 0)
		return 0;
	link->info.wait_descriptor = own_descriptor(epoll_create1(EPOLL_CLOEXEC));
	if (link->info.wait_descriptor < 0)
		return -errno;
	if (link->watch >= 0)
		epoll_ctl(link->info.wait_descriptor, EPOLL_CTL_ADD, link->watch, &event);
	if (link->rules >= 0)
		epoll_ctl(link->info.wait_descriptor, EPOLL_CTL_ADD, link->rules, &event);
	for (i = 0; i < sources.count; i++) {
		if (epoll_ctl(link->info.wait_descriptor, EPOLL_CTL_ADD, sources.descriptors[i],
			      &event) < 0) {
			wait_close(link);
			return -errno;
		}
	}
	return 0;
}

static void forget(int descriptor, void *context)
{
	const struct device_link *link = context;

	if (descriptor != link->watch)
		epoll_ctl(link->info.wait_descriptor, EPOLL_CTL_DEL, descriptor, NULL);
}

/*
 * A descriptor that is closed leaves the epoll set by itself. An AF_XDP socket stays open without
 * its interface, and is in error for ever.
 */
void wait_forget(struct device_link *link)
{
	if (link->info.wait_descriptor >= 0 && !link->backend->wait_descriptor)
		control_visit(link->control, forget, link);
}

int wait_again(struct device_link *link)
{
	struct epoll_event event = { .events = EPOLLIN };

	if (epoll_ctl(link->info.wait_descriptor, EPOLL_CTL_ADD,
		      link->backend->wait_descriptor(link), &event) < 0)
		return -errno;
	return 0;
}

void wait_close(struct device_link *link)
{
	own_descriptor_close(link->info.wait_descriptor);
	link->info.wait_descriptor = -1;
}
