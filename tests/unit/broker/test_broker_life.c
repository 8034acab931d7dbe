/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The life of melin-broker: how libmelin.so starts it and what it has of the program's, the death
 * of either side, its end, and the service for the whole host. What it lends: test_broker.c.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "broker/broker_start.h"
#include "broker/client.h"
#include "tests/unit/broker/broker_process.h"
#include "tests/unit/broker/lent.h"
#include "tests/unit/tap.h"

static const char *broker_path;
static volatile sig_atomic_t children_ended;

static void count_child(int number)
{
	(void)number;
	children_ended++;
}

/* ---- the start ---- */

static bool has_no_child(void)
{
	return waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD;
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
	lent_wait_for(child, &status);
	tap_ok(status == 0, "a program without standard streams can start one");
}

/* ---- deaths ---- */

static bool borrow_and_die(struct lent *lent, int door)
{
	if (lent_watch(lent, door) && lent_borrow(lent) == REFUSAL_NONE)
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

	lent_open(&lent, "IPv4");
	child = fork();
	if (child == 0)
		_exit(borrow_and_die(&lent, door));
	close(lent.ends.own);
	lent_wait_for(child, &status);
	tap_ok(WIFSIGNALED(status) && is_established(lent.ends.peer),
	       "a client dies with a connection");
	usleep(100000); /* the broker sees that */
	send(lent.ends.peer, "anybody?", 8, MSG_NOSIGNAL);
	for (int i = 0; i < 6000 && is_established(lent.ends.peer); i++)
		usleep(5000);
	tap_ok(!is_established(lent.ends.peer), "the peer is reset when it sends");
	ground_close(&lent.ends);
	tap_ok(lent_open(&lent, "IPv4") && lent_as_nobody(lent_lend, &lent, door),
	       "and others are served as before");
	ground_close(&lent.ends);
}

