/* SPDX-License-Identifier: BSD-3-Clause */
/* See program_file.h. */
#include "preload/config/program_file.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/system_call.h"

/* The kernel reads no more of a script's first line, BINPRM_BUF_SIZE of linux/binfmts.h. */
#define FIRST_LINE 256

/* Programs have about a dozen; of more than this many nothing is told. */
#define HEADERS_MAX 64

/* Rights that whoever executes it does not have: then ld.so trusts no variable. */
static const char *refuses_by_rights(const char *path, const struct stat *status)
{
	char nothing[1];

	if ((status->st_mode & S_ISUID) && status->st_uid != getuid())
		return "is set-user-ID, and ld.so leaves LD_PRELOAD out there";
	if ((status->st_mode & S_ISGID) && status->st_gid != getgid())
		return "is set-group-ID, and ld.so leaves LD_PRELOAD out there";
	/* ERANGE: there is one, and it is longer than that. */
	if (getuid() != 0 && kernel_call(SYS_getxattr, (long)path, (long)"security.capability",
					 (long)nothing, sizeof(nothing)) == -ERANGE)
		return "has file capabilities, and ld.so leaves LD_PRELOAD out there";
	return NULL;
}

/*
 * A program that names no interpreter is started without ld.so, which alone reads LD_PRELOAD.
 */
static bool is_static(int file, const Elf64_Ehdr *header)
{
	Elf64_Phdr each;

	if (header->e_phentsize != sizeof(each) || header->e_phnum > HEADERS_MAX)
		return false;
	for (unsigned i = 0; i < header->e_phnum; i++) {
		long at = (long)(header->e_phoff + i * sizeof(each));

		if (kernel_call(SYS_pread64, file, (long)&each, sizeof(each), at) !=
		    (long)sizeof(each))
			return false;
		if (each.p_type == PT_INTERP)
			return false;
	}
	return header->e_phnum > 0;
}

static const char *refuses_by_format(int file, const Elf64_Ehdr *header)
{
	const unsigned char class = sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32;

	if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0)
		return NULL;
	if (header->e_ident[EI_CLASS] != class)
		return "is a program of another word size";
	if (class == ELFCLASS64 && is_static(file, header))
		return "is linked statically, without ld.so";
	return NULL;
}

/* The interpreter's path, in line; NULL: it is no script. */
static char *interpreter(char *line)
{
	char *path = line + 2;

	if (line[0] != '#' || line[1] != '!')
		return NULL;
	path += strspn(path, " \t");
	path[strcspn(path, " \t\n")] = '\0';
	return *path ? path : NULL;
}

/* depth: of interpreters that are scripts themselves, which the kernel bounds as well. */
static const char *judge(const char *path, unsigned depth)
{
	union {
		Elf64_Ehdr header;
		char line[FIRST_LINE];
	} begin = { .line = "" };
	const char *why = NULL;
	struct stat status;
	long file =
		kernel_call(SYS_openat, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);

	if (file < 0)
		return NULL;
	if (kernel_call(SYS_fstat, file, (long)&status, 0, 0) == 0 && S_ISREG(status.st_mode) &&
	    kernel_call(SYS_pread64, file, (long)begin.line, sizeof(begin.line) - 1, 0) > 0) {
		const char *next = interpreter(begin.line);

		if (next)
			why = depth > 0 ? judge(next, depth - 1) : NULL;
		else
			why = refuses_by_format((int)file, &begin.header)
				      ?: refuses_by_rights(path, &status);
	}
	kernel_call(SYS_close, file, 0, 0, 0);
	return why;
}

const char *program_file_refuses(const char *path)
{
	return judge(path, 4);
}
