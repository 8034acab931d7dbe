/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * preload/config/log.c: what a line looks like, where it goes, and what it must never touch.
 */
#include "preload/config/log.h"
#include "preload/config/log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "signature.h"
#include "tap.h"

/* Runs body in a child whose standard error is a pipe; what came out of it, and its status. */
static int run(void (*body)(void), char *text, size_t size)
{
	int ends[2], status;
	size_t used = 0;
	ssize_t got;
	pid_t child;

	fflush(stdout);
	if (pipe(ends) || (child = fork()) < 0)
		return -1;
	if (!child) {
		dup2(ends[1], STDERR_FILENO);
		close(ends[0]);
		close(ends[1]);
		body();
		_exit(0);
	}
	close(ends[1]);
	while (used + 1 < size && (got = read(ends[0], text + used, size - used - 1)) > 0)
		used += (size_t)got;
	text[used] = '\0';
	close(ends[0]);
	waitpid(child, &status, 0);
	take_signatures(text, child);
	return status;
}

static void expect(const char *name, void (*body)(void), const char *expected)
{
	char text[8192];
	int status = run(body, text, sizeof(text));

	if (!tap_ok(status == 0 && !strcmp(text, expected), "%s", name))
		printf("# status %x, \"%s\"\n", (unsigned)status, text);
}

static void before_opening(void)
{
	log_write(LOG_LEVEL_ERROR, "too early");
	if (log_enabled(LOG_LEVEL_ERROR))
		_exit(1);
}

static void levels(void)
{
	log_open(LOG_LEVEL_INFO, NULL);
	log_write(LOG_LEVEL_ERROR, "an error, %d", 1);
	log_write(LOG_LEVEL_WARN, "a warning, %s", "two");
	log_write(LOG_LEVEL_INFO, "a word");
	log_write(LOG_LEVEL_DEBUG, "not this");
	log_open(LOG_LEVEL_TRACE, NULL);
	log_write(LOG_LEVEL_DEBUG, "three");
	log_write(LOG_LEVEL_TRACE, "four");
}

static void keeps_errno(void)
{
	log_open(LOG_LEVEL_INFO, NULL);
	errno = ENOTTY;
	log_write(LOG_LEVEL_INFO, "x");
	log_write(LOG_LEVEL_TRACE, "x");
	if (errno != ENOTTY || log_open(LOG_LEVEL_INFO, "/nonexistent/x") != -ENOENT ||
	    errno != ENOTTY)
		_exit(1);
}

static void control_characters(void)
{
	log_open(LOG_LEVEL_INFO, NULL);
	log_write(LOG_LEVEL_INFO, "a\nb\033[1mc\177d\xc3\xa4");
}

static void closed(void)
{
	log_open(LOG_LEVEL_INFO, NULL);
	close(STDERR_FILENO);
	log_write(LOG_LEVEL_ERROR, "closed");
}

static void closed_levels(void)
{
	log_open(LOG_LEVEL_TRACE, NULL);
	close(STDERR_FILENO);
	log_write(LOG_LEVEL_DEBUG, "not this");
	log_write(LOG_LEVEL_TRACE, "nor this");
	log_write(LOG_LEVEL_INFO, "info");
	/* No descriptor is left open. */
	if (open("/dev/null", O_RDONLY) != STDERR_FILENO)
		_exit(1);
}

/* The program's data file has the inode number that its standard error had. */
static void recycled(void)
{
	char path[] = "/tmp/melin-test-recycled.XXXXXX", again[100];
	struct stat before, now = { 0 };
	int first = mkstemp(path), files[64], count = 0;

	if (first < 0 || fstat(first, &before) || dup2(first, STDERR_FILENO) < 0)
		_exit(1);
	close(first);
	log_open(LOG_LEVEL_WARN, NULL);
	unlink(path);
	close(STDERR_FILENO);
	while (count < 64 && now.st_ino != before.st_ino) {
		snprintf(again, sizeof(again), "%s.%d", path, count);
		files[count] = open(again, O_CREAT | O_EXCL | O_RDWR, 0600);
		if (files[count] < 0 || fstat(files[count], &now))
			_exit(1);
		unlink(again);
		count++;
	}
	if (files[count - 1] != STDERR_FILENO)
		dup2(files[count - 1], STDERR_FILENO);
	log_write(LOG_LEVEL_WARN, "recycled");
	if (fstat(STDERR_FILENO, &now) || now.st_size != 0)
		_exit(2);
}

