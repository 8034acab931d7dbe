/* SPDX-License-Identifier: BSD-3-Clause */
/* Steps of the sequences that move bytes, and calls that are refused. */
#include "sequences.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define PARTS	    3
#define FULL_NAPS   100 /* of 2 ms: no more than FLIGHT_MAX is ever sent */
#define CONTROL_MAX 256

static const size_t lengths[] = { 0, 1, 2, 7, 100, 100, 1448, 1460, 5000, 15000 };
static const size_t room[] = { 0, 1, 5, 64, 100, 1460, 5000, DATA_BYTES, DATA_BYTES };

/* ---- sending ---- */

static ssize_t by_write(int fd, char *data, size_t length, int flags)
{
	(void)flags;
	return write(fd, data, length);
}

static ssize_t by_send(int fd, char *data, size_t length, int flags)
{
	return send(fd, data, length, flags);
}

static ssize_t by_sendto(int fd, char *data, size_t length, int flags)
{
	struct address address = any_address(9);

	return sendto(fd, data, length, flags, (struct sockaddr *)&address.storage, address.length);
}

static int split(struct iovec *parts, char *data, size_t length)
{
	size_t third = length / PARTS;

	parts[0] = (struct iovec){ data, third };
	parts[1] = (struct iovec){ data + third, third };
	parts[2] = (struct iovec){ data + 2 * third, length - 2 * third };
	return PARTS;
}

static ssize_t by_writev(int fd, char *data, size_t length, int flags)
{
	struct iovec parts[PARTS];

	(void)flags;
	return writev(fd, parts, split(parts, data, length));
}

static ssize_t by_sendmsg(int fd, char *data, size_t length, int flags)
{
	struct iovec parts[PARTS];
	struct msghdr header = { .msg_iov = parts };

	header.msg_iovlen = (size_t)split(parts, data, length);
	return sendmsg(fd, &header, flags);
}

static ssize_t by_sendmmsg(int fd, char *data, size_t length, int flags)
{
	struct iovec parts[PARTS];
	struct mmsghdr messages[PARTS] = { 0 };
	ssize_t total = 0;
	int count = split(parts, data, length), result;

	for (int i = 0; i < count; i++)
		messages[i].msg_hdr = (struct msghdr){ .msg_iov = &parts[i], .msg_iovlen = 1 };
	/* A message that is taken in part does not end the call: the next one follows. */
	result = sendmmsg(fd, messages, length > 3000 ? 1 : (unsigned)count, flags);
	for (int i = 0; i < result; i++)
		total += messages[i].msg_len;
	return result < 0 ? result : total;
}

typedef ssize_t sender(int fd, char *data, size_t length, int flags);

static void send_by(struct side *side, int fd, sender *call, int flags)
{
	size_t length = sendable(side, ONE_OF(lengths)), done = 0;
	char *data = next_data(side, length);
	ssize_t n;

	for (int naps = 0; naps < FULL_NAPS; naps++) {
		n = call(fd, data + done, length - done, flags);
		if (n > 0)
			done += (size_t)n;
		if ((n < 0 && (errno != EAGAIN || side_descriptor(peer_of(side)) < 0)) ||
		    done >= length)
			break;
		pause_ms(2);
	}
	outcome("sent", done > 0 ? (long)done : n);
	side_has_sent(side, done);
}

static int send_flags(void)
{
	static const int flags[] = {
		0, MSG_DONTWAIT, MSG_NOSIGNAL, MSG_NOSIGNAL | MSG_DONTWAIT, MSG_EOR, MSG_CONFIRM
	};

	return ONE_OF(flags);
}

static void step_write(struct side *side, int fd)
{
	send_by(side, fd, by_write, 0);
}

static void step_writev(struct side *side, int fd)
{
	send_by(side, fd, by_writev, 0);
}

static void step_send(struct side *side, int fd)
{
	static sender *const calls[] = { by_send, by_send, by_sendto, by_sendmsg, by_sendmmsg };
	sender *call = ONE_OF(calls);

	send_by(side, fd, call, send_flags());
}

