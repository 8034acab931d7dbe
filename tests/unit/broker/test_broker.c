/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * melin-broker as libmelin.so uses it: how it is started and what it has of the program's, what it
 * does for whom, and what comes of the death of either side. With the kernel's connections across a
 * pair of veth interfaces, and no stack. For what comes in malformed see test_broker_messages.c.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#include "broker/broker_start.h"
#include "broker/client.h"
#include "tests/unit/broker/broker_process.h"
#include "tests/unit/broker/ground.h"
#include "tests/unit/tap.h"

#define LOW_PORT 80
#define NOBODY	 65534
#define CHANGES	 2000

static char broker_path[PATH_MAX];
static volatile sig_atomic_t children_ended;

static void count_child(int number)
{
	(void)number;
	children_ended++;
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

/* ---- the start ---- */

static bool has_no_child(void)
{
	return waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD;
}

/* Its SIGCHLD is expected. */
static void wait_for(pid_t child, int *status)
{
	while (waitpid(child, status, 0) < 0 && errno == EINTR)
		;
	children_ended = 0;
}

/* What a program may have and its broker must not. */
static void take_up(void)
{
	struct sigaction action = { .sa_handler = count_child };
	sigset_t blocked;

	sigaction(SIGCHLD, &action, NULL);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGALRM);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	setenv("LD_PRELOAD", "", 1);
	dup2(STDERR_FILENO, 77); /* not close-on-exec */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
}

static void check_descriptors(pid_t broker)
{
	bool null = true;
	int count = 0;
	char path[64];
	DIR *all;

	for (int standard = 0; standard < 3; standard++) {
		snprintf(path, sizeof(path), "fd/%d", standard);
		null = null && strcmp(process_link(broker, path), "/dev/null") == 0;
	}
	tap_ok(null && strncmp(process_link(broker, "fd/3"), "socket:", 7) == 0,
	       "its descriptors are /dev/null and the door");
	snprintf(path, sizeof(path), "/proc/%d/fd", broker);
	all = opendir(path);
	for (struct dirent *entry; all && (entry = readdir(all));)
		count += entry->d_name[0] != '.';
	if (all)
		closedir(all);
	tap_ok(count == 4, "and no other (%d)", count);
}

static void check_nothing_kept(pid_t broker)
{
	int parent = 0, group = 0, session = 0, terminal = -1;
	const char *stat = process_text(broker, "stat");

	sscanf(strrchr(stat, ')') + 3, "%*c %d %d %d %d", &parent, &group, &session, &terminal);
	tap_ok(parent != getpid(), "it is no child of the program's");
	tap_ok(group == broker && session == broker && terminal == 0,
	       "it has a session of its own, without a terminal");
	check_descriptors(broker);
	tap_ok(strcmp(process_link(broker, "cwd"), "/") == 0, "its working directory is /");
	tap_ok(process_text(broker, "environ")[0] == '\0', "its environment is empty");
	tap_ok(!strstr(process_text(broker, "maps"), "test_broker"),
	       "it has none of the program's memory");
	tap_ok(strtoull(process_status(broker, "SigBlk"), NULL, 16) == 0, "it blocks no signal");
}

static void check_rights(pid_t broker)
{
	const unsigned long long most = 1ull << CAP_NET_ADMIN | 1ull << CAP_NET_RAW |
					1ull << CAP_BPF | 1ull << CAP_NET_BIND_SERVICE;
	unsigned long long permitted = strtoull(process_status(broker, "CapPrm"), NULL, 16);

	tap_ok(permitted == most, "its capabilities are those that it needs (%llx)", permitted);
	tap_ok(process_status(broker, "NoNewPrivs")[0] == '1', "it gets no others");
#ifndef __SANITIZE_ADDRESS__
	tap_ok(process_status(broker, "Seccomp")[0] == '2', "its system calls are filtered");
#endif
}