/* ---- the system's log: this process has a /dev of its own, and what comes to /dev/log ---- */

static int system_log = -1;

/*
 * A /dev with nothing but null in it, for this process and its children: their lines must not reach
 * the machine's log. False: not allowed here.
 */
static bool hide_devices(void)
{
	char source[40];
	int null, node;

	if (unshare(CLONE_NEWNS) && unshare(CLONE_NEWUSER | CLONE_NEWNS))
		return false;
	null = open("/dev/null", O_RDWR);
	snprintf(source, sizeof(source), "/proc/self/fd/%d", null);
	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", "/dev", "tmpfs", 0, NULL))
		return false;
	node = open("/dev/null", O_CREAT | O_WRONLY, 0666);
	if (node < 0 || mount(source, "/dev/null", NULL, MS_BIND, NULL))
		return false;
	close(node);
	close(null);
	return true;
}

static bool open_system_log(int type)
{
	const struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "/dev/log" };

	close(system_log);
	unlink(address.sun_path);
	system_log = socket(AF_UNIX, type | SOCK_NONBLOCK, 0);
	return system_log >= 0 &&
	       bind(system_log, (const struct sockaddr *)&address, sizeof(address)) == 0 &&
	       (type == SOCK_DGRAM || listen(system_log, 5) == 0);
}

/* The next line that came to /dev/log, with PID for the number in brackets, or "". */
static const char *next_syslog(void)
{
	static char text[200], line[sizeof(text) + 20];
	int number, from = 0, to = 0, connection = accept(system_log, NULL, NULL);
	ssize_t got;

	got = recv(connection >= 0 ? connection : system_log, text, sizeof(text) - 1, 0);
	close(connection);
	text[got > 0 ? got : 0] = '\0';
	if (sscanf(text, "%*[^[][%n%d%n]", &from, &number, &to) != 1 || !to)
		return text;
	snprintf(line, sizeof(line), "%.*sPID%s", from, text, text + to);
	return line;
}

/* Runs body in a child that must print nothing; what came to /dev/log must be line. */
static void expect_syslog(const char *name, void (*body)(void), const char *line)
{
	const char *got;

	expect(name, body, "");
	got = next_syslog();
	if (!tap_ok(!strcmp(got, line) && !*next_syslog(), "%s: to the system's log", name))
		printf("# \"%s\"\n", got);
}

/* Standard error's number has become the program's socket: not a byte may reach it. */
static void reused(void)
{
	int pair[2];
	char byte;

	log_open(LOG_LEVEL_INFO, NULL);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		_exit(1);
	dup2(pair[0], STDERR_FILENO);
	log_write(LOG_LEVEL_ERROR, "into the program's socket");
	if (recv(pair[1], &byte, 1, MSG_DONTWAIT) != -1 || errno != EAGAIN)
		_exit(1);
}

static void closed_at_start(void)
{
	int pair[2];

	close(STDERR_FILENO);
	log_open(LOG_LEVEL_INFO, NULL);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		_exit(1);
	dup2(pair[0], STDERR_FILENO);
	log_write(LOG_LEVEL_ERROR, "into the program's socket");
	if (recv(pair[1], &(char){ 0 }, 1, MSG_DONTWAIT) != -1 || errno != EAGAIN)
		_exit(1);
}

static void broken_pipe(void)
{
	sigset_t pending, mask;
	int ends[2];

	if (pipe(ends))
		_exit(1);
	dup2(ends[1], STDERR_FILENO);
	close(ends[1]);
	close(ends[0]);
	log_open(LOG_LEVEL_INFO, NULL);
	log_write(LOG_LEVEL_ERROR, "into a broken pipe"); /* SIGPIPE would end the child */
	sigpending(&pending);
	sigprocmask(SIG_SETMASK, NULL, &mask);
	if (sigismember(&pending, SIGPIPE) || sigismember(&mask, SIGPIPE))
		_exit(1);
	/* A signal that the program itself has pending stays so. */
	sigemptyset(&mask);
	sigaddset(&mask, SIGPIPE);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	raise(SIGPIPE);
	log_write(LOG_LEVEL_ERROR, "into a broken pipe");
	sigpending(&pending);
	if (!sigismember(&pending, SIGPIPE))
		_exit(1);
}

