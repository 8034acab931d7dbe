# SPDX-License-Identifier: BSD-3-Clause
"""Processor time: for a million requests (spinning or not), and of a server with nothing to do."""

import time

from . import redis
from .lib import machine
from .lib.compare import Case, Metric
from .lib.testbed import KERNEL, KERNEL_AGAIN, Side, Testbed

ABOUT = "processor time for a million requests, and of an idle server"

WORK = [Metric("server", "s/million", False), Metric("all programs", "s/million", False),
        Metric("requests", "1/s", True)]
IDLE = [Metric("server", "% of a core", False)]
PORT = 7000


def sides(link, options):
    if options.self_check:
        return [KERNEL, KERNEL_AGAIN]
    return [KERNEL] + [Side(f"melin, {link}, MELIN_SPIN_US {spin or 'default'}", link=link,
                            spin=spin) for spin in ("0", "", "max")]


def worked(options):
    def run(side, case):
        number = int(case.parameters["rate"] * options.seconds)
        with Testbed(side, options) as bed:
            notes = {"offloads": bed.offloads()}
            server = redis.serve(bed)
            before, own = machine.process_seconds(server.pid), machine.own_seconds()
            text = redis.ask(bed, case.parameters["connections"], number, options.seconds)
            server_used = machine.process_seconds(server.pid) - before
            client_used = machine.own_seconds() - own
            return {"server": server_used / number * 1e6,
                    "all programs": (server_used + client_used) / number * 1e6,
                    "requests": redis.parse(text)["requests"],
                    "conditions": {**bed.conditions(), **case.parameters}, "notes": notes}
    return run


def idled(options):
    def run(side, case):
        with Testbed(side, options) as bed:
            notes = {"offloads": bed.offloads()}
            server = bed.server(f"{options.tools}/echo", bed.address, str(PORT), ready="ready")
            bed.answers(PORT)
            number = case.parameters["connections"]
            holder = bed.start_client(f"{options.tools}/ask", "hold", bed.address, str(PORT),
                                      "--connections", str(number), "--seconds",
                                      str(options.seconds + 3))
            end = time.monotonic() + 20
            while "opened" not in holder.output() and time.monotonic() < end:
                time.sleep(0.1)
            time.sleep(1.5)  # delayed acknowledgements, the kernel's neighbour checks
            before, start = machine.process_seconds(server.pid), time.monotonic()
            time.sleep(options.seconds)
            used = machine.process_seconds(server.pid) - before
            server.check()
            return {"server": 100 * used / (time.monotonic() - start),
                    "conditions": {**bed.conditions(), **case.parameters}, "notes": notes}
    return run


def cases(options):
    found = []
    for link in options.links:
        if link == "loop":
            continue
        for connections, rate in ((1, 15_000), (50, 60_000)):
            found.append(Case(f"{link}: redis GET, {connections} connection"
                              + ("s" if connections > 1 else ""), sides(link, options), WORK,
                              worked(options), {"connections": connections, "rate": rate}))
        found.append(Case(f"{link}: idle, 1,000 connections",
                          [side for side in sides(link, options) if side.spin != "max"], IDLE,
                          idled(options), {"connections": 1000}))
    return found
