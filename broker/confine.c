/* SPDX-License-Identifier: BSD-3-Clause */
/* See confine.h. */
#include "broker/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * As many as the most clients of melin_broker.c take. The limit of the program that has started the
 * broker may be lower.
 */
#define DESCRIPTORS_MAX 16384

/* ---- what the program that has started the broker leaves to it ---- */

static void use_null_streams(void)
{
	int null = open("/dev/null", O_RDWR);

	for (int standard = 0; null >= 0 && standard <= STDERR_FILENO; standard++) {
		if (fcntl(standard, F_GETFD) < 0)
			dup2(null, standard);
	}
	if (null > STDERR_FILENO)
		close(null);
}

/* A server's threads may be bound to a core, and spin there. */
static void use_all_processors(void)
{
	const struct sched_param usual = { 0 };
	cpu_set_t all;

	memset(&all, 0xff, sizeof(all));
	sched_setaffinity(0, sizeof(all), &all);
	sched_setscheduler(0, SCHED_OTHER, &usual);
	setpriority(PRIO_PROCESS, 0, 0);
}

void confine_leave_program(void)
{
	const struct rlimit no_core = { 0 };
	struct rlimit descriptors = { DESCRIPTORS_MAX, DESCRIPTORS_MAX };
	sigset_t none;

	if (chdir("/") < 0)
		return;
	umask(077);
	use_null_streams();
	use_all_processors();
	setrlimit(RLIMIT_CORE, &no_core);
	if (setrlimit(RLIMIT_NOFILE, &descriptors) < 0 &&
	    getrlimit(RLIMIT_NOFILE, &descriptors) == 0) {
		descriptors.rlim_cur = descriptors.rlim_max;
		setrlimit(RLIMIT_NOFILE, &descriptors);
	}
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* ---- capabilities ---- */

/* A server's port may be below 1024, which the connection is bound to when it is given back. */
static const unsigned needed[] = { CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF, CAP_NET_BIND_SERVICE };

static int keep_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data) < 0)
		return -1;
	for (unsigned half = 0; half < 2; half++) {
		uint32_t kept = 0;

		for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
			if (needed[i] / 32 == half)
				kept |= 1u << needed[i] % 32;
		}
		data[half].permitted &= kept;
		data[half].effective = data[half].permitted;
		data[half].inheritable = 0;
	}
	return (int)syscall(SYS_capset, &header, data);
}

/* ---- files ---- */

/* All that the first version of Landlock knows (Linux 5.13): LANDLOCK_ACCESS_FS_EXECUTE to _SYM. */
#define ALL_ACCESS ((LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1)

/*
 * The lender reads below /proc/sys/net whether connections are tracked (tracking.c). A user who is
 * still root may read root's files without a capability. Where the kernel has no Landlock nothing
 * is restricted: the filter of calls lets files be read, but not written.
 */
static void restrict_files(void)
{
	const struct landlock_ruleset_attr all = { .handled_access_fs = ALL_ACCESS };
	struct landlock_path_beneath_attr readable = {
		.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE,
		.parent_fd = open("/proc/sys/net", O_PATH | O_CLOEXEC),
	};
	int rules = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof(all), 0);

	if (rules >= 0) {
		syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &readable, 0);
		syscall(SYS_landlock_restrict_self, rules, 0);
		close(rules);
	}
	if (readable.parent_fd >= 0)
		close(readable.parent_fd);
}

/* ---- system calls ---- */

#if defined(__x86_64__)
#define OWN_ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OWN_ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

static const uint16_t allowed[] = {
	/* messages and connections */
	SYS_recvmsg,
	SYS_recvmmsg,
	SYS_sendmsg,
	SYS_recvfrom,
	SYS_sendto,
	SYS_accept4,
	SYS_socket,
	SYS_socketpair,
	SYS_bind,
	SYS_connect,
	SYS_getsockname,
	SYS_getpeername,
	SYS_setsockopt,
	SYS_getsockopt,
	SYS_ioctl,
	SYS_fcntl,
	SYS_fstat,
	SYS_read,
	SYS_write,
	SYS_pread64,
	SYS_close,
	SYS_shutdown,
	SYS_ppoll,
	/* what the lender hangs on interfaces, and whether it may */
	SYS_bpf,
	SYS_capget,
	/* libc's: memory, threads, time */
	SYS_brk,
	SYS_mmap,
	SYS_munmap,
	SYS_mremap,
	SYS_mprotect,
	SYS_madvise,
	SYS_futex,
	SYS_clone,
	SYS_clone3,
	SYS_set_robust_list,
	SYS_rseq,
	SYS_gettid,
	SYS_getpid,
	SYS_rt_sigprocmask,
	SYS_rt_sigreturn,
	SYS_rt_sigaction,
	SYS_restart_syscall,
	SYS_clock_gettime,
	SYS_clock_nanosleep,
	SYS_nanosleep,
	SYS_getrandom,
	SYS_prlimit64,
	SYS_sched_yield,
	SYS_exit,
	SYS_exit_group,
#ifdef SYS_poll
	SYS_poll,
#endif
};

#define ALLOWED (sizeof(allowed) / sizeof(allowed[0]))

/* The lower half of a call's argument, on the machines above. */
#define ARGUMENT(number) (offsetof(struct seccomp_data, args) + (number) * sizeof(uint64_t))

/*
 * Calls that are not allowed fail as if the kernel did not have them. A call by the number of
 * another architecture ends the process, and one of x32 is none of the numbers above.
 */
__attribute__((unused)) static int filter_calls(void)
{
	static const struct sock_filter begin[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OWN_ARCHITECTURE, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	}, end[] = {
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 2),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ARGUMENT(2)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, O_RDONLY | O_CLOEXEC, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	enum { BEGIN = sizeof(begin) / sizeof(begin[0]), END = sizeof(end) / sizeof(end[0]) };
	struct sock_filter code[BEGIN + ALLOWED + END];
	const struct sock_fprog program = { .len = BEGIN + ALLOWED + END, .filter = code };

	memcpy(code, begin, sizeof(begin));
	for (size_t i = 0; i < ALLOWED; i++)
		code[BEGIN + i] = (struct sock_filter)BPF_JUMP(
			BPF_JMP | BPF_JEQ | BPF_K, allowed[i], (uint8_t)(ALLOWED - i + END - 2), 0);
	memcpy(code + BEGIN + ALLOWED, end, sizeof(end));
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}

int confine_rights(void)
{
	if (keep_capabilities() < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	restrict_files();
#ifdef __SANITIZE_ADDRESS__
	/* A sanitizer makes calls of its own. */
	return 0;
#else
	/* A kernel without filters serves all the same. */
	return filter_calls() < 0 && errno != EINVAL ? -1 : 0;
#endif
}
