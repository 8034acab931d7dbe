/* SPDX-License-Identifier: BSD-3-Clause */
/* See kernel_sockets.h. */
#include "tools/melin/kernel_sockets.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* TCP_LISTEN of <netinet/tcp.h>, which cannot be had together with <linux/tcp.h>. */
#define LISTEN 10

/* ---- the process's descriptors ---- */

struct own_socket {
	uint64_t inode;
	int descriptor;
};

static uint64_t inode_at(int folder, const char *name)
{
	char target[64];
	ssize_t length = readlinkat(folder, name, target, sizeof(target) - 1);

	if (length < 0)
		return 0;
	target[length] = '\0';
	return strncmp(target, "socket:[", 8) == 0 ? strtoull(target + 8, NULL, 10) : 0;
}

uint64_t kernel_socket_inode(pid_t process, int descriptor)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", process, descriptor);
	return inode_at(AT_FDCWD, path);
}

static int by_inode(const void *a, const void *b)
{
	const struct own_socket *first = a, *second = b;

	if (first->inode != second->inode)
		return first->inode < second->inode ? -1 : 1;
	return (first->descriptor > second->descriptor) - (first->descriptor < second->descriptor);
}

static int find_own(pid_t process, struct own_socket **list, size_t *count)
{
	size_t room = 0;
	char path[64];
	struct dirent *entry;
	DIR *folder;

	snprintf(path, sizeof(path), "/proc/%d/fd", process);
	folder = opendir(path);
	if (!folder)
		return -errno;
	while ((entry = readdir(folder))) {
		uint64_t inode = isdigit((unsigned char)entry->d_name[0])
					 ? inode_at(dirfd(folder), entry->d_name)
					 : 0;

		if (!inode)
			continue;
		if (*count == room) {
			struct own_socket *more =
				realloc(*list, (room = room * 2 + 64) * sizeof(**list));

			if (!more)
				break;
			*list = more;
		}
		(*list)[(*count)++] =
			(struct own_socket){ inode, (int)strtol(entry->d_name, NULL, 10) };
	}
	closedir(folder);
	if (*list)
		qsort(*list, *count, sizeof(**list), by_inode);
	return 0;
}

/* The lowest descriptor of that inode, or -1. */
static int find_descriptor(const struct own_socket *list, size_t count, uint64_t inode)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (list[middle].inode < inode)
			low = middle + 1;
		else
			high = middle;
	}
	return low < count && list[low].inode == inode ? list[low].descriptor : -1;
}

/* ---- the kernel's list ---- */

static bool is_same_namespace(int other)
{
	struct stat here, there;

	return stat("/proc/self/ns/net", &here) == 0 && fstat(other, &there) == 0 &&
	       here.st_ino == there.st_ino && here.st_dev == there.st_dev;
}

/* A netlink socket of the process's network namespace; this process stays in its own. */
static int open_diagnosis(pid_t process)
{
	int there, here, diagnosis = -1, error = 0;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/net", process);
	there = open(path, O_RDONLY | O_CLOEXEC);
	if (there < 0)
		return -errno;
	if (is_same_namespace(there)) {
		close(there);
		diagnosis = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
		return diagnosis < 0 ? -errno : diagnosis;
	}
	here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (here < 0 || setns(there, CLONE_NEWNET) < 0) {
		error = errno;
	} else {
		diagnosis = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
		error = errno;
		if (setns(here, CLONE_NEWNET) < 0) {
			perror("melin: setns");
			_exit(1); /* nothing that follows would be about the right network */
		}
	}
	close(there);
	if (here >= 0)
		close(here);
	return diagnosis < 0 ? -error : diagnosis;
}

static int ask(int diagnosis, uint8_t family)
{
	struct {
		struct nlmsghdr header;
		struct inet_diag_req_v2 request;
	} message = {
		.header = { .nlmsg_len = sizeof(message),
			    .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			    .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.request = { .sdiag_family = family,
			     .sdiag_protocol = IPPROTO_TCP,
			     .idiag_ext = 1 << (INET_DIAG_INFO - 1),
			     .idiag_states = ~(1u << LISTEN) },
	};

	return send(diagnosis, &message, sizeof(message), 0) < 0 ? -errno : 0;
}

static void set_name(struct sockaddr_storage *name, uint8_t family, const uint32_t *address,
		     uint16_t port)
{
	if (family == AF_INET) {
		struct sockaddr_in *v4 = (struct sockaddr_in *)name;

		v4->sin_family = AF_INET;
		v4->sin_port = port;
		memcpy(&v4->sin_addr, address, sizeof(v4->sin_addr));
	} else {
		struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)name;

		v6->sin6_family = AF_INET6;
		v6->sin6_port = port;
		memcpy(&v6->sin6_addr, address, sizeof(v6->sin6_addr));
	}
}

