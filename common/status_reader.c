/* SPDX-License-Identifier: BSD-3-Clause */
/* See status_reader.h. */
#include "common/status_reader.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/proc_file.h"
#include "common/system_call.h"

/* ---- finding ---- */

/* Whether the process has a page in its memory, which is quicker to see than by descriptors. */
static int has_page(pid_t process)
{
	char path[64], *line = NULL;
	size_t size = 0;
	int found = -ENOENT;
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%d/maps", process);
	maps = fopen(path, "re");
	if (!maps)
		return errno == ENOENT ? -ESRCH : -errno;
	while (found < 0 && getline(&line, &size, maps) > 0)
		if (strstr(line, "/memfd:" STATUS_PAGE_NAME))
			found = 0;
	if (found < 0 && ferror(maps))
		found = -errno;
	free(line);
	fclose(maps);
	return found;
}

static bool is_page(int folder, const char *name)
{
	static const char begins[] = "/memfd:" STATUS_PAGE_NAME;
	char target[sizeof(begins) + 32];
	ssize_t length = readlinkat(folder, name, target, sizeof(target) - 1);

	return length >= (ssize_t)sizeof(begins) - 1 &&
	       memcmp(target, begins, sizeof(begins) - 1) == 0;
}

/*
 * The process may put another file behind the number at any moment, one whose opening does
 * something: it is looked at before it is opened.
 */
static int open_page(int folder, const char *name)
{
	const int found = openat(folder, name, O_PATH | O_CLOEXEC);
	struct stat attributes;
	char path[32];
	int file = -EPROTO;

	if (found < 0)
		return -errno;
	if (fstat(found, &attributes) == 0 && S_ISREG(attributes.st_mode) &&
	    attributes.st_nlink == 0 && (size_t)attributes.st_size == sizeof(struct status_page)) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", found);
		file = open(path, O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
		if (file < 0)
			file = -errno;
	}
	kernel_close(found);
	return file;
}

static int open_file(pid_t process)
{
	char path[64];
	struct dirent *entry;
	int file = -ENOENT;
	DIR *folder;

	snprintf(path, sizeof(path), "/proc/%d/fd", process);
	folder = opendir(path);
	if (!folder)
		return -errno;
	while (file < 0 && (entry = readdir(folder)))
		if (isdigit((unsigned char)entry->d_name[0]) &&
		    is_page(dirfd(folder), entry->d_name))
			file = open_page(dirfd(folder), entry->d_name);
	closedir(folder);
	return file;
}

/* A process could make the file shorter under its readers, who would get SIGBUS. */
static int map_file(int file, struct status_page **page)
{
	const long seals = kernel_call(SYS_fcntl, file, F_GET_SEALS, 0, 0);
	struct stat attributes;
	void *memory;

	if (seals < 0 || !(seals & F_SEAL_SHRINK) || fstat(file, &attributes) < 0 ||
	    (size_t)attributes.st_size != sizeof(struct status_page))
		return -EPROTO;
	memory =
		mmap(NULL, sizeof(struct status_page), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (memory == MAP_FAILED)
		return -errno;
	*page = memory;
	return 0;
}

/* The number that the process has in its own PID namespace: the last of NSpid. */
static uint32_t own_number(pid_t process)
{
	char path[64], line[256];
	uint32_t number = 0;
	FILE *status;

	snprintf(path, sizeof(path), "/proc/%d/status", process);
	status = fopen(path, "re");
	while (status && fgets(line, sizeof(line), status))
		if (strncmp(line, "NSpid:", 6) == 0)
			number = (uint32_t)strtoul(strrchr(line, '\t'), NULL, 10);
	if (status)
		fclose(status);
	return number;
}

static int check_page(const struct status_page *page, pid_t process)
{
	if (page->magic != STATUS_PAGE_MAGIC || page->version != STATUS_PAGE_VERSION)
		return -EPROTO;
	/* It is its parent's: the process was made in a way that melin has not seen. */
	return page->process == own_number(process) ? 0 : -ENOENT;
}

void status_make_printable(char *text, size_t size)
{
	text[size - 1] = '\0';
	for (; *text; text++)
		if (!isprint((unsigned char)*text))
			*text = '?';
}

static void read_name(pid_t process, char *name, size_t size)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/comm", process);
	if (!proc_read(path, name, size))
		snprintf(name, size, "?");
	name[strcspn(name, "\n")] = '\0';
	status_make_printable(name, size);
}

