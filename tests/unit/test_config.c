/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * preload/config/config.c: each variable with good and bad values. Each case is a child of its own,
 * since a mistake ends the process; what is compared is what a user sees: the line on standard
 * error and the exit status.
 */
#include "preload/config/config.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "preload/config/address.h"
#include "preload/config/log.h"

#include "signature.h"
#include "tap.h"

#define VARIABLES_MAX 8

struct outcome {
	char text[4096];
	int status;
};

/* Loads the configuration in a child with these variables alone, and runs check there. */
static struct outcome load(const char *const *variables, bool (*check)(const struct config *))
{
	struct outcome outcome = { .text = "" };
	size_t used = 0;
	ssize_t got;
	int pipe_ends[2];
	pid_t child;

	fflush(stdout);
	if (pipe(pipe_ends) || (child = fork()) < 0) {
		outcome.status = -1;
		return outcome;
	}
	if (!child) {
		dup2(pipe_ends[1], STDERR_FILENO);
		close(pipe_ends[0]);
		close(pipe_ends[1]);
		clearenv();
		for (size_t i = 0; i < VARIABLES_MAX && variables[i]; i++)
			putenv(strdup(variables[i]));
		if (!config_load(""))
			_exit(check && check(config_get()) ? 78 : CONFIG_EXIT_STATUS);
		_exit(!check || check(config_get()) ? 0 : 77);
	}
	close(pipe_ends[1]);
	while ((got = read(pipe_ends[0], outcome.text + used, sizeof(outcome.text) - used - 1)) > 0)
		used += (size_t)got;
	outcome.text[used] = '\0';
	close(pipe_ends[0]);
	waitpid(child, &outcome.status, 0);
	take_signatures(outcome.text, child);
	return outcome;
}

static void show(const char *const *variables, const struct outcome *outcome)
{
	for (size_t i = 0; i < VARIABLES_MAX && variables[i]; i++)
		printf("# %s\n", variables[i]);
	printf("# status %x, \"%s\"\n", (unsigned)outcome->status, outcome->text);
}

#define FLOWS "MELIN_FLOWS=any:*:*"
#define DEV   "MELIN_DEV=veth0"
#define ADDR  "MELIN_ADDR=198.18.0.10/24"

struct bad_case {
	const char *variables[VARIABLES_MAX];
	const char *line; /* without "melin: MELIN_" and the newline */
};

