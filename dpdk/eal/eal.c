/* SPDX-License-Identifier: BSD-3-Clause */
/* See eal.h. */
/* Of DPDK, for rte_intr_instance_alloc() and what belongs to it. */
#define ALLOW_EXPERIMENTAL_API

#include "dpdk/eal/eal.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <rte_alarm.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_interrupts.h>
#include <rte_log.h>
#include <rte_memory.h>

#include "dpdk/eal/confinement.h"
#include "dpdk/eal/journal.h"
#include "dpdk/eal/memory_policy.h"
#include "dpdk/eal/overrides.h"
#include "common/system_call.h"
#include "dpdk/eal/shell_words.h"

#define MEGABYTE ((size_t)1 << 20)

/* Rings, driver queues and DPDK's own tables beside the pool; a start takes 3 MB. */
#define MEMORY_OVERHEAD (16 * MEGABYTE)

/* A start with one queue opens 16 to 20, some of them in passing. */
#define DESCRIPTORS 24

/* How long an interrupt thread may take that is in the middle of its work. */
#define PARK_SECONDS 2

#define OWN_ARGUMENTS_MAX 12
#define ARGUMENT_LENGTH	  (CPU_SETSIZE * 5) /* a list of all processors */

static struct {
	/*
	 * Protects the rest; held while DPDK starts and ends. The control thread's mutex comes
	 * after this one.
	 */
	pthread_mutex_t mutex;
	unsigned users;
	bool spent;	/* rte_eal_init() was called: it cannot be called again */
	bool copied;	/* eal_is_copied() */
	bool inherited; /* this is a parent's copy: DPDK's own threads are not here */
	struct control_thread *control;
	FILE *stream;
} eal = { .mutex = PTHREAD_MUTEX_INITIALIZER };

/* ---- arguments ---- */

struct arguments {
	int count;
	char *word[64 + OWN_ARGUMENTS_MAX];
	char own[OWN_ARGUMENTS_MAX][ARGUMENT_LENGTH];
	unsigned own_count;
	struct shell_words user;
};

static void add_argument(struct arguments *arguments, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void add_argument(struct arguments *arguments, const char *format, ...)
{
	char *word = arguments->own[arguments->own_count++];
	va_list list;

	va_start(list, format);
	vsnprintf(word, ARGUMENT_LENGTH, format, list);
	va_end(list);
	arguments->word[arguments->count++] = word;
}

/* One lcore that may run on every processor that the program may: DPDK then pins nothing. */
static void add_processors(struct arguments *arguments)
{
	char list[ARGUMENT_LENGTH - 16];
	size_t length = 0;
	cpu_set_t set;
	int cpu;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return;
	for (cpu = 0; cpu < CPU_SETSIZE && length < sizeof(list) - 8; cpu++) {
		if (CPU_ISSET(cpu, &set))
			length += (size_t)snprintf(list + length, sizeof(list) - length, "%s%d",
						   length ? "," : "", cpu);
	}
	add_argument(arguments, "--lcores=0@(%s)", list);
}

/*
 * Whether the kernel would give that much in hugepages of any size, asked by trying. With them DPDK
 * reserves addresses for half a terabyte, so a limit on those (ulimit -v) rules them out.
 */
static bool have_hugepages(size_t memory)
{
	static const int sizes[] = { 0, 30 << MAP_HUGE_SHIFT };
	struct rlimit limit;
	size_t i;

	if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
		return false;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t page = sizes[i] ? (size_t)1 << 30 : 2 * MEGABYTE;
		size_t length = (memory + page - 1) / page * page;
		void *pages = mmap(NULL, length, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | sizes[i], -1, 0);

		if (pages != MAP_FAILED) {
			munmap(pages, length);
			return true;
		}
	}
	return false;
}

static void add_memory(struct arguments *arguments, const struct eal_need *need)
{
	size_t memory = need->memory + MEMORY_OVERHEAD;
	/* Many processes have a tap each, for which whole huge pages are too much. */
	bool is_small = need->device->kind == DEVICE_TAP;

	if (!is_small && have_hugepages(memory)) {
		add_argument(arguments, "--in-memory");
		add_argument(arguments, "--single-file-segments");
		return;
	}
	if (!is_small)
		journal_add(LOG_LEVEL_INFO, "no hugepages for %zu MB: running without",
			    memory / MEGABYTE);
	add_argument(arguments, "--no-huge");
	add_argument(arguments, "--no-shconf");
	add_argument(arguments, "-m");
	add_argument(arguments, "%zu", memory / MEGABYTE);
}

/*
 * With any of these options the user has chosen; DPDK refuses most of them together with melin's.
 */