/* What is gathered: of all sockets of the namespace those of the process. */
struct gathering {
	const struct own_socket *own;
	size_t own_count;
	struct kernel_socket *list;
	size_t count, room;
};

static void read_info(struct status_row *row, const struct nlmsghdr *header)
{
	const struct inet_diag_msg *message = NLMSG_DATA(header);
	const struct rtattr *attribute = (const struct rtattr *)(message + 1);
	size_t left = header->nlmsg_len - NLMSG_LENGTH(sizeof(*message));
	struct tcp_info info = { 0 };

	for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left))
		if (attribute->rta_type == INET_DIAG_INFO) {
			size_t size = RTA_PAYLOAD(attribute);

			memcpy(&info, RTA_DATA(attribute),
			       size < sizeof(info) ? size : sizeof(info));
		}
	status_row_measure(row, &info);
}

static int gather(struct gathering *all, const struct nlmsghdr *header)
{
	const struct inet_diag_msg *message = NLMSG_DATA(header);
	const int descriptor = find_descriptor(all->own, all->own_count, message->idiag_inode);
	struct kernel_socket *socket;
	struct status_row *row;

	if (descriptor < 0 || !message->idiag_inode)
		return 0;
	if (all->count == all->room) {
		size_t room = all->room * 2 + 64;
		struct kernel_socket *more = realloc(all->list, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		all->list = more;
		all->room = room;
	}
	socket = &all->list[all->count++];
	memset(socket, 0, sizeof(*socket));
	socket->inode = message->idiag_inode;
	row = &socket->row;
	read_info(row, header);
	row->descriptor = descriptor;
	row->state = message->idiag_state;
	row->receive_queue = message->idiag_rqueue;
	row->send_queue = message->idiag_wqueue;
	set_name(&row->local, message->idiag_family, message->id.idiag_src,
		 message->id.idiag_sport);
	set_name(&row->peer, message->idiag_family, message->id.idiag_dst, message->id.idiag_dport);
	return 0;
}

static int gather_answers(int diagnosis, struct gathering *all)
{
	static char buffer[65536] __attribute__((aligned(8)));

	for (;;) {
		ssize_t length = recv(diagnosis, buffer, sizeof(buffer), 0);
		const struct nlmsghdr *header = (const struct nlmsghdr *)buffer;

		if (length < 0)
			return -errno;
		for (; NLMSG_OK(header, (size_t)length); header = NLMSG_NEXT(header, length)) {
			int status = 0;

			if (header->nlmsg_type == NLMSG_DONE)
				return 0;
			if (header->nlmsg_type == NLMSG_ERROR)
				return ((const struct nlmsgerr *)NLMSG_DATA(header))->error;
			status = gather(all, header);
			if (status < 0)
				return status;
		}
	}
}

int row_order(const void *a, const void *b)
{
	const struct status_row *first = a, *second = b;

	return (first->descriptor > second->descriptor) - (first->descriptor < second->descriptor);
}

int kernel_sockets(pid_t process, struct kernel_socket **list, size_t *count)
{
	static const uint8_t families[] = { AF_INET, AF_INET6 };
	struct own_socket *own = NULL;
	struct gathering all = { 0 };
	int status = find_own(process, &own, &all.own_count);
	int diagnosis = status < 0 ? status : open_diagnosis(process);

	all.own = own;
	status = diagnosis;
	for (size_t i = 0; i < sizeof(families) && status >= 0; i++) {
		status = ask(diagnosis, families[i]);
		if (status == 0)
			status = gather_answers(diagnosis, &all);
	}
	if (diagnosis >= 0)
		close(diagnosis);
	free(own);
	if (status < 0) {
		free(all.list);
		all.list = NULL;
		all.count = 0;
	} else if (all.list) {
		qsort(all.list, all.count, sizeof(*all.list), row_order);
	}
	*list = all.list;
	*count = all.count;
	return status < 0 ? status : 0;
}
