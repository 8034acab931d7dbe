# SPDX-License-Identifier: BSD-3-Clause
"""connect, one request, its answer, close: one after the other. (http has many at a time.)"""

import json

from .lib.compare import Case, Metric
from .lib.testbed import Testbed, sides_of

ABOUT = "connections a second, one after the other, 64 bytes each way"

METRICS = [Metric("rate", "1/s", True), Metric("p50", "us", False), Metric("p99", "us", False)]
# Several ports: closed connections keep their port pairs for a minute.
PORT, PORTS = 7000, 8


def opened(options):
    def run(side, case):
        with Testbed(side, options) as bed:
            notes = {"offloads": bed.offloads()}
            bed.server(f"{options.tools}/echo", bed.address, str(PORT), str(PORTS), ready="ready")
            bed.answers(PORT)
            found = json.loads(bed.client(f"{options.tools}/ask", "open", bed.address, str(PORT),
                                          "--ports", str(PORTS), "--seconds",
                                          str(options.seconds),
                                          seconds=options.seconds))
            return {**found, "conditions": {**bed.conditions(), **case.parameters},
                    "notes": notes}
    return run


def cases(options):
    return [Case(f"{link}: open, ask, close", sides_of(link, options), METRICS, opened(options))
            for link in options.links if link != "loop"]
