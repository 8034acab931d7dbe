/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Steps of the sequences in which a thread sleeps in a call, and another thread of the program, the
 * peer or a signal ends that.
 */
#include "sequences.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define LATER_MS  3
#define WAKE	  20 /* bytes that wake */
#define SIGNALLED (SIGRTMIN + 3)

/* ---- what ends the sleep ---- */

static struct side *sleeper; /* its descriptor is what the acts are called with */
static pthread_t sleeping_thread;
static volatile sig_atomic_t interruptions;

static void count_interruption(int number)
{
	(void)number;
	interruptions++;
}

static void handle_interruptions(int flags)
{
	struct sigaction action = { .sa_handler = count_interruption, .sa_flags = flags };

	interruptions = 0;
	must("sigaction", sigaction(SIGUSR2, &action, NULL));
}

static void peer_sends(void)
{
	struct side *peer = peer_of(sleeper);
	ssize_t n = send(side_descriptor(peer), next_data(peer, WAKE), WAKE,
			 MSG_NOSIGNAL | MSG_DONTWAIT);

	side_has_sent(peer, n > 0 ? (size_t)n : 0);
}

static void act_send(int fd)
{
	(void)fd;
	peer_sends();
}

static void act_end(int fd)
{
	(void)fd;
	shutdown(side_descriptor(peer_of(sleeper)), SHUT_WR);
	side_ended(peer_of(sleeper));
}

static void act_reset(int fd)
{
	struct linger none = { .l_onoff = 1 };
	struct side *peer = peer_of(sleeper);

	(void)fd;
	for (int other; (other = side_descriptor(peer)) >= 0;) {
		setsockopt(other, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
		close(other);
		descriptor_gone(other);
	}
	side_broken(peer);
}

static void act_shut_reading(int fd)
{
	shutdown(fd, SHUT_RD);
	sleeper->loose = sleeper->uncounted = true;
}

static void act_shut_both(int fd)
{
	shutdown(fd, SHUT_RDWR);
	sleeper->uncounted = true;
	side_ended(sleeper);
}

/* The call goes on with what it has begun with. */
static void act_close(int fd)
{
	close(fd);
	peer_sends();
	descriptor_gone(fd);
}

static void act_replace(int fd)
{
	int other = open("/dev/null", O_RDWR | O_CLOEXEC);

	dup2(other, fd);
	close(other);
	peer_sends();
	descriptor_gone(fd);
}

static void act_move(int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 60);

	close(fd);
	descriptor_gone(fd);
	if (copy >= 0)
		descriptor_added(sleeper, copy);
	peer_sends();
}

static void act_flags(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	limit_waits(fd, SO_RCVTIMEO, USUAL_WAIT_MS);
	peer_sends();
	pause_ms(LATER_MS);
	fcntl(fd, F_SETFL, flags);
}

/* SIGCHLD is ignored, but not while the thread that has the child blocks it, as in fork(). */
static void act_fork(int fd)
{
	sigset_t set;
	int pipes[2];
	pid_t pid;
	char byte;

	(void)fd;
	must("pipe2", pipe2(pipes, O_CLOEXEC));
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	pid = fork();
	if (pid == 0) {
		close(pipes[1]);
		_exit((int)read(pipes[0], &byte, 1));
	}
	close(pipes[0]);
	close(pipes[1]);
	waitpid(pid, NULL, 0);
	peer_sends();
}

static void act_signal(int fd)
{
	(void)fd;
	pthread_kill(sleeping_thread, SIGUSR2);
}

/* A call that nothing limits is begun again. */
static void act_signal_and_send(int fd)
{
	(void)fd;
	pthread_kill(sleeping_thread, SIGUSR2);
	for (int naps = 0; !interruptions && naps < LONG_WAIT_MS; naps++)
		pause_ms(1);
	peer_sends();
}

static const struct act {
	const char *name;
	void (*run)(int fd);
	bool number_goes; /* an epoll set loses it, too */
	bool restarts;
	bool elsewhere; /* not in own mode */
} acts[] = {
	{ "send", act_send, false, false, false },
	{ "end", act_end, false, false, false },
	{ "reset", act_reset, false, false, false },
	{ "shut reading", act_shut_reading, false, false, false },
	{ "shut both", act_shut_both, false, false, false },
	{ "close", act_close, true, false, false },
	{ "replace", act_replace, true, false, false },
	{ "move", act_move, false, false, false },
	{ "flags", act_flags, false, false, false },
	{ "fork", act_fork, false, false, true },
	{ "signal", act_signal, false, false, false },
	{ "signal and send", act_signal_and_send, false, true, false },
};

/* ---- sleeps ---- */

static void taken(struct side *side, const char *name, ssize_t n)
{
	outcome(name, n);
	if (n > 0)
		show("data", received_data, n);
	side->received += n > 0 ? (size_t)n : 0;
}

