# SPDX-License-Identifier: BSD-3-Clause
"""What a request costs when many connections are established, and what an idle one weighs."""

import contextlib
import json
import re
import resource
import sys
import time

from .lib import machine
from .lib.compare import Case, Metric
from .lib.machine import Unlike
from .lib.testbed import Testbed, sides_of

ABOUT = "a request among many connections; memory of idle connections"

PORT, PORTS = 7000, 4
COST = [Metric("mean", "us", False), Metric("p50", "us", False), Metric("p99", "us", False)]
MEMORY = [Metric("server process", "bytes", False), Metric("both hosts, all in", "bytes", False)]


def asked(options):
    def run(side, case):
        number = case.parameters["connections"]
        with Testbed(side, options) as bed:
            notes = {"offloads": bed.offloads()}
            bed.server(f"{options.tools}/echo", bed.address, str(PORT), str(PORTS), ready="ready")
            bed.answers(PORT)
            found = json.loads(bed.client(
                f"{options.tools}/ask", "ping", bed.address, str(PORT), "--ports", str(PORTS),
                "--connections", str(number), "--active", str(case.parameters["active"]),
                "--seconds", str(options.seconds), seconds=options.seconds + number / 1000))
            return {**found, "conditions": {**bed.conditions(), **case.parameters},
                    "notes": notes}
    return run


def used_memory():
    """Bytes that the machine cannot give to others: processes, kernel, huge pages in use."""
    fields = {name: int(value) for name, value in
              re.findall(r"(\w+):\s+(\d+)", machine.read("/proc/meminfo"))}
    huge = (fields["HugePages_Total"] - fields["HugePages_Free"]) * fields["Hugepagesize"]
    reserved = fields["HugePages_Total"] * fields["Hugepagesize"]
    caches = fields["Buffers"] + fields["Cached"] - fields["Shmem"]
    return 1024 * (fields["MemTotal"] - fields["MemFree"] - caches - reserved + huge)


def process_memory(pid):
    """Resident bytes, and huge pages, which Linux counts apart."""
    status = machine.read(f"/proc/{pid}/status")
    sizes = re.findall(r"(?:VmRSS|HugetlbPages):\s+(\d+)", status)
    return sum(1024 * int(value) for value in sizes)


def idle(options):
    def run(side, case):
        number = case.parameters["connections"]
        with Testbed(side, options) as bed:
            notes = {"offloads": bed.offloads()}
            server = bed.server(f"{options.tools}/echo", bed.address, str(PORT), str(PORTS),
                                ready="ready")
            bed.answers(PORT)
            # What the first connections need once (buffers, tables) is not theirs alone.
            bed.client(f"{options.tools}/ask", "hold", bed.address, str(PORT), "--ports",
                       str(PORTS), "--connections", "100", "--seconds", "0.5", name="first")
            time.sleep(0.3)
            before, before_process = used_memory(), process_memory(server.pid)
            client = bed.start_client(f"{options.tools}/ask", "hold", bed.address, str(PORT),
                                      "--ports", str(PORTS), "--connections", str(number),
                                      "--seconds", "3")
            end = time.monotonic() + 60
            while "opened" not in client.output():
                if client.process.poll() is not None or time.monotonic() > end:
                    raise Unlike("could not open all connections:\n" + bed.logs())
                time.sleep(0.1)
            time.sleep(1)
            return {"server process": (process_memory(server.pid) - before_process) / number,
                    "both hosts, all in": (used_memory() - before) / number,
                    "conditions": {**bed.conditions(), **case.parameters}, "notes": notes}
    return run


def possible():
    """Connections that one process may have here: descriptors, less a few of its own."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        # As tools/common.c does; needs CAP_SYS_RESOURCE, which not every root has.
        resource.setrlimit(resource.RLIMIT_NOFILE, (1_000_000, 1_000_000))
        return 1_000_000 - 1000
    return hard - 1000


def cases(options):
    found = []
    largest = min(100_000, possible())
    if largest < 100_000:
        print(f"  a process may have no more than {largest + 1000:,} descriptors here: "
              f"{largest:,} connections instead of 100,000", file=sys.stderr)
    for link in options.links:
        if link == "loop":
            continue
        for number in (1, 100, 1000, 10_000, largest):
            for active in sorted({1, number}):
                words = f"{active if active == 1 else 'all'} of {number:,} active"
                found.append(Case(f"{link}: {words}", sides_of(link, options), COST,
                                  asked(options), {"connections": number, "active": active}))
        found.append(Case(f"{link}: memory, 10,000 idle", sides_of(link, options), MEMORY,
                          idle(options), {"connections": 10_000}))
    return found