static const struct bad_case bad_cases[] = {
	{ { "MELIN_FLOWS=connect:*:80,conect:*:80" },
	  "FLOWS: rule 2, \"conect:*:80\": unknown verb \"conect\" (connect, listen, any)" },
	{ { "MELIN_FLOWS=any:*:*," }, "FLOWS: rule 2, \"\": empty rule (one comma too many?)" },
	/* unknown names */
	{ { "MELIN_FLOW=any:*:*" }, "FLOW: unknown variable; did you mean MELIN_FLOWS?" },
	{ { "MELIN_ADDRESS=x" }, "ADDRESS: unknown variable; did you mean MELIN_ADDR?" },
	{ { "MELIN_flows=x" }, "flows: unknown variable; libmelin(7) lists them" },
	{ { "MELIN_SPINUS=1" }, "SPINUS: unknown variable; did you mean MELIN_SPIN_US?" },
	{ { "MELIN_GATWEAY=1" }, "GATWEAY: unknown variable; did you mean MELIN_GATEWAY?" },
	{ { "MELIN_=1" }, ": unknown variable; libmelin(7) lists them" },
	{ { "MELIN_SOMETHING_ELSE_ALTOGETHER_AND_LONG=1" },
	  "SOMETHING_ELSE_ALTOGETHER_AND_LONG: unknown variable; libmelin(7) lists them" },
	{ { FLOWS, DEV, ADDR, "MELIN_X\033[31m=1" },
	  "X?[31m: unknown variable; libmelin(7) lists them" },
	/* what belongs together */
	{ { FLOWS, ADDR },
	  "DEV: not set, but MELIN_ADDR is; name an interface, a PCI address, a DPDK vdev or "
	  "\"loop\"" },
	{ { FLOWS, ADDR, "MELIN_DEV=" },
	  "DEV: not set, but MELIN_ADDR is; name an interface, a PCI address, a DPDK vdev or "
	  "\"loop\"" },
	{ { FLOWS, "MELIN_DEV=net_tap0" },
	  "ADDR: not set, but MELIN_DEV=net_tap0 needs the stack's own address, such "
	  "as 198.18.0.10/24" },
	{ { FLOWS, "MELIN_DEV=0000:03:00.0" },
	  "ADDR: not set, but MELIN_DEV=0000:03:00.0 needs the stack's own address, such "
	  "as 198.18.0.10/24" },
	/* host mode */
	{ { FLOWS, "MELIN_BORROW=sometimes" },
	  "BORROW: \"sometimes\" is none of auto, always, random and random:SEED" },
	{ { FLOWS, "MELIN_BORROW=always:7" },
	  "BORROW: \"always:7\" is none of auto, always, random and random:SEED" },
	{ { FLOWS, "MELIN_BORROW=random:0" },
	  "BORROW: \"random:0\" is none of auto, always, random and random:SEED" },
	{ { FLOWS, "MELIN_BORROW=random:" },
	  "BORROW: \"random:\" is none of auto, always, random and random:SEED" },
	{ { FLOWS, DEV, ADDR, "MELIN_BORROW=always" },
	  "BORROW: nothing is borrowed where MELIN_ADDR is set" },
	{ { FLOWS, "MELIN_DEV=loop", "MELIN_BORROW=always" },
	  "BORROW: nothing is borrowed where MELIN_DEV=loop is set" },
	{ { FLOWS, "MELIN_MTU=1400" }, "MTU: the kernel's, where MELIN_ADDR is not set" },
	{ { FLOWS, DEV, "MELIN_VLAN=5" }, "VLAN: the kernel's, where MELIN_ADDR is not set" },
	{ { FLOWS, DEV, "MELIN_ADDR=fd00::10/64", "MELIN_MTU=1279" },
	  "MTU: 1279 is too small for IPv6, which needs 1280" },
	/* device */
	{ { "MELIN_DEV=averylonginterface" },
	  "DEV: \"averylonginterface\" is no interface, PCI address, DPDK vdev (net_...) or "
	  "\"loop\"" },
	{ { "MELIN_DEV=/dev/eth0" },
	  "DEV: \"/dev/eth0\" is no interface, PCI address, DPDK vdev (net_...) or \"loop\"" },
	{ { "MELIN_DEV=eth0 eth1" },
	  "DEV: \"eth0 eth1\" is no interface, PCI address, DPDK vdev (net_...) or \"loop\"" },
	{ { "MELIN_DEV=eth0,promisc" },
	  "DEV: \"eth0,promisc\" is no interface, PCI address, DPDK vdev (net_...) or \"loop\"" },
	{ { "MELIN_DEV=0000:03:00" },
	  "DEV: \"0000:03:00\" is no interface, PCI address, DPDK vdev (net_...) or \"loop\"" },
	{ { "MELIN_DEV=0000:03:00.9" },
	  "DEV: \"0000:03:00.9\" is no interface, PCI address, DPDK vdev (net_...) or \"loop\"" },
	/* addresses */
	{ { "MELIN_ADDR=198.18.0.10" },
	  "ADDR: entry 1, \"198.18.0.10\": no prefix length (198.18.0.10/24, for example)" },
	{ { "MELIN_ADDR=fd00::10" },
	  "ADDR: entry 1, \"fd00::10\": no prefix length (fd00::10/64, for example)" },
	{ { "MELIN_ADDR=198.18.0.10/24,fd00::x/64" },
	  "ADDR: entry 2, \"fd00::x/64\": bad address \"fd00::x\"" },
	{ { "MELIN_ADDR=198.18.0.10/24," }, "ADDR: entry 2, \"\": no address" },
	{ { "MELIN_ADDR=[fd00::1]/64" },
	  "ADDR: entry 1, \"[fd00::1]/64\": bad address \"[fd00::1]\"" },
	{ { "MELIN_ADDR=198.18.0.10/33" },
	  "ADDR: entry 1, \"198.18.0.10/33\": bad prefix length \"33\" (1 to 32)" },
	{ { "MELIN_ADDR=198.18.0.10/0" },
	  "ADDR: entry 1, \"198.18.0.10/0\": bad prefix length \"0\" (1 to 32)" },
	{ { "MELIN_ADDR=fd00::1/x" },
	  "ADDR: entry 1, \"fd00::1/x\": bad prefix length \"x\" (64 to 128)" },
	{ { "MELIN_ADDR=fd00::1/63" },
	  "ADDR: entry 1, \"fd00::1/63\": bad prefix length \"63\" (64 to 128)" },
	{ { "MELIN_ADDR=198.18.0.10/255.255.255.0" },
	  "ADDR: entry 1, \"198.18.0.10/255.255.255.0\": bad prefix length \"255.255.255.0\" "
	  "(1 to 32)" },
	{ { "MELIN_ADDR=198.18.0.0/24" },
	  "ADDR: entry 1, \"198.18.0.0/24\": is the network itself, not a host in it" },
	{ { "MELIN_ADDR=fd00::/64" },
	  "ADDR: entry 1, \"fd00::/64\": is the network itself, not a host in it" },
	{ { "MELIN_ADDR=198.18.0.255/24" },
	  "ADDR: entry 1, \"198.18.0.255/24\": is the network's broadcast address" },
	{ { "MELIN_ADDR=127.0.0.1/8" }, "ADDR: entry 1, \"127.0.0.1/8\": is a loopback address" },
	{ { "MELIN_ADDR=::1/128" }, "ADDR: entry 1, \"::1/128\": is a loopback address" },
	{ { "MELIN_ADDR=224.0.0.1/24" },
	  "ADDR: entry 1, \"224.0.0.1/24\": is a multicast address" },
	{ { "MELIN_ADDR=ff02::1/64" }, "ADDR: entry 1, \"ff02::1/64\": is a multicast address" },
	{ { "MELIN_ADDR=0.0.0.0/24" },
	  "ADDR: entry 1, \"0.0.0.0/24\": is the unspecified address" },
	{ { "MELIN_ADDR=::/64" }, "ADDR: entry 1, \"::/64\": is the unspecified address" },
	{ { "MELIN_ADDR=0.1.2.3/24" },
	  "ADDR: entry 1, \"0.1.2.3/24\": lies in 0.0.0.0/8, which names no host" },
	{ { "MELIN_ADDR=255.255.255.255/32" },
	  "ADDR: entry 1, \"255.255.255.255/32\": lies in 240.0.0.0/4, which names no host" },
	{ { "MELIN_ADDR=::ffff:198.18.0.1/128" },
	  "ADDR: entry 1, \"::ffff:198.18.0.1/128\": is an IPv4-mapped address; write it as IPv4" },
	{ { "MELIN_ADDR=198.18.0.10/24,198.18.0.10/16" },
	  "ADDR: entry 2, \"198.18.0.10/16\": the same address as entry 1" },
	{ { "MELIN_ADDR=198.18.0.1/24,198.18.0.2/24,198.18.0.3/24,198.18.0.4/24,198.18.0.5/24,"
	    "198.18.0.6/24,198.18.0.7/24,198.18.0.8/24,198.18.0.9/24" },
	  "ADDR: entry 9, \"198.18.0.9/24\": more than 8 addresses" },
	/* gateways */
	{ { ADDR, "MELIN_GATEWAY=198.18.1.1" },
	  "GATEWAY: 198.18.1.1 is not on-link: it lies in no prefix of MELIN_ADDR" },
	{ { ADDR, "MELIN_GATEWAY=fd00::1" }, "GATEWAY: fd00::1: MELIN_ADDR has no IPv6 address" },
	{ { "MELIN_ADDR=fd00::10/64", "MELIN_GATEWAY=198.18.0.1" },
	  "GATEWAY: 198.18.0.1: MELIN_ADDR has no IPv4 address" },
	{ { "MELIN_ADDR=fd00::10/64", "MELIN_GATEWAY=fe80::1" },
	  "GATEWAY: entry 1, \"fe80::1\": is a link-local address, which the stack does not use" },
	{ { "MELIN_ADDR=fe80::10/64" },
	  "ADDR: entry 1, \"fe80::10/64\": is a link-local address, which the stack does not use" },
	{ { ADDR, "MELIN_GATEWAY=198.18.0.1,198.18.0.2" },
	  "GATEWAY: entry 2, \"198.18.0.2\": a second gateway for IPv4" },
	{ { "MELIN_GATEWAY=fd00::1,fd00::2" },
	  "GATEWAY: entry 2, \"fd00::2\": a second gateway for IPv6" },
	{ { ADDR, "MELIN_GATEWAY=198.18.0.10" },
	  "GATEWAY: 198.18.0.10 is the stack's own address" },
	{ { ADDR, "MELIN_GATEWAY=198.18.0.0" },
	  "GATEWAY: 198.18.0.0 is the network itself, not a host in it" },
	{ { ADDR, "MELIN_GATEWAY=198.18.0.255" },
	  "GATEWAY: 198.18.0.255 is the network's broadcast address" },
	{ { ADDR, "MELIN_GATEWAY=198.18.0.1/24" },
	  "GATEWAY: entry 1, \"198.18.0.1/24\": a gateway has no prefix length" },
	{ { ADDR, "MELIN_GATEWAY=router" }, "GATEWAY: entry 1, \"router\": bad address" },
	{ { ADDR, "MELIN_GATEWAY=198.18.0.1," }, "GATEWAY: entry 2, \"\": bad address" },
	{ { ADDR, "MELIN_GATEWAY=224.0.0.1" },
	  "GATEWAY: entry 1, \"224.0.0.1\": is a multicast address" },
	/* numbers */
	{ { "MELIN_MTU=67" }, "MTU: \"67\" is not a number from 68 to 9216" },
	{ { "MELIN_MTU=9217" }, "MTU: \"9217\" is not a number from 68 to 9216" },
	{ { "MELIN_MTU=1500x" }, "MTU: \"1500x\" is not a number from 68 to 9216" },
	{ { "MELIN_MTU=-1500" }, "MTU: \"-1500\" is not a number from 68 to 9216" },
	{ { "MELIN_MTU=0x5dc" }, "MTU: \"0x5dc\" is not a number from 68 to 9216" },
	{ { "MELIN_VLAN=0" }, "VLAN: \"0\" is not a number from 1 to 4094" },
	{ { "MELIN_VLAN=4095" }, "VLAN: \"4095\" is not a number from 1 to 4094" },
	{ { "MELIN_QUEUES=0" }, "QUEUES: \"0\" is not a number from 1 to 1024" },
	{ { "MELIN_QUEUES=two" }, "QUEUES: \"two\" is not a number from 1 to 1024" },
	{ { "MELIN_RXD=65536" }, "RXD: \"65536\" is not a number from 1 to 65535" },
	{ { "MELIN_TXD=0" }, "TXD: \"0\" is not a number from 1 to 65535" },
	{ { "MELIN_MBUFS=99999999999999999999" },
	  "MBUFS: \"99999999999999999999\" is not a number from 512 to 16777216" },
	{ { "MELIN_MBUFS=1.5" }, "MBUFS: \"1.5\" is not a number from 512 to 16777216" },
	{ { "MELIN_SPIN_US=1000001" },
	  "SPIN_US: \"1000001\" is not a number from 0 to 1000000, or max" },
	{ { "MELIN_SPIN_US=MAX" }, "SPIN_US: \"MAX\" is not a number from 0 to 1000000, or max" },
	{ { "MELIN_LINGER_MS=3600001" },
	  "LINGER_MS: \"3600001\" is not a number from 0 to 3600000" },
	{ { "MELIN_REQUIRED=yes" }, "REQUIRED: \"yes\" is neither 0 nor 1" },
	{ { "MELIN_REQUIRED=2" }, "REQUIRED: \"2\" is neither 0 nor 1" },
	/* EAL words */
	{ { "MELIN_EAL=--file-prefix 'a" }, "EAL: the quote ' is not closed" },
	{ { "MELIN_EAL=--file-prefix \"a\\\"" }, "EAL: the quote \" is not closed" },
	{ { "MELIN_EAL=a\\" }, "EAL: nothing follows the last backslash" },
	/* log */
	{ { "MELIN_LOG=loud" }, "LOG: unknown level \"loud\" (error, warn, info, debug, trace)" },
	{ { "MELIN_LOG=:/tmp/x" }, "LOG: unknown level \"\" (error, warn, info, debug, trace)" },
	{ { "MELIN_LOG=info:" }, "LOG: no file name behind the colon" },
};

