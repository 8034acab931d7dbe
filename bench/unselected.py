# SPDX-License-Identifier: BSD-3-Clause
"""What calls on descriptors that melin does not serve pay for its being there."""

import dataclasses
import json

from .lib.compare import Case, Metric
from .lib.testbed import KERNEL, KERNEL_AGAIN, Side, Testbed

ABOUT = "calls on kernel descriptors, with and without libmelin.so"

METRICS = [Metric(name, "ns", False)
           for name in ("read", "write", "poll", "epoll_wait", "dup+close")]
PORT = 7000

WITHOUT = dataclasses.replace(KERNEL, name="libc alone")
AGAIN = dataclasses.replace(KERNEL_AGAIN, name="libc alone, again")
IDLE = Side("libmelin.so, no rules")
RULES = Side("libmelin.so, rules, no flow taken")
THREAD = dataclasses.replace(KERNEL, name="libc alone, a second thread")
FLOW = Side("libmelin.so, a flow taken", link="xdp")


def called(options):
    def run(side, case):
        with Testbed(side, options) as bed:
            connection, extra = [], []
            if side is THREAD:
                connection = ["thread"]
            if side is FLOW:
                # The program is melin's client here: its server is far's kernel.
                bed.start_client(f"{options.tools}/echo", "198.18.0.2", str(PORT), name="echo")
                connection = ["198.18.0.2", str(PORT)]
            elif side in (IDLE, RULES):
                extra = [f"LD_PRELOAD={options.library}"]
                if side is RULES:
                    extra += ["MELIN_FLOWS=any:198.18.0.0/24:*", "MELIN_DEV=veth0",
                              "MELIN_ADDR=198.18.0.10/24"]
            program = bed.server(f"{options.tools}/calls", str(options.seconds), *connection,
                                 extra=extra)
            found = json.loads(program.wait(options.seconds + 30).splitlines()[-1])
            return {**found, "conditions": {**bed.conditions(), **case.parameters}}
    return run


def cases(options):
    if options.self_check:
        return [Case("one thread", [WITHOUT, AGAIN], METRICS, called(options))]
    # The stack has threads, and Linux itself takes longer then: like is compared with like.
    return [Case("one thread", [WITHOUT, IDLE, RULES], METRICS, called(options)),
            Case("several threads", [THREAD, FLOW], METRICS, called(options))]