/* What is held back for more is not determined until there is more. */
static void step_more(struct side *side, int fd)
{
	char *data = next_data(side, 30);

	if (sendable(side, 30) < 30)
		return;
	for (int i = 0; i < PARTS; i++) {
		ssize_t n = send(fd, data + (size_t)i * 10, 10,
				 (i < PARTS - 1 ? MSG_MORE : 0) | MSG_NOSIGNAL | MSG_DONTWAIT);

		outcome_at("sent", i, n);
		if (n < 0)
			return;
		side_has_sent(side, (size_t)n);
	}
}

static int memory_file(char *data, size_t length)
{
	int fd = memfd_create("sequence", MFD_CLOEXEC);

	must("memfd_create", fd);
	must("write", write(fd, data, length));
	return fd;
}

static void step_sendfile(struct side *side, int fd)
{
	size_t length = sendable(side, ONE_OF(lengths)), done = 0;
	int file = memory_file(next_data(side, length), length);
	off_t offset = 0, *position = chance(2) ? &offset : NULL;
	ssize_t n = 0;

	lseek(file, 0, SEEK_SET);
	for (int naps = 0; naps < FULL_NAPS; naps++) {
		n = sendfile(fd, file, position, length - done);
		if (n > 0)
			done += (size_t)n;
		if ((n < 0 && errno != EAGAIN) || n == 0 || done >= length)
			break;
		pause_ms(2);
	}
	outcome("sendfile", done > 0 ? (long)done : n);
	note("offset %ld, position %ld", (long)offset, (long)lseek(file, 0, SEEK_CUR));
	side_has_sent(side, done);
	close(file);
}

/* ---- receiving ---- */

static const char *message_flags(int flags)
{
	static char text[64];

	snprintf(text, sizeof(text), "%s%s%s%s0x%x", flags & MSG_TRUNC ? "TRUNC " : "",
		 flags & MSG_OOB ? "OOB " : "", flags & MSG_CTRUNC ? "CTRUNC " : "",
		 flags & MSG_EOR ? "EOR " : "",
		 (unsigned)(flags & ~(MSG_TRUNC | MSG_OOB | MSG_CTRUNC | MSG_EOR)));
	return text;
}

static void received(struct side *side, ssize_t n, int flags)
{
	outcome("received", n);
	if (n > 0 && !(flags & MSG_TRUNC))
		show("data", received_data, n);
	if (n > 0 && !(flags & (MSG_PEEK | MSG_OOB)))
		side->received += (size_t)n;
}

static int receive_flags(void)
{
	static const int flags[] = { 0,
				     0,
				     MSG_DONTWAIT,
				     MSG_DONTWAIT,
				     MSG_PEEK,
				     MSG_PEEK | MSG_DONTWAIT,
				     MSG_TRUNC | MSG_DONTWAIT,
				     MSG_TRUNC | MSG_PEEK,
				     MSG_WAITALL,
				     MSG_WAITALL | MSG_DONTWAIT,
				     MSG_WAITALL | MSG_PEEK,
				     MSG_ERRQUEUE,
				     MSG_CMSG_CLOEXEC | MSG_DONTWAIT };

	return ONE_OF(flags);
}

static void step_read(struct side *side, int fd)
{
	received(side, read(fd, received_data, ONE_OF(room)), 0);
}

static void step_readv(struct side *side, int fd)
{
	struct iovec parts[PARTS];

	received(side, readv(fd, parts, split(parts, received_data, ONE_OF(room))), 0);
}

static void step_recv(struct side *side, int fd)
{
	int flags = receive_flags();
	size_t length = ONE_OF(room);

	received(side, recv(fd, received_data, length, flags), flags);
}

static void step_recvfrom(struct side *side, int fd)
{
	struct address address = { .length = sizeof(address.storage) };
	int flags = receive_flags();
	size_t length = ONE_OF(room);

	received(side,
		 recvfrom(fd, received_data, length, flags, (struct sockaddr *)&address.storage,
			  &address.length),
		 flags);
	note("address length %u", address.length);
}