static void test_bad(void)
{
	char expected[1024];

	for (size_t i = 0; i < sizeof(bad_cases) / sizeof(bad_cases[0]); i++) {
		const struct bad_case *bad = &bad_cases[i];
		const struct outcome outcome = load(bad->variables, NULL);

		snprintf(expected, sizeof(expected), "melin: MELIN_%s\n", bad->line);
		if (!tap_ok(WIFEXITED(outcome.status) && WEXITSTATUS(outcome.status) == 2 &&
				    !strcmp(outcome.text, expected),
			    "reported: %s", bad->line))
			show(bad->variables, &outcome);
	}
}

static bool inactive(const struct config *config)
{
	return !config_active() && !config->flows.count && log_descriptor() < 0;
}

/* After a mistake that does not end the program there are no rules, whatever came before it. */
static void test_lenient(void)
{
	const char *const variables[VARIABLES_MAX] = { FLOWS, DEV, ADDR, "MELIN_MTU=1" };
	const struct outcome outcome = load(variables, inactive);

	if (!tap_ok(WIFEXITED(outcome.status) && WEXITSTATUS(outcome.status) == 78,
		    "a mistake leaves no rules"))
		show(variables, &outcome);
}

static bool silent(const struct config *config)
{
	return inactive(config) && !log_enabled(LOG_LEVEL_ERROR);
}