static void start_and_end(void)
{
	int door, lowest = dup(0), adopts = 0;
	pid_t broker;

	close(lowest);
	take_up();
	errno = EDOM;
	door = broker_start(broker_path);
	tap_ok(door >= 0 && errno == EDOM, "a broker is started");
	tap_ok(door > 100 && fcntl(door, F_GETFD) == FD_CLOEXEC && dup(0) == lowest,
	       "the door is out of the program's way, and is closed on exec");
	close(lowest);
	tap_ok(has_no_child() && children_ended == 0, "wait() finds no child, no SIGCHLD comes");
	broker = broker_find();
	if (!tap_ok(broker > 0 && broker_settles(broker), "it runs"))
		return;
	check_nothing_kept(broker);
	check_rights(broker);
	prctl(PR_GET_CHILD_SUBREAPER, &adopts);
	tap_ok(adopts == 1, "the program adopts orphans as before");
	close(door);
	tap_ok(broker_ends(broker), "it ends when nobody has the door");
	tap_ok(has_no_child() && children_ended == 0, "and nobody is told of that");
	close(77);
	prctl(PR_SET_CHILD_SUBREAPER, 0);
}

static void start_nothing(void)
{
	tap_ok(broker_start("/nonexistent/melin-broker") == -ENOENT, "no such program: -ENOENT");
	tap_ok(broker_start("/etc/passwd") == -EACCES, "no program: -EACCES");
	tap_ok(has_no_child() && children_ended == 0, "no child is left of that");
}

/* Its broker's descriptors could get in each other's way. */
static void start_without_streams(void)
{
	int status = 1;
	pid_t child = fork();

	if (child == 0) {
		struct lender *lender;
		int door;

		for (int i = 0; i < 4; i++)
			close(i);
		door = broker_start(broker_path);
		_exit(door >= 0 && lender_connect(door, &lender) == REFUSAL_NONE ? 0 : 1);
	}
	wait_for(child, &status);
	tap_ok(status == 0, "a program without standard streams can start one");
}

/* ---- lending ---- */

/* A connection of a lender's. */
struct lent {
	struct lender *lender;
	struct ends ends;
	struct loan loan;
	struct connection_state state;
	enum refusal renewed;
};

static bool open_ends(struct lent *lent, const char *how)
{
	memset(lent, 0, sizeof(*lent));
	return ground_connect(how, true, &lent->ends);
}

/* Whether that is what comes next. */
static bool receives(int at, const char *text)
{
	char got[64] = "";
	struct pollfd ready = { .fd = at, .events = POLLIN };
	size_t size = strlen(text), done = 0;

	while (done < size && poll(&ready, 1, 30000) == 1) {
		ssize_t part = recv(at, got + done, size - done, 0);

		if (part <= 0)
			return false;
		done += (size_t)part;
	}
	return strcmp(got, text) == 0;
}

/* Of a child, too, which shares what is not printed yet with nobody. */
static bool is_none(const char *what, enum refusal refusal)
{
	if (refusal != REFUSAL_NONE) {
		printf("# %s: %s\n", what, refusal_text(refusal));
		fflush(stdout);
	}
	return refusal == REFUSAL_NONE;
}

static bool watch(struct lent *lent, int door)
{
	return is_none("connect", lender_connect(door, &lent->lender)) &&
	       is_none("watch", lender_watch(lent->lender, lent->ends.own, &lent->loan)) &&
	       ground_says(lent->ends.peer, lent->ends.own, "hello") &&
	       ground_says(lent->ends.own, lent->ends.peer, "welcome");
}

/* A connection is fit when it has been seen and nothing is under way. */
static enum refusal borrow(struct lent *lent)
{
	enum refusal refusal = REFUSAL_UNSEEN;

	for (int i = 0; i < 4000 && refusal_is_passing(refusal); i++) {
		refusal = lender_borrow(lent->lender, lent->ends.own, &lent->loan, &lent->state);
		if (refusal_is_passing(refusal))
			usleep(5000);
	}
	is_none("borrow", refusal);
	return refusal;
}

static bool give(struct lent *lent)
{
	int error = lender_give(lent->lender, lent->ends.own, &lent->loan, &lent->state);

	connection_state_clear(&lent->state);
	return error == 0 && lent->loan.state == LOAN_WATCHED;
}

/* Both directions, and what was sent while it was away comes too. */
static bool goes_on(const struct lent *lent, const char *meanwhile)
{
	return ground_says(lent->ends.own, lent->ends.peer, "back") &&
	       ground_says(lent->ends.peer, lent->ends.own, "") &&
	       send(lent->ends.peer, "!", 1, MSG_NOSIGNAL) == 1 &&
	       receives(lent->ends.own, meanwhile) && receives(lent->ends.own, "!");
}

