/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The MELIN_ environment variables: one table from which the values, the check for unknown names
 * and the defaults come; then what the values must fulfil together. Not for what the machine
 * lacks: that is found out when a stack starts.
 */
#include "preload/config/config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "common/device_name.h"
#include "preload/config/config_address.h"
#include "preload/config/log.h"
#include "preload/config/span.h"

#define PREFIX "MELIN_"

/* RFC 791 and RFC 8200: what every link must carry; above: the largest common jumbo frame. */
#define MTU_MIN_IPV4 68
#define MTU_MIN_IPV6 1280
#define MTU_MAX	     9216

static struct config config;

const char *config_without_rules;

struct variable {
	const char *name; /* without PREFIX */
	/* Turns text into the field; 0, or a negative errno value and the reason. */
	int (*parse)(const struct variable *variable, struct span text, struct reason *reason);
	void *field;
	unsigned minimum, maximum; /* of numbers */
	const char *default_text;  /* NULL: the field stays zero */
	const char *value, *help;  /* struct config_variable */
};

static int parse_string(const struct variable *variable, struct span text, struct reason *reason)
{
	char *copy = strndup(text.start, text.length);

	if (!copy)
		return reason_set(reason, -ENOMEM, "no memory");
	*(const char **)variable->field = copy;
	return 0;
}

static int parse_number(const struct variable *variable, struct span text, struct reason *reason)
{
	unsigned number;

	if (!span_number(&text, variable->maximum, &number) || number < variable->minimum)
		return reason_set(reason, -EINVAL, "\"%.*s\" is not a number from %u to %u",
				  span_quoted(&text), text.start, variable->minimum,
				  variable->maximum);
	*(unsigned *)variable->field = number;
	return 0;
}

static int parse_number_or_max(const struct variable *variable, struct span text,
			       struct reason *reason)
{
	unsigned number;

	if (span_is(&text, "max")) {
		*(unsigned *)variable->field = CONFIG_SPIN_MAX;
		return 0;
	}
	if (!span_number(&text, variable->maximum, &number))
		return reason_set(reason, -EINVAL, "\"%.*s\" is not a number from %u to %u, or max",
				  span_quoted(&text), text.start, variable->minimum,
				  variable->maximum);
	*(unsigned *)variable->field = number;
	return 0;
}

static int parse_flag(const struct variable *variable, struct span text, struct reason *reason)
{
	if (!span_is(&text, "0") && !span_is(&text, "1"))
		return reason_set(reason, -EINVAL, "\"%.*s\" is neither 0 nor 1",
				  span_quoted(&text), text.start);
	*(bool *)variable->field = text.start[0] == '1';
	return 0;
}

static int parse_flows(const struct variable *variable, struct span text, struct reason *reason)
{
	/* Values are whole environment strings, so text.start is terminated. */
	return rules_parse(text.start, variable->field, reason);
}

static int parse_addresses(const struct variable *variable, struct span text, struct reason *reason)
{
	return config_parse_addresses(variable->field, text, reason);
}

static int parse_gateways(const struct variable *variable, struct span text, struct reason *reason)
{
	return config_parse_gateways(variable->field, text, reason);
}

static int parse_device(const struct variable *variable, struct span text, struct reason *reason)
{
	struct device_name parsed;
	int error = parse_string(variable, text, reason);

	if (error || device_name_parse(*(const char **)variable->field, &parsed))
		return error;
	return reason_set(reason, -EINVAL,
			  "\"%.*s\" is no interface, PCI address, DPDK vdev (net_...) or \"loop\"",
			  span_quoted(&text), text.start);
}

/* The words are split later (dpdk/); a quote that is never closed is a mistake that shows here. */
static int parse_words(const struct variable *variable, struct span text, struct reason *reason)
{
	char quote = '\0';

	for (size_t i = 0; i < text.length; i++) {
		char c = text.start[i];

		if (c == '\\' && quote != '\'') {
			if (++i == text.length)
				return reason_set(reason, -EINVAL,
						  "nothing follows the last backslash");
		} else if (quote ? c == quote : c == '\'' || c == '"') {
			quote = quote ? '\0' : c;
		}
	}
	if (quote)
		return reason_set(reason, -EINVAL, "the quote %c is not closed", quote);
	return parse_string(variable, text, reason);
}

