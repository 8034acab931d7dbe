/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table that melin-stack.so exports: stack.h. Nothing else of it is visible.
 */
#include "stack/instance/background.h"
#include "stack/instance/instance.h"
#include "stack/ip/network.h"
#include "stack/socket/ports.h"
#include "stack/socket/socket.h"
#include "stack/stack.h"

__attribute__((visibility("default"))) const struct stack_operations melin_stack_operations = {
	.abi = STACK_ABI,
	.size = sizeof(struct stack_operations),
	.open = instance_open,
	.check = instance_check,
	.close = instance_close,
	.farewell = background_farewell,
	.abandon = instance_abandon,
	.poll = instance_poll,
	.catch_up = instance_catch_up,
	.watch_begin = background_watch_begin,
	.watch_end = background_watch_end,
	.counters = instance_counters,
	.route = network_route,
	.port_in_use = ports_in_use,
	.socket_create = socket_create,
	.set_user = socket_set_user,
	.listen = socket_listen,
	.accept = socket_accept,
	.connect = socket_connect,
	.receive = socket_receive,
	.received_at = socket_received_at,
	.send = socket_send,
	.shutdown = socket_shutdown,
	.adopt = socket_adopt,
	.give = socket_give,
	.return_reason = adopted_reason,
	.losses = adopted_losses,
	.release = socket_release,
	.readiness = socket_readiness,
	.readable = socket_readable,
	.unsent = socket_unsent,
	.urgent = socket_urgent,
	.name = socket_name,
	.get_option = socket_get_option,
	.set_option = socket_set_option,
};