static const char *const processor_options[] = { "-l", "-c", "-s", "--lcores", NULL };
static const char *const memory_options[] = { "-m",	      "--no-huge",	"--in-memory",
					      "--huge-dir",   "--huge-unlink",	"--legacy-mem",
					      "--socket-mem", "--socket-limit", NULL };

/* Short options may have their value in the same word, long ones behind a "=". */
static bool has_option(const struct shell_words *words, const char *const *options)
{
	size_t i;

	for (; *options; options++) {
		size_t length = strlen(*options);
		bool is_long = length > 2;

		for (i = 0; i < words->count; i++) {
			const char *word = words->word[i];

			if (strncmp(word, *options, length) == 0 &&
			    (!is_long || word[length] == '\0' || word[length] == '='))
				return true;
		}
	}
	return false;
}

/* "-h", "--help" and what getopt takes for it: DPDK then ends the process. */
static bool asks_for_help(const char *word)
{
	return strcmp(word, "-h") == 0 ||
	       (strncmp(word, "--he", 4) == 0 && strncmp(word, "--help", strlen(word)) == 0);
}

/*
 * Whether the words ask for another kind of process than the one that owns the memory: DPDK would
 * wait for such a one for ever, or use its device.
 */
static bool asks_for_secondary(const struct shell_words *words)
{
	static const char option[] = "--proc-type";
	size_t i;

	for (i = 0; i < words->count; i++) {
		const char *word = words->word[i];
		size_t length = strcspn(word, "=");
		const char *value = word[length] ? word + length + 1 : NULL;

		/* getopt takes an option that is cut short as well. */
		if (length < sizeof("--p") - 1 || length >= sizeof(option) ||
		    strncmp(word, option, length) != 0)
			continue;
		if (!value)
			value = i + 1 < words->count ? words->word[i + 1] : "";
		if (*value && strcmp(value, "primary") != 0)
			return true;
	}
	return false;
}

static int build_arguments(struct arguments *arguments, const struct eal_need *need,
			   struct reason *reason)
{
	size_t i;
	int error = shell_words_split(need->words, &arguments->user);

	if (error || arguments->user.count > 64)
		return reason_set(reason, -EINVAL, "MELIN_EAL: %s",
				  error == -EINVAL ? "a quote or a backslash is not finished"
						   : "too many words");
	if (asks_for_secondary(&arguments->user))
		return reason_set(
			reason, -EINVAL,
			"MELIN_EAL: --proc-type: the stack is a primary process of DPDK's, and no "
			"other");
	/* DPDK gives its first word to openlog(): the default that a program has anyway. */
	add_argument(arguments, "%s", program_invocation_short_name);
	add_argument(arguments, "--file-prefix=melin");
	add_argument(arguments, "--no-telemetry");
	if (!has_option(&arguments->user, processor_options))
		add_processors(arguments);
	if (!has_option(&arguments->user, memory_options))
		add_memory(arguments, need);
	if (need->device->kind == DEVICE_PCI) {
		add_argument(arguments, "-a%s%s%s", need->device->name,
			     need->device->arguments[0] ? "," : "", need->device->arguments);
	} else {
		add_argument(arguments, "--no-pci");
		/* Virtual addresses keep the pool in one piece, which net_af_xdp relies on. */
		add_argument(arguments, "--iova-mode=va");
	}
	for (i = 0; i < arguments->user.count; i++) {
		if (asks_for_help(arguments->user.word[i]))
			return reason_set(reason, -EINVAL, "MELIN_EAL: %s would end the program",
					  arguments->user.word[i]);
		arguments->word[arguments->count++] = arguments->user.word[i];
	}
	return 0;
}

/* ---- start ---- */

struct start {
	struct arguments *arguments;
	bool is_large;	   /* most of its memory will be used: for a tap little is */
	int result, error; /* rte_eal_init()'s, rte_errno */
};

/*
 * Memory that is not in hugepages may still get transparent ones, since it has not been touched
 * yet. Only memory of this process's own may (overrides.c).
 */
static int advise_hugepages(const struct rte_memseg_list *list, void *argument)
{
	(void)argument;
	madvise(list->base_va, list->len, MADV_HUGEPAGE);
	return 0;
}

static int advise_fork(const struct rte_memseg_list *list, void *argument)
{
	(void)argument;
	madvise(list->base_va, list->len, MADV_DONTFORK);
	return 0;
}

void eal_keep_memory(void)
{
	rte_memseg_list_walk(advise_fork, NULL);
}

bool eal_is_copied(void)
{
	return eal.copied;
}

static void start_work(void *argument)
{
	struct start *start = argument;

	rte_openlog_stream(eal.stream);
	start->result = rte_eal_init(start->arguments->count, start->arguments->word);
	start->error = rte_errno;
	if (start->result >= 0 && start->is_large && !rte_eal_has_hugepages())
		rte_memseg_list_walk(advise_hugepages, NULL);
}

