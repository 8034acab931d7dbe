/* SPDX-License-Identifier: BSD-3-Clause */
/* What check.h promises of the kernel, of rights and of limits. */
#include <errno.h>
#include <grp.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "broker/lender.h"
#include "common/system_call.h"
#include "preload/config/config.h"
#include "tools/melin/broker_use.h"
#include "tools/melin/check.h"

#define HUGEPAGES "/sys/kernel/mm/hugepages/hugepages-2048kB"

/* 1 GiB of them, as README.md says; not where that is more than a quarter of what is free. */
#define HUGEPAGES_WANTED 512
#define HUGEPAGES_MEMORY (4l << 20) /* KiB */

/* The frames of an AF_XDP device with its default rings: 6,400 of 2 KiB, and what is around. */
#define LOCKED_WANTED (32ul << 20)

/* Reads a number from the beginning of a file; -1: it cannot be read. */
static long read_number(const char *path)
{
	FILE *file = fopen(path, "re");
	long number = -1;

	if (!file)
		return -1;
	if (fscanf(file, "%ld", &number) != 1)
		number = -1;
	fclose(file);
	return number;
}

static void check_own_kernel(const struct utsname *name, bool is_new, struct check_result *result)
{
	check_say(result, is_new ? CHECK_OK : CHECK_MISSING, "Linux %s%s", name->release,
		  is_new ? " is new enough for own mode" : ": own mode takes 5.12");
	if (!is_new)
		check_mend(result, "apt-get install -t bookworm-backports linux-image-amd64");
}

/* Who has the rights can try; who has not must believe the kernel's number. */
void check_kernel(struct check_about *about, struct check_result *result)
{
	enum refusal refusal = REFUSAL_RIGHTS;
	struct lender *lender;
	unsigned major = 0, minor = 0;
	struct utsname name;

	uname(&name);
	sscanf(name.release, "%u.%u", &major, &minor);
	if (!about->is_host) {
		check_own_kernel(&name, major > 5 || (major == 5 && minor >= 12), result);
		return;
	}
	if (lender_has_rights())
		refusal = lender_open(&lender);
	if (refusal == REFUSAL_NONE)
		lender_close(lender);
	if (refusal == REFUSAL_KERNEL ||
	    (refusal != REFUSAL_NONE && (major < 6 || (major == 6 && minor < 6)))) {
		check_say(result, CHECK_MISSING,
			  "Linux %s: borrowing connections takes 6.6 (tcx), and a build of melin "
			  "with clang",
			  name.release);
		check_mend(result, "apt-get install -t bookworm-backports linux-image-amd64");
	} else if (refusal == REFUSAL_NONE) {
		check_say(result, CHECK_OK, "Linux %s: tcx and live frames are there",
			  name.release);
	} else {
		check_say(result, CHECK_OK, "Linux %s is new enough", name.release);
	}
}

static const char *user_name(void)
{
	const struct passwd *user = getpwuid(geteuid());

	return user ? user->pw_name : "USER";
}

/* Whether systemd runs here, sd_booted(3), and has the broker's unit where it looks for units. */
static bool has_unit(void)
{
	static const char *const folders[] = { "/etc", "/run", "/usr/local/lib", "/usr/lib",
					       "/lib" };
	char path[64];
	bool found = false;

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]) && !found; i++) {
		snprintf(path, sizeof(path), "%s/systemd/system/melin-broker.socket", folders[i]);
		found = access(path, F_OK) == 0;
	}
	return found && access("/run/systemd/system", F_OK) == 0;
}