static void in_recv(struct side *side, int fd)
{
	taken(side, "recv", recv(fd, received_data, DATA_BYTES, 0));
}

static void in_read(struct side *side, int fd)
{
	taken(side, "read", read(fd, received_data, DATA_BYTES));
}

/* All that there is, and what is sent now. */
static void in_wait_for_all(struct side *side, int fd)
{
	const int there = bytes_of(fd);
	const size_t length = (there > 0 ? (size_t)there : 0) + WAKE;

	taken(side, "recv, all", recv(fd, received_data, length, MSG_WAITALL));
}

static void in_recvmsg(struct side *side, int fd)
{
	struct iovec parts[2] = { { received_data, 7 }, { received_data + 7, DATA_BYTES } };
	struct msghdr header = { .msg_iov = parts, .msg_iovlen = 2 };

	taken(side, "recvmsg", recvmsg(fd, &header, 0));
}

static void in_peek(struct side *side, int fd)
{
	ssize_t n = recv(fd, received_data, 10, MSG_PEEK);

	(void)side;
	outcome("peek", n);
	show("data", received_data, n);
}

static void show_set(const char *name, int result, bool there)
{
	outcome(name, result);
	note("there %d", there);
}

static void in_select(struct side *side, int fd)
{
	struct timeval time = { .tv_sec = 5 };
	fd_set set;
	int result;

	(void)side;
	FD_ZERO(&set);
	FD_SET(fd, &set);
	result = select(fd + 1, &set, NULL, NULL, &time);
	show_set("select", result, result > 0 && FD_ISSET(fd, &set));
}

static void in_pselect(struct side *side, int fd)
{
	struct timespec time = { .tv_sec = 5 };
	sigset_t none;
	fd_set set;
	int result;

	(void)side;
	sigemptyset(&none);
	FD_ZERO(&set);
	FD_SET(fd, &set);
	result = pselect(fd + 1, &set, NULL, NULL, &time, &none);
	show_set("pselect", result, result > 0 && FD_ISSET(fd, &set));
}

static void in_poll(struct side *side, int fd)
{
	struct pollfd entries[2] = { { .fd = -1 }, { .fd = fd, .events = POLLIN | POLLRDHUP } };

	(void)side;
	outcome("poll", poll(entries, 2, LONG_WAIT_MS));
	note("%s", poll_bits((uint32_t)(uint16_t)entries[1].revents));
}

static void in_ppoll(struct side *side, int fd)
{
	struct pollfd entry = { .fd = fd, .events = POLLIN };

	(void)side;
	outcome("ppoll", ppoll(&entry, 1, &(struct timespec){ .tv_sec = 5 }, NULL));
	note("%s", poll_bits((uint32_t)(uint16_t)entry.revents));
}