/* In a child that is a worker without rights; what the function returns. */
static bool as_nobody(bool (*check)(struct lent *lent, int door), struct lent *lent, int door)
{
	int status = 1;
	pid_t child = fork();

	if (child == 0) {
		if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
		    setresuid(NOBODY, NOBODY, NOBODY) < 0)
			_exit(2);
		_exit(check(lent, door) ? 0 : 1);
	}
	wait_for(child, &status);
	return status == 0;
}

static bool lend(struct lent *lent, int door)
{
	int on = 1;
	bool held = setsockopt(lent->ends.own, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)) < 0 &&
		    watch(lent, door) && borrow(lent) == REFUSAL_NONE;

	send(lent->ends.peer, "meanwhile", 9, MSG_NOSIGNAL);
	held = held && lent->loan.state == LOAN_BORROWED &&
	       lent->state.path.interface == lent->loan.path.interface &&
	       lender_hold(lent->lender, &lent->loan) == 0 && lent->loan.state == LOAN_HELD &&
	       give(lent) && goes_on(lent, "meanwhile");
	if (lent->lender)
		lender_close(lent->lender);
	return held;
}

static void lend_to_worker(int door)
{
	static const char *const families[] = { "IPv4", "IPv6", "mapped" };
	struct lent lent;

	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
		tap_ok(open_ends(&lent, families[i]) && as_nobody(lend, &lent, door),
		       "%s: a worker without rights borrows and gives back", families[i]);
		ground_close(&lent.ends);
	}
	ground_port = LOW_PORT;
	tap_ok(open_ends(&lent, "IPv4") && as_nobody(lend, &lent, door),
	       "at a port that only root may bind, too");
	ground_close(&lent.ends);
	ground_port = GROUND_PORT;
}

/* What is unread goes through the channel, and what is not acknowledged, little and much. */
static bool lend_data(struct lent *lent, int door)
{
	const size_t much = 60000;
	struct connection_state *state = &lent->state;
	bool held = watch(lent, door) && send(lent->ends.peer, "unread", 6, MSG_NOSIGNAL) == 6;
	int unread = 0;

	for (int i = 0; held && i < 30000 && unread < 6; i++) {
		held = ioctl(lent->ends.own, FIONREAD, &unread) == 0;
		usleep(1000);
	}
	held = held && borrow(lent) == REFUSAL_NONE && state->receive_size == 6 &&
	       memcmp(state->receive_data, "unread", 6) == 0;
	if (!held)
		return false;
	state->send_data = malloc(much);
	memset(state->send_data, 'm', much);
	state->send_size = much;
	held = give(lent) && receives(lent->ends.own, "unread");
	for (size_t done = 0; held && done < much; done++)
		held = receives(lent->ends.peer, "m");
	return held && goes_on(lent, "");
}

static void lend_with_data(int door)
{
	struct lent lent;

	tap_ok(open_ends(&lent, "IPv4") && as_nobody(lend_data, &lent, door),
	       "data goes along, 60,000 bytes too");
	ground_close(&lent.ends);
}

static int order(const void *left, const void *right)
{
	const double a = *(const double *)left, b = *(const double *)right;

	return a < b ? -1 : a > b;
}

/* The median, because the machine may have other things to do. Microseconds. */
static double cost(struct lent *lent)
{
	static double costs[CHANGES];

	for (unsigned i = 0; i < CHANGES; i++) {
		double begun = now();

		if (lender_borrow(lent->lender, lent->ends.own, &lent->loan, &lent->state) !=
			    REFUSAL_NONE ||
		    !give(lent))
			return -1;
		costs[i] = now() - begun;
	}
	qsort(costs, CHANGES, sizeof(costs[0]), order);
	return costs[CHANGES / 2];
}