/* No right of its own. The broker's socket is there, or not, or not for this user. */
static void look_for_broker(struct check_about *about, struct check_result *result)
{
	struct stat status;
	const unsigned door = config_get()->door;
	enum refusal refusal = broker_use(door ? (int)door : -1);

	if (refusal == REFUSAL_NONE) {
		about->has_broker = true;
		check_say(result, CHECK_OK, "the broker %s answers",
			  door ? "of melin run" : "at " BROKER_SOCKET);
	} else if (refusal == REFUSAL_NAMESPACE) {
		check_say(result, CHECK_MISSING,
			  "the broker at " BROKER_SOCKET " serves another network namespace than "
			  "this one: root starts programs for a user");
		check_mend_by(result, "sudo", program_invocation_name, "run", "--user", user_name(),
			      "--", "PROGRAM", NULL);
	} else if (stat(BROKER_SOCKET, &status) < 0 && has_unit()) {
		check_say(result, CHECK_MISSING,
			  "%s lacks CAP_NET_ADMIN, CAP_NET_RAW and CAP_BPF, and the broker, which "
			  "is installed, is not started",
			  user_name());
		check_mend(result, "sudo systemd-sysusers && "
				   "sudo systemctl enable --now melin-broker.socket");
	} else if (stat(BROKER_SOCKET, &status) < 0) {
		check_say(result, CHECK_MISSING,
			  "%s lacks CAP_NET_ADMIN, CAP_NET_RAW and CAP_BPF, and there is no broker "
			  "at %s: root starts programs for a user",
			  user_name(), BROKER_SOCKET);
		check_mend_by(result, "sudo", program_invocation_name, "run", "--user", user_name(),
			      "--", "PROGRAM", NULL);
	} else if (access(BROKER_SOCKET, W_OK) < 0) {
		const struct group *group = getgrgid(status.st_gid);

		check_say(
			result, CHECK_MISSING,
			"the broker at %s is not for %s, but for the group %s: log in again after "
			"the command",
			BROKER_SOCKET, user_name(), group ? group->gr_name : "of the socket");
		check_mend_by(result, "sudo", "usermod", "-aG", group ? group->gr_name : "GROUP",
			      user_name(), NULL);
	} else {
		check_say(result, CHECK_MISSING, "no broker answers at " BROKER_SOCKET);
		check_mend(result, "sudo systemctl restart melin-broker.socket");
	}
}

/* A broker lends nothing to own mode. */
static void check_own_rights(struct check_about *about, struct check_result *result)
{
	const bool xdp = check_uses_xdp(about);

	about->has_rights = kernel_has_right(CAP_NET_ADMIN) && kernel_has_right(CAP_NET_RAW) &&
			    (!xdp || kernel_has_right(CAP_BPF) || kernel_has_right(CAP_SYS_ADMIN));
	if (!check_takes_interface(about)) {
		check_say(result, CHECK_OK, "%s",
			  about->device.kind == DEVICE_LOOP
				  ? "within the process none are needed"
				  : "what the device takes is its DPDK driver's to say");
	} else if (about->has_rights) {
		check_say(result, CHECK_OK, "CAP_NET_ADMIN%s CAP_NET_RAW%s are here",
			  xdp ? "," : " and", xdp ? " and CAP_BPF" : "");
	} else {
		check_say(result, CHECK_MISSING,
			  "own mode on an interface takes CAP_NET_ADMIN%s CAP_NET_RAW%s, which no "
			  "broker lends",
			  xdp ? "," : " and", xdp ? " and CAP_BPF" : "");
		check_mend_by(result, "sudo", "--preserve-env", program_invocation_name, "run",
			      "--", "PROGRAM", NULL);
	}
}

void check_rights(struct check_about *about, struct check_result *result)
{
	if (!about->is_host) {
		check_own_rights(about, result);
		return;
	}
	about->has_rights = lender_has_rights();
	if (!about->has_rights) {
		look_for_broker(about, result);
	} else if (!kernel_has_right(CAP_NET_BIND_SERVICE)) {
		check_say(
			result, CHECK_DEGRADED,
			"CAP_NET_BIND_SERVICE is missing: connections of ports below 1024 stay in "
			"the kernel");
		check_mend_by(result, "sudo", program_invocation_name, "run", "--", "PROGRAM",
			      NULL);
	} else {
		check_say(result, CHECK_OK,
			  "CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF and CAP_NET_BIND_SERVICE are here");
	}
}

/* The least map there is; nothing but the answer is wanted. */
static int try_bpf(void)
{
	union bpf_attr attributes = { .map_type = BPF_MAP_TYPE_ARRAY,
				      .key_size = sizeof(uint32_t),
				      .value_size = sizeof(uint64_t),
				      .max_entries = 1 };
	const long map =
		kernel_call(SYS_bpf, BPF_MAP_CREATE, (long)&attributes, sizeof(attributes), 0);

	if (map >= 0)
		kernel_close((int)map);
	return map < 0 ? (int)map : 0;
}

void check_bpf(struct check_about *about, struct check_result *result)
{
	int error;

	if (!about->is_host && !check_uses_xdp(about)) {
		check_say(result, CHECK_OK, "not for this device");
		return;
	}
	if (!about->has_rights) {
		check_say(result, CHECK_OK, "%s",
			  about->has_broker ? "the broker's affair" : "only root can try");
		return;
	}
	error = try_bpf();
	if (error == 0) {
		check_say(result, CHECK_OK, "bpf(2) makes maps");
		return;
	}
	check_say(result, CHECK_MISSING, "bpf(2) is refused in spite of the rights: %s%s",
		  strerror(-error),
		  error == -EPERM ? " (a filter for system calls, or lockdown)" : "");
	check_mend(result, "cat /sys/kernel/security/lockdown; grep Seccomp /proc/self/status");
}