static void broker_dies(int door, pid_t broker)
{
	struct connection_state state;
	struct lent lent, other;
	double begun;

	if (!tap_ok(lent_open(&lent, "IPv4") && lent_watch(&lent, door) &&
			    lent_open(&other, "IPv6") && lent_watch(&other, door) &&
			    lent_borrow(&lent) == REFUSAL_NONE,
		    "one connection is borrowed, another is watched"))
		return;
	kill(broker, SIGKILL);
	tap_ok(broker_ends(broker), "the broker is killed");
	begun = lent_now();
	tap_ok(lender_borrow(other.lender, other.ends.own, &other.loan, &state) == REFUSAL_BROKER &&
		       lender_is_gone(other.lender) &&
		       lender_watch(other.lender, other.ends.own, &other.loan) == REFUSAL_BROKER,
	       "nothing more is borrowed, and the lender knows why");
	tap_ok(ground_says(other.ends.own, other.ends.peer, "kernel") &&
		       ground_says(other.ends.peer, other.ends.own, "kernel"),
	       "the kernel serves what was watched");
	tap_ok(lender_give(lent.lender, lent.ends.own, &lent.loan, &lent.state) == -EPERM &&
		       lent.loan.state == LOAN_BORROWED,
	       "what was borrowed remains borrowed (-EPERM)");
	tap_ok(lent_now() - begun < 3 * 1000 * BROKER_PATIENCE, "and nobody has waited");
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

/* In a child, which has nothing more than there was without the lender. */
static bool abandons(struct lender *lender, int before)
{
	int status = 1;
	pid_t child = fork();

	if (child == 0) {
		lender_abandon(lender);
		_exit(open_descriptors() == before ? 0 : 1);
	}
	lent_wait_for(child, &status);
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
	begun = lent_now();
	lender_unwatch(lent->lender, &lent->loan);
	waited = (lent_now() - begun) / 1e6;
	/* It would take BROKER_START_PATIENCE. */
	tap_ok(waited < 10, "a renewal is not waited for: %.1f seconds", waited);
	tap_ok(lender_is_gone(lent->lender), "until it is through, the broker is gone");
	tap_ok(abandons(lent->lender, descriptors), "the child of a fork has nothing of it");
	kill(broker, SIGCONT);
	pthread_join(renewer, NULL);
	tap_ok(lent_is_none("renew", lent->renewed) && !lender_is_gone(lent->lender) &&
		       abandons(lent->lender, descriptors),
	       "there is a broker again");
	tap_ok(lent_is_none("watch", lender_watch(lent->lender, lent->ends.own, &lent->loan)) &&
		       ground_says(lent->ends.peer, lent->ends.own, "hello") &&
		       lent_borrow(lent) == REFUSAL_NONE && lent_give(lent) &&
		       lent_goes_on(lent, ""),
	       "which lends");
}

/* Stopped in the middle of a request: the client waits, but not for ever, and both agree. */
static void broker_hangs(int door, pid_t broker)
{
	struct lent lent;
	const bool is_open = lent_open(&lent, "IPv4");
	const int descriptors = open_descriptors();
	enum refusal refusal;
	double begun, waited;

	if (!tap_ok(is_open && lent_watch(&lent, door) && lent_borrow(&lent) == REFUSAL_NONE &&
			    lent_give(&lent),
		    "a connection to be borrowed"))
		return;
	stop(broker);
	begun = lent_now();
	refusal = lender_borrow(lent.lender, lent.ends.own, &lent.loan, &lent.state);
	waited = (lent_now() - begun) / 1e6;
	tap_ok(refusal == REFUSAL_BROKER && waited < 10e-3 * BROKER_PATIENCE,
	       "a broker that does not answer is waited for %.1f seconds", waited);
	kill(broker, SIGCONT);
	usleep(100000);
	tap_ok(lent_goes_on(&lent, ""), "when it goes on, the connection is the kernel's");
	renewal_takes_long(&lent, broker, descriptors);
	lender_close(lent.lender);
	ground_close(&lent.ends);
}

/* ---- a broker that stops, or dies, between a request and its answer ---- */

struct asked {
	struct lent *lent;
	enum refusal refusal;
	int error;
	double waited; /* seconds */
};

static void *ask_to_borrow(void *argument)
{
	struct asked *asked = argument;
	struct lent *lent = asked->lent;
	const double begun = lent_now();

	asked->refusal = lender_borrow(lent->lender, lent->ends.own, &lent->loan, &lent->state);
	asked->waited = (lent_now() - begun) / 1e6;
	return NULL;
}

static void *ask_to_give(void *argument)
{
	struct asked *asked = argument;
	struct lent *lent = asked->lent;
	const double begun = lent_now();

	asked->error = lender_give(lent->lender, lent->ends.own, &lent->loan, &lent->state);
	asked->waited = (lent_now() - begun) / 1e6;
	return NULL;
}

/* A stopped broker is asked, and gets the signal after so many milliseconds. */
static void ask_stopped(struct asked *asked, void *(*ask)(void *), pid_t broker, int signal,
			unsigned milliseconds)
{
	pthread_t thread;

	stop(broker);
	pthread_create(&thread, NULL, ask, asked);
	usleep(1000 * milliseconds);
	kill(broker, signal);
	pthread_join(thread, NULL);
}

/* As libmelin.so does it: the peer, which only waits, finds out. */
static bool peer_is_reset(struct lent *lent)
{
	lender_dissolve(lent->lender, lent->ends.own, &lent->loan, &lent->state);
	for (int i = 0; i < 6000 && is_established(lent->ends.peer); i++)
		usleep(5000);
	return !is_established(lent->ends.peer);
}

static void end_lent(struct lent *lent)
{
	lender_unwatch(lent->lender, &lent->loan);
	lender_close(lent->lender);
	ground_close(&lent->ends);
}

static void dies_while_it_borrows(void)
{
	int door = broker_start(broker_path);
	const pid_t broker = broker_find();
	struct lent lent;
	struct asked asked = { .lent = &lent };

	if (!tap_ok(lent_open(&lent, "IPv4") && lent_watch(&lent, door) &&
			    lent_borrow(&lent) == REFUSAL_NONE && lent_give(&lent),
		    "a connection to be borrowed"))
		return;
	ask_stopped(&asked, ask_to_borrow, broker, SIGKILL, 200);
	tap_ok(asked.refusal == REFUSAL_BROKER && asked.waited < 10e-3 * BROKER_PATIENCE &&
		       lent_goes_on(&lent, ""),
	       "killed before it borrows: the kernel goes on, after %.1f seconds", asked.waited);
	end_lent(&lent);
	close(door);
	broker_ends(broker);
}

static void dies_while_it_gives(void)
{
	int door = broker_start(broker_path);
	const pid_t broker = broker_find();
	struct lent lent;
	struct asked asked = { .lent = &lent };

	if (!tap_ok(lent_open(&lent, "IPv6") && lent_watch(&lent, door) &&
			    lent_borrow(&lent) == REFUSAL_NONE,
		    "a connection is borrowed"))
		return;
	ask_stopped(&asked, ask_to_give, broker, SIGKILL, 200);
	tap_ok(asked.error == -EPERM && lent.loan.state == LOAN_BORROWED &&
		       asked.waited < 10e-3 * BROKER_PATIENCE && peer_is_reset(&lent),
	       "killed before it gives back: told after %.1f seconds, and the peer is reset",
	       asked.waited);
	connection_state_clear(&lent.state);
	end_lent(&lent);
	close(door);
	broker_ends(broker);
}

/* What a client says that has so many descriptors left, which a soft limit sees to. */
static enum refusal refusal_with(unsigned left, int door)
{
	struct rlimit limit, before;
	struct lender *lender;
	enum refusal refusal;
	const int lowest = dup(door);

	getrlimit(RLIMIT_NOFILE, &before);
	limit = before;
	limit.rlim_cur = (rlim_t)lowest + left;
	close(lowest);
	setrlimit(RLIMIT_NOFILE, &limit);
	refusal = lender_connect(door, &lender);
	setrlimit(RLIMIT_NOFILE, &before);
	if (refusal == REFUSAL_NONE)
		lender_close(lender);
	return refusal;
}

static void no_descriptor_is_left(int door)
{
	const int open = open_descriptors();
	unsigned left = 0;

	/* For the two ends of a channel, and then for the tap that comes by it. */
	while (left < 4 && refusal_with(left, door) == REFUSAL_DESCRIPTORS)
		left++;
	tap_ok(left >= 2 && refusal_with(left, door) == REFUSAL_NONE,
	       "without descriptors (fewer than %u) a client says so", left);
	tap_ok(open_descriptors() == open, "and keeps none");
}

/* Longer than who has no loans waits, and then longer than any client does. */
static void stops_while_it_gives(void)
{
	const unsigned longest = BROKER_PATIENCE * BROKER_PATIENCE_LENT;
	int door = broker_start(broker_path);
	const pid_t broker = broker_find();
	struct lent lent;
	struct asked asked = { .lent = &lent };

	if (!tap_ok(lent_open(&lent, "IPv4") && lent_watch(&lent, door) &&
			    lent_borrow(&lent) == REFUSAL_NONE,
		    "a connection is borrowed"))
		return;
	ask_stopped(&asked, ask_to_give, broker, SIGCONT, BROKER_PATIENCE + 500);
	connection_state_clear(&lent.state);
	tap_ok(asked.error == 0 && lent_goes_on(&lent, ""),
	       "stopped for a while: given back after %.1f seconds", asked.waited);
	if (!tap_ok(lent_borrow(&lent) == REFUSAL_NONE, "and borrowed again"))
		return;
	stop(broker);
	ask_to_give(&asked);
	tap_ok(asked.error == -EPERM && asked.waited * 1000 < 5 * longest,
	       "stopped for longer: it is given up after %.1f seconds", asked.waited);
	/* What keeps its segments from the kernel is the broker's. */
	kill(broker, SIGCONT);
	tap_ok(is_established(lent.ends.own) && peer_is_reset(&lent),
	       "and the peer is reset, when the broker goes on");
	connection_state_clear(&lent.state);
	end_lent(&lent);
	close(door);
	broker_ends(broker);
}

/* More requests than a channel can hold. */
#define MANY_REQUESTS 50000

struct requests {
	const struct lent *lent;
	_Atomic unsigned sent;
};

/* They are not answered, and name a connection that the broker does not know. */
static void *send_many(void *argument)
{
	struct requests *requests = argument;
	const struct loan unknown = { .state = LOAN_WATCHED,
				      .broker = requests->lent->loan.broker,
				      .token = ~0ull };

	while (atomic_load(&requests->sent) < MANY_REQUESTS) {
		struct loan loan = unknown;

		lender_unwatch(requests->lent->lender, &loan);
		atomic_fetch_add(&requests->sent, 1);
	}
	return NULL;
}

/* Stopped until the channel is full, and longer than a client waits for whom nothing is lent. */
static void channel_is_full(int door, pid_t broker)
{
	struct lent lent;
	struct requests requests = { .lent = &lent };
	pthread_t sender;

	if (!tap_ok(lent_open(&lent, "IPv4") && lent_watch(&lent, door) &&
			    lent_borrow(&lent) == REFUSAL_NONE,
		    "a connection is borrowed"))
		return;
	stop(broker);
	pthread_create(&sender, NULL, send_many, &requests);
	usleep(1500 * BROKER_PATIENCE);
	tap_ok(atomic_load(&requests.sent) < MANY_REQUESTS, "the channel is full");
	kill(broker, SIGCONT);
	pthread_join(sender, NULL);
	tap_ok(!lender_is_gone(lent.lender), "the broker is waited for");
	tap_ok(lent_give(&lent) && lent_goes_on(&lent, ""), "what it has lent is given back");
	lender_close(lent.lender);
	ground_close(&lent.ends);
}

/*
 * A connection whose socket is closed next is left to a broker that is slow: nobody waits, and what
 * the peer has sent since is not taken for unread data, for which the kernel would reset.
 */
static void close_while_stopped(int door, pid_t broker)
{
	struct lent lent;
	char byte;
	ssize_t got;
	int error;

	if (!tap_ok(lent_open(&lent, "IPv4") && lent_watch(&lent, door) &&
			    lent_borrow(&lent) == REFUSAL_NONE,
		    "a connection is borrowed"))
		return;
	stop(broker);
	error = lender_leave(lent.lender, lent.ends.own, &lent.loan, &lent.state);
	tap_ok(error == 0 && lent.loan.state == LOAN_NONE, "it is left to a broker that stands");
	connection_state_clear(&lent.state);
	send(lent.ends.peer, "later", 5, 0);
	close(lent.ends.own);
	lent.ends.own = -1;
	kill(broker, SIGCONT);
	got = recv(lent.ends.peer, &byte, 1, 0);
	tap_ok(got == 0, "the peer hears of its end, and of no error: %zd", got);
	tap_ok(!lender_is_gone(lent.lender), "the broker is there");
	lender_close(lent.lender);
	ground_close(&lent.ends);
}

struct settling {
	struct lender *lender;
	_Atomic bool is_done;
};

static void *settle(void *argument)
{
	struct settling *settling = argument;

	lender_settle(settling->lender);
	atomic_store(&settling->is_done, true);
	return NULL;
}

/* A program that ends waits until what it has left is closed: the broker may end with it. */
static void end_while_stopped(int door, pid_t broker)
{
	struct settling settling = { 0 };
	struct lent lent;
	pthread_t thread;
	char byte;

	if (!tap_ok(lent_open(&lent, "IPv4") && lent_watch(&lent, door) &&
			    lent_borrow(&lent) == REFUSAL_NONE,
		    "a connection is borrowed"))
		return;
	settling.lender = lent.lender;
	lender_settle(lent.lender);
	stop(broker);
	lender_leave(lent.lender, lent.ends.own, &lent.loan, &lent.state);
	connection_state_clear(&lent.state);
	close(lent.ends.own);
	lent.ends.own = -1;
	pthread_create(&thread, NULL, settle, &settling);
	usleep(100000);
	tap_ok(!atomic_load(&settling.is_done), "who settles waits for a broker that stands");
	kill(broker, SIGCONT);
	pthread_join(thread, NULL);
	tap_ok(recv(lent.ends.peer, &byte, 1, MSG_DONTWAIT) == 0,
	       "until the peer has heard of the end");
	tap_ok(!lender_is_gone(lent.lender), "the broker is there");
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

/* Who has given up the right to ptrace(2) itself cannot look for its leaks in the end. */
static void look_for_no_leaks(void)
{
#ifdef __SANITIZE_ADDRESS__
	const char *others = getenv("ASAN_OPTIONS");
	char options[PATH_MAX];

	snprintf(options, sizeof(options), "%s:detect_leaks=0", others ? others : "");
	setenv("ASAN_OPTIONS", options, 1);
#endif
}

/* As systemd does: the socket is descriptor 3. */
static pid_t start_service(int socket)
{
	char process[16];
	pid_t child = fork();

	if (child == 0) {
		snprintf(process, sizeof(process), "%d", getpid());
		setenv("LISTEN_PID", process, 1);
		setenv("LISTEN_FDS", "1", 1);
		look_for_no_leaks();
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

/* It may not have heard yet that it is to end; the connection is the kernel's in any case. */
static bool is_refused_soon(struct lent *lent)
{
	enum refusal refusal = REFUSAL_NONE;

	for (int i = 0; i < 6000 && refusal == REFUSAL_NONE; i++) {
		refusal = lender_borrow(lent->lender, lent->ends.own, &lent->loan, &lent->state);
		if (refusal == REFUSAL_NONE && !lent_give(lent))
			return false;
		usleep(5000);
	}
	return refusal != REFUSAL_NONE;
}

static void end_service(struct lent *lent, pid_t service)
{
	int status = 1;

	kill(service, SIGTERM);
	usleep(100000);
	tap_ok(waitpid(service, NULL, WNOHANG) == 0, "told to end, it waits for what is borrowed");
	tap_ok(lent_give(lent) && lent_goes_on(lent, ""), "which can be given back");
	tap_ok(is_refused_soon(lent), "but not borrowed again");
	lent_wait_for(service, &status);
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
	lent_open(&lent, "IPv4");
	tap_ok(!lent_as_nobody(connects, &lent, -1), "whoever may not write to it is not served");
	chmod(BROKER_SOCKET, 0666);
	tap_ok(lent_as_nobody(lent_lend, &lent, -1), "whoever may is");
	tap_ok(lent_watch(&lent, -1) && lent_borrow(&lent) == REFUSAL_NONE,
	       "a connection is borrowed");
	end_service(&lent, service);
	lender_close(lent.lender);
	ground_close(&lent.ends);
	unlink(BROKER_SOCKET);
	if (chdir(before) == 0)
		rmdir(folder);
}

int main(void)
{
	int door;

	broker_path = ground_broker();
	ground_make();
	start_and_end();
	start_nothing();
	start_without_streams();
	door = broker_start(broker_path);
	no_descriptor_is_left(door);
	client_dies(door);
	broker_hangs(door, broker_find());
	channel_is_full(door, broker_find());
	close_while_stopped(door, broker_find());
	end_while_stopped(door, broker_find());
	broker_dies(door, broker_find());
	close(door);
	dies_while_it_borrows();
	dies_while_it_gives();
	stops_while_it_gives();
	last_client_leaves();
	serve_the_host();
	return tap_done();
}
