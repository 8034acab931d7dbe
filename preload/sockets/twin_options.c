/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Socket options between the twin and the stack: twin_options.h. Not for what an option does, which
 * is the stack's business or the waiting and receiving calls'; nor for which option is whose
 * (common/option_table.c); nor for the program's calls (option_calls.c).
 */
#include "preload/sockets/twin_options.h"

#include <fcntl.h>
#include <linux/tcp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include "preload/sockets/ancillary.h"
#include "common/device_name.h"
#include "preload/config/config.h"
#include "preload/sockets/socket_object.h"
#include "common/option_table.h"
#include "preload/libc/program_memory.h"
#include "preload/libc/symbols.h"

/* The most of a value that is read. What is longer (keys, programs, lists) is not looked into. */
#define VALUE_SIZE 64

union value {
	int number;
	struct linger linger;
	char bytes[VALUE_SIZE];
};

/* ---- which were set ---- */

static const struct option *row(size_t index)
{
	return &melin_option_table[0][0] + index;
}

static void remember(struct socket *socket, const struct option *option)
{
	size_t index = (size_t)(option - row(0));

	socket->twin_options_set[index / 64] |= 1ull << index % 64;
}

/* The first row from index on that the program has set, or OPTION_ROWS. */
static size_t next_set(const struct socket *socket, size_t index)
{
	while (index < OPTION_ROWS) {
		uint64_t rest = socket->twin_options_set[index / 64] >> index % 64;

		if (rest)
			return index + (size_t)__builtin_ctzll(rest);
		index = (index / 64 + 1) * 64;
	}
	return OPTION_ROWS;
}

/*
 * Whether an option of a socket that others have made is not to be taken along: the twin tells a
 * value even if nobody has set one, which would bind the stack to the kernel's choice; or the value
 * is gone once it is read (SO_ERROR).
 */
static bool is_kernels_choice(int level, int name)
{
	if (level == SOL_SOCKET)
		return name == SO_ERROR || name == SO_SNDBUF || name == SO_RCVBUF ||
		       name == SO_SNDBUFFORCE || name == SO_RCVBUFFORCE;
	return level == IPPROTO_TCP &&
	       (name == TCP_CONGESTION || name == TCP_MAXSEG || name == TCP_WINDOW_CLAMP ||
		name == TCP_QUICKACK || name == TCP_INFO);
}

void twin_options_assume(struct socket *socket)
{
	for (size_t i = 0; i < OPTION_ROWS; i++) {
		const struct option *option = row(i);
		int level, name;

		option_numbers(option, &level, &name);
		if (option->service == OPTION_STACK || option->service == OPTION_PRELOAD ||
		    (option->service == OPTION_KERNEL && option->form != OPTION_ONCE_SET &&
		     option->form != OPTION_ALGORITHM))
			if (!is_kernels_choice(level, name))
				remember(socket, option);
	}
}

/* ---- what only the kernel serves ---- */

static bool is_stacks_interface(const char *name)
{
	struct device_name device;

	if (config_get()->host)
		return true; /* the lender knows by which one the connection goes */
	return device_name_parse(config_get()->stack.device, &device) &&
	       (device.kind == DEVICE_INTERFACE || device.kind == DEVICE_PACKET) &&
	       !strncmp(device.name, name, IFNAMSIZ);
}

/*
 * Whether the value names an interface that is not the stack's: SO_BINDTODEVICE by its name,
 * SO_BINDTOIFINDEX by its index. An empty one stands for any interface.
 */
static bool is_other_interface(int name, const union value *value, socklen_t length)
{
	char interface[IFNAMSIZ] = "";

	if (name == SO_BINDTODEVICE)
		memcpy(interface, value->bytes, length < IFNAMSIZ - 1 ? length : IFNAMSIZ - 1);
	else if (value->number && !if_indextoname((unsigned)value->number, interface))
		return false; /* the kernel returns ENODEV */
	return interface[0] && !is_stacks_interface(interface);
}

