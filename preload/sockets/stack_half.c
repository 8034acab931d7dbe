/* SPDX-License-Identifier: BSD-3-Clause */
/* See stack_half.h. */
#include "preload/sockets/stack_half.h"

#include <netinet/in.h>

#include "preload/libc/symbols.h"
#include "preload/sockets/socket_object.h"
#include "preload/sockets/twin_options.h"
#include "common/system_call.h"

bool stack_half_v6only(int descriptor, int domain)
{
	return domain == AF_INET6 && kernel_get_int(descriptor, IPPROTO_IPV6, IPV6_V6ONLY);
}

int stack_half_create(struct socket *socket, int descriptor, const struct instance *instance)
{
	int result;

	socket->v6only = stack_half_v6only(descriptor, socket->domain);
	result = instance->operations->socket_create(instance->stack, socket->domain,
						     socket->v6only, socket, &socket->handle);
	if (result < 0)
		return result;
	socket->instance = instance;
	twin_options_adopt(socket, descriptor);
	return 0;
}

void stack_half_drop(struct socket *socket)
{
	socket->instance->operations->release(socket->handle);
	socket->handle = NULL;
	socket->instance = NULL;
}