static bool defaults(const struct config *config)
{
	const struct stack_config *stack = &config->stack;

	return config_active() && config->flows.count == 1 && config->spin_us == 100 &&
	       config->linger_ms == 2000 && !config->required &&
	       config->log_level == LOG_LEVEL_WARN && !config->log_file &&
	       !strcmp(stack->device, "loop") && !stack->address_count && !stack->mtu &&
	       !stack->vlan && !stack->queues && !stack->rxd && !stack->txd && !stack->mbufs &&
	       !stack->eal && !stack->gateway4.family && !stack->gateway6.family &&
	       log_enabled(LOG_LEVEL_WARN) && !log_enabled(LOG_LEVEL_INFO);
}

static bool has_addresses(const struct config *config)
{
	const struct stack_config *stack = &config->stack;
	char text[4][ADDRESS_TEXT_SIZE];

	return stack->address_count == 2 &&
	       !strcmp(address_format_prefix(&stack->addresses[0], text[0]), "198.18.0.10/24") &&
	       !strcmp(address_format_prefix(&stack->addresses[1], text[1]), "fd00::10/64") &&
	       !strcmp(address_format(&stack->gateway4, text[2]), "198.18.0.1") &&
	       !strcmp(address_format(&stack->gateway6, text[3]), "fd00::1");
}

