/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What melin check looks at, one function for each line that it prints. A function finds out how
 * things are and what would mend them, and changes nothing. Not for printing and mending (check.c).
 */
#ifndef MELIN_CHECK_H
#define MELIN_CHECK_H

#include <limits.h>
#include <net/if.h>
#include <stdbool.h>

#include "common/device_name.h"

enum check_status {
	CHECK_OK,
	CHECK_DEGRADED, /* connections are taken, but not all, or not as fast as could be */
	CHECK_MISSING,	/* none is taken */
};

/* The words of a command, and the NULL behind them. */
#define CHECK_WORDS 10

struct check_result {
	enum check_status status;
	char text[320];
	char mend[PATH_MAX + 320]; /* a shell's command; empty: there is none */
	/* The command does nobody any harm: --fix does it, and by one of the next two. */
	bool is_safe;
	const char *words[CHECK_WORDS]; /* the program and its arguments; [0] is NULL: none */
	const char *file;		/* what is to be written to it is number */
	long number;
	/* It changes this interface, which may be the one that the user's login comes by. */
	const char *touches;
	/* The number of the interface that it is about, if others are to be looked at behind it. */
	unsigned more;
};

/* What the functions are told, and what the earlier ones tell the later ones. */
struct check_about {
	const char *program; /* NULL: none was named */
	bool is_host;	     /* host mode; in own mode: */
	struct device_name device;
	char interface[IF_NAMESIZE]; /* as named, or found by check_interface(); empty: none */
	bool has_rights;	     /* this process may lend connections itself; own mode: start */
	bool has_broker;	     /* or a broker does it for it */
	unsigned behind;	     /* the interface that was looked at last; 0: none yet */
};

/* Each fills in *result, which is all zero. Any of them may wait for some milliseconds. */
typedef void check_function(struct check_about *about, struct check_result *result);

/* check_files.c */
check_function check_files, check_program;
/* check_machine.c */
check_function check_kernel, check_rights, check_bpf, check_sandbox, check_hugepages,
	check_memory_lock;
/* check_network.c */
check_function check_interface, check_tap, check_firewall, check_driver, check_leftovers;
/* check_proof.c: forks, and makes network namespaces of its own for a moment */
check_function check_proof;

/* Fills in status and text. */
__attribute__((format(printf, 3, 4))) void
check_say(struct check_result *result, enum check_status status, const char *format, ...);
/* Fills in the command. What is put into it is nothing that a shell would take for its own. */
__attribute__((format(printf, 2, 3))) void check_mend(struct check_result *result,
						      const char *format, ...);
/*
 * The same word by word, up to NULL, quoted for a shell where that is needed: for names that others
 * have given. The words stay the caller's, and there for as long as the result.
 */
__attribute__((sentinel)) void check_mend_by(struct check_result *result, const char *word, ...);
/* Runs the words, or writes the number, without a shell. Whether it is done. */
bool check_run(const struct check_result *result);

/* Whether a start would use AF_XDP: own mode, and an interface without "packet:". */
bool check_uses_xdp(const struct check_about *about);
/* Whether it is own mode on an interface. */
bool check_takes_interface(const struct check_about *about);

/*
 * Whether the login of this user, or of anybody, comes by the interface or by one that stands on it
 * (a bridge, a bond, a VLAN). It does by what SSH_CONNECTION says, in this environment or in that
 * of a process that this one descends from (sudo(8) drops it); by the TCP connections of those
 * processes, sshd's among them; by what utmp(5) says of others, and where the kernel sends
 * answers to them. What is closed to this user may be so: true.
 */
bool check_login_uses(const char *interface);

#endif
