/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Replaces what one of DPDK's libraries imports from another library, in that library alone: its
 * entry in the global offset table. For what DPDK does in a process that is not its own and has no
 * option against (see overrides.c). Never for the program's or libc's own tables.
 */
#ifndef MELIN_IMPORTS_H
#define MELIN_IMPORTS_H

/*
 * library: the beginning of the file's name ("librte_eal.so"). Returns 0, or -ENOENT when
 * there is no such library or it does not import such a symbol: DPDK then works as it always does.
 */
int imports_replace(const char *library, const char *symbol, void *function);

#endif
