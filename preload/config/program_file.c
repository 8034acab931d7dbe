/* SPDX-License-Identifier: BSD-3-Clause */
/* See program_file.h. */
#include "preload/config/program_file.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
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

/* What program headers tell of who starts the program, and of who has made it. */
struct headers {
	char loader[64]; /* the dynamic loader's path, cut; empty: none is named */
	bool go;	 /* the mark of Go's linker */
};

static bool read_at(int file, void *to, size_t size, uint64_t at)
{
	return kernel_call(SYS_pread64, file, (long)to, (long)size, (long)at) == (long)size;
}

/* Go's linker notes the build's identifier by a type of its own: cmd/internal/buildid of Go. */
static bool is_go_note(int file, const Elf64_Phdr *header)
{
	struct {
		Elf64_Nhdr note;
		char name[4];
	} begin;

	return header->p_filesz >= sizeof(begin) &&
	       read_at(file, &begin, sizeof(begin), header->p_offset) &&
	       begin.note.n_namesz == sizeof(begin.name) && begin.note.n_type == 4 &&
	       memcmp(begin.name, "Go\0", sizeof(begin.name)) == 0;
}

/* False: nothing can be told. */
static bool read_headers(int file, const Elf64_Ehdr *header, struct headers *headers)
{
	Elf64_Phdr each;
	size_t length;

	*headers = (struct headers){ .go = false };
	if (header->e_phentsize != sizeof(each) || !header->e_phnum ||
	    header->e_phnum > HEADERS_MAX)
		return false;
	for (unsigned i = 0; i < header->e_phnum; i++) {
		if (!read_at(file, &each, sizeof(each), header->e_phoff + i * sizeof(each)))
			return false;
		if (each.p_type == PT_NOTE && is_go_note(file, &each))
			headers->go = true;
		if (each.p_type != PT_INTERP)
			continue;
		length = each.p_filesz < sizeof(headers->loader) ? each.p_filesz
								 : sizeof(headers->loader);
		if (!read_at(file, headers->loader, length, each.p_offset))
			return false;
		headers->loader[length ? length - 1 : 0] = '\0';
	}
	return true;
}

static const char *refuses_by_headers(int file, const Elf64_Ehdr *header)
{
	struct headers headers;

	if (!read_headers(file, header, &headers))
		return NULL;
	if (headers.go)
		return "is a Go program, which makes its system calls without libc";
	if (!headers.loader[0])
		return "is linked statically, without ld.so";
	if (strstr(headers.loader, "/ld-musl"))
		return "is linked with musl, whose loader cannot load a library for glibc";
	return NULL;
}

static const char *refuses_by_format(int file, const Elf64_Ehdr *header)
{
	const unsigned char class = sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32;

	if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0)
		return NULL;
	if (header->e_ident[EI_CLASS] != class)
		return class == ELFCLASS64 ? "is a 32-bit program, and libmelin.so a 64-bit library"
					   : "is a program of another word size";
#ifdef __x86_64__
	if (header->e_machine != EM_X86_64)
		return "is a program for another kind of processor";
#endif
	return class == ELFCLASS64 ? refuses_by_headers(file, header) : NULL;
}

/* The interpreter's path, in line, and its one argument, as the kernel cuts them. */
static char *interpreter(char *line, char **argument)
{
	char *path = line + 2, *end;

	if (line[0] != '#' || line[1] != '!')
		return NULL;
	line[strcspn(line, "\n")] = '\0';
	path += strspn(path, " \t");
	end = path + strcspn(path, " \t");
	*argument = end + strspn(end, " \t");
	*end = '\0';
	return *path ? path : NULL;
}

/* ---- scripts that leave the choice to env(1) ---- */

static bool is_env(const char *path)
{
	const char *slash = strrchr(path, '/');

	return strcmp(slash ? slash + 1 : path, "env") == 0;
}

/* Options of env's that have a value. */
static const char *const valued[] = { "--unset", "--chdir", "--argv0" };

/*
 * One word that begins with '-': whether the next word is its value. *rest: what -S is to split,
 * which begins within the word or behind it; NULL: the word is none of -S.
 */
