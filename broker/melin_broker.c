/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * melin-broker: does for processes without the rights what lending connections takes (lender.h).
 * This file is who its clients are, and when it ends; what they may ask is serve.c's, and what it
 * gives up first confine.c's.
 *
 *	melin-broker --door    started by libmelin.so (broker_start.h): a client is whoever sends a
 *	                       channel through the door, a socket that the program and its
 *	                       children inherit. Ends with the last of them.
 *	melin-broker --witness   started by libmelin.so as well; it has no clients (witness.h).
 *	melin-broker --listen  a service: a client is whoever may connect to the socket, by its
 *	                       file's permissions. The socket is systemd's (LISTEN_FDS, see
 *	                       sd_listen_fds(3)), or made at BROKER_SOCKET. Ends when it is told to.
 *
 * The door is the safest of what a worker could show that has become another user, in a chroot and
 * an orphan perhaps: it cannot be had but from a process that has it, it cannot be guessed or met
 * with by name as an abstract address can, and does not change its meaning as user and process
 * numbers do.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "broker/broker_protocol.h"
#include "broker/broker_start.h"
#include "broker/confine.h"
#include "broker/witness.h"
#include "broker/serve.h"
#include "broker/tap_socket.h"

/* Each client costs a thread and a lender with its tap: some 100 KiB. */
#define CLIENTS_MAX 1024

/*
 * A service's clients are not one program's. They share the room for connections (TAP_CONNECTIONS):
 * a user, however many programs run as that, has no more than a quarter of it, nor of the clients.
 */
#define CONNECTIONS_OF_USER (TAP_CONNECTIONS / 4)
#define CLIENTS_OF_USER	    (clients_most / 4)

/* A channel, a tap, a bell, four sockets of its lender's, and what a request brings. */
#define DESCRIPTORS_OF_CLIENT 10

/* What all clients share: programs, maps, a link for each interface; and some to spare. */
#define DESCRIPTORS_OF_ALL 128

/* A few calls deep, and the kernel's least is 16 KiB. The messages are not on it. */
#define CLIENT_STACK 65536

/* Where systemd's first socket is. */
#define LISTEN_FDS_START 3

/*
 * A user who has clients. All clients of a door are taken for one user's: they are one program,
 * whatever users its processes have become.
 */
struct user {
	struct user *next;
	uid_t number;
	unsigned clients;
	struct serve_room room;
};

/* Protects users, what they have but for their rooms' use, and clients_count. A leaf. */
static pthread_mutex_t clients_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t client_left = PTHREAD_COND_INITIALIZER;
static struct user *users;
static unsigned clients_count;

/* Set before there are any clients: CLIENTS_MAX, or as many as there are descriptors for. */
static unsigned clients_most;

/* Where clients come from: a descriptor that becomes readable, and how one is taken from it. */
static int source;
static bool source_is_door;

static bool is_witness;

/*
 * taken is posted when a client has been taken from the source, or was not there. source_has_ended:
 * nobody can send another one.
 */
static sem_t taken;
static _Atomic bool source_has_ended;

static volatile sig_atomic_t is_told_to_end;

/* ---- one client ---- */

static uid_t user_of(int channel)
{
	struct ucred peer = { .uid = (uid_t)-1 };
	socklen_t size = sizeof(peer);

	getsockopt(channel, SOL_SOCKET, SO_PEERCRED, &peer, &size);
	return peer.uid;
}

/* With clients_lock held. NULL: there is no memory for a new one. */
static struct user *find_user(uid_t number)
{
	struct user *user = users;

	while (user && user->number != number)
		user = user->next;
	if (user)
		return user;
	user = calloc(1, sizeof(*user));
	if (!user)
		return NULL;
	user->number = number;
	user->room.most = source_is_door ? UINT_MAX : CONNECTIONS_OF_USER;
	user->next = users;
	users = user;
	return user;
}

/* With clients_lock held. */
static void forget_user(struct user *user)
{
	struct user **at = &users;

	while (*at != user)
		at = &(*at)->next;
	*at = user->next;
	free(user);
}

/*
 * Counts one more client of the user's. NULL: there are enough clients, or enough of that user's.
 */
static struct user *add_client(uid_t number)
{
	const unsigned most = source_is_door ? clients_most : CLIENTS_OF_USER;
	struct user *user = NULL;

	pthread_mutex_lock(&clients_lock);
	if (clients_count < clients_most)
		user = find_user(number);
	if (user && user->clients >= most)
		user = NULL;
	if (user) {
		user->clients++;
		clients_count++;
	}
	pthread_mutex_unlock(&clients_lock);
	return user;
}

static void remove_client(struct user *user)
{
	pthread_mutex_lock(&clients_lock);
	clients_count--;
	if (--user->clients == 0)
		forget_user(user);
	pthread_cond_signal(&client_left);
	pthread_mutex_unlock(&clients_lock);
}

/* Takes a channel out of the door. -1: whoever wanted one has gone, or has sent something else. */
static int take_from_door(void)
{
	struct broker_reader *reader = malloc(sizeof(*reader));
	int error = reader ? broker_message_receive(source, reader, MSG_DONTWAIT) : -ENOMEM;
	int channel = -1;

	if (error == -EPIPE)
		source_has_ended = true;
	if (error == 0) {
		channel = reader->connection;
		reader->connection = -1;
		broker_message_end(reader);
	}
	free(reader);
	return channel;
}