static bool has_numbers(const struct config *config)
{
	const struct stack_config *stack = &config->stack;

	return stack->mtu == 1500 && stack->vlan == 4094 && stack->queues == 2 &&
	       stack->rxd == 1024 && stack->txd == 512 && stack->mbufs == 8192;
}

static bool has_rest(const struct config *config)
{
	return config->spin_us == CONFIG_SPIN_MAX && config->linger_ms == 0 && config->required &&
	       config->log_level == LOG_LEVEL_TRACE && log_enabled(LOG_LEVEL_TRACE) &&
	       !strcmp(config->stack.eal, "-l 0 --file-prefix='a b' \\\"");
}

static bool is_host_mode(const struct config *config)
{
	return config->host && !config->interface && !config->stack.device &&
	       config->borrow == BORROW_AUTO;
}

static bool is_seeded(const struct config *config)
{
	return config->borrow == BORROW_RANDOM && config->borrow_seed == UINT_MAX;
}

static bool is_of_one_interface(const struct config *config)
{
	return config->host && !strcmp(config->interface, "veth0") && !config->stack.device &&
	       config->borrow == BORROW_RANDOM && config->borrow_seed == 1;
}

static bool borrows_always(const struct config *config)
{
	return config->host && config->required && config->borrow == BORROW_ALWAYS;
}

