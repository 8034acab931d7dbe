/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * MELIN_ADDR and MELIN_GATEWAY: the addresses that a stack may have and the next hops that they
 * allow. Part of the configuration (config.c, rules.c) and used by it alone.
 */
#ifndef MELIN_CONFIG_ADDRESS_H
#define MELIN_CONFIG_ADDRESS_H

#include "preload/config/span.h"
#include "common/reason.h"
#include "common/stack_config.h"

/* ADDRESS/N[,ADDRESS/N...] to addresses and address_count. 0, or -EINVAL and the reason. */
int config_parse_addresses(struct stack_config *stack, struct span text, struct reason *reason);

/* ADDRESS[,ADDRESS], one of a family, to gateway4 and gateway6. */
int config_parse_gateways(struct stack_config *stack, struct span text, struct reason *reason);

/* One address without a prefix, as address_parse(). */
bool config_parse_address(const struct span *text, struct ip_address *address);

/* Whether each gateway can be reached from the addresses. */
int config_check_gateways(const struct stack_config *stack, struct reason *reason);

#endif