/*
 * The client's own thread takes the channel. What comes through the door may be any other file,
 * which has to be closed, and that may take long.
 */
static void *run_client(void *unused)
{
	struct user *user = NULL;
	int channel = source_is_door ? take_from_door() : accept4(source, NULL, NULL, SOCK_CLOEXEC);

	(void)unused;
	sem_post(&taken);
	if (channel < 0)
		return NULL;
	if (broker_is_channel(channel))
		user = add_client(source_is_door ? 0 : user_of(channel));
	if (user) {
		serve(channel, &user->room);
		remove_client(user);
	}
	close(channel);
	return NULL;
}

/* ---- all clients ---- */

/*
 * The source goes on when the client has been taken; a thread that hangs in it, or cannot be made,
 * holds up the others for a moment only.
 */
static void start_client(const pthread_attr_t *attributes)
{
	struct timespec until;
	pthread_t thread;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec++;
	if (pthread_create(&thread, attributes, run_client, NULL) == 0)
		sem_timedwait(&taken, &until);
	else
		poll(NULL, 0, 100);
}

static void limit_clients(void)
{
	struct rlimit limit = { 0 };
	rlim_t most = 0;

	getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur > DESCRIPTORS_OF_ALL)
		most = (limit.rlim_cur - DESCRIPTORS_OF_ALL) / DESCRIPTORS_OF_CLIENT;
	clients_most = most < CLIENTS_MAX ? (unsigned)most : CLIENTS_MAX;
}

static void serve_source(void)
{
	struct pollfd ready = { .fd = source, .events = POLLIN };
	pthread_attr_t attributes;

	sem_init(&taken, 0, 0);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, CLIENT_STACK);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	while (!source_has_ended && !is_told_to_end) {
		if (poll(&ready, 1, -1) == 1)
			start_client(&attributes);
	}
}

static void wait_for_clients(void)
{
	pthread_mutex_lock(&clients_lock);
	while (clients_count > 0)
		pthread_cond_wait(&client_left, &clients_lock);
	pthread_mutex_unlock(&clients_lock);
}

/* A service that ends leaves no connection borrowed: programs have the time that systemd gives. */
static void wait_for_connections(void)
{
	serve_stop_lending();
	while (serve_count_lent() > 0)
		poll(NULL, 0, 20);
}

/* ---- the beginning ---- */

static void end(int signal_number)
{
	(void)signal_number;
	is_told_to_end = true;
}

/*
 * What ends a service's control group, or a session, comes to the broker at the same time as to the
 * program, which wants to give back what it has borrowed.
 */
static void set_signals(void)
{
	static const int all[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGUSR1, SIGUSR2 };
	struct sigaction action = { .sa_handler = SIG_IGN };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		sigaction(all[i], &action, NULL);
	action.sa_handler = end;
	if (!source_is_door)
		sigaction(SIGTERM, &action, NULL);
}

/*
 * The socket has mode 660. Its group is the directory's if that is set-group-ID, else this
 * process's.
 */
static int make_socket(void)
{
	const struct sockaddr_un name = { .sun_family = AF_UNIX, .sun_path = BROKER_SOCKET };
	int descriptor = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (descriptor < 0)
		return -1;
	umask(0117);
	if (unlink(name.sun_path) < 0 && errno != ENOENT)
		return -1;
	if (bind(descriptor, (const struct sockaddr *)&name, sizeof(name)) < 0 ||
	    listen(descriptor, 128) < 0)
		return -1;
	return descriptor;
}

static int systemd_socket(void)
{
	const char *process = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");

	if (!process || !count || strtol(process, NULL, 10) != getpid() || strcmp(count, "1") != 0)
		return -1;
	return LISTEN_FDS_START;
}

static int find_source(int count, char **arguments)
{
	is_witness = count == 2 && strcmp(arguments[1], "--witness") == 0;
	if (is_witness || (count == 2 && strcmp(arguments[1], "--door") == 0)) {
		source_is_door = true;
		return BROKER_DOOR;
	}
	if (count == 2 && strcmp(arguments[1], "--listen") == 0) {
		int descriptor = systemd_socket();

		if (descriptor < 0)
			descriptor = make_socket();
		if (descriptor < 0)
			fprintf(stderr, "melin-broker: %s: %s\n", BROKER_SOCKET, strerror(errno));
		return descriptor;
	}
	fprintf(stderr, "usage: melin-broker --listen\n");
	return -1;
}

int main(int count, char **arguments)
{
	source = find_source(count, arguments);
	if (source < 0)
		return 2;
	set_signals();
	confine_leave_program();
	if (is_witness)
		return witness_run(source);
	if (confine_rights() < 0) {
		fprintf(stderr, "melin-broker: cannot give up its rights: %s\n", strerror(errno));
		return 1;
	}
	limit_clients();
	serve_source();
	if (source_is_door)
		wait_for_clients();
	else
		wait_for_connections();
	return 0;
}