static bool has_vdev(const struct config *config)
{
	return !strcmp(config->stack.device, "net_memif0,role=client,socket=/tmp/a b");
}

static bool has_pci(const struct config *config)
{
	return !strcmp(config->stack.device, "0000:03:00.0");
}

static bool has_narrow_networks(const struct config *config)
{
	return config->stack.address_count == 4;
}

/* The copies stay when the program overwrites its environment. */
static bool has_copies(const struct config *config)
{
	for (char **entry = environ; *entry; entry++)
		memset(*entry, 'x', strlen(*entry));
	return !strcmp(config->stack.device, "veth0") && !strcmp(config->stack.eal, "-l 0");
}

static void test_good(void)
{
	static const struct {
		const char *name;
		const char *variables[VARIABLES_MAX];
		bool (*check)(const struct config *);
	} cases[] = {
		{ "no variable", { "PATH=/bin" }, silent },
		{ "a name that only resembles ours", { "MELINX=1", "XMELIN_Y=1" }, silent },
		{ "no flows", { DEV, ADDR }, inactive },
		{ "flows set to nothing", { "MELIN_FLOWS=", DEV, ADDR }, inactive },
		{ "flows of blanks", { "MELIN_FLOWS= \n", DEV, ADDR }, inactive },
		{ "defaults, and loop without an address", { FLOWS, "MELIN_DEV=loop" }, defaults },
		{ "everything else set to nothing",
		  { FLOWS, "MELIN_DEV=loop", "MELIN_SPIN_US=", "MELIN_LOG=", "MELIN_ADDR=",
		    "MELIN_MTU=", "MELIN_EAL=", "MELIN_REQUIRED=" },
		  defaults },
		{ "addresses and gateways",
		  { FLOWS, DEV, "MELIN_ADDR= 198.18.0.10/24 , fd00::10/64 ",
		    "MELIN_GATEWAY=fd00::1, 198.18.0.1" },
		  has_addresses },
		{ "numbers",
		  { "MELIN_MTU=1500", "MELIN_VLAN=4094", "MELIN_QUEUES=2", "MELIN_RXD=1024",
		    "MELIN_TXD= 512 ", "MELIN_MBUFS=8192" },
		  has_numbers },
		{ "spin, linger, required, log, EAL",
		  { "MELIN_SPIN_US=max", "MELIN_LINGER_MS=0", "MELIN_REQUIRED=1", "MELIN_LOG=trace",
		    "MELIN_EAL=-l 0 --file-prefix='a b' \\\"" },
		  has_rest },
		{ "host mode", { FLOWS }, is_host_mode },
		{ "host mode on one interface",
		  { FLOWS, "MELIN_DEV=packet:veth0", "MELIN_BORROW=random" },
		  is_of_one_interface },
		{ "random moments of one's own",
		  { FLOWS, "MELIN_BORROW=random:4294967295" },
		  is_seeded },
		{ "host mode that is required", { FLOWS, "MELIN_REQUIRED=1" }, borrows_always },
		{ "a vdev", { "MELIN_DEV=net_memif0,role=client,socket=/tmp/a b" }, has_vdev },
		{ "a PCI address", { "MELIN_DEV=0000:03:00.0" }, has_pci },
		{ "a short PCI address with arguments", { "MELIN_DEV=af:00.1,x=1" }, inactive },
		{ "a vdev without arguments", { "MELIN_DEV=virtio_user0" }, inactive },
		{ "the longest name of an interface", { "MELIN_DEV=fifteenletters0" }, inactive },
		{ "networks of one and two hosts",
		  { "MELIN_ADDR=198.18.0.0/31,198.18.0.2/32,fd00::/127,fd00::4/128" },
		  has_narrow_networks },
		{ "an environment that is overwritten", { DEV, "MELIN_EAL=-l 0" }, has_copies },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct outcome outcome = load(cases[i].variables, cases[i].check);

		if (!tap_ok(outcome.status == 0 && !outcome.text[0], "accepted: %s", cases[i].name))
			show(cases[i].variables, &outcome);
	}
}

