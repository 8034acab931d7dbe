/* SPDX-License-Identifier: BSD-3-Clause */
/* By which interfaces logins come: what check.h says of check_login_uses(). */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utmpx.h>

#include "common/proc_file.h"
#include "tools/melin/check.h"
#include "tools/melin/kernel_sockets.h"

union name {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* An IPv4 or IPv6 address; ports and scopes are left out. */
static bool parse(const char *text, union name *name)
{
	memset(name, 0, sizeof(*name));
	name->any.sa_family = strchr(text, ':') ? AF_INET6 : AF_INET;
	return inet_pton(name->any.sa_family, text,
			 name->any.sa_family == AF_INET6 ? (void *)&name->v6.sin6_addr
							 : (void *)&name->v4.sin_addr) == 1;
}

static bool is_same(const union name *one, const struct sockaddr *other)
{
	if (!other || other->sa_family != one->any.sa_family)
		return false;
	if (other->sa_family == AF_INET)
		return memcmp(&one->v4.sin_addr,
			      &((const struct sockaddr_in *)(const void *)other)->sin_addr,
			      sizeof(struct in_addr)) == 0;
	return memcmp(&one->v6.sin6_addr,
		      &((const struct sockaddr_in6 *)(const void *)other)->sin6_addr,
		      sizeof(struct in6_addr)) == 0;
}

static bool interface_has(const char *interface, const union name *local)
{
	struct ifaddrs *all = NULL;
	bool has = false;

	if (getifaddrs(&all) < 0)
		return true; /* what is not known may be so */
	for (const struct ifaddrs *one = all; one && !has; one = one->ifa_next)
		has = strcmp(one->ifa_name, interface) == 0 && is_same(local, one->ifa_addr);
	freeifaddrs(all);
	return has;
}

/* The address that this host talks to the remote one from: nothing is sent. */
static bool local_for(const union name *remote, union name *local)
{
	const socklen_t size =
		remote->any.sa_family == AF_INET ? sizeof(remote->v4) : sizeof(remote->v6);
	socklen_t length = sizeof(*local);
	int descriptor = socket(remote->any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	union name to = *remote;
	bool found;

	memset(local, 0, sizeof(*local));
	if (to.any.sa_family == AF_INET)
		to.v4.sin_port = htons(22);
	else
		to.v6.sin6_port = htons(22);
	found = descriptor >= 0 && connect(descriptor, &to.any, size) == 0 &&
		getsockname(descriptor, &local->any, &length) == 0;
	if (descriptor >= 0)
		close(descriptor);
	return found;
}

/* ---- ssh, and whatever else the processes above this one have to do with ---- */

/* The value of SSH_CONNECTION: "CLIENT PORT SERVER PORT", see ssh(1). */
static bool connection_comes(const char *interface, const char *connection)
{
	char server[INET6_ADDRSTRLEN + 1] = "";
	union name local;

	return sscanf(connection, "%*s %*s %46s", server) == 1 &&
	       (!parse(server, &local) || interface_has(interface, &local));
}

/* What the process was started with: sudo(8) has what it keeps from its child. */
static bool environment_comes(const char *interface, pid_t process)
{
	static const char begins[] = "SSH_CONNECTION=";
	char path[64], *entry = NULL;
	size_t size = 0;
	bool comes = false;
	FILE *environment;

	snprintf(path, sizeof(path), "/proc/%d/environ", process);
	environment = fopen(path, "re");
	while (!comes && environment && getdelim(&entry, &size, '\0', environment) > 0)
		comes = strncmp(entry, begins, sizeof(begins) - 1) == 0 &&
			connection_comes(interface, entry + sizeof(begins) - 1);
	free(entry);
	if (environment)
		fclose(environment);
	return comes;
}

/* As the kernel has it, maybe of an IPv6 socket that talks IPv4. */
static union name name_of(const struct sockaddr_storage *address)
{
	union name name;

	memcpy(&name, address, sizeof(name));
	if (name.any.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&name.v6.sin6_addr)) {
		struct sockaddr_in v4 = { .sin_family = AF_INET };

		memcpy(&v4.sin_addr, &name.v6.sin6_addr.s6_addr[12], sizeof(v4.sin_addr));
		name.v4 = v4;
	}
	return name;
}

static bool sockets_come(const char *interface, pid_t process)
{
	struct kernel_socket *sockets;
	bool comes = false;
	size_t count;
	int error = kernel_sockets(process, &sockets, &count);

	/* What root may not look at is a container's supervisor, and no server of logins. */
	if (error)
		return geteuid() != 0 && error != -ESRCH && error != -ENOENT;
	for (size_t i = 0; i < count && !comes; i++) {
		const union name local = name_of(&sockets[i].row.local);

		comes = interface_has(interface, &local);
	}
	free(sockets);
	return comes;
}

/* Up to init, which is everybody's, and has the connections of no login. */
static bool comes_by_ancestor(const char *interface)
{
	bool comes = false;

	for (pid_t process = getpid(); process > 1 && !comes;
	     process = (pid_t)process_parent(process))
		comes = environment_comes(interface, process) || sockets_come(interface, process);
	return comes;
}

/* ---- other users ---- */

static bool utmp_remote(const struct utmpx *entry, union name *remote)
{
	*remote = (union name){ 0 };
	if (entry->ut_type != USER_PROCESS || !entry->ut_addr_v6[0])
		return false;
	if (!entry->ut_addr_v6[1] && !entry->ut_addr_v6[2] && !entry->ut_addr_v6[3]) {
		remote->v4.sin_family = AF_INET;
		memcpy(&remote->v4.sin_addr, entry->ut_addr_v6, sizeof(struct in_addr));
	} else {
		remote->v6.sin6_family = AF_INET6;
		memcpy(&remote->v6.sin6_addr, entry->ut_addr_v6, sizeof(struct in6_addr));
	}
	return true;
}

static bool comes_by_utmp(const char *interface)
{
	union name remote, local;
	bool comes = false;

	setutxent();
	for (const struct utmpx *entry; !comes && (entry = getutxent());)
		comes = utmp_remote(entry, &remote) && local_for(&remote, &local) &&
			interface_has(interface, &local);
	endutxent();
	return comes;
}

/* ---- all of them ---- */

static bool comes(const char *interface)
{
	const char *connection = getenv("SSH_CONNECTION");

	return (connection && connection_comes(interface, connection)) ||
	       comes_by_ancestor(interface) || comes_by_utmp(interface);
}

/* Bridges, bonds and VLANs on each other: nobody has more. */
#define STOREYS_MOST 4

/* depth: how many of them may stand on the interface yet. */
static bool comes_through(const char *interface, unsigned depth)
{
	static const char begins[] = "upper_";
	bool through = comes(interface);
	struct dirent *entry;
	char path[64];
	DIR *folder;

	snprintf(path, sizeof(path), "/sys/class/net/%s", interface);
	folder = depth > 0 && !through ? opendir(path) : NULL;
	while (folder && !through && (entry = readdir(folder)))
		through = strncmp(entry->d_name, begins, sizeof(begins) - 1) == 0 &&
			  comes_through(entry->d_name + sizeof(begins) - 1, depth - 1);
	if (folder)
		closedir(folder);
	return through;
}

bool check_login_uses(const char *interface)
{
	return comes_through(interface, STOREYS_MOST);
}
