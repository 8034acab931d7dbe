/* SPDX-License-Identifier: BSD-3-Clause */
/* See connection_state.h. */
#include "common/connection_state.h"

#include <stdlib.h>

void connection_state_clear(struct connection_state *state)
{
	free(state->send_data);
	free(state->receive_data);
	state->send_data = state->receive_data = NULL;
	state->send_size = state->receive_size = 0;
}
