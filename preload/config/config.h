/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The MELIN_ environment variables: read once when the library is loaded, checked, and from then
 * on constant. A mistake in them is the user's: it is reported by name on standard error. Not for
 * what the machine lacks: that is found out when a stack starts.
 */
#ifndef MELIN_CONFIG_H
#define MELIN_CONFIG_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/log_level.h"
#include "common/reason.h"
#include "common/stack_config.h"
#include "preload/config/rules.h"

#define CONFIG_SPIN_MAX	   UINT_MAX /* MELIN_SPIN_US=max: a waiting call never sleeps */
#define CONFIG_EXIT_STATUS 2	    /* of a program that does not run, for a mistake in them */

/* MELIN_BORROW: when connections of the kernel's are borrowed, in host mode. */
enum borrow_when {
	BORROW_AUTO,   /* when it pays: borrow_policy.h */
	BORROW_ALWAYS, /* as soon as it can be done, and as long */
	BORROW_RANDOM, /* and given back, at random moments: for tests */
};

/* Strings are copies: programs overwrite their environment (setproctitle). */
struct config {
	struct rule_list flows;	   /* MELIN_FLOWS */
	struct stack_config stack; /* all but module_directory, which is the loader's to know */
	unsigned spin_us;	   /* MELIN_SPIN_US; CONFIG_SPIN_MAX: no limit */
	unsigned linger_ms;	   /* MELIN_LINGER_MS */
	bool required;		   /* MELIN_REQUIRED */
	/*
	 * Host mode, MELIN_ADDR is not set: the kernel makes all connections, and the stack, which
	 * has no device, borrows some. interface: MELIN_DEV's, of others none; NULL: of any.
	 */
	bool host;
	const char *interface;
	enum borrow_when borrow; /* MELIN_BORROW */
	unsigned door;		 /* MELIN_BROKER, a descriptor of broker_start()'s; 0: none */
	unsigned borrow_seed;	 /* of its random moments, not 0 */
	enum log_level log_level;
	char *log_file; /* NULL: standard error */
};

/*
 * Reads and checks the variables and opens the log. Called once, by the library's constructor. In a
 * program without any MELIN_ variable it looks through the environment and does nothing else; in
 * a set-user-ID program not even that, and the library stays inactive.
 * False: a variable is wrong. That is said in one line, which ends with what follows from it
 * (mistakes_consequence, which stays the caller's), and there are no rules then.
 */
bool config_load(const char *mistakes_consequence);

/*
 * For a process that will execute a program with these variables (tools/melin): whether they are
 * right. If not, *reason is the line about the mistake; nothing is printed. config_get() is then as
 * the program's will be. Instead of config_load(), and once.
 */
bool config_check(struct reason *reason);

/* One of the variables, for who offers them as options. Constant strings. */
struct config_variable {
	const char *name;  /* without MELIN_ */
	const char *value; /* what its value is, "RULES" */
	const char *help;  /* one line */
};

/* The variable of that number, from 0 on, in the order of the manual page; false: no more. */
bool config_variable(size_t index, struct config_variable *variable);

/* All zero before config_load() and in a program without any MELIN_ variable. */
const struct config *config_get(void);

/* Whether there are flow rules at all. If not, every call is libc's. */
bool config_active(void);
/* There are none from now on, in a child that melin leaves alone. */
void config_leave(void);

/*
 * The name, without MELIN_, of one of the variables that are set while MELIN_FLOWS is not, not even
 * to nothing; NULL otherwise. Constant after config_load().
 */
extern const char *config_without_rules;

#endif
