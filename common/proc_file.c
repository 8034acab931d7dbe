/* SPDX-License-Identifier: BSD-3-Clause */
/* See proc_file.h. */
#include "common/proc_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "common/own_descriptor.h"
#include "common/system_call.h"

/* Room for many entries of a folder at a time. */
#define LISTING_SIZE 4096

/* What getdents64(2) writes. */
struct entry {
	ino64_t inode;
	off64_t offset;
	unsigned short length;
	unsigned char type;
	char name[];
};

size_t proc_read(const char *path, char *text, size_t size)
{
	const long file = kernel_call(SYS_openat, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC, 0);
	long length = 0;

	if (file >= 0)
		length = kernel_call(SYS_read, file, (long)text, (long)size - 1, 0);
	kernel_close((int)file);
	if (length < 0)
		length = 0;
	text[length] = '\0';
	return (size_t)length;
}

char *process_stat(long process, char text[PROCESS_STAT_SIZE])
{
	char path[64], *end;

	snprintf(path, sizeof(path), "/proc/%ld/stat", process);
	proc_read(path, text, PROCESS_STAT_SIZE);
	end = strrchr(text, ')');
	return end && end[1] == ' ' ? end + 2 : NULL;
}

long process_parent(long process)
{
	char text[PROCESS_STAT_SIZE];
	const char *fields = process_stat(process, text);

	return fields && *fields ? strtol(fields + 1, NULL, 10) : 0;
}

int proc_each_number(const char *path, bool apart, void (*visit)(long number, void *argument),
		     void *argument)
{
	char listing[LISTING_SIZE] __attribute__((aligned(8)));
	long folder = kernel_call(SYS_openat, AT_FDCWD, (long)path,
				  O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	long size;

	if (folder < 0)
		return (int)folder;
	if (!apart)
		folder = own_descriptor((int)folder);
	while ((size = kernel_call(SYS_getdents64, folder, (long)listing, sizeof(listing), 0)) >
	       0) {
		for (long at = 0; at < size;) {
			const struct entry *entry = (const struct entry *)(listing + at);

			if (entry->name[0] >= '0' && entry->name[0] <= '9')
				visit(strtol(entry->name, NULL, 10), argument);
			at += entry->length;
		}
	}
	if (apart)
		kernel_close((int)folder);
	else
		own_descriptor_close((int)folder);
	return 0;
}