/* auto, always, random or random:SEED */
static int parse_borrow(const struct variable *variable, struct span text, struct reason *reason)
{
	static const char *const words[] = {
		[BORROW_AUTO] = "auto", [BORROW_ALWAYS] = "always", [BORROW_RANDOM] = "random"
	};
	struct config *target = variable->field;
	const bool has_seed = span_find(&text, ':') != NULL;
	struct span seed = text;
	const struct span when = span_cut(&seed, ':');

	target->borrow_seed = 1;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!span_is(&when, words[i]))
			continue;
		target->borrow = (enum borrow_when)i;
		if (!has_seed)
			return 0;
		if (target->borrow == BORROW_RANDOM &&
		    span_number(&seed, UINT_MAX, &target->borrow_seed) && target->borrow_seed)
			return 0;
	}
	return reason_set(reason, -EINVAL,
			  "\"%.*s\" is none of auto, always, random and random:SEED",
			  span_quoted(&text), text.start);
}

/* LEVEL[:FILE] */
static int parse_log(const struct variable *variable, struct span text, struct reason *reason)
{
	static const char *const levels[] = { [LOG_LEVEL_ERROR] = "error",
					      [LOG_LEVEL_WARN] = "warn",
					      [LOG_LEVEL_INFO] = "info",
					      [LOG_LEVEL_DEBUG] = "debug",
					      [LOG_LEVEL_TRACE] = "trace" };
	struct config *target = variable->field;
	const bool has_file = span_find(&text, ':') != NULL;
	const struct span level = span_cut(&text, ':');
	size_t i;

	for (i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		if (span_is(&level, levels[i]))
			break;
	}
	if (i == sizeof(levels) / sizeof(levels[0]))
		return reason_set(reason, -EINVAL,
				  "unknown level \"%.*s\" (error, warn, info, debug, trace)",
				  span_quoted(&level), level.start);
	target->log_level = (enum log_level)i;
	if (!has_file)
		return 0;
	if (!text.length)
		return reason_set(reason, -EINVAL, "no file name behind the colon");
	target->log_file = strndup(text.start, text.length);
	if (!target->log_file)
		return reason_set(reason, -ENOMEM, "no memory");
	return 0;
}

/*
 * Ranges: more queues than DPDK has for a port (RTE_MAX_QUEUES_PER_PORT), more descriptors than
 * its 16-bit counts hold, fewer buffers than one ring needs or more than 32 GB of them are typing
 * errors; so are a spin of more than a second and an exit that may take longer than an hour. No
 * kernel has descriptors above NR_OPEN's default of 1048576, unless it is told to.
 */
static const struct variable variables[] = {
	{ "FLOWS", parse_flows, &config.flows, 0, 0, NULL, "RULES",
	  "which flows to take: [!]VERB:ADDRESS:PORTS,... (libmelin(7))" },
	{ "DEV", parse_device, &config.stack.device, 0, 0, NULL, "DEVICE",
	  "an interface, packet:INTERFACE, a PCI address, a DPDK vdev, or loop" },
	{ "ADDR", parse_addresses, &config.stack, 0, 0, NULL, "ADDRESS/N,...",
	  "the addresses of the stack, for own mode" },
	{ "GATEWAY", parse_gateways, &config.stack, 0, 0, NULL, "ADDRESS,...",
	  "the next hop to other networks, one for each family" },
	{ "MTU", parse_number, &config.stack.mtu, MTU_MIN_IPV4, MTU_MAX, NULL, "BYTES",
	  "of an IP packet on the device" },
	{ "VLAN", parse_number, &config.stack.vlan, 1, 4094, NULL, "NUMBER",
	  "802.1Q identifier of all frames" },
	{ "QUEUES", parse_number, &config.stack.queues, 1, 1024, NULL, "NUMBER",
	  "pairs of queues of the device" },
	{ "RXD", parse_number, &config.stack.rxd, 1, UINT16_MAX, NULL, "NUMBER",
	  "descriptors of a receive queue" },
	{ "TXD", parse_number, &config.stack.txd, 1, UINT16_MAX, NULL, "NUMBER",
	  "descriptors of a transmit queue" },
	{ "MBUFS", parse_number, &config.stack.mbufs, 512, 1 << 24, NULL, "NUMBER",
	  "packet buffers" },
	{ "EAL", parse_words, &config.stack.eal, 0, 0, NULL, "WORDS", "more arguments for DPDK" },
	{ "SPIN_US", parse_number_or_max, &config.spin_us, 0, 1000000, "100", "US",
	  "how long a waiting call polls before it sleeps; max: for ever" },
	{ "LINGER_MS", parse_number, &config.linger_ms, 0, 3600000, "2000", "MS",
	  "how long the end may wait to deliver what was sent" },
	{ "REQUIRED", parse_flag, &config.required, 0, 0, "0", "0|1",
	  "1: what the stack cannot carry fails" },
	{ "BORROW", parse_borrow, &config, 0, 0, NULL, "WHEN",
	  "when the connections of the kernel are borrowed: auto, always, random[:SEED]" },
	{ "BROKER", parse_number, &config.door, 3, 1 << 20, NULL, "DESCRIPTOR",
	  "the door of a broker that is inherited, as --user has it" },
	{ "LOG", parse_log, &config, 0, 0, "warn", "LEVEL[:FILE]",
	  "error, warn, info, debug, trace; and where to" },
};

