/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The differential harness's cases, output and time. Not for sockets: those are in connection.c.
 */
#include "harness.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define CASE_SECONDS   60   /* far above any case's own waits, for a machine under load */
#define LINE_BYTES     1024 /* one line of output, cut there */
#define SHOWN_BYTES    48   /* data up to here is printed, beyond it digested */
#define SETTLE_NAPS    10   /* a delayed ACK's 40 ms at most on either side, in naps */
#define NAP_MS	       4
#define LATE_MS	       3   /* a nap that ends so much later tells that others wait, too */
#define SETTLE_MAX_MS  600 /* a machine may be late all along, and cases settle often */
#define SLEEP_MS       10000
#define TEXT_BUFFERS   8 /* how many poll_bits() one line may hold */
#define STRESS_SECONDS 5

static timer_t watchdog;

static void put_line(const char *line, size_t length)
{
	while (length > 0) {
		ssize_t n = write(STDOUT_FILENO, line, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			_exit(4);
		line += n;
		length -= (size_t)n;
	}
}

static void put(const char *prefix, const char *format, va_list arguments)
{
	char line[LINE_BYTES];
	int saved = errno;
	size_t used = (size_t)snprintf(line, sizeof(line), "%s", prefix);

	used += (size_t)vsnprintf(line + used, sizeof(line) - used, format, arguments);
	if (used > sizeof(line) - 2)
		used = sizeof(line) - 2;
	line[used++] = '\n';
	put_line(line, used);
	errno = saved;
}

void note(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	put("  ", format, arguments);
	va_end(arguments);
}

void broken(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	put("BROKEN: ", format, arguments);
	va_end(arguments);
	_exit(3);
}

void must(const char *what, long result)
{
	if (result < 0)
		broken("%s: %s", what, errno_name(errno));
}

void outcome(const char *name, long result)
{
	if (result < 0)
		note("%s: %ld %s", name, result, errno_name(errno));
	else
		note("%s: %ld", name, result);
}

void outcome_at(const char *name, int index, long result)
{
	char full[128];
	int saved = errno;

	snprintf(full, sizeof(full), "%s[%d]", name, index);
	errno = saved;
	outcome(full, result);
}

void show(const char *name, const void *data, long length)
{
	const unsigned char *bytes = data;
	char text[4 * SHOWN_BYTES + 1];
	size_t used = 0;

	if (length > SHOWN_BYTES) {
		uint32_t digest = 2166136261u; /* FNV-1a */

		for (long i = 0; i < length; i++)
			digest = (digest ^ bytes[i]) * 16777619u;
		note("%s: %ld bytes, digest %08x", name, length, digest);
		return;
	}
	for (long i = 0; i < length; i++) {
		if (isprint(bytes[i]))
			text[used++] = (char)bytes[i];
		else
			used += (size_t)sprintf(text + used, "\\x%02x", bytes[i]);
	}
	text[used] = '\0';
	note("%s: \"%s\"", name, text);
}

void note_duration(const char *name, int64_t ms, int64_t low, int64_t high)
{
	if (ms < low)
		note("%s: too short, %lld ms of %lld", name, (long long)ms, (long long)low);
	else if (ms > high)
		note("%s: too long, %lld ms of %lld", name, (long long)ms, (long long)high);
	else
		note("%s: in time", name);
}

const char *errno_name(int number)
{
	const char *name = strerrorname_np(number);

	return name ? name : "?";
}

const char *poll_bits(uint32_t bits)
{
	static const struct {
		uint32_t bit;
		const char *name;
	} names[] = {
		{ POLLIN, "IN" },	  { POLLPRI, "PRI" },	    { POLLOUT, "OUT" },
		{ POLLERR, "ERR" },	  { POLLHUP, "HUP" },	    { POLLNVAL, "NVAL" },
		{ POLLRDNORM, "RDNORM" }, { POLLRDBAND, "RDBAND" }, { POLLWRNORM, "WRNORM" },
		{ POLLWRBAND, "WRBAND" }, { POLLRDHUP, "RDHUP" },
	};
	static _Thread_local char buffers[TEXT_BUFFERS][128];
	static _Thread_local unsigned turn;
	char *text = buffers[turn++ % TEXT_BUFFERS];
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!(bits & names[i].bit))
			continue;
		used += (size_t)sprintf(text + used, "%s%s", used ? "|" : "", names[i].name);
		bits &= ~names[i].bit;
	}
	if (bits)
		sprintf(text + used, "%s0x%x", used ? "|" : "", bits);
	else if (used == 0)
		strcpy(text, "none");
	return text;
}

int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void pause_ms(unsigned ms)
{
	struct timespec rest = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };

	while (nanosleep(&rest, &rest) < 0 && errno == EINTR)
		;
}