static void full_file(void)
{
	const struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY }, nothing = { 0, all.rlim_max };
	int fd = open("/tmp", O_TMPFILE | O_WRONLY, 0600);
	sigset_t pending, mask;

	if (fd < 0 || setrlimit(RLIMIT_FSIZE, &nothing))
		_exit(1);
	dup2(fd, STDERR_FILENO);
	log_open(LOG_LEVEL_INFO, NULL);
	log_write(LOG_LEVEL_ERROR, "into a full file"); /* SIGXFSZ would end the child */
	sigpending(&pending);
	sigprocmask(SIG_SETMASK, NULL, &mask);
	setrlimit(RLIMIT_FSIZE, &all); /* where lines are counted they are written at the end */
	if (sigismember(&pending, SIGXFSZ) || sigismember(&mask, SIGXFSZ))
		_exit(1);
}

static void long_line(void)
{
	char text[5000];

	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	log_open(LOG_LEVEL_INFO, NULL);
	log_write(LOG_LEVEL_INFO, "%s", text);
	log_write(LOG_LEVEL_INFO, "next");
}

static char log_path[] = "/tmp/melin-test-log.XXXXXX";

static void into_file(void)
{
	if (log_open(LOG_LEVEL_INFO, log_path))
		_exit(1);
	if (log_descriptor() < 100 || !(fcntl(log_descriptor(), F_GETFD) & FD_CLOEXEC) ||
	    !(fcntl(log_descriptor(), F_GETFL) & O_APPEND))
		_exit(2);
	/* The lowest number is free for the program again. */
	if (open("/dev/null", O_RDONLY) != 3)
		_exit(3);
	close(STDERR_FILENO);
	log_write(LOG_LEVEL_INFO, "into the file");
}

static void test_file(void)
{
	char text[200] = "";
	int fd = mkstemp(log_path), status;

	if (write(fd, "old\n", 4) != 4)
		tap_ok(false, "the test's own file");
	close(fd);
	/* The child's lowest free number must be 3. */
	for (int i = 3; i < 20; i++)
		close(i);
	status = run(into_file, text, sizeof(text));
	tap_ok(status == 0 && !text[0],
	       "a log file has a high descriptor, closed on exec, and takes none of the program's "
	       "(status %x)",
	       (unsigned)status);
	fd = open(log_path, O_RDONLY);
	memset(text, 0, sizeof(text));
	tap_ok(read(fd, text, sizeof(text) - 1) > 0 &&
		       strstr(text, "old\nmelin: into the file [test_log ") == text,
	       "lines are appended to a log file");
	close(fd);
	unlink(log_path);
}

/* ---- what is opened ---- */

static char folder[] = "/tmp/melin-test-log.XXXXXX";
static char place[sizeof(folder) + 16];

static const char *in_folder(const char *name)
{
	snprintf(place, sizeof(place), "%s/%s", folder, name);
	return place;
}

static void opens(const char *what, const char *path, int expected)
{
	int file = log_file_open(path), result = file < 0 ? file : 0;

	if (file >= 0)
		close(file);
	tap_ok(result == expected, "%s: %s", what, result ? strerror(-result) : "opened");
}

/* Reads one end's line at a time: the line of a full FIFO is lost, and nobody waits. */
static void test_fifo(void)
{
	char line[1000];
	int reader, writer;

	mkfifo(in_folder("fifo"), 0600);
	opens("a FIFO without a reader", place, -ENXIO);
	reader = open(place, O_RDONLY | O_NONBLOCK);
	writer = log_file_open(place);
	memset(line, 'x', sizeof(line));
	tap_ok(reader >= 0 && writer >= 0 && write(writer, line, sizeof(line)) == sizeof(line),
	       "a FIFO with a reader is written to");
	alarm(20);
	while (write(writer, line, sizeof(line)) > 0)
		;
	alarm(0);
	tap_ok(errno == EAGAIN, "a FIFO that is full makes nobody wait");
	close(reader);
	close(writer);
	unlink(place);
}

