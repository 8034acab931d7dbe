# SPDX-License-Identifier: BSD-3-Clause
"""memcached with 1, 2 and 4 threads: what several threads of one server cost each other.

With the server on its one core, a thread meets another only when it loses the core while it holds a
lock. "on both cores" lets them run at the same time; the client then shares its core with the
server on all sides alike, so such a case tells less about the client's half.
"""

import re

from .lib.compare import Case, Metric
from .lib.machine import Unlike, process_seconds
from .lib.testbed import Testbed, sides_of

ABOUT = "memcached -t 1, 2, 4 asked by memaslap (9 gets to a set, 16 connections)"

METRICS = [Metric("requests", "1/s", True)]
PORT, CONNECTIONS = 11211, 16

# Threads, bytes of a value, whether the server has both cores.
WORK = ((1, 100, False), (2, 100, False), (4, 100, False), (1, 8192, False), (4, 8192, False),
        (2, 100, True), (4, 100, True), (4, 8192, True))


def both(bed):
    """The server's core and the client's, as the kernel writes a list of them."""
    first, last = sorted((bed.server_core, bed.client_core))
    return f"{first}-{last}" if last == first + 1 else f"{first},{last}"


def memcached(options):
    def run(side, case):
        with Testbed(side, options) as bed:
            notes = {"offloads": bed.offloads()}
            # Room for all that is set within a measurement: an evicted value would be a miss.
            server = bed.server("memcached", "-u", "root", "-U", "0", "-p", str(PORT),
                                "-t", str(case.parameters["threads"]), "-m", "4096",
                                cores=both(bed) if case.parameters["both cores"] else None)
            bed.answers(PORT)
            bed.serves("memcaslap", "-s", f"{bed.address}:{PORT}", "-T", "1", "-c", "1",
                       "-X", "100", "-w", "1k", "-x", "2000")
            before = process_seconds(server.pid)
            text = bed.client("memcaslap", "-s", f"{bed.address}:{PORT}", "-T", "1",
                              "-c", str(CONNECTIONS), "-X", str(case.parameters["value"]),
                              "-w", "1k", "-t", f"{max(1, round(options.seconds))}s",
                              seconds=options.seconds)
            load = process_seconds(server.pid) - before
            number, result = parse(text)
            return {**result, "server processor s per million": load / number * 1e6,
                    "conditions": {**bed.conditions(), **case.parameters}, "notes": notes}
    return run


def parse(text):
    """How many requests, and how many a second."""
    total = re.search(r"Run time: [\d.]+s Ops: (\d+) TPS: (\d+)", text)
    misses = re.search(r"^get_misses: (\d+)", text, re.M)
    if not total or not misses or int(misses.group(1)) or "ERROR" in text:
        raise Unlike(f"memaslap: no good result:\n{text[-800:]}")
    return int(total.group(1)), {"requests": float(total.group(2))}


def cases(options):
    found = []
    for link in options.links:
        if link == "loop":
            continue
        for threads, value, both_cores in WORK:
            name = f"{link}: -t {threads}, {value:,} bytes" + (", on both cores" if both_cores
                                                               else "")
            found.append(Case(name, sides_of(link, options), METRICS, memcached(options),
                              {"threads": threads, "value": value, "both cores": both_cores}))
    return found
