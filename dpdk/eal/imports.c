/* SPDX-License-Identifier: BSD-3-Clause */
/* See imports.h. Walks the ELF structures that the dynamic linker left in memory. */
#include "dpdk/eal/imports.h"

#include <elf.h>
#include <errno.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__x86_64__)
#define IS_IMPORT(type) ((type) == R_X86_64_JUMP_SLOT || (type) == R_X86_64_GLOB_DAT)
#elif defined(__aarch64__)
#define IS_IMPORT(type) ((type) == R_AARCH64_JUMP_SLOT || (type) == R_AARCH64_GLOB_DAT)
#else
#define IS_IMPORT(type) ((void)(type), false) /* nothing is replaced: only slower */
#endif

struct request {
	const char *library, *symbol;
	void *function;
	int result;
};

struct image {
	uintptr_t base;
	const ElfW(Sym) * symbols;
	const char *names;
	const ElfW(Rela) * tables[2]; /* of calls, of data */
	size_t counts[2];
	uintptr_t relro, relro_end; /* read-only since the linker was done */
};

/* glibc has made these addresses absolute, other linkers leave them relative. */
static const void *at(const struct image *image, ElfW(Addr) address)
{
	return (const void *)(address < image->base ? address + image->base : address);
}

static void read_dynamic(struct image *image, const ElfW(Dyn) * entry)
{
	for (; entry->d_tag != DT_NULL; entry++) {
		switch (entry->d_tag) {
		case DT_SYMTAB:
			image->symbols = at(image, entry->d_un.d_ptr);
			break;
		case DT_STRTAB:
			image->names = at(image, entry->d_un.d_ptr);
			break;
		case DT_JMPREL:
			image->tables[0] = at(image, entry->d_un.d_ptr);
			break;
		case DT_PLTRELSZ:
			image->counts[0] = entry->d_un.d_val / sizeof(ElfW(Rela));
			break;
		case DT_RELA:
			image->tables[1] = at(image, entry->d_un.d_ptr);
			break;
		case DT_RELASZ:
			image->counts[1] = entry->d_un.d_val / sizeof(ElfW(Rela));
			break;
		default:
			break;
		}
	}
}

static bool store(const struct image *image, uintptr_t slot, void *function)
{
	uintptr_t page_size = (uintptr_t)sysconf(_SC_PAGESIZE), page = slot & ~(page_size - 1);
	bool is_sealed = slot >= image->relro && slot < image->relro_end;

	if (is_sealed && mprotect((void *)page, page_size, PROT_READ | PROT_WRITE) < 0)
		return false;
	memcpy((void *)slot, &function, sizeof(function));
	if (is_sealed)
		mprotect((void *)page, page_size, PROT_READ);
	return true;
}

static void replace_in_table(const struct image *image, const ElfW(Rela) * table, size_t count,
			     struct request *request)
{
	size_t i;

	for (i = 0; i < count; i++) {
		const ElfW(Sym) *symbol = &image->symbols[ELF64_R_SYM(table[i].r_info)];

		if (!IS_IMPORT(ELF64_R_TYPE(table[i].r_info)) ||
		    strcmp(image->names + symbol->st_name, request->symbol) != 0)
			continue;
		if (store(image, image->base + table[i].r_offset, request->function))
			request->result = 0;
	}
}

static int visit_object(struct dl_phdr_info *info, size_t size, void *context)
{
	struct request *request = context;
	const char *slash = strrchr(info->dlpi_name, '/');
	const char *name = slash ? slash + 1 : info->dlpi_name;
	struct image image = { .base = info->dlpi_addr };
	const ElfW(Dyn) *dynamic = NULL;
	unsigned i;

	(void)size;
	if (strncmp(name, request->library, strlen(request->library)) != 0)
		return 0;
	for (i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *header = &info->dlpi_phdr[i];

		if (header->p_type == PT_DYNAMIC) {
			dynamic = (const void *)(image.base + header->p_vaddr);
		} else if (header->p_type == PT_GNU_RELRO) {
			image.relro = image.base + header->p_vaddr;
			image.relro_end = image.relro + header->p_memsz;
		}
	}
	if (dynamic)
		read_dynamic(&image, dynamic);
	for (i = 0; i < 2 && image.symbols && image.names; i++)
		replace_in_table(&image, image.tables[i], image.counts[i], request);
	return 1;
}

int imports_replace(const char *library, const char *symbol, void *function)
{
	struct request request = {
		.library = library, .symbol = symbol, .function = function, .result = -ENOENT
	};

	dl_iterate_phdr(visit_object, &request);
	return request.result;
}