static void show_control(struct msghdr *header)
{
	struct cmsghdr *entry;
	int value = 0;

	note("flags %s, control %zu, name %u", message_flags(header->msg_flags),
	     header->msg_controllen, header->msg_namelen);
	for (entry = CMSG_FIRSTHDR(header); entry; entry = CMSG_NXTHDR(header, entry)) {
		memcpy(&value, CMSG_DATA(entry), sizeof(value));
		note("control message %d, %d: %d", entry->cmsg_level, entry->cmsg_type, value);
	}
}

static void step_recvmsg(struct side *side, int fd)
{
	char control[CONTROL_MAX] = { 0 };
	struct sockaddr_storage name = { 0 };
	struct iovec parts[PARTS];
	struct msghdr header = { .msg_name = chance(2) ? &name : NULL,
				 .msg_namelen = sizeof(name),
				 .msg_iov = parts,
				 .msg_control = control,
				 .msg_controllen = chance(2) ? sizeof(control) : 0,
				 .msg_flags = -1 };
	int flags = receive_flags();
	ssize_t n;

	header.msg_iovlen = (size_t)split(parts, received_data, ONE_OF(room));
	n = recvmsg(fd, &header, flags);
	received(side, n, flags);
	if (n >= 0)
		show_control(&header);
}

static void step_recvmmsg(struct side *side, int fd)
{
	static const int choice[] = { MSG_DONTWAIT, MSG_WAITFORONE, MSG_DONTWAIT | MSG_PEEK, 0 };
	struct iovec parts[PARTS];
	struct mmsghdr messages[PARTS] = { 0 };
	struct timespec time = { .tv_sec = 5 };
	int count = split(parts, received_data, ONE_OF(room)), flags = ONE_OF(choice), n;

	for (int i = 0; i < count; i++)
		messages[i].msg_hdr = (struct msghdr){ .msg_iov = &parts[i], .msg_iovlen = 1 };
	n = recvmmsg(fd, messages, (unsigned)count, flags, chance(3) ? NULL : &time);
	outcome("received messages", n);
	for (int i = 0; i < n; i++) {
		note("message of %u, flags %s", messages[i].msg_len,
		     message_flags(messages[i].msg_hdr.msg_flags));
		show("data", parts[i].iov_base, messages[i].msg_len);
		if (!(flags & MSG_PEEK))
			side->received += messages[i].msg_len;
	}
}

static void step_read_all(struct side *side, int fd)
{
	ssize_t n = recv(fd, received_data, sizeof(received_data), MSG_DONTWAIT);

	received(side, n, 0);
}

/* ---- pipes ---- */

static void step_splice_in(struct side *side, int fd)
{
	size_t length = ONE_OF(room), total = 0;
	int pipes[2], flags = chance(2) ? SPLICE_F_NONBLOCK : 0;
	ssize_t n;

	must("pipe", pipe(pipes));
	/* How much one call moves depends on the segments that the data has come in. */
	while ((n = splice(fd, NULL, pipes[1], NULL, length - total, flags)) > 0 &&
	       total < length) {
		must("read", read(pipes[0], received_data + total, (size_t)n));
		total += (size_t)n;
		flags = SPLICE_F_NONBLOCK;
	}
	outcome("splice", total > 0 && n > 0 ? 0 : n);
	show("data", received_data, (long)total);
	side->received += total;
	close(pipes[0]);
	close(pipes[1]);
}

static void step_splice_out(struct side *side, int fd)
{
	size_t length = sendable(side, ONE_OF(lengths)), done = 0;
	int pipes[2];
	ssize_t n = 0;

	must("pipe", pipe(pipes));
	if (length > 0)
		must("write", write(pipes[1], next_data(side, length), length));
	for (int naps = 0; done < length && naps < FULL_NAPS; naps++) {
		n = splice(pipes[0], NULL, fd, NULL, length - done, SPLICE_F_NONBLOCK);
		if (n < 0 && errno != EAGAIN)
			break;
		done += n > 0 ? (size_t)n : 0;
		if (n < 0)
			pause_ms(2);
	}
	outcome("splice", done > 0 ? (long)done : n);
	side_has_sent(side, done);
	close(pipes[0]);
	close(pipes[1]);
}