static void measure(int door)
{
	double direct = -1, through = -1;
	struct lent lent;

	if (open_ends(&lent, "IPv4") && watch(&lent, door) && borrow(&lent) == REFUSAL_NONE &&
	    give(&lent))
		through = cost(&lent);
	lender_close(lent.lender);
	lent.loan = (struct loan){ 0 };
	if (lender_open(&lent.lender) == REFUSAL_NONE &&
	    lender_watch(lent.lender, lent.ends.own, &lent.loan) == REFUSAL_NONE &&
	    ground_says(lent.ends.peer, lent.ends.own, "seen") && borrow(&lent) == REFUSAL_NONE &&
	    give(&lent))
		direct = cost(&lent);
	lender_close(lent.lender);
	ground_close(&lent.ends);
	printf("# borrow and give back: %.1f us through the broker, %.1f us without\n", through,
	       direct);
	/* 40 is the aim on a machine that does nothing else. */
	tap_ok(through > 0 && through < 1000, "%d times borrowed and given back", CHANGES);
}

/* ---- who gets nothing ---- */

static enum refusal refusal_for(struct lender *lender, int descriptor)
{
	struct loan loan = { 0 };
	enum refusal refusal = lender_watch(lender, descriptor, &loan);

	close(descriptor);
	return refusal;
}

static void refuse_others(int door)
{
	struct lender *lender = NULL;
	struct lent lent;
	int pair[2];

	if (!tap_ok(lender_connect(door, &lender) == REFUSAL_NONE && open_ends(&lent, "IPv4"),
		    "a lender"))
		return;
	tap_ok(refusal_for(lender, dup(lent.ends.peer)) == REFUSAL_NAMESPACE,
	       "another network namespace's connection is refused");
	tap_ok(refusal_for(lender, dup(lent.ends.listener)) != REFUSAL_NONE,
	       "a listener is refused");
	tap_ok(refusal_for(lender, socket(AF_INET, SOCK_STREAM, 0)) != REFUSAL_NONE,
	       "a socket without a connection is refused");
	tap_ok(refusal_for(lender, socket(AF_INET, SOCK_DGRAM, 0)) != REFUSAL_NONE,
	       "a UDP socket is refused");
	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	tap_ok(refusal_for(lender, pair[0]) != REFUSAL_NONE, "a Unix socket is refused");
	close(pair[1]);
	tap_ok(refusal_for(lender, open("/etc/passwd", O_RDONLY)) != REFUSAL_NONE,
	       "a file is refused");
	tap_ok(refusal_for(lender, open("/", O_PATH)) != REFUSAL_NONE, "a path is refused");
	tap_ok(refusal_for(lender, -1) != REFUSAL_NONE, "nothing is refused");
	tap_ok(lender_watch(lender, lent.ends.own, &lent.loan) == REFUSAL_NONE,
	       "a connection is watched after all that");
	lender_close(lender);
	ground_close(&lent.ends);
}

/* What another client has borrowed nobody else can borrow or give back. */
static void refuse_each_other(int door)
{
	struct connection_state state;
	struct lender *other = NULL;
	struct lent lent;
	struct loan stolen;

	if (!tap_ok(open_ends(&lent, "IPv4") && watch(&lent, door) &&
			    borrow(&lent) == REFUSAL_NONE &&
			    lender_connect(door, &other) == REFUSAL_NONE,
		    "two clients with one connection"))
		return;
	stolen = lent.loan;
	tap_ok(lender_give(other, lent.ends.own, &stolen, &lent.state) == -EPERM,
	       "what one has borrowed the other cannot give back");
	stolen.state = LOAN_WATCHED;
	tap_ok(lender_borrow(other, lent.ends.own, &stolen, &state) != REFUSAL_NONE,
	       "nor borrow by its name");
	stolen = (struct loan){ 0 };
	tap_ok(lender_watch(other, lent.ends.own, &stolen) != REFUSAL_NONE ||
		       lender_borrow(other, lent.ends.own, &stolen, &state) != REFUSAL_NONE,
	       "nor after watching it");
	lender_close(other);
	tap_ok(give(&lent) && goes_on(&lent, ""), "the one gives it back");
	lender_close(lent.lender);
	ground_close(&lent.ends);
}

