/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * usage: giving_up listening|bound|early PORT WAY
 *        giving_up client|early-client PORT WAY ADDRESS
 * A program that makes a socket as root, gives something up that only root has, and then uses the
 * socket: it greets one client, or reads what a server says. "bound" listens only afterwards, and
 * the early ones make the socket only then. Prints "ready" when it has given up.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

int capset(void *header, const void *data);

#define NOBODY 65534

static struct __user_cap_header_struct version = { _LINUX_CAPABILITY_VERSION_3, 0 };
static struct __user_cap_data_struct none[2];

/* A folder without any file. */
static const char *jail(void)
{
	static char path[] = "/tmp/melin-jail.XXXXXX";

	return mkdtemp(path);
}

static int give_way_chroot(void)
{
	return chroot(jail()) || chdir("/");
}

static int give_way_raw_chroot(void)
{
	return syscall(SYS_chroot, jail()) || chdir("/");
}

static int give_way_setuid(void)
{
	return setuid(NOBODY);
}

static int give_way_raw_setuid(void)
{
	return (int)syscall(SYS_setuid, NOBODY);
}

static int give_way_seteuid(void)
{
	return seteuid(NOBODY);
}

static int give_way_setreuid(void)
{
	return setreuid(NOBODY, NOBODY);
}

static int give_way_setresuid(void)
{
	return setresuid(NOBODY, NOBODY, NOBODY);
}

static int give_way_raw_setresuid(void)
{
	return (int)syscall(SYS_setresuid, NOBODY, NOBODY, NOBODY);
}

static int give_way_capset(void)
{
	return capset(&version, none);
}

static int give_way_raw_capset(void)
{
	return (int)syscall(SYS_capset, &version, none);
}

/* What a careful server does, all of it. */
static int give_way_all(void)
{
	return chroot(jail()) || chdir("/") || setgid(NOBODY) || prctl(PR_SET_KEEPCAPS, 1) ||
	       setuid(NOBODY) || capset(&version, none);
}

static int give_way_unshare(void)
{
	return unshare(CLONE_NEWNET);
}

/* A filter that lets all calls through. */
static int give_way_seccomp(void)
{
	static struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	static struct sock_fprog filter = { 1, &allow };

	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter);
}

static const struct {
	const char *name;
	int (*give)(void);
} ways[] = {
	{ "chroot", give_way_chroot },
	{ "raw-chroot", give_way_raw_chroot },
	{ "setuid", give_way_setuid },
	{ "raw-setuid", give_way_raw_setuid },
	{ "seteuid", give_way_seteuid },
	{ "setreuid", give_way_setreuid },
	{ "setresuid", give_way_setresuid },
	{ "raw-setresuid", give_way_raw_setresuid },
	{ "capset", give_way_capset },
	{ "raw-capset", give_way_raw_capset },
	{ "all", give_way_all },
	{ "unshare", give_way_unshare },
	{ "seccomp", give_way_seccomp },
};

/* Where it goes well errno stays: programs whose language has no other result look there. */
static int give_up(const char *name)
{
	errno = 0;
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		if (strcmp(ways[i].name, name) == 0)
			return ways[i].give() || errno;
	return -1;
}

static int fail(const char *what)
{
	perror(what);
	return 1;
}

static int serve(int listener)
{
	int s = accept(listener, NULL, NULL);

	return s < 0 || write(s, "hello\n", 6) != 6 ? fail("serve") : 0;
}

static int ask(int s, const struct sockaddr_in *server)
{
	char said[6];

	if (connect(s, (const struct sockaddr *)server, sizeof(*server)) < 0 ||
	    read(s, said, sizeof(said)) != sizeof(said))
		return fail("ask");
	return write(STDOUT_FILENO, said, sizeof(said)) == sizeof(said) ? 0 : 1;
}

/* The program's socket, which a server binds. */
static int make_socket(const struct sockaddr_in *address, int is_client)
{
	int s = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (!is_client && bind(s, (const struct sockaddr *)address, sizeof(*address)) < 0)
		return -1;
	return s;
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	const int is_client = argc == 5;
	int s = -1, is_early;

	if (argc < 4)
		return 2;
	address.sin_port = htons((uint16_t)atoi(argv[2]));
	if (is_client && inet_pton(AF_INET, argv[4], &address.sin_addr) != 1)
		return 2;
	is_early = strncmp(argv[1], "early", 5) == 0;
	if (!is_early && (s = make_socket(&address, is_client)) < 0)
		return fail("bind");
	if (strcmp(argv[1], "listening") == 0 && listen(s, 5) < 0)
		return fail("listen");
	if (give_up(argv[3]))
		return fail(argv[3]);
	if (is_early && (s = make_socket(&address, is_client)) < 0)
		return fail("bind");
	if (!is_client && strcmp(argv[1], "listening") != 0 && listen(s, 5) < 0)
		return fail("listen");
	puts("ready");
	fflush(stdout);
	return is_client ? ask(s, &address) : serve(s);
}
