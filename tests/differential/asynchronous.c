/* SPDX-License-Identifier: BSD-3-Clause */
/* Differential cases: aio(7) on a connection, alone and in one list with requests on a pipe. */
#include "harness.h"

#include <aio.h>
#include <errno.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const struct timespec some = { .tv_sec = 5 }, little = { .tv_nsec = 30000000 };

static struct aiocb request(int fd, void *buffer, size_t size)
{
	struct aiocb control;

	memset(&control, 0, sizeof(control));
	control.aio_fildes = fd;
	control.aio_buf = buffer;
	control.aio_nbytes = size;
	control.aio_sigevent.sigev_notify = SIGEV_NONE;
	return control;
}

static void finish(const char *name, struct aiocb *control)
{
	const struct aiocb *list[] = { control };
	int error;

	outcome("suspend", aio_suspend(list, 1, &some));
	error = aio_error(control);
	note("%s: error %s", name, error ? errno_name(error) : "none");
	note("%s: returns %zd", name, aio_return(control));
}

static void case_read_and_write(void)
{
	struct connection connection = open_connection();
	char in[16] = "", out[] = "hello", heard[8] = "";
	struct aiocb writing = request(connection.us, out, 5),
		     reading = request(connection.us, in, sizeof(in));

	outcome("aio_write", aio_write(&writing));
	finish("write", &writing);
	recv(connection.them, heard, 5, MSG_WAITALL);
	show("they heard", heard, 5);
	outcome("aio_read", aio_read(&reading));
	note("at first: %s", errno_name(aio_error(&reading)));
	send_all(connection.them, "world", 5);
	finish("read", &reading);
	show("we heard", in, 5);
	shutdown(connection.them, SHUT_WR);
	outcome("aio_read at the end", aio_read(&reading));
	finish("the end", &reading);
	close_connection(connection);
}

static void case_in_turn(void)
{
	struct connection connection = open_connection();
	char out[3][4] = { "abc", "def", "ghi" }, heard[10] = "";
	struct aiocb controls[3];

	for (int i = 0; i < 3; i++) {
		controls[i] = request(connection.us, out[i], 3);
		outcome_at("aio_write", i, aio_write(&controls[i]));
	}
	for (int i = 0; i < 3; i++)
		finish("write", &controls[i]);
	recv(connection.them, heard, 9, MSG_WAITALL);
	show("they heard", heard, 9);
	close_connection(connection);
}

static void case_suspend(void)
{
	struct connection connection = open_connection();
	int ends[2];
	char in[2][8];
	struct aiocb reading = request(connection.us, in[0], 8), other;
	const struct aiocb *list[] = { NULL, &reading, &other };

	must("pipe", pipe(ends));
	other = request(ends[0], in[1], 8);
	outcome("aio_read", aio_read(&reading));
	outcome("aio_read of a pipe", aio_read(&other));
	outcome("suspend, nothing comes", aio_suspend(list, 3, &little));
	must("write", write(ends[1], "x", 1));
	outcome("suspend, the pipe", aio_suspend(list, 3, &some));
	note("the pipe: %zd", aio_return(&other));
	note("the connection: %s", errno_name(aio_error(&reading)));
	list[2] = NULL;
	send_all(connection.them, "y", 1);
	outcome("suspend, the connection", aio_suspend(list, 3, &some));
	note("the connection: %zd", aio_return(&reading));
	close(ends[0]);
	close(ends[1]);
	close_connection(connection);
}

static sem_t called;
static int call_value;

static void on_thread(union sigval value)
{
	call_value = value.sival_int;
	sem_post(&called);
}

static void await_signal(const sigset_t *set)
{
	siginfo_t info = { 0 };
	int number = sigtimedwait(set, &info, &some);

	note("signal: %s, value %d, from aio %s", number == SIGUSR1 ? "SIGUSR1" : "none",
	     info.si_value.sival_int, info.si_code == SI_ASYNCIO ? "yes" : "no");
}

static void case_told(void)
{
	struct connection connection = open_connection();
	char in[8];
	struct aiocb reading = request(connection.us, in, 1);
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	reading.aio_sigevent.sigev_notify = SIGEV_SIGNAL;
	reading.aio_sigevent.sigev_signo = SIGUSR1;
	reading.aio_sigevent.sigev_value.sival_int = 42;
	outcome("aio_read", aio_read(&reading));
	send_all(connection.them, "x", 1);
	await_signal(&set);
	note("returns %zd", aio_return(&reading));

	sem_init(&called, 0, 0);
	reading.aio_sigevent.sigev_notify = SIGEV_THREAD;
	reading.aio_sigevent.sigev_notify_function = on_thread;
	reading.aio_sigevent.sigev_notify_attributes = NULL;
	reading.aio_sigevent.sigev_value.sival_int = 43;
	outcome("aio_read", aio_read(&reading));
	send_all(connection.them, "x", 1);
	while (sem_wait(&called) < 0)
		;
	note("thread: value %d, returns %zd", call_value, aio_return(&reading));
	close_connection(connection);
}

