/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What libmelin.so says when it is run as a program, as the C library does: which version it is,
 * and how it is used. Not for anything in a process that it is preloaded into.
 */
#include <unistd.h>

#include "common/system_call.h"

/*
 * The kernel runs a file that names a dynamic loader, which then loads the libraries that it needs.
 * MELIN_LOADER is the one that programs have here (configure.ac).
 */
static const char loader[] __attribute__((section(".interp"), used)) = MELIN_LOADER;

static const char text[] =
	"melin " PACKAGE_VERSION ": TCP of unmodified programs through DPDK and lwIP\n"
	"usage: LD_PRELOAD=libmelin.so MELIN_FLOWS=RULES MELIN_DEV=DEVICE MELIN_ADDR=ADDRESS/N "
	"PROGRAM [ARGUMENT...], see libmelin(7)\n";

/* Nobody calls it, so the stack is not aligned as for a function. */
#ifdef __x86_64__
__attribute__((force_align_arg_pointer))
#endif
void melin_main(void);

/* The entry point (-Wl,-e): there is no main() and nothing to return to. */
void melin_main(void)
{
	long written = kernel_call(SYS_write, STDOUT_FILENO, (long)text, sizeof(text) - 1, 0);

	for (;;)
		kernel_call(SYS_exit_group, written != (long)sizeof(text) - 1, 0, 0, 0);
}