static void step_tee(struct side *side, int fd)
{
	int pipes[2];

	(void)side;
	must("pipe", pipe(pipes));
	outcome("tee from it", tee(fd, pipes[1], 10, SPLICE_F_NONBLOCK));
	outcome("tee into it", tee(pipes[0], fd, 10, SPLICE_F_NONBLOCK));
	outcome("splice with an offset",
		splice(fd, &(off_t){ 0 }, pipes[1], NULL, 10, SPLICE_F_NONBLOCK));
	outcome("vmsplice", vmsplice(fd, &(struct iovec){ received_data, 1 }, 1, 0));
	outcome("sendfile from it", sendfile(pipes[1], fd, NULL, 0));
	close(pipes[0]);
	close(pipes[1]);
}

/* ---- asking ---- */

static void step_bytes(struct side *side, int fd)
{
	int value = -1;

	outcome("FIONREAD", ioctl(fd, FIONREAD, &value));
	note("%d", value);
	value = -1;
	outcome("SIOCATMARK", ioctl(fd, SIOCATMARK, &value));
	note("%d", value);
	value = -1;
	outcome("SIOCOUTQNSD", ioctl(fd, SIOCOUTQNSD, &value));
	note("%d", value);
	for (int naps = 0; naps < FULL_NAPS && ioctl(fd, SIOCOUTQ, &value) == 0 && value > 0;
	     naps++)
		pause_ms(2);
	outcome("SIOCOUTQ", ioctl(fd, SIOCOUTQ, &value));
	if (!side->loose)
		note("%d", value);
}

static void step_names(struct side *side, int fd)
{
	struct address address = { .length = sizeof(address.storage) };

	(void)side;
	outcome("getsockname",
		getsockname(fd, (struct sockaddr *)&address.storage, &address.length));
	note("%s", address_text(&address.storage, address.length));
	address.length = 8;
	outcome("getpeername",
		getpeername(fd, (struct sockaddr *)&address.storage, &address.length));
	note("length %u", address.length);
}

/* ---- refusals ---- */

/* Not to be seen by the compiler. */
static volatile size_t beyond = (size_t)SSIZE_MAX + 1;
static volatile int minus_one = -1;

static void refuse_memory(struct side *side, int fd)
{
	ssize_t n = recv(fd, bad_pointer(), 10, MSG_DONTWAIT);

	(void)side;
	outcome("recv to nowhere", n);
	outcome("send from nowhere", send(fd, bad_pointer(), 10, MSG_DONTWAIT | MSG_NOSIGNAL));
	outcome("sendmsg of nothing", sendmsg(fd, bad_pointer(), MSG_DONTWAIT | MSG_NOSIGNAL));
	outcome("recvmsg of nothing", recvmsg(fd, bad_pointer(), MSG_DONTWAIT));
	outcome("writev from nowhere", writev(fd, bad_pointer(), 2));
	outcome("FIONREAD", ioctl(fd, FIONREAD, bad_pointer()));
	outcome("getsockname", getsockname(fd, bad_pointer(), bad_pointer()));
	outcome("getsockopt",
		getsockopt(fd, SOL_SOCKET, SO_TYPE, bad_pointer(), &(socklen_t){ 4 }));
	outcome("setsockopt", setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, bad_pointer(), 4));
}

