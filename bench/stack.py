# SPDX-License-Identifier: BSD-3-Clause
"""The stack alone: two copies back to back in memory, no kernel, no device, no descriptors.

lwIP's raw API is the ceiling; the socket functions that libmelin.so calls are what stands above it.
A descriptor limit does not count here, so this is where 100,000 connections can be had on any
machine.
"""

import json
import subprocess

from .lib import machine
from .lib.compare import Case, Metric
from .lib.machine import Unlike
from .lib.testbed import Side

ABOUT = "a request within the stack alone: lwIP's raw API, and melin's sockets above it"

METRICS = [Metric("mean", "us", False), Metric("p50", "us", False), Metric("p99", "us", False)]
RAW, SOCKETS = Side("raw lwIP"), Side("sockets")
RAW_AGAIN = Side("raw lwIP again")
LAYERS = {RAW.name: "raw", RAW_AGAIN.name: "raw", SOCKETS.name: "sockets"}

# (connections, which of them ask)
NUMBERS = ((1, "one"), (100, "all"), (1000, "all"), (10000, "all"), (100000, "one"),
           (100000, "all"))


def alone(options):
    def run(side, case):
        number, active = case.parameters["connections"], case.parameters["active"]
        core, _ = machine.cores()
        done = subprocess.run(
            ["nice", "-n", "-20", "taskset", "-c", str(core), f"{options.tools}/stack-alone",
             f"{options.tools}/.libs/end.so", LAYERS[side.name], str(number), active,
             str(options.seconds)],
            capture_output=True, text=True, timeout=options.seconds + 120, check=False)
        if done.returncode:
            raise Unlike(f"stack-alone ended with status {done.returncode}:\n{done.stderr[-500:]}")
        found = json.loads(done.stdout)
        return {**{metric.name: found[metric.name] for metric in METRICS},
                "conditions": dict(case.parameters)}
    return run


def cases(options):
    sides = [RAW, RAW_AGAIN] if options.self_check else [RAW, SOCKETS]
    return [Case(f"{active} of {number:,} asking", sides, METRICS, alone(options),
                 {"connections": number, "active": active}) for number, active in NUMBERS]
