/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a process may ask of melin-broker and what it answers, as it goes through a channel: a Unix
 * socket of type SOCK_SEQPACKET between the two, whose messages arrive whole or not at all. Not for
 * what is done then (lender.h).
 *
 * Both requests and answers are a struct broker_message, which may be followed by the connection's
 * data; descriptors come with it (SCM_RIGHTS, unix(7)). A client waits for the answer to a request
 * before it sends the next. All functions here make system calls by instruction.
 */
#ifndef MELIN_BROKER_PROTOCOL_H
#define MELIN_BROKER_PROTOCOL_H

#include "common/connection_state.h"

/* The broker's end of the door is this descriptor when it was started with --door. */
#define BROKER_DOOR 3

/*
 * libmelin.so and a broker that is a service may be of different versions. The first number changes
 * with the meaning of messages; the size stands for what struct connection_state looks like.
 */
#define BROKER_VERSION (8u << 16 | (uint32_t)sizeof(struct broker_message))

/* What is asked: operations of struct lender. */
enum broker_request {
	BROKER_TAP,    /* comes first, and once; the answer brings the tap */
	BROKER_WATCH,  /* brings the connection; the answer has a token for it, and the path */
	BROKER_BORROW, /* brings the connection; the answer has the state and the data */
	BROKER_HOLD,
	BROKER_GIVE,	/* brings the connection, the state and the data */
	BROKER_UNWATCH, /* is not answered */
	BROKER_RULES,	/* the answer brings lender_open_rules()'s socket, if there is one */
	BROKER_END,	/* as BROKER_GIVE, and nothing of it is watched any more */
	BROKER_LEAVE,	/* as BROKER_END, but is not answered: the client closes its own at once */
	BROKER_REST,
	BROKER_WAKE,
	BROKER_REQUESTS,
};

struct broker_message {
	uint32_t version;
	/*
	 * enum broker_request. In the answer to BROKER_WATCH and BROKER_BORROW enum refusal, in
	 * others 0 or a negative errno value.
	 */
	int32_t what;
	uint64_t token; /* the client's name for a connection that is watched */
	/*
	 * The pointers in it mean nothing on the other side; the sizes do. The data, what is to be
	 * sent before what was received, follow in the message, or lie in a file of memory
	 * (memfd_create(2)) that is the last descriptor with it.
	 */
	struct connection_state state;
};

/* Data up to this size is in the message: more than most connections have at a time. */
#define BROKER_INLINE 16384u

/*
 * No more than this in each direction: twice what the kernel lets a queue have by default (the
 * third figures of tcp_wmem and tcp_rmem: 4 and 6 MiB; 32 MiB since Linux 6.16).
 */
#define BROKER_DATA_MAX ((size_t)64 << 20)

/* A message that has come, and what came with it. */
struct broker_reader {
	struct broker_message message; /* its state has no data */
	int connection;		       /* or the tap; -1: none */
	int file;		       /* with the data; -1: they are here: */
	uint8_t data[BROKER_INLINE];
};

/*
 * Sends *message with the data that its state points to, and a descriptor (-1: none), which stays
 * the caller's. flags as for send(2). 0 or a negative errno value: -EAGAIN: the other side does not
 * read; -EPIPE: it has gone; -EFBIG: too much data.
 */
int broker_message_send(int channel, const struct broker_message *message, int descriptor,
			int flags);

/*
 * Receives a message and checks its form: version, lengths, that it brings as many descriptors as
 * it may. 0, and the descriptors are the caller's until broker_message_end(). Else a negative errno
 * value: -EPIPE: the other side has gone; -EPROTO: the message is malformed; -EMFILE: this process
 * can have no more descriptors, so that one was lost; -EAGAIN: there is none (with MSG_DONTWAIT, or
 * for as long as SO_RCVTIMEO says).
 */
int broker_message_receive(int channel, struct broker_reader *reader, int flags);

/*
 * Gives the message's state its data, in memory that is the caller's (connection_state_clear()). 0,
 * -ENOMEM, or -EPROTO: the file is not what it should be.
 */
int broker_message_data(struct broker_reader *reader);

/* Closes the descriptors that came with it. Closing may wait: for a FUSE file, or SO_LINGER. */
void broker_message_end(struct broker_reader *reader);

#endif