/* ---- what a unit, a container or a launcher may have taken away ---- */

static bool is_refused(int family, int type)
{
	const long descriptor = kernel_call(SYS_socket, family, type | SOCK_CLOEXEC, 0, 0);

	if (descriptor >= 0)
		kernel_close((int)descriptor);
	return descriptor == -EAFNOSUPPORT;
}

static long status_number(const char *name)
{
	FILE *file = fopen("/proc/self/status", "re");
	const size_t length = strlen(name);
	char line[256];
	long number = -1;

	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, name, length) == 0 && line[length] == ':')
			sscanf(line + length + 1, "%ld", &number);
	if (file)
		fclose(file);
	return number;
}

void check_sandbox(struct check_about *about, struct check_result *result)
{
	const bool has_interface = about->is_host || check_takes_interface(about);
	/*
	 * The broker looks for paths and opens the tap for who has it. AF_XDP's device is claimed
	 * by a packet socket.
	 */
	const bool opens = has_interface && !about->has_broker;
	const bool netlink = opens && is_refused(AF_NETLINK, SOCK_RAW);
	const bool packet = opens && is_refused(AF_PACKET, SOCK_RAW);
	const bool xdp = check_uses_xdp(about) && is_refused(AF_XDP, SOCK_RAW);

	if (netlink || packet) {
		check_say(result, CHECK_MISSING, "sockets of %s%s%s are refused here",
			  packet ? "AF_PACKET" : "", packet && netlink ? " and " : "",
			  netlink ? "AF_NETLINK" : "");
		check_mend(result, "systemctl edit UNIT   # [Service] RestrictAddressFamilies="
				   "AF_PACKET AF_NETLINK");
	} else if (xdp) {
		check_say(result, CHECK_MISSING,
			  "sockets of AF_XDP are refused here: take packet:INTERFACE, or");
		check_mend(result,
			   "systemctl edit UNIT   # [Service] RestrictAddressFamilies=AF_XDP");
	} else if (status_number("Seccomp") == 2) {
		check_say(result, CHECK_OK,
			  "system calls are filtered (seccomp), but none of these");
	} else {
		check_say(result, CHECK_OK, "no system calls are filtered%s",
			  status_number("NoNewPrivs") == 1 ? "; NoNewPrivileges does no harm" : "");
	}
}

/* ---- memory ---- */

static long available_memory(void)
{
	FILE *file = fopen("/proc/meminfo", "re");
	char line[128];
	long kib = -1;

	while (file && kib < 0 && fgets(line, sizeof(line), file))
		sscanf(line, "MemAvailable: %ld", &kib);
	if (file)
		fclose(file);
	return kib;
}

void check_hugepages(struct check_about *about, struct check_result *result)
{
	const long all = read_number(HUGEPAGES "/nr_hugepages");
	const long unused = read_number(HUGEPAGES "/free_hugepages");

	if (unused > 0) {
		check_say(result, CHECK_OK, "%ld of %ld hugepages of 2 MiB are free", unused, all);
		return;
	}
	if (about->is_host || about->device.kind == DEVICE_LOOP) {
		check_say(result, CHECK_OK, "none is free, and %s has no use for them",
			  about->is_host ? "host mode" : "the loop");
		return;
	}
	check_say(result, CHECK_DEGRADED, "%s: stacks use ordinary pages, which is a little slower",
		  all > 0 ? "all hugepages are in use" : "there are no hugepages");
	result->file = HUGEPAGES "/nr_hugepages";
	result->number = (all > 0 ? all : 0) + HUGEPAGES_WANTED;
	check_mend(result, "echo %ld >%s", result->number, result->file);
	result->is_safe = all == 0 && available_memory() >= HUGEPAGES_MEMORY;
}

void check_memory_lock(struct check_about *about, struct check_result *result)
{
	struct rlimit limit = { 0 };

	getrlimit(RLIMIT_MEMLOCK, &limit);
	if (kernel_has_right(CAP_IPC_LOCK)) {
		check_say(result, CHECK_OK, "no limit (CAP_IPC_LOCK)");
	} else if (limit.rlim_cur >= LOCKED_WANTED || !check_uses_xdp(about)) {
		check_say(result, CHECK_OK, "enough may be locked in memory");
	} else {
		check_say(result, CHECK_MISSING,
			  "%lu KiB may be locked in memory: own mode on AF_XDP takes more",
			  (unsigned long)limit.rlim_cur / 1024);
		check_mend(result, "sudo prlimit --memlock=unlimited --pid $$");
	}
}
