/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The proof of melin check: two network namespaces with a cable between them, made for a moment, a
 * connection from one to the other, and the real lender, which borrows it and gives it back. No
 * interface of the host's own is touched.
 *
 *	near    the borrower: a child of the command's, in the first namespace
 *	far     the peer: a child of near's, in the second one, a plain echo of the kernel's
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/lender.h"
#include "common/netlink_call.h"
#include "common/system_call.h"
#include "tools/melin/check.h"

/* Nothing here waits for anybody but the kernel: it is over in some 50 ms. */
#define SECONDS_MOST 20

/* Of the block for benchmarks, RFC 2544; in namespaces that nobody else sees. */
#define NEAR_ADDRESS 0xc6120001u
#define FAR_ADDRESS  0xc6120002u
#define PREFIX	     30
#define PORT	     7

/* How often the lender is asked again when it says that it is too early, with a message between. */
#define ATTEMPTS 100

enum step {
	STEP_NAMESPACE,
	STEP_CABLE,
	STEP_CONNECTION,
	STEP_LENDER,
	STEP_BORROW,
	STEP_GIVE,
	STEP_DONE,
};

/* How far it has come, and what stopped it. */
struct verdict {
	enum step step;
	int error; /* a negative errno value, or 0 */
	enum refusal refusal;
};

/* ---- the cable ---- */

static int make_cable(struct netlink *netlink, pid_t far)
{
	const struct ifinfomsg message = { .ifi_family = AF_UNSPEC };
	const uint32_t process = (uint32_t)far;
	struct nlattr *information, *data, *peer;

	netlink_begin(netlink, RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, &message,
		      sizeof(message));
	netlink_add(netlink, IFLA_IFNAME, "near", sizeof("near"));
	information = netlink_enter(netlink, IFLA_LINKINFO);
	netlink_add(netlink, IFLA_INFO_KIND, "veth", sizeof("veth"));
	data = netlink_enter(netlink, IFLA_INFO_DATA);
	peer = netlink_enter(netlink, VETH_INFO_PEER);
	/* The peer's own header stands in front of its attributes. */
	memset(netlink->request.bytes + netlink->request.header.nlmsg_len, 0, sizeof(message));
	netlink->request.header.nlmsg_len += sizeof(message);
	netlink_add(netlink, IFLA_IFNAME, "far", sizeof("far"));
	netlink_add(netlink, IFLA_NET_NS_PID, &process, sizeof(process));
	netlink_leave(netlink, peer);
	netlink_leave(netlink, data);
	netlink_leave(netlink, information);
	return netlink_ask(netlink);
}

static int set_up(struct netlink *netlink, const char *name, uint32_t address)
{
	const unsigned index = if_nametoindex(name);
	const struct ifaddrmsg has = { .ifa_family = AF_INET,
				       .ifa_prefixlen = PREFIX,
				       .ifa_index = index };
	const struct ifinfomsg is = { .ifi_index = (int)index,
				      .ifi_flags = IFF_UP,
				      .ifi_change = IFF_UP };
	int error;

	if (!index)
		return -errno;
	address = htonl(address);
	netlink_begin(netlink, RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE, &has, sizeof(has));
	netlink_add(netlink, IFA_LOCAL, &address, sizeof(address));
	netlink_add(netlink, IFA_ADDRESS, &address, sizeof(address));
	error = netlink_ask(netlink);
	if (error)
		return error;
	netlink_begin(netlink, RTM_NEWLINK, NLM_F_ACK, &is, sizeof(is));
	return netlink_ask(netlink);
}

/* In the calling process's network namespace, new since its netlink socket would be older. */
static int set_up_own(const char *name, uint32_t address)
{
	struct netlink netlink;
	int error = netlink_open(&netlink, NETLINK_ROUTE);

	error = error ?: set_up(&netlink, name, address);
	netlink_close(&netlink);
	return error;
}

/* ---- far ---- */

static struct sockaddr_in name_of_far(void)
{
	struct sockaddr_in name = { .sin_family = AF_INET };

	name.sin_port = htons(PORT);
	name.sin_addr.s_addr = htonl(FAR_ADDRESS);
	return name;
}

/* talk: a socket to near, a byte for each thing that is ready. Never returns. */
__attribute__((noreturn)) static void be_far(int talk)
{
	const struct sockaddr_in name = name_of_far();
	int listener, connection;
	char byte = 0;

	if (unshare(CLONE_NEWNET) < 0 || write(talk, &byte, 1) != 1 || read(talk, &byte, 1) != 1 ||
	    set_up_own("far", FAR_ADDRESS) < 0)
		_exit(1);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0 || bind(listener, (const struct sockaddr *)&name, sizeof(name)) < 0 ||
	    listen(listener, 1) < 0 || write(talk, &byte, 1) != 1)
		_exit(1);
	connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	while (read(connection, &byte, 1) == 1 && write(connection, &byte, 1) == 1)
		;
	_exit(0);
}

/* ---- near ---- */

/* One message there, and back. */
static int ask_far(int connection)
{
	char byte = 'm';

	return send(connection, &byte, 1, MSG_NOSIGNAL) == 1 && recv(connection, &byte, 1, 0) == 1
		       ? 0
		       : -EPIPE;
}

