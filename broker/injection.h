/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames that the kernel is given as if they had just come in: the peer's FIN or RST, which the
 * stack has seen and the kernel is to act on, an urgent byte that nobody has read, and frames that
 * came while their connection was held. And what the peer is to have from here when nobody has its
 * connection any more. Any thread, no lock, errno is not touched.
 */
#ifndef MELIN_INJECTION_H
#define MELIN_INJECTION_H

#include "broker/lender.h"
#include "broker/tap_program.h"

/*
 * Injects a FIN for state->remote_closed and a RST for state->remote_reset, at the number
 * receive_next, that the kernel's socket finds acceptable (RFC 9293 3.10.7.4, RFC 5961 3.2, RFC
 * 7323 5.3). 0 or a negative errno value; the peer's own retransmission will then tell the kernel.
 */
int injection_end(const struct loan *loan, const struct connection_state *state);

/*
 * Injects the urgent byte that is among what was received and not read, when the kernel's socket
 * has all that is before it; or, if it has not come yet, a segment of no data that announces it,
 * when the socket has all that was received. As injection_end(), but that nobody sends it again.
 */
int injection_urgent(const struct loan *loan, const struct connection_state *state);

/*
 * Sends the peer a RST by the tap, in front of which nobody is: for a connection that nobody can
 * give back. Its number is behind all that was sent; a peer that misses some of it asks, and the
 * kernel answers.
 */
void injection_reset_peer(int tap, const struct connection_path *path,
			  const struct connection_state *state);

/*
 * A byte that the peer has had already, as some keepalive probes are (RFC 1122 4.2.3.6): Linux does
 * not answer an old segment without data (tcp_disordered_ack_check()).
 */
struct injection_probe {
	uint32_t number, acknowledgment, timestamp, echoed;
	bool timestamps;
};

/* The probe for a connection of which nothing will be known but the state that it has now. */
void injection_prepare_probe(const struct connection_state *state, struct injection_probe *probe);

/*
 * Sends the peer the probe by the tap. The peer answers it, and if nobody has the connection any
 * more the kernel answers that with a RST whose number is right (RFC 9293 3.10.7.1).
 */
void injection_probe_peer(int tap, const struct loan *loan, const struct injection_probe *probe);

/*
 * Injects a frame that was kept, or of a long one that GRO has made the part that the record has,
 * as a segment of its own. Thrown away is a frame whose checksum is wrong, and one longer than a
 * record that came so by the wire (a jumbo frame), since no part of it can be checked: the peer
 * sends it again.
 */
void injection_kept(const struct tap_kept *kept);
/* The same, but a frame with data is thrown away, too: its connection is about to be closed. */
void injection_kept_bare(const struct tap_kept *kept);

#endif