/* The state that comes back is a program's, which may say what it likes. */
static void refuse_other_ends(int door)
{
	struct sockaddr_storage name, before;
	socklen_t size = sizeof(name);
	struct lent lent;

	open_ends(&lent, "IPv4");
	getpeername(lent.ends.own, (struct sockaddr *)&before, &size);
	if (!tap_ok(watch(&lent, door) && borrow(&lent) == REFUSAL_NONE, "a borrowed connection"))
		return;
	((struct sockaddr_in *)&lent.state.remote)->sin_port = htons(1);
	((struct sockaddr_in *)&lent.state.local)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	lent.state.path.interface = 1;
	lent.state.send_scale = 99;
	lent.state.largest_segment = 0;
	tap_ok(give(&lent), "given back with other ends and options");
	size = sizeof(name);
	tap_ok(getpeername(lent.ends.own, (struct sockaddr *)&name, &size) == 0 &&
		       memcmp(&name, &before, size) == 0 && goes_on(&lent, ""),
	       "it is the connection that it was");
	lender_close(lent.lender);
	ground_close(&lent.ends);
}

static void refuse_without_door(void)
{
	struct lender *lender;
	int pair[2];

	tap_ok(lender_connect(-1, &lender) == REFUSAL_RIGHTS, "no service: REFUSAL_RIGHTS");
	socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair);
	close(pair[1]);
	tap_ok(lender_connect(pair[0], &lender) == REFUSAL_BROKER, "a door to nobody: the same");
	close(pair[0]);
}

/* ---- deaths ---- */

static bool borrow_and_die(struct lent *lent, int door)
{
	if (watch(lent, door) && borrow(lent) == REFUSAL_NONE)
		raise(SIGKILL);
	return false;
}

static bool is_established(int descriptor)
{
	struct tcp_info info = { 0 };
	socklen_t size = sizeof(info);

	getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &size);
	return info.tcpi_state == 1;
}

/* Its descriptor was the last: the kernel knows nothing of the connection any more. */
static void client_dies(int door)
{
	struct lent lent;
	int status = 0;
	pid_t child;

	open_ends(&lent, "IPv4");
	child = fork();
	if (child == 0)
		_exit(borrow_and_die(&lent, door));
	close(lent.ends.own);
	wait_for(child, &status);
	tap_ok(WIFSIGNALED(status) && is_established(lent.ends.peer),
	       "a client dies with a connection");
	usleep(100000); /* the broker sees that */
	send(lent.ends.peer, "anybody?", 8, MSG_NOSIGNAL);
	for (int i = 0; i < 6000 && is_established(lent.ends.peer); i++)
		usleep(5000);
	tap_ok(!is_established(lent.ends.peer), "the peer is reset when it sends");
	ground_close(&lent.ends);
	tap_ok(open_ends(&lent, "IPv4") && as_nobody(lend, &lent, door),
	       "and others are served as before");
	ground_close(&lent.ends);
}

static void broker_dies(int door, pid_t broker)
{
	struct connection_state state;
	struct lent lent, other;
	double begun;

	if (!tap_ok(open_ends(&lent, "IPv4") && watch(&lent, door) && open_ends(&other, "IPv6") &&
			    watch(&other, door) && borrow(&lent) == REFUSAL_NONE,
		    "one connection is borrowed, another is watched"))
		return;
	kill(broker, SIGKILL);
	tap_ok(broker_ends(broker), "the broker is killed");
	begun = now();
	tap_ok(lender_borrow(other.lender, other.ends.own, &other.loan, &state) == REFUSAL_BROKER &&
		       lender_watch(other.lender, other.ends.own, &other.loan) == REFUSAL_BROKER,
	       "nothing more is borrowed");
	tap_ok(ground_says(other.ends.own, other.ends.peer, "kernel") &&
		       ground_says(other.ends.peer, other.ends.own, "kernel"),
	       "the kernel serves what was watched");
	tap_ok(lender_give(lent.lender, lent.ends.own, &lent.loan, &lent.state) == -EPERM &&
		       lent.loan.state == LOAN_BORROWED,
	       "what was borrowed remains borrowed (-EPERM)");
	tap_ok(now() - begun < 3 * 1000 * BROKER_PATIENCE, "and nobody has waited");
	connection_state_clear(&lent.state);
	lender_close(lent.lender);
	lender_close(other.lender);
	tap_ok(lender_connect(door, &lent.lender) == REFUSAL_BROKER, "nobody opens the door");
	ground_close(&lent.ends);
	ground_close(&other.ends);
}

