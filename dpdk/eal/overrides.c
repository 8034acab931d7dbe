/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * See overrides.h. Each function here stands in for what one library of DPDK imports:
 *
 *  openlog      DPDK takes over syslog's identification, which is the program's.
 *  printf, ...  DPDK answers an argument that it does not know with its whole usage text on
 *               standard output, which is the program's.
 *  fprintf      DPDK writes what keeps it from starting to standard error, which is the program's,
 *               and then once more to its log.
 *  dlopen       DPDK asks by it whether it is linked as a shared library, and if so loads every
 *               driver of its folder: 128 libraries, 40 ms. If the driver is known, it alone is
 *               loaded here.
 *  access       DPDK looks for each of 1,024 processors on each of 32 nodes: 5,000 calls, as long
 *               as all the rest of its start. For those that the machine cannot have it is
 *               answered here.
 *  nanosleep    measuring the processor's clock takes 100 ms; 5 ms are exact to the 10 MHz to which
 *               DPDK rounds.
 *  pthread_setaffinity_np  each of DPDK's threads is given the processors that it has already, by
 *               a call for which the filter of a hardened service may end the process.
 *  memfd_create without hugepages DPDK's memory is a file that others can map. Memory of our own
 *               can have transparent huge pages: it is there faster and is faster.
 *  sigaction    (net_tap) it has a real-time signal sent to the process for every frame, and looks
 *               for frames only after one: the program's calls would be interrupted, and a program
 *               that blocks signals would get no frames. Told that all signals are taken, it
 *               always looks.
 *  bpf_xdp_attach, bpf_xdp_detach (net_af_xdp) leave the XDP program on the interface when the
 *               process is killed.
 */
#include "dpdk/eal/overrides.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>

#include "common/proc_file.h"
#include "dpdk/eal/descriptor_imports.h"
#include "dpdk/eal/device.h"
#include "dpdk/eal/memif_guard.h"
#include "dpdk/eal/imports.h"
#include "dpdk/eal/journal.h"

#define CALIBRATION_NS	     100000000
#define CALIBRATION_SHORT_NS 5000000
#define VERSION_LENGTH	     16

static const char eal[] = "librte_eal.so";

/* The one interface that has a bpf_link. On the thread that owns DPDK only. */
static int attachment = -1, attached_ifindex;
static bool released; /* it is not the driver's to detach any more */

/* DPDK has been refused a file for its memory. On the same thread, and after its work on any. */
static bool memory_is_private;

/* In the place of what has nothing to say: nobody looks at what it returns. */
static int do_nothing(void)
{
	return 0;
}

__attribute__((format(printf, 2, 3))) static int override_fprintf(FILE *stream, const char *format,
								  ...)
{
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = stream == stderr ? 0 : vfprintf(stream, format, arguments);
	va_end(arguments);
	return length;
}

__attribute__((format(printf, 3, 4))) static int override_fprintf_chk(FILE *stream, int flag,
								      const char *format, ...)
{
	va_list arguments;
	int length;

	(void)flag;
	va_start(arguments, format);
	length = stream == stderr ? 0 : vfprintf(stream, format, arguments);
	va_end(arguments);
	return length;
}

static void *override_dlopen(const char *name, int flags)
{
	return flags & RTLD_NOLOAD ? NULL : dlopen(name, flags);
}

/* The largest number of a processor that may ever be there; -1: unknown. The list has it last. */
static long find_last_processor(void)
{
	char list[4096];
	const size_t length = proc_read("/sys/devices/system/cpu/possible", list, sizeof(list));
	const char *last;

	if (length == 0 || list[length - 1] != '\n')
		return -1;
	last = list + strcspn(list, "\n");
	while (last > list && last[-1] >= '0' && last[-1] <= '9')
		last--;
	return strtol(last, NULL, 10);
}

/* The number behind the prefix; false: the path begins otherwise. */
static bool number_behind(const char *path, const char *prefix, unsigned long *number)
{
	const size_t length = strlen(prefix);

	if (strncmp(path, prefix, length) != 0)
		return false;
	*number = strtoul(path + length, NULL, 10);
	return true;
}

/* Set by overrides_prepare(), and only read after that. -1: unknown. */
static long last_processor = -1;

/*
 * A processor that cannot be there is on the first node: so DPDK has it if it has found it on none.
 */
static int override_access(const char *path, int mode)
{
	const char *last = strrchr(path, '/');
	unsigned long number;

	if (last_processor < 0)
		return access(path, mode);
	if (number_behind(path, "/sys/devices/system/node/node", &number) && last &&
	    number_behind(last, "/cpu", &number) && number > (unsigned long)last_processor)
		return 0;
	if (number_behind(path, "/sys/devices/system/cpu/cpu", &number) &&
	    number > (unsigned long)last_processor) {
		errno = ENOENT;
		return -1;
	}
	return access(path, mode);
}

static int override_nanosleep(const struct timespec *time, struct timespec *rest)
{
	const struct timespec short_time = { .tv_nsec = CALIBRATION_SHORT_NS };

	if (time->tv_sec == 0 && time->tv_nsec == CALIBRATION_NS)
		time = &short_time;
	return nanosleep(time, rest);
}