static void in_epoll(struct side *side, int fd)
{
	static const uint32_t ways[] = { 0, EPOLLET, EPOLLONESHOT, EPOLLET | EPOLLONESHOT,
					 EPOLLEXCLUSIVE };
	const uint32_t way = ONE_OF(ways);
	struct epoll_event event = { .events = way | EPOLLIN };
	int epoll = epoll_create1(EPOLL_CLOEXEC), result;

	(void)side;
	outcome("epoll_ctl", epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
	result = epoll_wait(epoll, &event, 1, LONG_WAIT_MS);
	outcome("epoll_wait", result);
	if (result == 1)
		note("%s", poll_bits(event.events));
	if (way & EPOLLONESHOT)
		outcome("once more", epoll_wait(epoll, &event, 1, 0));
	close(epoll);
}

typedef void sleep_function(struct side *side, int fd);

static sleep_function *const sleeps[] = { in_recv,    in_recv,	in_read,   in_wait_for_all,
					  in_recvmsg, in_peek,	in_select, in_pselect,
					  in_poll,    in_ppoll, in_epoll,  in_epoll };

static bool may_act(const struct side *side, int fd, const struct act *act, sleep_function *sleep)
{
	if (side_descriptor(peer_of(side)) < 0 || sendable(peer_of(side), WAKE) < WAKE)
		return false;
	if (act->elsewhere && in_process())
		return false;
	/* What is there ends the sleep at once, and the connection with it: by an RST. */
	if (act->number_goes && (sleep == in_epoll || side->loose || bytes_of(fd) != 0))
		return false;
	return true;
}

static void step_sleep(struct side *side, int fd)
{
	const struct act *act = &ONE_OF(acts);
	sleep_function *sleep = ONE_OF(sleeps);
	pthread_t thread;
	int now;

	if (fd < 0 || !may_act(side, fd, act, sleep))
		return;
	note("%s", act->name);
	limit_waits(fd, SO_RCVTIMEO, act->restarts ? 0 : LONG_WAIT_MS);
	handle_interruptions(act->restarts ? SA_RESTART : 0);
	sleeper = side;
	sleeping_thread = pthread_self();
	thread = later(LATER_MS, act->run, fd);
	sleep(side, fd);
	join(thread);
	if (act->run == act_replace)
		close(fd);
	note("signals %d", (int)interruptions);
	now = side_descriptor(side);
	if (now >= 0)
		limit_waits(now, SO_RCVTIMEO, USUAL_WAIT_MS);
}

/* ---- two of them ---- */

static void take_one(int fd)
{
	char byte;

	if (recv(fd, &byte, 1, 0) == 1)
		__atomic_add_fetch(&sleeper->received, 1, __ATOMIC_SEQ_CST);
}

/* Each has one byte, whichever. */
static void step_two_sleepers(struct side *side, int fd)
{
	const size_t before = side->received;
	pthread_t other, act;

	if (fd < 0 || side->loose || peer_of(side)->loose || sendable(peer_of(side), WAKE) < WAKE)
		return;
	limit_waits(fd, SO_RCVTIMEO, LONG_WAIT_MS);
	sleeper = side;
	other = later(0, take_one, fd);
	act = later(LATER_MS, act_send, fd);
	take_one(fd);
	join(other);
	join(act);
	note("%zu bytes", side->received - before);
	limit_waits(fd, SO_RCVTIMEO, USUAL_WAIT_MS);
}

/* ---- signals that are pending, and that tell of data ---- */

static int wait_with_mask(int fd, const sigset_t *mask)
{
	struct pollfd entry = { .fd = fd, .events = POLLIN };
	struct epoll_event event = { .events = EPOLLIN };
	struct timespec none = { 0 };
	int epoll, result, error;
	fd_set set;

	switch (chance(3)) {
	case 0:
		return ppoll(&entry, 1, &none, mask);
	case 1:
		FD_ZERO(&set);
		FD_SET(fd, &set);
		return pselect(fd + 1, &set, NULL, NULL, &none, mask);
	default:
		epoll = epoll_create1(EPOLL_CLOEXEC);
		epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
		result = epoll_pwait(epoll, &event, 1, (int)chance(2) * 2, mask);
		error = errno;
		close(epoll);
		errno = error;
		return result;
	}
}

static void step_pending(struct side *side, int fd)
{
	sigset_t none, blocked, before;

	(void)side;
	if (fd < 0)
		return;
	sigemptyset(&none);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR2);
	handle_interruptions(SA_RESTART);
	pthread_sigmask(SIG_BLOCK, &blocked, &before);
	pthread_kill(pthread_self(), SIGUSR2);
	outcome("wait", wait_with_mask(fd, chance(4) ? &none : NULL));
	note("signals %d", (int)interruptions);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	note("signals %d", (int)interruptions);
}

/* In own mode some come that tell nothing new. */
static bool told_of_data(const sigset_t *set, int fd)
{
	struct timespec time = { .tv_sec = 5 };
	siginfo_t info;

	while (sigtimedwait(set, &info, &time) == SIGNALLED)
		if (info.si_fd == fd && info.si_band & POLLIN)
			return true;
	return false;
}

static void step_signal_of_data(struct side *side, int fd)
{
	struct f_owner_ex owner = { .type = F_OWNER_TID, .pid = gettid() };
	struct timespec none = { 0 };
	sigset_t set, before;
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || side->loose || peer_of(side)->loose ||
	    sendable(peer_of(side), WAKE) < WAKE)
		return;
	sleeper = side;
	sigemptyset(&set);
	sigaddset(&set, SIGNALLED);
	pthread_sigmask(SIG_BLOCK, &set, &before);
	outcome("F_SETSIG", fcntl(fd, F_SETSIG, SIGNALLED));
	if (chance(2))
		outcome("F_SETOWN_EX", fcntl(fd, F_SETOWN_EX, &owner));
	else
		outcome("F_SETOWN", fcntl(fd, F_SETOWN, getpid()));
	outcome("F_SETFL", fcntl(fd, F_SETFL, flags | O_ASYNC));
	peer_sends();
	note("told %d", told_of_data(&set, fd));
	outcome("F_SETFL", fcntl(fd, F_SETFL, flags & ~O_ASYNC));
	outcome("F_SETSIG", fcntl(fd, F_SETSIG, 0));
	rest();
	while (sigtimedwait(&set, NULL, &none) > 0)
		;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* ---- the end ---- */

/* What has come to its end gives way to a new connection. */
static void step_renew(struct side *side, int fd)
{
	(void)fd;
	if (!side->loose && !peer_of(side)->loose)
		return;
	for (int i = 0, other; i < 2; i++, side = peer_of(side))
		while ((other = side_descriptor(side)) >= 0) {
			close(other);
			descriptor_gone(other);
		}
}

const struct step waking_steps[] = {
	{ "sleep", step_sleep, 30 },	{ "two sleepers", step_two_sleepers, 2 },
	{ "pending", step_pending, 4 }, { "signal of data", step_signal_of_data, 4 },
	{ "renew", step_renew, 14 },	{ 0 },
};