static bool is_stopped(pid_t process)
{
	char path[64], state = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", process);
	file = fopen(path, "r");
	if (file) {
		if (fscanf(file, "%*d %*s %c", &state) != 1)
			state = 0;
		fclose(file);
	}
	return state == 'T';
}

static void stop(pid_t broker)
{
	kill(broker, SIGSTOP);
	for (int i = 0; i < 6000 && !is_stopped(broker); i++)
		usleep(5000);
}

static int replace_tap(void *context, int tap)
{
	const struct lent *lent = context;

	return dup3(tap, lender_tap(lent->lender), O_CLOEXEC) < 0 ? -errno : 0;
}

static int fail_to_replace(void *unused, int tap)
{
	(void)unused;
	(void)tap;
	return -ENOSPC;
}

static void *renew(void *argument)
{
	struct lent *lent = argument;

	lent->renewed = lender_renew(lent->lender, replace_tap, lent);
	return NULL;
}

static int open_descriptors(void)
{
	int count = 0;

	for (int descriptor = 0; descriptor < 8192; descriptor++)
		count += fcntl(descriptor, F_GETFD) >= 0;
	return count;
}

/* In a child, which has nothing more than there was without the lender. */
static bool abandons(struct lender *lender, int before)
{
	int status = 1;
	pid_t child = fork();

	if (child == 0) {
		lender_abandon(lender);
		_exit(open_descriptors() == before ? 0 : 1);
	}
	wait_for(child, &status);
	return status == 0;
}

/* The broker has gone for this client, and is slow to be its broker again. */
static void renewal_takes_long(struct lent *lent, pid_t broker, int descriptors)
{
	double begun, waited;
	pthread_t renewer;

	tap_ok(lender_renew(lent->lender, fail_to_replace, NULL) == REFUSAL_FAILED &&
		       lender_is_gone(lent->lender) && abandons(lent->lender, descriptors),
	       "while the tap cannot be replaced, the broker is gone");
	stop(broker);
	pthread_create(&renewer, NULL, renew, lent);
	usleep(300000);
	begun = now();
	lender_unwatch(lent->lender, &lent->loan);
	waited = (now() - begun) / 1e6;
	tap_ok(waited < 1, "a renewal is not waited for: %.1f seconds", waited);
	tap_ok(lender_is_gone(lent->lender), "until it is through, the broker is gone");
	tap_ok(abandons(lent->lender, descriptors), "the child of a fork has nothing of it");
	kill(broker, SIGCONT);
	pthread_join(renewer, NULL);
	tap_ok(is_none("renew", lent->renewed) && !lender_is_gone(lent->lender) &&
		       abandons(lent->lender, descriptors),
	       "there is a broker again");
	tap_ok(is_none("watch", lender_watch(lent->lender, lent->ends.own, &lent->loan)) &&
		       ground_says(lent->ends.peer, lent->ends.own, "hello") &&
		       borrow(lent) == REFUSAL_NONE && give(lent) && goes_on(lent, ""),
	       "which lends");
}

/* Stopped in the middle of a request: the client waits, but not for ever, and both agree. */
static void broker_hangs(int door, pid_t broker)
{
	struct lent lent;
	const bool is_open = open_ends(&lent, "IPv4");
	const int descriptors = open_descriptors();
	enum refusal refusal;
	double begun, waited;

	if (!tap_ok(is_open && watch(&lent, door) && borrow(&lent) == REFUSAL_NONE && give(&lent),
		    "a connection to be borrowed"))
		return;
	stop(broker);
	begun = now();
	refusal = lender_borrow(lent.lender, lent.ends.own, &lent.loan, &lent.state);
	waited = (now() - begun) / 1e6;
	tap_ok(refusal == REFUSAL_BROKER && waited < 10e-3 * BROKER_PATIENCE,
	       "a broker that does not answer is waited for %.1f seconds", waited);
	kill(broker, SIGCONT);
	usleep(100000);
	tap_ok(goes_on(&lent, ""), "when it goes on, the connection is the kernel's");
	renewal_takes_long(&lent, broker, descriptors);
	lender_close(lent.lender);
	ground_close(&lent.ends);
}

