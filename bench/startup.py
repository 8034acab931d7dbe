# SPDX-License-Identifier: BSD-3-Clause
"""How long programs take to start and end: without a selected flow, and with one."""

import dataclasses
import json

from .lib.compare import Case, Metric
from .lib.testbed import KERNEL, KERNEL_AGAIN, Side, Testbed

ABOUT = "start to end of /bin/true, and of a program with one selected flow"

METRICS = [Metric("p50", "us", False), Metric("p99", "us", False)]
PORT = 7000

WITHOUT = dataclasses.replace(KERNEL, name="libc alone")
AGAIN = dataclasses.replace(KERNEL_AGAIN, name="libc alone, again")
IDLE = Side("libmelin.so, no rules")
RULES = Side("libmelin.so, rules")
FLOW = Side("libmelin.so, a flow taken", link="xdp")


def environment(side, options):
    words = []
    if side not in (WITHOUT, AGAIN):
        words = [f"LD_PRELOAD={options.library}"]
    if side in (RULES, FLOW):
        words += ["MELIN_FLOWS=any:198.18.0.0/24:*", "MELIN_DEV=veth0",
                  "MELIN_ADDR=198.18.0.10/24", "MELIN_REQUIRED=1"]
    return [word for each in words for word in ("--env", each)]


def started(options, *words, server=False):
    def run(side, case):
        with Testbed(side, options) as bed:
            if server:
                bed.start_client(f"{options.tools}/echo", "198.18.0.2", str(PORT), name="echo")
            program = bed.server(f"{options.tools}/launch", *environment(side, options),
                                 str(options.seconds), *words, name="launch", under_melin=False)
            found = json.loads(program.wait(options.seconds + 60).splitlines()[-1])
            return {**found, "conditions": {**bed.conditions(), **case.parameters}}
    return run


def cases(options):
    plain = [WITHOUT, AGAIN]
    connect = (f"{options.tools}/ask", "hold", "198.18.0.2", str(PORT), "--seconds", "0")
    return [
        Case("/bin/true", plain if options.self_check else plain + [IDLE, RULES], METRICS,
             started(options, "/bin/true")),
        Case("connect, ask once, end", plain if options.self_check else plain + [FLOW], METRICS,
             started(options, *connect, server=True)),
    ]
