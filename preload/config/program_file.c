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
#include <sys/auxv.h>
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

/* Of a segment with notes: the linker's own, which come first, are some 150 bytes. */
#define NOTES_READ 1024

/* Go's linker notes the build's identifier by a type of its own: cmd/internal/buildid of Go. */
static bool is_gos(const Elf64_Nhdr *note, const unsigned char *name)
{
	return note->n_namesz == 4 && note->n_type == 4 && memcmp(name, "Go\0", 4) == 0;
}

static size_t padded(size_t size, size_t alignment)
{
	return (size + alignment - 1) / alignment * alignment;
}

/* A C compiler that links the program, for cgo, puts notes of its own in front. */
static bool has_go_note(const unsigned char *notes, size_t size, size_t alignment)
{
	Elf64_Nhdr note;
	size_t at = 0, length;

	if (alignment != 8)
		alignment = 4;
	while (size - at >= sizeof(note) + 4) {
		memcpy(&note, notes + at, sizeof(note));
		if (is_gos(&note, notes + at + sizeof(note)))
			return true;
		length = padded(padded(sizeof(note) + note.n_namesz, alignment) + note.n_descsz,
				alignment);
		if (length > size - at)
			return false;
		at += length;
	}
	return false;
}

static bool is_go_note(int file, const Elf64_Phdr *header)
{
	unsigned char notes[NOTES_READ];
	const size_t size = header->p_filesz < sizeof(notes) ? header->p_filesz : sizeof(notes);

	return read_at(file, notes, size, header->p_offset) &&
	       has_go_note(notes, size, header->p_align);
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

/* Where execvp(3) looks if there is no PATH. */
#define DEFAULT_PATH "/bin:/usr/bin"

/* What env(1) is asked to start, and how it finds that. Points into the script's first line. */
struct env_call {
	char *program;	    /* NULL: none, or it is not told */
	const char *path;   /* the variable PATH that it looks by */
	const char *folder; /* where relative names begin; NULL: in this process's */
	bool drops_library; /* the program will be without LD_PRELOAD */
};

static void clear_environment(struct env_call *call)
{
	call->path = DEFAULT_PATH;
	call->drops_library = true;
}

static void unset_variable(struct env_call *call, const char *name)
{
	if (strcmp(name, "PATH") == 0)
		call->path = DEFAULT_PATH;
	call->drops_library |= strcmp(name, "LD_PRELOAD") == 0;
}

static void set_variable(struct env_call *call, const char *word)
{
	if (strncmp(word, "PATH=", 5) == 0)
		call->path = word + 5;
	if (strncmp(word, "LD_PRELOAD=", 11) == 0)
		call->drops_library = !strstr(word, "libmelin.so");
}

static void change_folder(struct env_call *call, const char *folder)
{
	call->folder = folder;
}

static void ignore_value(struct env_call *call, const char *value)
{
	(void)call;
	(void)value;
}

typedef void take_value(struct env_call *call, const char *value);

/* Options of env's that have a value. */
static const struct {
	char letter;
	const char *name;
	take_value *take;
} valued[] = {
	{ 'u', "--unset", unset_variable },
	{ 'C', "--chdir", change_folder },
	{ 'a', "--argv0", ignore_value },
};

#define VALUED (sizeof(valued) / sizeof(valued[0]))

/*
 * One word that begins with '-'. Returns what is to be called with the next word, which is its
 * value, or NULL. *split: what -S is to split, which begins within the word or behind it; NULL: the
 * word is none of -S.
 */
static take_value *take_option(struct env_call *call, char *word, char **split)
{
	static const char long_split[] = "--split-string";
	const size_t length = strcspn(word, "=");

	*split = NULL;
	if (strncmp(word, long_split, sizeof(long_split) - 1) == 0)
		*split = word + sizeof(long_split) - 1 + (word[sizeof(long_split) - 1] == '=');
	else if (strcmp(word, "-") == 0 || strcmp(word, "--ignore-environment") == 0)
		clear_environment(call);
	for (size_t i = 0; i < VALUED; i++) {
		if (strncmp(word, valued[i].name, length) != 0 || valued[i].name[length])
			continue;
		if (!word[length])
			return valued[i].take;
		valued[i].take(call, word + length + 1);
	}
	for (char *letter = word + 1; word[1] != '-' && *letter && !*split; letter++) {
		if (*letter == 'S')
			*split = letter + 1;
		if (*letter == 'i')
			clear_environment(call);
		for (size_t i = 0; i < VALUED; i++) {
			if (*letter != valued[i].letter)
				continue;
			if (!letter[1])
				return valued[i].take;
			valued[i].take(call, letter + 1);
			return NULL;
		}
	}
	return NULL;
}

/* Without -S the argument is one word, whatever blanks are in it. */
static struct env_call read_env(char *argument)
{
	struct env_call call = { .path = getenv("PATH") ?: DEFAULT_PATH };
	take_value *take = NULL;
	bool splits = false;

	while (*argument && !call.program) {
		char *word = argument, *split = NULL;
		char *next = word + (splits ? strcspn(word, " \t") : strlen(word));
		const char end = *next;

		*next = '\0';
		if (take) {
			take(&call, word);
			take = NULL;
		} else if (*word == '-') {
			take = take_option(&call, word, &split);
		} else if (strchr(word, '=')) {
			set_variable(&call, word);
		} else {
			call.program = word;
		}
		splits |= split != NULL;
		if (split)
			*next = end;
		argument = split ?: next + (end != '\0');
		argument += strspn(argument, " \t");
	}
	return call;
}

/* Puts env(1)'s folder in front of a relative name. Returns whether the result fits. */
static bool join(const struct env_call *call, const char *folder, int length, char path[PATH_MAX])
{
	const bool is_absolute = length ? *folder == '/' : *call->program == '/';

	return snprintf(path, PATH_MAX, "%s%s%.*s%s%s",
			call->folder && !is_absolute ? call->folder : "",
			call->folder && !is_absolute ? "/" : "", length, folder, length ? "/" : "",
			call->program) < PATH_MAX;
}

/* Looks for the program as execvp(3) does in env's environment. False: it is not there. */
static bool find_program(const struct env_call *call, char path[PATH_MAX])
{
	const char *folder = call->path;

	if (strchr(call->program, '/'))
		return join(call, "", 0, path);
	for (;;) {
		const int length = (int)strcspn(folder, ":");

		if (join(call, folder, length, path) &&
		    kernel_call(SYS_faccessat, AT_FDCWD, (long)path, X_OK, 0) == 0)
			return true;
		if (!folder[length])
			return false;
		folder += length + 1;
	}
}

/* ---- the judgement ---- */

static const char *judge(const char *path, unsigned depth, char culprit[PROGRAM_CULPRIT]);

static const char *judge_interpreter(const char *path, char *argument, unsigned depth,
				     char culprit[PROGRAM_CULPRIT])
{
	char program[PATH_MAX];
	const char *why = judge(path, depth, culprit);
	struct env_call call;

	if (why || !is_env(path))
		return why;
	call = read_env(argument);
	if (!call.program || !find_program(&call, program))
		return NULL;
	why = judge(program, depth, culprit);
	if (why || !call.drops_library)
		return why;
	strncat(culprit, path, PROGRAM_CULPRIT - 1);
	return "is told by the script to leave LD_PRELOAD out";
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

/* ---- this program ---- */

bool program_file_is_go(void)
{
	const Elf64_Phdr *header = (const Elf64_Phdr *)getauxval(AT_PHDR);
	const size_t count = header ? getauxval(AT_PHNUM) : 0;
	uintptr_t base = 0; /* what the addresses in a program that can be anywhere begin from */
	bool go = false;

	if (getauxval(AT_PHENT) != sizeof(*header))
		return false;
	for (size_t i = 0; i < count; i++)
		if (header[i].p_type == PT_PHDR)
			base = (uintptr_t)header - header[i].p_vaddr;
	for (size_t i = 0; i < count; i++)
		if (header[i].p_type == PT_NOTE && (header[i].p_flags & PF_R) && header[i].p_vaddr)
			go |= has_go_note((const unsigned char *)(base + header[i].p_vaddr),
					  header[i].p_memsz, header[i].p_align);
	return go;
}
