/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libmelin.so can be run as a program, as the C library can: then it says which version it is and
 * how it is used. Not for the processes that it is preloaded into.
 */
#include <unistd.h>

#include "common/system_call.h"

/*
 * A file that names a dynamic loader can be run, since the kernel runs the loader, which loads the
 * libraries that the file needs. MELIN_LOADER is the loader of this system (configure.ac).
 */
static const char loader[] __attribute__((section(".interp"), used)) = MELIN_LOADER;

static const char text[] =
	"melin " PACKAGE_VERSION ": TCP of unmodified programs through DPDK and lwIP\n"
	"usage: LD_PRELOAD=libmelin.so MELIN_FLOWS=RULES MELIN_DEV=DEVICE MELIN_ADDR=ADDRESS/N "
	"PROGRAM [ARGUMENT...], see libmelin(7)\n";

/* The kernel jumps to it: the stack is not aligned as it is when a function is called. */
#ifdef __x86_64__
__attribute__((force_align_arg_pointer))
#endif
void melin_main(void);

/* The entry point of the file (-Wl,-e). It must not return, since nobody has called it. */
void melin_main(void)
{
	long written = kernel_call(SYS_write, STDOUT_FILENO, (long)text, sizeof(text) - 1, 0);

	for (;;)
		kernel_call(SYS_exit_group, written != (long)sizeof(text) - 1, 0, 0, 0);
}