/* DPDK's text of an error, positive or negative, and its first error line; for a reason. */
static void describe(int error, char *text, size_t size)
{
	char line[200];
	int code = error < 0 ? -error : error;

	journal_first_error(line, sizeof(line));
	snprintf(text, size, "error %d (%s)%s%s", code, rte_strerror(code),
		 line[0] ? "; DPDK says: " : "", line);
}

int eal_failure(const char *what, int error, struct reason *reason)
{
	char text[300];

	describe(error, text, sizeof(text));
	return reason_set(reason, error < 0 ? error : -error, "%s: %s", what, text);
}

static const char *remedy(int error, const struct shell_words *words)
{
	switch (error) {
	case EACCES:
	case EPERM:
		/* DPDK has the same code for hugepages that are not there. */
		if (geteuid() == 0 && has_option(words, memory_options))
			return "MELIN_EAL has it use hugepages: reserve some, or leave that option "
			       "out";
		return "run it as root, or give it CAP_NET_ADMIN, CAP_NET_RAW and CAP_BPF";
	case ENOMEM:
		return "give it more memory or hugepages, or lower MELIN_MBUFS";
	case EINVAL:
		return "look at MELIN_EAL";
	case ENODEV:
		return "look at MELIN_DEV and MELIN_EAL";
	default:
		return "MELIN_LOG=debug shows DPDK's own lines";
	}
}

/*
 * Whether the process may open as many descriptors as a start takes. DPDK's interrupt thread ends
 * the process if it cannot have its own.
 */
static bool have_descriptors(void)
{
	long taken[DESCRIPTORS];
	unsigned count = 0, i;

	while (count < DESCRIPTORS) {
		taken[count] = kernel_call(SYS_eventfd2, 0, EFD_CLOEXEC, 0, 0);
		if (taken[count] < 0)
			break;
		count++;
	}
	for (i = 0; i < count; i++)
		kernel_call(SYS_close, taken[i], 0, 0, 0);
	return count == DESCRIPTORS;
}

static enum control_table table_of(const struct device *device)
{
	if (device->late_descriptors)
		return CONTROL_IN_PROGRAMS;
	/* A tap's descriptor is none of DPDK's. */
	return device->kind == DEVICE_TAP ? CONTROL_APART : CONTROL_SHARED;
}

static int run_start(const struct eal_need *need, struct arguments *arguments,
		     struct reason *reason)
{
	struct overrides overrides = { .library = need->device->library,
				       .search = arguments->user.count > 0,
				       .software = need->device->kind != DEVICE_PCI,
				       .private_memory = need->device->kind == DEVICE_INTERFACE ||
							 need->device->kind == DEVICE_PACKET ||
							 need->device->kind == DEVICE_TAP };
	struct start start = { .arguments = arguments,
			       .is_large = need->device->kind != DEVICE_TAP };
	char text[300];
	int error;

	error = confinement_check_files(reason);
	if (error)
		return error;
	if (!have_descriptors())
		return reason_set(
			reason, -EMFILE,
			"DPDK does not start: it may open fewer than %d descriptors; raise their "
			"limit (ulimit -n)",
			DESCRIPTORS);
	eal.stream = journal_stream();
	if (!eal.stream)
		return -ENOMEM;
	error = control_start(table_of(need->device), &eal.control);
	if (error)
		return reason_set(reason, error, "cannot start a thread for DPDK: %s",
				  strerrordesc_np(-error));
	eal.spent = true;
	overrides.own_table = control_has_table(eal.control);
	if (need->device->kind != DEVICE_TAP)
		memory_policy_allow();
	overrides_prepare(&overrides);
	journal_forget();
	control_run(eal.control, start_work, &start);
	if (start.result >= 0) {
		eal.copied = need->device->kind == DEVICE_TAP && !rte_eal_has_hugepages() &&
			     overrides_memory_is_private();
		return 0;
	}
	describe(start.error, text, sizeof(text));
	control_stop(eal.control);
	eal.control = NULL;
	return reason_set(reason, start.error > 0 ? -start.error : -EIO,
			  "DPDK does not start: %s; %s", text,
			  remedy(start.error, &arguments->user));
}

static int start_anew(const struct eal_need *need, struct reason *reason)
{
	struct arguments *arguments = calloc(1, sizeof(*arguments));
	int error = arguments ? build_arguments(arguments, need, reason) : -ENOMEM;

	if (error == 0)
		error = run_start(need, arguments, reason);
	if (arguments)
		shell_words_free(&arguments->user);
	free(arguments);
	return error;
}

