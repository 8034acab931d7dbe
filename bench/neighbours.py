# SPDX-License-Identifier: BSD-3-Clause
"""One redis-server alone, and among seven others that have a busy connection each.

In host mode each process has a socket of its own for the frames of its connections, and the kernel
asks each of these sockets about each frame of the interface.
"""

from . import redis
from .lib.compare import Case, Metric
from .lib.testbed import Testbed, sides_of

ABOUT = "what seven other processes on the interface cost: redis-server among them and alone"

METRICS = [Metric("requests, among eight", "1/s", True),
           Metric("time of one, among eight over alone", "times", False)]
NEIGHBOURS, CONNECTIONS, RATE = 7, 50, 60_000


def ask(bed, number, seconds):
    return redis.parse(redis.ask(bed, CONNECTIONS, number, seconds))["requests"]


def start_neighbour(bed, index):
    """Its client asks every 20 ms: too seldom to take time, too often to be idle."""
    port = 6380 + index
    redis.start(bed, port, name=f"neighbour{index}")
    bed.start_client("redis-cli", "-h", bed.address, "-p", str(port), "-r", "-1", "-i", "0.02",
                     "get", "key", name=f"asks{index}")


def neighbours(options):
    def run(side, case):
        number = int(RATE * options.seconds)
        with Testbed(side, options) as bed:
            notes = {"offloads": bed.offloads()}
            redis.serve(bed)
            alone = ask(bed, number, options.seconds)
            for index in range(NEIGHBOURS):
                start_neighbour(bed, index)
            ask(bed, number // 4, options.seconds) # until theirs are borrowed
            among = ask(bed, number, options.seconds)
            return {METRICS[0].name: among, METRICS[1].name: alone / among,
                    "conditions": {**bed.conditions(), **case.parameters}, "notes": notes}
    return run


def cases(options):
    return [Case(f"{link}: redis GET, {CONNECTIONS} connections", sides_of(link, options), METRICS,
                 neighbours(options), {"connections": CONNECTIONS, "neighbours": NEIGHBOURS})
            for link in options.links if link == "host"]