static void refuse_vectors(struct side *side, int fd)
{
	static struct iovec many[IOV_MAX + 1];
	struct iovec huge = { received_data, beyond };
	struct msghdr header = { .msg_iov = many, .msg_iovlen = IOV_MAX + 1 };

	(void)side;
	outcome("writev -1", writev(fd, many, minus_one));
	outcome("writev 1025", writev(fd, many, IOV_MAX + 1));
	outcome("readv 1025", readv(fd, many, IOV_MAX + 1));
	outcome("readv 0", readv(fd, many, 0));
	outcome("writev 0", writev(fd, many, 0));
	outcome("readv huge", readv(fd, &huge, 1));
	outcome("writev huge", writev(fd, &huge, 1));
	outcome("sendmsg 1025", sendmsg(fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL));
	outcome("recvmsg 1025", recvmsg(fd, &header, MSG_DONTWAIT));
	outcome("sendmmsg 0", sendmmsg(fd, NULL, 0, MSG_NOSIGNAL));
	outcome("recvmmsg 0", recvmmsg(fd, NULL, 0, MSG_DONTWAIT, NULL));
}

static void refuse_calls(struct side *side, int fd)
{
	struct address address = any_address(0);

	(void)side;
	outcome("accept", accept(fd, NULL, NULL));
	outcome("listen", listen(fd, 1));
	outcome("connect", connect(fd, (struct sockaddr *)&address.storage, 1));
	outcome("shutdown", shutdown(fd, 3));
	outcome("ioctl", ioctl(fd, 0x12345, NULL));
	outcome("fcntl", fcntl(fd, 0x12345, 0));
	outcome("recvmmsg", recvmmsg(fd, NULL, 1, MSG_DONTWAIT, &(struct timespec){ -1, 0 }));
	outcome("getsockopt", getsockopt(fd, SOL_SOCKET, SO_TYPE, &(int){ 0 }, &(socklen_t){ -1 }));
	outcome("setsockopt", setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &(int){ 1 }, 2));
	outcome("setsockopt", setsockopt(fd, 4711, 1, &(int){ 1 }, 4));
}

static void refuse_files(struct side *side, int fd)
{
	void *mapping;
	char byte;

	(void)side;
	outcome("lseek", lseek(fd, 0, SEEK_CUR));
	outcome("pread", pread(fd, &byte, 1, 0));
	outcome("pwrite", pwrite(fd, "x", 1, 0));
	outcome("preadv", preadv(fd, &(struct iovec){ &byte, 1 }, 1, 0));
	outcome("ftruncate", ftruncate(fd, 0));
	outcome("fsync", fsync(fd));
	outcome("fallocate", fallocate(fd, 0, 0, 1));
	outcome("posix_fadvise", posix_fadvise(fd, 0, 1, POSIX_FADV_NORMAL));
	/* A mapping would keep the connection. */
	mapping = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	outcome("mmap", mapping == MAP_FAILED ? -1 : munmap(mapping, 4096));
	outcome("fchdir", fchdir(fd));
}

static void step_nothing(struct side *side, int fd)
{
	(void)side;
	outcome("read 0", read(fd, received_data, 0));
	outcome("write 0", write(fd, "", 0));
	outcome("send 0", send(fd, NULL, 0, MSG_NOSIGNAL));
	outcome("recv 0", recv(fd, NULL, 0, MSG_DONTWAIT));
	outcome("recv 0 peek", recv(fd, NULL, 0, MSG_DONTWAIT | MSG_PEEK));
}

const struct step transfer_steps[] = {
	{ "write", step_write, 6 },
	{ "writev", step_writev, 4 },
	{ "send", step_send, 14 },
	{ "more", step_more, 3 },
	{ "sendfile", step_sendfile, 3 },
	{ "read", step_read, 5 },
	{ "readv", step_readv, 4 },
	{ "recv", step_recv, 10 },
	{ "recvfrom", step_recvfrom, 3 },
	{ "recvmsg", step_recvmsg, 6 },
	{ "recvmmsg", step_recvmmsg, 3 },
	{ "read all", step_read_all, 10 },
	{ "splice in", step_splice_in, 3 },
	{ "splice out", step_splice_out, 3 },
	{ "tee", step_tee, 1 },
	{ "bytes", step_bytes, 3 },
	{ "names", step_names, 1 },
	{ "memory", refuse_memory, 1 },
	{ "vectors", refuse_vectors, 1 },
	{ "calls", refuse_calls, 1 },
	{ "files", refuse_files, 1 },
	{ "nothing", step_nothing, 2 },
	{ 0 },
};
