/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Finds libc's own version of each interposed function. Not for deciding when to call it.
 */
#include "preload/libc/symbols.h"

#include <dlfcn.h>
#include <gnu/lib-names.h>
#include <string.h>

#include "preload/libc/monotonic.h"

struct libc_symbols libc_table, libc_table_held;
bool libc_resolved;
int (*clock_of_libc)(clockid_t, struct timespec *) = clock_gettime;

#define LIBC_SYMBOL_ENTRY(type, name, ...) { #name, offsetof(struct libc_symbols, name) },

static const struct {
	const char *name;
	size_t offset;
} symbol_list[] = { LIBC_SYMBOLS(LIBC_SYMBOL_ENTRY, LIBC_SYMBOL_ENTRY) };

/* For what is no cancellation point. */
#define NOT_HELD(type, name, parameters)

#define HELD_FUNCTION(type, name, parameters, arguments)                                           \
	static type name##_held parameters                                                         \
	{                                                                                          \
		int state;                                                                         \
		type result;                                                                       \
                                                                                                   \
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);                            \
		result = libc_table.name arguments;                                                \
		pthread_setcancelstate(state, NULL);                                               \
		return result;                                                                     \
	}

#define HELD_ENTRY(type, name, parameters, arguments) libc_table_held.name = name##_held;

LIBC_SYMBOLS(NOT_HELD, HELD_FUNCTION)

/*
 * Two threads may run this at once before the constructor has; both write the same values, so
 * the race is harmless. libc_resolved is stored last for the same reason.
 */
void libc_resolve(void)
{
	for (size_t i = 0; i < sizeof(symbol_list) / sizeof(symbol_list[0]); i++) {
		void *symbol = dlsym(RTLD_NEXT, symbol_list[i].name);

		memcpy((char *)&libc_table + symbol_list[i].offset, &symbol, sizeof(symbol));
	}
	libc_table_held = libc_table;
	LIBC_SYMBOLS(NOT_HELD, HELD_ENTRY)
	__atomic_store_n(&libc_resolved, true, __ATOMIC_RELEASE);
}

void clock_resolve(void)
{
	void *library = dlopen(LIBC_SO, RTLD_LAZY | RTLD_NOLOAD);
	void *symbol = library ? dlsym(library, "clock_gettime") : NULL;

	if (symbol)
		memcpy(&clock_of_libc, &symbol, sizeof(symbol));
}