#define VARIABLES (sizeof(variables) / sizeof(variables[0]))

bool config_variable(size_t index, struct config_variable *variable)
{
	if (index >= VARIABLES)
		return false;
	*variable = (struct config_variable){ variables[index].name, variables[index].value,
					      variables[index].help };
	return true;
}

/* What follows from a mistake, said at the end of its line. */
static const char *consequence;
/* Where the line goes instead of to the log: config_check(). */
static struct reason *mistakes_line;

/* Reports the user's mistake in the variable that name (without PREFIX) is. Always false. */
__attribute__((format(printf, 2, 3))) static bool mistake(const char *name, const char *format, ...)
{
	struct reason reason;
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(reason.text, sizeof(reason.text), format, arguments);
	va_end(arguments);
	if (mistakes_line)
		reason_set(mistakes_line, -EINVAL, PREFIX "%s: %.400s", name, reason.text);
	else
		log_write(LOG_LEVEL_ERROR, PREFIX "%s: %s%s", name, reason.text, consequence);
	return false;
}

/* Edits (insert, delete, replace one character) from a to b, which are shorter than the row. */
static size_t distance(const char *a, const char *b, size_t b_length)
{
	size_t row[33];
	size_t diagonal, above;

	for (size_t j = 0; j <= b_length; j++)
		row[j] = j;
	for (size_t i = 0; a[i]; i++) {
		diagonal = row[0];
		row[0] = i + 1;
		for (size_t j = 0; j < b_length; j++) {
			size_t best = diagonal + (a[i] != b[j]);

			above = row[j + 1];
			if (above + 1 < best)
				best = above + 1;
			if (row[j] + 1 < best)
				best = row[j] + 1;
			row[j + 1] = best;
			diagonal = above;
		}
	}
	return row[b_length];
}

static bool mistake_unknown(const struct span *name)
{
	const struct variable *nearest = NULL;
	size_t least = 4; /* more edits than three: no likeness */
	char text[256];

	snprintf(text, sizeof(text), "%.*s", span_quoted(name), name->start);
	for (size_t i = 0; name->length <= 32 && i < VARIABLES; i++) {
		/* One that is not written to its end is likely, however much is missing. */
		const bool begins =
			name->length > 2 && !strncmp(variables[i].name, name->start, name->length);
		size_t edits = begins ? 1 : distance(variables[i].name, name->start, name->length);

		if (edits < least && edits < strlen(variables[i].name)) {
			least = edits;
			nearest = &variables[i];
		}
	}
	if (nearest)
		return mistake(text, "unknown variable; did you mean " PREFIX "%s?", nearest->name);
	return mistake(text, "unknown variable; libmelin(7) lists them");
}

/* Looks for names of ours, and opens the log if there are any. False: one of them is unknown. */
static bool scan_environment(bool *any)
{
	bool flows = false;

	*any = false;
	for (char **entry = environ; entry && *entry; entry++) {
		struct span rest, name;
		size_t i = 0;

		if (strncmp(*entry, PREFIX, strlen(PREFIX)) != 0)
			continue;
		rest = span_of(*entry + strlen(PREFIX));
		name = span_cut(&rest, '=');
		if (!*any)
			log_open(LOG_LEVEL_WARN, NULL);
		*any = true;
		while (i < VARIABLES && !span_is(&name, variables[i].name))
			i++;
		if (i == VARIABLES)
			return mistake_unknown(&name);
		flows = flows || variables[i].field == &config.flows;
		config_without_rules = flows ? NULL : variables[i].name;
	}
	return true;
}