/* Its owner may be one who has linked another's file here. Only root can make such a file. */
static void test_names(void)
{
	char second[sizeof(place)];
	int file = open(in_folder("file"), O_CREAT | O_WRONLY, 0666);

	close(file);
	opens("a file", place, 0);
	snprintf(second, sizeof(second), "%s", place);
	if (link(second, in_folder("second")))
		tap_ok(false, "the test's own link");
	opens("one's own file with two names", place, 0);
	if (geteuid() != 0 || chown(place, 65534, 65534))
		tap_ok(true, "another's file with two names # skip only root can make one");
	else
		opens("another's file with two names", place, -EMLINK);
	unlink(place);
	opens("another's file with one name", second, 0);
	if (symlink(second, in_folder("link")))
		tap_ok(false, "the test's own link");
	opens("a symbolic link", place, -ELOOP);
	unlink(place);
	if (symlink("/nonexistent", place))
		tap_ok(false, "the test's own link");
	opens("a symbolic link to nothing", place, -ELOOP);
	unlink(place);
	unlink(second);
}

static void into_full_device(void)
{
	if (log_open(LOG_LEVEL_INFO, "/dev/full"))
		_exit(1);
	log_write(LOG_LEVEL_ERROR, "there is no room for this");
}

static void into_folder(void)
{
	if (log_open(LOG_LEVEL_INFO, folder) != -EISDIR || log_enabled(LOG_LEVEL_INFO))
		_exit(1);
	log_write(LOG_LEVEL_INFO, "this is left out");
	log_write(LOG_LEVEL_WARN, "a warning");
}

static void test_opening(void)
{
	if (!mkdtemp(folder)) {
		tap_ok(false, "the test's own folder");
		return;
	}
	test_fifo();
	test_names();
	expect("a full device", into_full_device, "");
	expect("without its file the log keeps to warnings, on standard error", into_folder,
	       "melin: a warning\n");
	rmdir(folder);
}

int main(void)
{
	char text[8192];
	int status;

	if (!hide_devices()) {
		printf("ok 1 # skip needs a mount namespace, so as not to write to this machine's "
		       "log\n1..1\n");
		return 0;
	}
	expect("nothing is printed before the log is opened", before_opening, "");
	expect("levels and prefixes", levels,
	       "melin: an error, 1\nmelin: a warning, two\nmelin: a word\n"
	       "melin: debug: three\nmelin: trace: four\n");
	expect("errno stays", keeps_errno, "melin: x\n");
	expect("control characters cannot start a line or a colour", control_characters,
	       "melin: a?b?[1mc?d\xc3\xa4\n");
	if (!open_system_log(SOCK_DGRAM))
		return 1;
	expect_syslog("a closed standard error", closed, "<11>test_log[PID]: melin: closed");
	expect_syslog("a reused standard error", reused,
		      "<11>test_log[PID]: melin: into the program's socket");
	expect_syslog("a standard error closed from the start", closed_at_start,
		      "<11>test_log[PID]: melin: into the program's socket");
	expect_syslog("another file with the old one's number", recycled,
		      "<12>test_log[PID]: melin: recycled");
	expect_syslog("debug and trace are too much", closed_levels,
		      "<14>test_log[PID]: melin: info");
	if (!open_system_log(SOCK_STREAM))
		return 1;
	expect_syslog("a log that is a stream", closed, "<11>test_log[PID]: melin: closed");
	close(system_log);
	unlink("/dev/log");
	expect("nobody reads the system's log", closed, "");
	expect("a broken pipe raises no signal", broken_pipe, "");
	expect("a file that has reached the limit raises no signal", full_file, "");
	status = run(long_line, text, sizeof(text));
	tap_ok(status == 0 && strlen(text) == 1024 + strlen("melin: next\n") &&
		       strstr(text, "aaa...\nmelin: next\n"),
	       "a long line is cut and ends as a line");
	test_file();
	test_opening();
	return tap_done();
}