bool twin_options_asks_kernel(const struct option *option, int name, const void *given,
			      socklen_t length)
{
	union value value = { .bytes = { 0 } };

	memcpy(value.bytes, given, length < VALUE_SIZE - 1 ? length : VALUE_SIZE - 1);
	switch ((enum option_form)option->form) {
	case OPTION_NUMBER:
		return length >= sizeof(int) && value.number != option->off;
	case OPTION_ONCE_SET:
		return true;
	case OPTION_BYTES:
		return length > 0;
	case OPTION_DEVICE:
		return is_other_interface(name, &value, length);
	case OPTION_ALGORITHM:
		/*
		 * The stack has CUBIC, whose window is never smaller than Reno's would be (RFC
		 * 9438, section 4.3): a program that asks for Reno is content with it.
		 */
		return length > 0 && strcmp(value.bytes, "cubic") != 0 &&
		       strcmp(value.bytes, "reno") != 0;
	case OPTION_SEND_TIMES:
		return length >= sizeof(int) && (value.number & ANCILLARY_SEND_TIMES);
	}
	return false;
}

/* The same for the value that the twin has. */
static bool twin_asks_kernel(const struct option *option, int twin)
{
	union value value = { .bytes = { 0 } };
	socklen_t length = sizeof(value);
	int level, name, result;

	if (option->form == OPTION_ONCE_SET)
		return true;
	option_numbers(option, &level, &name);
	if (level == SOL_SOCKET && name == SO_ATTACH_BPF)
		name = SO_GET_FILTER; /* which tells of filters of both kinds */
	result = libc()->getsockopt(twin, level, name, &value, &length);
	/* Then there is a filter which cannot be read, or which is longer. */
	if (result < 0)
		return level == SOL_SOCKET && option->form == OPTION_BYTES;
	return twin_options_asks_kernel(option, name, &value, length);
}

const struct option *twin_options_kernel_only(const struct socket *socket, int twin, unsigned flow)
{
	for (size_t i = next_set(socket, 0); i < OPTION_ROWS; i = next_set(socket, i + 1))
		if ((row(i)->flows & flow) && twin_asks_kernel(row(i), twin))
			return row(i);
	return NULL;
}

/* ---- to the stack and to the calls ---- */

static bool is_receive_timeout(int name)
{
	return name == SO_RCVTIMEO_OLD || name == SO_RCVTIMEO_NEW;
}

static bool is_timeout(int level, int name)
{
	return level == SOL_SOCKET &&
	       (is_receive_timeout(name) || name == SO_SNDTIMEO_OLD || name == SO_SNDTIMEO_NEW);
}

static _Atomic uint64_t *timeout_of(struct socket *socket, int name)
{
	return is_receive_timeout(name) ? &socket->receive_timeout : &socket->send_timeout;
}

/*
 * With a negative time-out calls do not wait at all, but the kernel tells it as 0, as it tells that
 * there is none: so it is noted when it is set.
 */
#define TIMEOUT_NEGATIVE 1

static void note_negative_timeout(struct socket *socket, int name, const void *value)
{
	int64_t seconds;

	if (memory_copy_in(&seconds, value, sizeof(seconds)))
		atomic_store(timeout_of(socket, name), seconds < 0 ? TIMEOUT_NEGATIVE : 0);
}

/* Takes a time-out from the twin, since the kernel has checked it there. */
static void adopt_timeout(struct socket *socket, int twin, int name)
{
	_Atomic uint64_t *timeout = timeout_of(socket, name);
	struct timeval value = { 0 };
	socklen_t length = sizeof(value);
	uint64_t told;

	if (libc()->getsockopt(twin, SOL_SOCKET,
			       is_receive_timeout(name) ? SO_RCVTIMEO : SO_SNDTIMEO, &value,
			       &length) < 0)
		return;
	told = (uint64_t)value.tv_sec * 1000000000u + (uint64_t)value.tv_usec * 1000u;
	if (told || atomic_load(timeout) != TIMEOUT_NEGATIVE)
		atomic_store(timeout, told);
}

/* An option that the calls of preload/ serve. */
static void adopt_here(struct socket *socket, int twin, int level, int name)
{
	int on;

	if (is_timeout(level, name)) {
		adopt_timeout(socket, twin, name);
		return;
	}
	ancillary_adopt(socket, twin);
	on = ancillary_needs_times(socket);
	if (socket_instance(socket))
		socket->instance->operations->set_option(socket->handle, SOL_SOCKET,
							 SO_TIMESTAMP_OLD, &on, sizeof(on));
}