int status_open(pid_t process, struct status_reader *reader)
{
	int status = has_page(process);

	memset(reader, 0, sizeof(*reader));
	reader->process = process;
	if (status == 0)
		status = reader->file = open_file(process);
	if (status >= 0) {
		status = map_file(reader->file, &reader->page);
		if (status == 0)
			status = check_page(reader->page, process);
		if (status < 0)
			status_close(reader);
	}
	if (status < 0)
		return status == -EPERM ? -EACCES : status;
	read_name(process, reader->program, sizeof(reader->program));
	return 0;
}

void status_close(struct status_reader *reader)
{
	if (reader->page)
		munmap(reader->page, sizeof(*reader->page));
	kernel_close(reader->file);
	reader->page = NULL;
}

static int by_number(const void *a, const void *b)
{
	const pid_t first = *(const pid_t *)a, second = *(const pid_t *)b;

	return (first > second) - (first < second);
}

pid_t *status_processes(size_t *count)
{
	DIR *folder = opendir("/proc");
	pid_t *list = NULL, *more;
	struct dirent *entry;

	*count = 0;
	while (folder && (entry = readdir(folder))) {
		pid_t process = (pid_t)strtol(entry->d_name, NULL, 10);

		if (process <= 0 || has_page(process) < 0)
			continue;
		more = realloc(list, (*count + 1) * sizeof(*list));
		if (!more)
			break;
		list = more;
		list[(*count)++] = process;
	}
	if (folder)
		closedir(folder);
	if (list)
		qsort(list, *count, sizeof(*list), by_number);
	return list;
}

/* ---- asking ---- */

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Other readers are done in a moment. Whoever does not end must not keep this one waiting. */
static int wait_for_turn(int file, uint64_t deadline)
{
	const struct timespec moment = { .tv_nsec = 2000000 };

	while (flock(file, LOCK_EX | LOCK_NB) < 0) {
		if (now_ms() >= deadline)
			return -ETIMEDOUT;
		nanosleep(&moment, NULL);
	}
	return 0;
}

static void ring(struct status_page *page)
{
	atomic_fetch_add(&page->bell, 1);
	kernel_call(SYS_futex, (long)&page->bell, FUTEX_WAKE, INT_MAX, 0);
}

static int wait_for_answer(struct status_page *page, uint32_t asked, uint64_t deadline)
{
	for (;;) {
		const uint32_t answered = atomic_load(&page->answered);
		const uint64_t now = now_ms();
		const uint64_t left = now < deadline ? deadline - now : 0;
		/* The process may end, and nobody rings then: so it is looked at now and then. */
		const struct timespec limit = { .tv_nsec = left < 100 ? (long)left * 1000000
								      : 100000000 };

		if (answered == asked)
			return 0;
		if (!left)
			return -ETIMEDOUT;
		kernel_call(SYS_futex, (long)&page->answered, FUTEX_WAIT, answered, (long)&limit);
	}
}

int status_ask(struct status_reader *reader, uint32_t wanted, uint32_t first, unsigned limit_ms)
{
	struct status_page *page = reader->page;
	const uint64_t deadline = now_ms() + limit_ms;
	uint32_t asked;

	if (wait_for_turn(reader->file, deadline) < 0)
		return -EBUSY;
	atomic_store(&page->first, first);
	asked = (atomic_load(&page->asked) / STATUS_ASK_STEP + 1) * STATUS_ASK_STEP + wanted;
	atomic_store(&page->asked, asked);
	ring(page);
	if (!atomic_load(&page->thread))
		return -ENOENT;
	return wait_for_answer(page, asked, deadline);
}

void status_done(struct status_reader *reader)
{
	flock(reader->file, LOCK_UN);
}

void status_set_drained(struct status_reader *reader, bool drained)
{
	atomic_store(&reader->page->drained, drained);
}
