# SPDX-License-Identifier: BSD-3-Clause
"""redis-server and redis-benchmark: GET with few and many connections, and pipelined."""

import csv
import io

from .lib.compare import Case, Metric
from .lib.machine import Unlike, process_seconds
from .lib.testbed import Testbed, sides_of

ABOUT = "redis-server asked by redis-benchmark (GET, 3-byte values)"

METRICS = [Metric("requests", "1/s", True), Metric("p50", "ms", False), Metric("p99", "ms", False)]

# How many requests a second to plan for: redis-benchmark takes a number, not a time.
PLANS = {1: 15_000, 50: 60_000, 1000: 50_000}


def start(bed, port, **more):
    bed.server("redis-server", "--port", str(port), "--bind", "*", "--protected-mode", "no",
               "--save", "", "--dir", bed.folder, "--tcp-backlog", "4096",
               ready="eady to accept connections", **more)
    bed.answers(port)


def serve(bed):
    start(bed, 6379)
    bed.serves("redis-benchmark", "-h", bed.address, "-c", "1", "-n", "2000", "-t", "get")
    return bed.programs[0]


def ask(bed, connections, number, seconds, pipeline=1):
    """What redis-benchmark prints: parse()."""
    return bed.client("redis-benchmark", "-h", bed.address, "-c", str(connections),
                      "-n", str(number), "-P", str(pipeline), "-t", "get", "--csv",
                      seconds=seconds * 10)


def redis(options):
    def run(side, case):
        connections, pipeline = case.parameters["connections"], case.parameters["pipeline"]
        number = int(case.parameters["plan"] * options.seconds)
        with Testbed(side, options) as bed:
            offloads = bed.offloads()
            server = serve(bed)
            before = process_seconds(server.pid)
            text = ask(bed, connections, number, options.seconds, pipeline)
            load = process_seconds(server.pid) - before
            return {**parse(text), "server processor s per million": load / number * 1e6,
                    "conditions": {**bed.conditions(), **case.parameters},
                    "notes": {"offloads": offloads}}
    return run


def parse(text):
    rows = [row for row in csv.reader(io.StringIO(text)) if row and row[0] == "GET"]
    if not rows:
        raise Unlike(f"redis-benchmark printed no result:\n{text[-500:]}")
    # test, rps, avg, min, p50, p95, p99, max
    row = rows[-1]
    return {"requests": float(row[1]), "p50": float(row[4]), "p99": float(row[6])}


def cases(options):
    found = []
    for link in options.links:
        if link == "loop":
            continue
        for connections, pipeline in ((1, 1), (50, 1), (1000, 1), (50, 16)):
            plan = PLANS[connections] * (1 if pipeline == 1 else 8)
            name = f"{link}: {connections} connection{'s' if connections > 1 else ''}"
            if pipeline > 1:
                name += f", pipeline {pipeline}"
            found.append(Case(name, sides_of(link, options), METRICS, redis(options),
                              {"connections": connections, "pipeline": pipeline, "plan": plan}))
    return found