static bool is_doubled(int level, int name)
{
	return level == SOL_SOCKET && (name == SO_SNDBUF || name == SO_RCVBUF ||
				       name == SO_SNDBUFFORCE || name == SO_RCVBUFFORCE);
}

/* The option by which the kernel tells the value that was set by name. */
static int told_by(int level, int name)
{
	if (level == SOL_SOCKET && name == SO_SNDBUFFORCE)
		return SO_SNDBUF;
	if (level == SOL_SOCKET && name == SO_RCVBUFFORCE)
		return SO_RCVBUF;
	return name;
}

/* Gives the stack the value that the twin has, which the kernel has checked and limited. */
static void give_to_stack(struct socket *socket, int twin, int level, int name)
{
	union value value = { .bytes = { 0 } };
	socklen_t length = sizeof(value);

	if (libc()->getsockopt(twin, level, told_by(level, name), &value, &length) < 0)
		return;
	if (is_doubled(level, name))
		value.number /= 2;
	if (level == SOL_SOCKET && name == SO_RCVLOWAT)
		atomic_store(&socket->low_water, value.number > 1);
	socket->instance->operations->set_option(socket->handle, level, name, &value, length);
}

void twin_options_adopt(struct socket *socket, int twin)
{
	for (size_t i = next_set(socket, 0); i < OPTION_ROWS; i = next_set(socket, i + 1)) {
		int level, name;

		option_numbers(row(i), &level, &name);
		if (row(i)->service == OPTION_PRELOAD)
			adopt_here(socket, twin, level, name);
		else if (row(i)->service == OPTION_STACK)
			give_to_stack(socket, twin, level, name);
	}
}

/*
 * Whether an accepted socket has the option of its listener. Linux's sk_clone() begins anew with
 * the others; TCP_FASTOPEN is about the listener's queue.
 */
static bool is_inherited(int level, int name)
{
	if (level == IPPROTO_TCP)
		return name != TCP_FASTOPEN;
	return level != SOL_SOCKET ||
	       (name != SO_PRIORITY && name != SO_RESERVE_MEM && name != SO_INCOMING_CPU);
}

void twin_options_inherit(const struct socket *listener, int listener_twin, struct socket *socket,
			  int twin)
{
	for (size_t i = next_set(listener, 0); i < OPTION_ROWS; i = next_set(listener, i + 1)) {
		char value[VALUE_SIZE];
		socklen_t length = sizeof(value);
		int level, name;

		/* An option that the stack serves is inherited there. */
		if (row(i)->service == OPTION_STACK || row(i)->form == OPTION_ONCE_SET)
			continue;
		option_numbers(row(i), &level, &name);
		if (!is_inherited(level, name))
			continue;
		if (libc()->getsockopt(listener_twin, level, name, value, &length) == 0)
			libc()->setsockopt(twin, level, name, value, length);
		remember(socket, row(i));
		if (row(i)->service == OPTION_PRELOAD)
			adopt_here(socket, twin, level, name);
	}
}

void twin_options_changed(struct socket *socket, int twin, const struct option *option, int level,
			  int name, const void *value)
{
	remember(socket, option);
	if (is_timeout(level, name))
		note_negative_timeout(socket, name, value);
	if (option->service == OPTION_PRELOAD)
		adopt_here(socket, twin, level, name);
	else if (option->service == OPTION_STACK && socket_is_carried(socket))
		give_to_stack(socket, twin, level, name);
}

/* ---- its signals ---- */

void twin_mute(int twin, struct f_owner_ex *owner)
{
	const struct f_owner_ex nobody = { .type = F_OWNER_PID };

	if (libc()->fcntl(twin, F_GETOWN_EX, owner) < 0)
		owner->pid = 0;
	if (owner->pid)
		libc()->fcntl(twin, F_SETOWN_EX, &nobody);
}

void twin_unmute(int twin, const struct f_owner_ex *owner)
{
	if (owner->pid)
		libc()->fcntl(twin, F_SETOWN_EX, owner);
}