/* DPDK opens no descriptor any more: its thread needs no table of its own. */
static int go_on(struct reason *reason)
{
	int error = control_start(CONTROL_IN_PROGRAMS, &eal.control);

	return error ? reason_set(reason, error, "cannot start a thread for DPDK: %s",
				  strerrordesc_np(-error))
		     : 0;
}

int eal_start(const struct eal_need *need, struct control_thread **control, struct reason *reason)
{
	int error = 0;

	pthread_mutex_lock(&eal.mutex);
	if (eal.users == 0 && eal.inherited && need->device->kind == DEVICE_TAP)
		error = go_on(reason);
	else if (eal.users == 0 && eal.spent)
		error = reason_set(reason, -EALREADY,
				   "DPDK has run in this process before: it starts only once");
	else if (eal.users == 0)
		error = start_anew(need, reason);
	if (error == 0) {
		eal.users++;
		*control = eal.control;
	}
	pthread_mutex_unlock(&eal.mutex);
	return error;
}

static bool wait_for(sem_t *semaphore)
{
	struct timespec limit;

	kernel_call(SYS_clock_gettime, CLOCK_MONOTONIC, (long)&limit, 0, 0);
	limit.tv_sec += PARK_SECONDS;
	return sem_clockwait(semaphore, CLOCK_MONOTONIC, &limit) == 0;
}

static void give_up_alarm(void *given_up)
{
	kernel_give_up_capabilities();
	sem_post(given_up);
}

/*
 * DPDK's interrupt thread is reached by an alarm. The first alarm has that thread open a
 * descriptor, and without it the thread ends the process: later than now there may be no room for
 * it.
 */
static void give_up_work(void *unused)
{
	static sem_t given_up;

	(void)unused;
	sem_init(&given_up, 0, 0);
	if (eal.inherited)
		return kernel_give_up_capabilities();
	if (rte_eal_alarm_set(1, give_up_alarm, &given_up) < 0 || !wait_for(&given_up))
		journal_add(LOG_LEVEL_WARN, "DPDK's interrupt thread keeps its capabilities");
	kernel_give_up_capabilities();
}

void eal_give_up_rights(void)
{
	control_run(eal.control, give_up_work, NULL);
}

/* Closes a file without a name, which is DPDK's memory. Its pages stay as long as it is open. */
static void close_memory(int descriptor, void *context)
{
	struct stat status;

	(void)context;
	/*
	 * By an instruction of our own: libmelin.so, whose functions are in front of libc's, may
	 * have ended already.
	 */
	if (kernel_call(SYS_fstat, descriptor, (long)&status, 0, 0) == 0 &&
	    S_ISREG(status.st_mode) && status.st_nlink == 0)
		close(descriptor);
}

static void park(void *argument)
{
	sem_post(argument);
	for (;;)
		pause();
}

/*
 * DPDK's interrupt thread cannot be ended, and it looks into memory that the clean-up unmaps: for
 * what drivers had it wait for, if one of their descriptors has just had something to say. The
 * thread is brought to sleep for good in a function of melin's. False: it does not come.
 */
static bool park_interrupts(void)
{
	static sem_t parked;
	struct rte_intr_handle *handle = rte_intr_instance_alloc(RTE_INTR_INSTANCE_F_PRIVATE);
	int event = (int)kernel_call(SYS_eventfd2, 1, EFD_CLOEXEC, 0, 0);

	sem_init(&parked, 0, 0);
	if (!handle || event < 0 || rte_intr_fd_set(handle, event) ||
	    rte_intr_type_set(handle, RTE_INTR_HANDLE_EXT) ||
	    rte_intr_callback_register(handle, park, &parked) < 0)
		return false;
	return wait_for(&parked);
}

/*
 * The interrupt thread keeps its descriptors. In a table that is the program's too, which memory
 * file is whose cannot be known.
 */
static void stop_work(void *argument)
{
	if (eal.inherited)
		return;
	if (park_interrupts())
		rte_eal_cleanup();
	else
		journal_add(LOG_LEVEL_DEBUG, "DPDK's interrupt thread is busy: no clean-up");
	if (control_has_table(argument))
		control_visit(argument, close_memory, NULL);
}

void eal_stop(void)
{
	pthread_mutex_lock(&eal.mutex);
	if (--eal.users == 0) {
		control_run(eal.control, stop_work, eal.control);
		control_stop(eal.control);
		eal.control = NULL;
	}
	pthread_mutex_unlock(&eal.mutex);
}

void eal_abandon(void)
{
	/*
	 * A thread of the parent's, which does not exist in the child, may have held the mutex at
	 * the fork.
	 */
	pthread_mutex_init(&eal.mutex, NULL);
	if (eal.control)
		control_abandon(eal.control);
	eal.control = NULL;
	eal.users = 0;
	eal.spent = true;
	eal.inherited = eal.copied;
}