static void test_log_file(void)
{
	char path[] = "/tmp/melin-test-config.XXXXXX", variable[80], line[80] = "";
	const char *variables[VARIABLES_MAX] = { variable, "MELIN_MTU=1" };
	struct outcome outcome;
	struct stat status;
	int fd = mkstemp(path);

	snprintf(variable, sizeof(variable), "MELIN_LOG=info:%s", path);
	outcome = load(variables, NULL);
	tap_ok(WEXITSTATUS(outcome.status) == 2 &&
		       !strcmp(outcome.text,
			       "melin: MELIN_MTU: \"1\" is not a number from 68 to 9216\n") &&
		       !fstat(fd, &status) && !status.st_size,
	       "a mistake goes to standard error although there is a log file");
	close(fd);
	unlink(path);

	snprintf(variable, sizeof(variable), "MELIN_LOG=info:%.*s", 30, path);
	variables[1] = NULL;
	outcome = load(variables, NULL);
	fd = open(path, O_RDONLY);
	tap_ok(outcome.status == 0 && fd >= 0 && read(fd, line, sizeof(line)) == 0,
	       "the log file is made");
	close(fd);
	unlink(path);
}

/*
 * A set-user-ID copy of this program: what its caller set must not count, not even as a mistake.
 * Needs root to make the copy, and a file system that honours the bit.
 */
static void test_secure(void)
{
	char path[] = "/tmp/melin-test-secure.XXXXXX", command[200];
	const char *name = "a set-user-ID program ignores the variables";
	int fd = mkstemp(path), status;

	close(fd);
	snprintf(command, sizeof(command), "cp /proc/%d/exe %s", (int)getpid(), path);
	if (geteuid() != 0 || system(command) || chown(path, 65534, 65534) || chmod(path, 04755)) {
		tap_ok(true, "%s # skip only root can make such a program", name);
		unlink(path);
		return;
	}
	snprintf(command, sizeof(command), "MELIN_FLOWS=any:*:* MELIN_XYZZY=1 %s secure", path);
	status = WEXITSTATUS(system(command));
	if (status == 3)
		tap_ok(true, "%s # skip set-user-ID has no effect in /tmp", name);
	else
		tap_ok(status == 0, "%s", name);
	unlink(path);
}

static int run_secure(void)
{
	if (getuid() == geteuid())
		return 3;
	return !config_load("") || config_active() ? 1 : 0;
}

int main(int argc, char **argv)
{
	/* _exit(): what looks for leaks at exit() may not look into a set-user-ID process. */
	if (argc > 1 && !strcmp(argv[1], "secure"))
		_exit(run_secure());
	test_secure();
	test_bad();
	test_lenient();
	test_good();
	test_log_file();
	return tap_done();
}