/* The value without blanks around it; empty: the variable is not set. */
static struct span value_of(const char *name)
{
	char full[sizeof(PREFIX) + 32];

	snprintf(full, sizeof(full), PREFIX "%s", name);
	return span_trim(span_of(secure_getenv(full) ?: ""));
}

static bool read_variable(const struct variable *variable)
{
	struct span text = value_of(variable->name);
	struct reason reason;

	/* Set to nothing is not set: that is how shells switch a variable off for one command. */
	if (!text.length) {
		if (!variable->default_text)
			return true;
		text = span_of(variable->default_text);
	}
	if (variable->parse(variable, text, &reason))
		return mistake(variable->name, "%s", reason.text);
	return true;
}

/* Variables that mean something to one mode only. */
static bool check_own_mode(const char *because)
{
	if (value_of("BORROW").length)
		return mistake("BORROW", "nothing is borrowed where " PREFIX "%s is set", because);
	return true;
}

/* The loop needs no address, other devices of their own do; without one it is host mode. */
static bool check_without_address(void)
{
	static const char *const own_modes[] = { "MTU", "VLAN", "QUEUES" };
	struct device_name device = { .kind = DEVICE_INTERFACE };

	if (config.stack.device && device_name_parse(config.stack.device, &device) &&
	    device.kind == DEVICE_LOOP)
		return check_own_mode("DEV=loop");
	if (device.kind != DEVICE_INTERFACE && device.kind != DEVICE_PACKET)
		return mistake("ADDR",
			       "not set, but " PREFIX "DEV=%.80s needs the stack's own address, "
			       "such as 198.18.0.10/24",
			       config.stack.device);
	for (size_t i = 0; i < sizeof(own_modes) / sizeof(own_modes[0]); i++)
		if (value_of(own_modes[i]).length)
			return mistake(own_modes[i],
				       "the kernel's, where " PREFIX "ADDR is not set");
	config.host = true;
	config.interface = config.stack.device ? strdup(device.name) : NULL;
	config.stack.device = NULL;
	if (config.required && config.borrow == BORROW_AUTO)
		config.borrow = BORROW_ALWAYS;
	return true;
}

/* What the values must fulfil together. */
static bool check_together(void)
{
	const struct stack_config *stack = &config.stack;
	struct reason reason;

	if (config_check_gateways(stack, &reason))
		return mistake("GATEWAY", "%s", reason.text);
	for (unsigned i = 0; i < stack->address_count; i++) {
		if (stack->addresses[i].family == AF_INET6 && stack->mtu &&
		    stack->mtu < MTU_MIN_IPV6)
			return mistake("MTU", "%u is too small for IPv6, which needs %d",
				       stack->mtu, MTU_MIN_IPV6);
	}
	if (!config_active())
		return true;
	if (!stack->address_count)
		return check_without_address();
	if (!stack->device)
		return mistake("DEV",
			       "not set, but " PREFIX "ADDR is; name an interface, a PCI address, "
			       "a DPDK vdev or \"loop\"");
	return check_own_mode("ADDR");
}

static bool read_all(void)
{
	for (size_t i = 0; i < VARIABLES; i++) {
		if (!read_variable(&variables[i]))
			return false;
	}
	return check_together();
}

bool config_check(struct reason *reason)
{
	bool any, fine;

	mistakes_line = reason;
	fine = scan_environment(&any) && read_all();
	mistakes_line = NULL;
	return fine;
}

bool config_load(const char *mistakes_consequence)
{
	bool any;
	int error;

	consequence = mistakes_consequence;
	/* A set-user-ID program must not be steered by its caller. */
	if (getauxval(AT_SECURE))
		return true;
	if (!scan_environment(&any))
		return false;
	if (!any)
		return true;
	if (!read_all()) {
		config_without_rules = NULL;
		rules_free(&config.flows); /* the library does nothing */
		return false;
	}
	/* Last, so that every mistake above is seen on standard error. */
	error = log_open(config.log_level, config.log_file);
	/* No mistake: a child may have fewer rights than its parent, or another root directory. */
	if (error)
		log_write(LOG_LEVEL_WARN,
			  PREFIX "LOG: cannot open \"%.80s\": %s; warnings go to standard error",
			  config.log_file, strerror(-error));
	return true;
}

const struct config *config_get(void)
{
	return &config;
}

bool config_active(void)
{
	return config.flows.count > 0;
}

void config_leave(void)
{
	config.flows.count = 0;
}
