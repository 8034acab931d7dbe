/* SPDX-License-Identifier: BSD-3-Clause */
/* See confinement.h. */
#include "dpdk/eal/confinement.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "common/proc_file.h"
#include "dpdk/eal/journal.h"

/* ---- socket families ---- */

static bool has_system_call_filter(void)
{
	char status[4096];
	const char *mode;

	if (!proc_read("/proc/self/status", status, sizeof(status)))
		return true; /* the likelier cause */
	mode = strstr(status, "\nSeccomp:\t");
	return mode && mode[sizeof("\nSeccomp:\t") - 1] == '2';
}

int confinement_check_sockets(const char *interface, bool by_packets, struct reason *reason)
{
	static const struct {
		const char *name;
		int family, type;
	} families[] = {
		{ "AF_INET", AF_INET, SOCK_DGRAM },
		{ "AF_NETLINK", AF_NETLINK, SOCK_RAW },
		{ "AF_PACKET", AF_PACKET, SOCK_RAW },
		{ "AF_XDP", AF_XDP, SOCK_RAW },
	};
	char missing[64] = "";
	size_t used = 0;
	bool needed = false;
	int error;

	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
		int probe;

		if (families[i].family == AF_XDP && by_packets)
			continue;
		probe = socket(families[i].family, families[i].type | SOCK_CLOEXEC, 0);
		if (probe >= 0)
			close(probe);
		if (probe >= 0 || errno != EAFNOSUPPORT)
			continue;
		used += (size_t)snprintf(missing + used, sizeof(missing) - used, " %s",
					 families[i].name);
		needed = needed || families[i].family != AF_NETLINK;
	}
	if (!used)
		return 0;
	error = needed ? -EAFNOSUPPORT : 0;
	if (has_system_call_filter())
		reason_set(reason, error,
			   "a filter of system calls refuses sockets of%s, which MELIN_DEV=%s%s "
			   "needs; if this is a service of systemd's, add%s to its "
			   "RestrictAddressFamilies=",
			   missing, by_packets ? "packet:" : "", interface, missing);
	else
		reason_set(reason, error,
			   "this kernel has no sockets of%s, which MELIN_DEV=%s%s needs", missing,
			   by_packets ? "packet:" : "", interface);
	if (!error)
		journal_add(LOG_LEVEL_WARN, "%s", reason->text);
	return error;
}

/* ---- user namespaces ---- */

/* Outside of any user namespace each user number is mapped to itself: "0 0 4294967295". */
static bool in_user_namespace(void)
{
	unsigned inside, outside, count;
	char map[128];

	return proc_read("/proc/self/uid_map", map, sizeof(map)) &&
	       (sscanf(map, "%u %u %u", &inside, &outside, &count) != 3 || inside || outside ||
		count != 0xffffffff);
}

int confinement_check_bpf(const char *interface, struct reason *reason)
{
	int map = bpf_map_create(BPF_MAP_TYPE_XSKMAP, "melin_probe", sizeof(int), sizeof(int), 1,
				 NULL);
	int error = map < 0 ? errno : 0;

	if (map >= 0)
		close(map);
	if (error != EPERM)
		return 0; /* anything else is the start's to say */
	if (in_user_namespace())
		return reason_set(
			reason, -EPERM,
			"no permission to use AF_XDP on %s: this process is in a user namespace (a "
			"container), whose capabilities do not count for bpf(2); "
			"MELIN_DEV=packet:%s does without",
			interface, interface);
	return reason_set(reason, -EPERM,
			  "no permission to use AF_XDP on %s although the capabilities are there: "
			  "bpf(2) is refused, by a filter of system calls (a container's, "
			  "SystemCallFilter= of a service of systemd's) or a security module; "
			  "MELIN_DEV=packet:%s does without",
			  interface, interface);
}

/* ---- files ---- */

static bool has_processors(void)
{
	char path[80];
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return true;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/topology/core_id", cpu);
		if (CPU_ISSET(cpu, &set) && access(path, F_OK) == 0)
			return true;
	}
	return false;
}

int confinement_check_files(struct reason *reason)
{
	if (access("/proc/mounts", R_OK) < 0)
		return reason_set(
			reason, -ENOENT,
			"DPDK does not start: /proc is not mounted or may not be read: mount -t "
			"proc proc /proc (in the program's root folder, if it has one of its own)");
	if (!has_processors())
		return reason_set(
			reason, -ENOENT,
			"DPDK does not start: /sys is not mounted or may not be read, where it "
			"looks for the processors: mount -t sysfs sysfs /sys (in the program's "
			"root "
			"folder, if it has one of its own)");
	return 0;
}