static int override_setaffinity(pthread_t thread, size_t size, const cpu_set_t *wanted)
{
	cpu_set_t now;

	if (size == sizeof(now) && pthread_getaffinity_np(thread, size, &now) == 0 &&
	    CPU_EQUAL(&now, wanted))
		return 0;
	return pthread_setaffinity_np(thread, size, wanted);
}

static int override_memfd_create(const char *name, unsigned flags)
{
	if (strcmp(name, "nohuge") != 0)
		return memfd_create(name, flags);
	memory_is_private = true;
	errno = ENOSYS;
	return -1;
}

static int override_sigaction(int number, const struct sigaction *action, struct sigaction *old)
{
	(void)number;
	if (old) {
		memset(old, 0, sizeof(*old));
		old->sa_handler = SIG_IGN;
	}
	return action ? -1 : 0;
}

static int override_xdp_attach(int ifindex, int program, __u32 flags,
			       const struct bpf_xdp_attach_opts *options)
{
	int link = -1;

	if (program >= 0 && attachment < 0)
		link = bpf_link_create(program, ifindex, BPF_XDP, NULL);
	if (link < 0)
		return bpf_xdp_attach(ifindex, program, flags, options);
	attachment = link;
	released = false;
	attached_ifindex = ifindex;
	return 0;
}

static int override_xdp_detach(int ifindex, __u32 flags, const struct bpf_xdp_attach_opts *options)
{
	if (released && ifindex == attached_ifindex)
		return 0;
	if (attachment < 0 || ifindex != attached_ifindex)
		return bpf_xdp_detach(ifindex, flags, options);
	close(attachment);
	attachment = -1;
	return 0;
}

bool overrides_memory_is_private(void)
{
	return memory_is_private;
}

void overrides_release_xdp(void)
{
	if (attachment < 0)
		return;
	close(attachment);
	attachment = -1;
	released = true;
}

static void replace(const char *library, const char *symbol, void *function)
{
	if (imports_replace(library, symbol, function) < 0)
		journal_add(LOG_LEVEL_DEBUG, "%s does not import %s", library, symbol);
}

/* The version of the DPDK that is here, as file names have it (".23"). */
static int find_version(struct dl_phdr_info *info, size_t size, void *context)
{
	const char *slash = strrchr(info->dlpi_name, '/');
	const char *name = slash ? slash + 1 : info->dlpi_name;

	(void)size;
	if (strncmp(name, eal, sizeof(eal) - 1) != 0)
		return 0;
	snprintf(context, VERSION_LENGTH, "%s", name + sizeof(eal) - 1);
	return 1;
}

static bool load(const char *library)
{
	char version[VERSION_LENGTH], name[DEVICE_NAME_MAX + VERSION_LENGTH];

	if (!dl_iterate_phdr(find_version, version))
		return false;
	snprintf(name, sizeof(name), "%s%s", library, version);
	if (dlopen(name, RTLD_NOW | RTLD_LOCAL))
		return true;
	journal_add(LOG_LEVEL_DEBUG, "%s", dlerror());
	return false;
}

/* What each start needs, whatever the device. */
static const char *const always[] = { "librte_mempool_ring.so", "librte_mempool_stack.so" };

static bool load_always(void)
{
	bool loaded = true;

	for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++)
		loaded = loaded && load(always[i]);
	return loaded;
}

/*
 * They come with this module, in the one dlopen() that exit(3) waits for before it runs the
 * destructors of what is loaded. One that loads a library of DPDK's after them runs anew the
 * constructors of those that it needs, and DPDK ends the process: this is registered already.
 */
__attribute__((constructor)) static void load_early(void)
{
	load_always();
}

static void override_driver(const struct overrides *overrides)
{
	const char *library = overrides->library;

	if (strcmp(library, DEVICE_XDP_LIBRARY) == 0) {
		replace(library, "bpf_xdp_attach", (void *)override_xdp_attach);
		replace(library, "bpf_xdp_detach", (void *)override_xdp_detach);
	} else if (strcmp(library, DEVICE_TAP_LIBRARY) == 0) {
		replace(library, "sigaction", (void *)override_sigaction);
	}
	if (strcmp(library, DEVICE_MEMIF_LIBRARY) == 0)
		memif_guard_prepare(library);
	if (!overrides->search)
		replace(eal, "dlopen", (void *)override_dlopen);
}

void overrides_prepare(const struct overrides *overrides)
{
	replace(eal, "openlog", (void *)do_nothing);
	replace(eal, "closelog", (void *)do_nothing);
	/* The compiler that built this DPDK chose one of the two functions. */
	if (imports_replace(eal, "__printf_chk", (void *)do_nothing) < 0)
		replace(eal, "printf", (void *)do_nothing);
	if (imports_replace(eal, "__fprintf_chk", (void *)override_fprintf_chk) < 0)
		replace(eal, "fprintf", (void *)override_fprintf);
	replace(eal, "puts", (void *)do_nothing);
	replace(eal, "putchar", (void *)do_nothing);
	last_processor = find_last_processor();
	replace(eal, "access", (void *)override_access);
	replace(eal, "pthread_setaffinity_np", (void *)override_setaffinity);
	if (overrides->library && load(overrides->library) && load_always())
		override_driver(overrides);
	if (!overrides->own_table)
		descriptor_imports_prepare(overrides->library);
	if (overrides->software)
		replace(eal, "nanosleep", (void *)override_nanosleep);
	if (overrides->private_memory)
		replace(eal, "memfd_create", (void *)override_memfd_create);
}