static void borrow(struct lender *lender, int connection, struct verdict *verdict)
{
	struct connection_state state;
	struct loan loan = { .state = LOAN_NONE };

	verdict->step = STEP_BORROW;
	verdict->refusal = lender_watch(lender, connection, &loan);
	for (int i = 0; i < ATTEMPTS && verdict->refusal == REFUSAL_NONE; i++) {
		verdict->error = ask_far(connection);
		verdict->refusal = lender_borrow(lender, connection, &loan, &state);
		if (verdict->refusal == REFUSAL_NONE || !refusal_is_passing(verdict->refusal))
			break;
		usleep(10000);
		verdict->refusal = i < ATTEMPTS - 1 ? REFUSAL_NONE : verdict->refusal;
	}
	if (verdict->refusal != REFUSAL_NONE || loan.state != LOAN_BORROWED)
		return;
	verdict->step = STEP_GIVE;
	verdict->error = lender_give(lender, connection, &loan, &state);
	connection_state_clear(&state);
	if (verdict->error == 0)
		verdict->error = ask_far(connection);
	if (verdict->error == 0)
		verdict->step = STEP_DONE;
}

static void be_near(pid_t far, int talk, struct verdict *verdict)
{
	const struct sockaddr_in name = name_of_far();
	struct netlink netlink;
	struct lender *lender;
	char byte;
	int connection;

	verdict->step = STEP_CABLE;
	/* Far is in its own namespace when it says so. */
	if (read(talk, &byte, 1) != 1)
		verdict->error = -EPIPE;
	verdict->error = verdict->error ?: netlink_open(&netlink, NETLINK_ROUTE);
	if (verdict->error)
		return;
	verdict->error = make_cable(&netlink, far);
	verdict->error = verdict->error ?: set_up(&netlink, "near", NEAR_ADDRESS);
	netlink_close(&netlink);
	if (verdict->error)
		return;
	if (write(talk, &byte, 1) != 1 || read(talk, &byte, 1) != 1) {
		verdict->error = -EPIPE; /* the other child has ended */
		return;
	}
	verdict->step = STEP_CONNECTION;
	connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connection < 0 ||
	    connect(connection, (const struct sockaddr *)&name, sizeof(name)) < 0) {
		verdict->error = -errno;
		return;
	}
	verdict->step = STEP_LENDER;
	verdict->refusal = lender_open(&lender);
	if (verdict->refusal == REFUSAL_NONE) {
		borrow(lender, connection, verdict);
		lender_close(lender);
	}
	close(connection);
}

/* The first child: what it finds goes into the pipe. */
__attribute__((noreturn)) static void run_near(int result)
{
	struct verdict verdict = { .step = STEP_NAMESPACE };
	int talk[2];
	pid_t far;

	alarm(SECONDS_MOST);
	if (unshare(CLONE_NEWNET) < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, talk) < 0) {
		verdict.error = -errno;
	} else {
		far = fork();
		if (far == 0) {
			alarm(SECONDS_MOST);
			close(talk[0]);
			be_far(talk[1]);
		}
		close(talk[1]);
		if (far > 0) {
			be_near(far, talk[0], &verdict);
			kill(far, SIGKILL);
			waitpid(far, NULL, 0);
		}
	}
	_exit(write(result, &verdict, sizeof(verdict)) != sizeof(verdict));
}

static void run(struct verdict *verdict)
{
	int ends[2];
	pid_t near;

	*verdict = (struct verdict){ .step = STEP_NAMESPACE, .error = -EAGAIN };
	if (pipe(ends) < 0)
		return;
	near = fork();
	if (near == 0) {
		close(ends[0]);
		run_near(ends[1]);
	}
	close(ends[1]);
	if (near > 0 && read(ends[0], verdict, sizeof(*verdict)) != sizeof(*verdict))
		*verdict = (struct verdict){ .step = STEP_NAMESPACE, .error = -EINTR };
	close(ends[0]);
	if (near > 0)
		waitpid(near, NULL, 0);
}

void check_proof(struct check_about *about, struct check_result *result)
{
	static const char *const steps[] = {
		[STEP_NAMESPACE] = "a network namespace",
		[STEP_CABLE] = "a cable (veth)",
		[STEP_CONNECTION] = "a connection",
		[STEP_LENDER] = "opening the tap",
		[STEP_BORROW] = "borrowing",
		[STEP_GIVE] = "giving back",
	};
	struct verdict verdict;

	/* A start would have the interface for itself for that time. */
	if (!about->is_host) {
		check_say(result, CHECK_OK,
			  "not tried in own mode: a start with MELIN_REQUIRED=1 fails if it cannot "
			  "take any");
		return;
	}
	if (!about->has_rights) {
		check_say(
			result, about->has_broker ? CHECK_OK : CHECK_MISSING,
			about->has_broker
				? "the broker has lent a tap; a connection for trying it takes root"
				: "nothing is lent without rights or a broker");
		return;
	}
	run(&verdict);
	if (verdict.step == STEP_DONE)
		check_say(result, CHECK_OK,
			  "a connection between two namespaces was borrowed and given back");
	else if (verdict.step <= STEP_CABLE)
		check_say(result, CHECK_DEGRADED, "not tried, for %s cannot be had: %s",
			  steps[verdict.step], strerror(-verdict.error));
	else
		check_say(result, CHECK_MISSING, "%s failed: %s", steps[verdict.step],
			  verdict.refusal != REFUSAL_NONE ? refusal_text(verdict.refusal)
							  : strerror(-verdict.error));
	if (verdict.step <= STEP_CABLE)
		check_mend_by(result, "sudo", program_invocation_name, "check", NULL);
	else if (verdict.step != STEP_DONE)
		check_mend_by(result, "strace", "-f", "-e", "trace=bpf,connect,setsockopt,socket",
			      program_invocation_name, "check", NULL);
}