static bool takes_next(char *word, char **rest)
{
	static const char split[] = "--split-string";

	*rest = NULL;
	if (strncmp(word, split, sizeof(split) - 1) == 0) {
		*rest = word + sizeof(split) - 1 + (word[sizeof(split) - 1] == '=');
		return false;
	}
	for (size_t i = 0; i < sizeof(valued) / sizeof(valued[0]); i++)
		if (strcmp(word, valued[i]) == 0)
			return true;
	if (word[1] == '-')
		return false;
	for (char *letter = word + 1; *letter; letter++) {
		if (*letter == 'S') {
			*rest = letter + 1;
			return false;
		}
		if (strchr("uCa", *letter))
			return !letter[1];
	}
	return false;
}

/*
 * The program that env is asked to start, in its argument; NULL: none, or it is not told. Without
 * -S the argument is one word, whatever blanks are in it.
 */
static char *program_of_env(char *argument)
{
	bool splits = false;

	while (*argument) {
		const size_t length = splits ? strcspn(argument, " \t") : strlen(argument);
		char *next = argument + length, *rest;

		if (*argument != '-' && !memchr(argument, '=', length)) {
			*next = '\0';
			return argument;
		}
		if (*argument == '-') {
			/* The word ends here, unless -S in it has the rest of the line. */
			const char end = *next;
			bool takes;

			*next = '\0';
			takes = takes_next(argument, &rest);
			*next = end;
			if (rest) {
				splits = true;
				next = rest;
			} else if (takes) {
				next += strspn(next, " \t");
				next += strcspn(next, " \t");
			}
		}
		argument = next + strspn(next, " \t");
	}
	return NULL;
}

/* As execvp(3) looks for it, in this process's environment. False: it is not there. */
static bool find_program(const char *name, char path[PATH_MAX])
{
	const char *folder = getenv("PATH") ?: "/bin:/usr/bin";
	int length = snprintf(path, PATH_MAX, "%s", name);

	if (strchr(name, '/'))
		return length < PATH_MAX;
	for (;;) {
		const int end = (int)strcspn(folder, ":");

		length = snprintf(path, PATH_MAX, "%.*s%s%s", end, folder, end ? "/" : "", name);
		if (length < PATH_MAX &&
		    kernel_call(SYS_faccessat, AT_FDCWD, (long)path, X_OK, 0) == 0)
			return true;
		if (!folder[end])
			return false;
		folder += end + 1;
	}
}

/* ---- the judgement ---- */

static const char *judge(const char *path, unsigned depth, char culprit[PROGRAM_CULPRIT]);

static const char *judge_interpreter(const char *path, char *argument, unsigned depth,
				     char culprit[PROGRAM_CULPRIT])
{
	char program[PATH_MAX];
	const char *why = judge(path, depth, culprit), *name;

	if (why || !is_env(path))
		return why;
	name = program_of_env(argument);
	return name && find_program(name, program) ? judge(program, depth, culprit) : NULL;
}

/* depth: of interpreters that are scripts themselves, which the kernel bounds as well. */
static const char *judge(const char *path, unsigned depth, char culprit[PROGRAM_CULPRIT])
{
	union {
		Elf64_Ehdr header;
		char line[FIRST_LINE];
	} begin = { .line = "" };
	const char *why = NULL;
	struct stat status;
	char *argument;
	long file =
		kernel_call(SYS_openat, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);

	if (file < 0)
		return NULL;
	if (kernel_call(SYS_fstat, file, (long)&status, 0, 0) == 0 && S_ISREG(status.st_mode) &&
	    kernel_call(SYS_pread64, file, (long)begin.line, sizeof(begin.line) - 1, 0) > 0) {
		const char *next = interpreter(begin.line, &argument);

		if (next)
			why = depth > 0 ? judge_interpreter(next, argument, depth - 1, culprit)
					: NULL;
		else
			why = refuses_by_format((int)file, &begin.header)
				      ?: refuses_by_rights(path, &status);
		if (why && !next)
			strncat(culprit, path, PROGRAM_CULPRIT - 1);
	}
	kernel_call(SYS_close, file, 0, 0, 0);
	return why;
}

const char *program_file_refuses(const char *path, char culprit[PROGRAM_CULPRIT])
{
	culprit[0] = '\0';
	return judge(path, 4, culprit);
}