void settle(void)
{
	int64_t begin = now_ms();

	for (int naps = 0; naps < SETTLE_NAPS && now_ms() - begin < SETTLE_MAX_MS;) {
		int64_t start = now_ms();

		pause_ms(NAP_MS);
		naps += now_ms() - start <= NAP_MS + LATE_MS;
	}
}

struct delayed {
	unsigned ms;
	void (*action)(int);
	int fd, status; /* status: the calling thread's, as /proc tells it */
};

/* Out of the way, so that the cases see the same lowest free descriptors. */
static int open_status(void)
{
	int fd = open("/proc/thread-self/stat", O_RDONLY | O_CLOEXEC), high;

	must("/proc/thread-self/stat", fd);
	high = fcntl(fd, F_DUPFD_CLOEXEC, 510);
	must("its descriptor", high);
	close(fd);
	return high;
}

static bool sleeps(int status)
{
	char text[512];
	ssize_t length = pread(status, text, sizeof(text) - 1, 0);
	const char *name_end;

	if (length <= 0)
		return true; /* the thread has ended */
	text[length] = '\0';
	name_end = strrchr(text, ')');
	return !name_end || name_end[2] == 'S';
}

/* Twice: a thread that has slept for a lock on its way to the call does not sleep for long. */
static void await_sleep(int status)
{
	int64_t end = now_ms() + SLEEP_MS;

	for (int looks = 0; looks < 2 && now_ms() < end;) {
		looks = sleeps(status) ? looks + 1 : 0;
		pause_ms(2);
	}
}

static void *run_delayed(void *argument)
{
	struct delayed delayed = *(struct delayed *)argument;

	free(argument);
	if (delayed.ms) {
		pause_ms(delayed.ms);
		await_sleep(delayed.status);
		close(delayed.status);
	}
	delayed.action(delayed.fd);
	return NULL;
}

pthread_t later(unsigned ms, void (*action)(int), int fd)
{
	struct delayed *delayed = malloc(sizeof(*delayed));
	pthread_t thread;
	sigset_t all, before;

	if (!delayed)
		broken("no memory");
	*delayed = (struct delayed){ .ms = ms, .action = action, .fd = fd };
	if (ms)
		delayed->status = open_status();
	/* Signals are for the case's own thread. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	errno = pthread_create(&thread, NULL, run_delayed, delayed);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	must("pthread_create", errno ? -1 : 0);
	return thread;
}

void join(pthread_t thread)
{
	pthread_join(thread, NULL);
}

static void send_signal(int number)
{
	kill(getpid(), number);
}

void signal_later(unsigned ms, int number)
{
	pthread_detach(later(ms, send_signal, number));
}

void *bad_pointer(void)
{
	static volatile uintptr_t unmapped = 16;

	return (void *)unmapped;
}

unsigned stress_seconds(void)
{
	const char *text = getenv("STEP_SECONDS");

	return text ? (unsigned)atoi(text) : STRESS_SECONDS;
}

/* A case that hangs cannot be told to stop, and exit() might hang in the same way. */
static void case_hangs(int signal_number)
{
	static const char text[] = "HANG: the case took longer than its limit\n";

	(void)signal_number;
	put_line(text, sizeof(text) - 1);
	kill(getpid(), SIGKILL);
}

static void watchdog_start(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMAX };
	struct sigaction action = { .sa_handler = case_hangs };

	must("sigaction", sigaction(SIGRTMAX, &action, NULL));
	must("timer_create", timer_create(CLOCK_MONOTONIC, &event, &watchdog));
}

static void watchdog_set(unsigned seconds)
{
	struct itimerspec limit = { .it_value = { .tv_sec = seconds } };

	must("timer_settime", timer_settime(watchdog, 0, &limit, NULL));
}

static const char *running;

const char *case_name(void)
{
	return running;
}

static bool named(const char *name, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return true;
	return argc <= 1;
}

int run_cases(int argc, char **argv, const struct test_case *cases, size_t count)
{
	const char *after = argc == 3 && strcmp(argv[1], "--after") == 0 ? argv[2] : NULL;
	bool passed = !after;

	if (argc == 2 && strcmp(argv[1], "--list") == 0) {
		for (size_t i = 0; i < count; i++)
			printf("%s\n", cases[i].name);
		return 0;
	}
	await_stack();
	watchdog_start();
	for (size_t i = 0; i < count; i++) {
		if (!passed) {
			passed = strcmp(cases[i].name, after) == 0;
			continue;
		}
		if (!after && !named(cases[i].name, argc, argv))
			continue;
		char head[LINE_BYTES];

		put_line(head, (size_t)snprintf(head, sizeof(head), "== %s\n", cases[i].name));
		watchdog_set(cases[i].seconds ? cases[i].seconds : CASE_SECONDS);
		errno = 0;
		running = cases[i].name;
		cases[i].run();
		watchdog_set(0);
	}
	return 0;
}