/* Of a program that has ended before. */
static void last_client_leaves(void)
{
	struct lender *lender = NULL;
	int door = broker_start(broker_path);
	pid_t broker;

	tap_ok(lender_connect(door, &lender) == REFUSAL_NONE, "a client");
	broker = broker_find();
	close(door);
	usleep(100000);
	tap_ok(broker_find() == broker && kill(broker, SIGTERM) == 0, "it stays with its client");
	usleep(100000);
	tap_ok(broker_find() == broker, "and while the program's control group is ended");
	lender_close(lender);
	tap_ok(broker_ends(broker), "and ends with it");
}

/* ---- the service ---- */

/* As systemd does: the socket is descriptor 3. */
static pid_t start_service(int socket)
{
	char process[16];
	pid_t child = fork();

	if (child == 0) {
		snprintf(process, sizeof(process), "%d", getpid());
		setenv("LISTEN_PID", process, 1);
		setenv("LISTEN_FDS", "1", 1);
		dup2(socket, 3);
		execl(broker_path, broker_path, "--listen", NULL);
		_exit(127);
	}
	return child;
}

/* BROKER_SOCKET is a relative name in this program. */
static int make_service_socket(mode_t mode)
{
	const struct sockaddr_un name = { .sun_family = AF_UNIX, .sun_path = BROKER_SOCKET };
	int made = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (bind(made, (const struct sockaddr *)&name, sizeof(name)) < 0 || listen(made, 10) < 0 ||
	    chmod(BROKER_SOCKET, mode) < 0) {
		close(made);
		return -1;
	}
	return made;
}

static bool connects(struct lent *lent, int unused)
{
	(void)unused;
	return lender_connect(-1, &lent->lender) == REFUSAL_NONE;
}

static void end_service(struct lent *lent, pid_t service)
{
	struct connection_state state;
	int status = 1;

	kill(service, SIGTERM);
	usleep(100000);
	tap_ok(waitpid(service, NULL, WNOHANG) == 0, "told to end, it waits for what is borrowed");
	tap_ok(give(lent) && goes_on(lent, ""), "which can be given back");
	tap_ok(lender_borrow(lent->lender, lent->ends.own, &lent->loan, &state) != REFUSAL_NONE,
	       "but not borrowed again");
	wait_for(service, &status);
	tap_ok(status == 0, "and ends");
}

static void serve_the_host(void)
{
	char folder[] = "/tmp/melin-test.XXXXXX", before[PATH_MAX];
	struct lent lent;
	pid_t service;
	int socket;

	if (!getcwd(before, sizeof(before)) || !mkdtemp(folder) || chmod(folder, 0755) < 0 ||
	    chdir(folder) < 0)
		return;
	socket = make_service_socket(0600);
	service = start_service(socket);
	close(socket);
	tap_ok(broker_settles(service), "a service on a socket of systemd's");
	open_ends(&lent, "IPv4");
	tap_ok(!as_nobody(connects, &lent, -1), "whoever may not write to it is not served");
	chmod(BROKER_SOCKET, 0666);
	tap_ok(as_nobody(lend, &lent, -1), "whoever may is");
	tap_ok(watch(&lent, -1) && borrow(&lent) == REFUSAL_NONE, "a connection is borrowed");
	end_service(&lent, service);
	lender_close(lent.lender);
	ground_close(&lent.ends);
	unlink(BROKER_SOCKET);
	if (chdir(before) == 0)
		rmdir(folder);
}

int main(int count, char **arguments)
{
	const char *build = getenv("TESTS_BUILD");
	char command[PATH_MAX];
	int door;

	(void)count;
	(void)arguments;
	snprintf(command, sizeof(command), "%s/melin-broker", build ? build : ".");
	if (!realpath(command, broker_path)) {
		printf("Bail out! there is no %s\n", command);
		return 1;
	}
	if (!ground_make()) {
		printf("1..0 # SKIP needs the right to make network namespaces\n");
		return 0;
	}
	start_and_end();
	start_nothing();
	start_without_streams();
	door = broker_start(broker_path);
	lend_to_worker(door);
	lend_with_data(door);
	measure(door);
	refuse_others(door);
	refuse_each_other(door);
	refuse_other_ends(door);
	refuse_without_door();
	client_dies(door);
	broker_hangs(door, broker_find());
	broker_dies(door, broker_find());
	close(door);
	last_client_leaves();
	serve_the_host();
	return tap_done();
}