static void case_list(void)
{
	struct connection connection = open_connection();
	int ends[2];
	char in[8] = "", piped[8] = "", out[] = "hello", heard[8] = "";
	struct aiocb reading = request(connection.us, in, 5),
		     writing = request(connection.us, out, 5);
	struct aiocb other, nothing = request(-1, NULL, 0);
	struct aiocb *list[] = { &writing, NULL, &reading, &other, &nothing };
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	sigset_t set;

	must("pipe", pipe(ends));
	other = request(ends[0], piped, 1);
	writing.aio_lio_opcode = LIO_WRITE;
	nothing.aio_lio_opcode = LIO_NOP;
	send_all(connection.them, "world", 5);
	must("write", write(ends[1], "p", 1));
	outcome("lio_listio, wait", lio_listio(LIO_WAIT, list, 5, NULL));
	note("write %zd, read %zd, pipe %zd", aio_return(&writing), aio_return(&reading),
	     aio_return(&other));
	recv(connection.them, heard, 5, MSG_WAITALL);
	show("they heard", heard, 5);
	show("we heard", in, 5);

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	event.sigev_value.sival_int = 7;
	outcome("lio_listio, do not wait", lio_listio(LIO_NOWAIT, list, 5, &event));
	send_all(connection.them, "again", 5);
	must("write", write(ends[1], "p", 1));
	await_signal(&set);
	note("write %zd, read %zd, pipe %zd", aio_return(&writing), aio_return(&reading),
	     aio_return(&other));
	close(connection.them);
	other.aio_fildes = -1;
	reading.aio_nbytes = 1;
	list[0] = NULL;
	list[3] = NULL;
	outcome("lio_listio at the end", lio_listio(LIO_WAIT, list, 5, NULL));
	note("read %zd", aio_return(&reading));
	outcome("another mode", lio_listio(77, list, 5, NULL));
	close(ends[0]);
	close(ends[1]);
	close(connection.us);
}

static void case_cancel(void)
{
	static const char *const results[] = { "canceled", "not canceled", "all done" };
	struct connection connection = open_connection();
	char in[2][8];
	struct aiocb first = request(connection.us, in[0], 8),
		     second = request(connection.us, in[1], 8);

	outcome("aio_read", aio_read(&first));
	pause_ms(50);
	settle(); /* a thread is in it */
	outcome("aio_read", aio_read(&second));
	note("the second: %s", results[aio_cancel(connection.us, &second)]);
	note("error %s, returns %zd", errno_name(aio_error(&second)), aio_return(&second));
	note("the first: %s", results[aio_cancel(connection.us, &first)]);
	outcome("aio_read", aio_read(&second));
	note("all: %s", results[aio_cancel(connection.us, NULL)]);
	note("error %s", errno_name(aio_error(&second)));
	send_all(connection.them, "x", 1);
	finish("the first", &first);
	note("the first: %s", results[aio_cancel(connection.us, &first)]);
	note("all: %s", results[aio_cancel(connection.us, NULL)]);
	first.aio_fildes = connection.them;
	outcome("of another descriptor", aio_cancel(connection.us, &first));
	close_connection(connection);
}

static void case_mistakes(void)
{
	struct connection connection = open_connection();
	char out[] = "x";
	struct aiocb control = request(connection.us, out, 1);

	control.aio_reqprio = -1;
	outcome("a bad priority", aio_write(&control));
	note("error %s", errno_name(aio_error(&control)));
	control.aio_reqprio = 0;
	reset(connection.them);
	await(connection.us, POLLERR);
	outcome("after a reset", aio_write(&control));
	finish("write", &control);
	outcome("again", aio_write(&control));
	finish("write", &control);
	control = request(9999, out, 1);
	outcome("no descriptor", aio_write(&control));
	finish("write", &control);
	close(connection.us);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "read and write", case_read_and_write, 0 },
		{ "in turn", case_in_turn, 0 },
		{ "suspend", case_suspend, 0 },
		{ "told", case_told, 0 },
		{ "list", case_list, 0 },
		{ "cancel", case_cancel, 0 },
		{ "mistakes", case_mistakes, 0 },
	};

	return run_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
