# SPDX-License-Identifier: BSD-3-Clause
"""A request every 5 ms to a server that has gone to sleep meanwhile: what waking it costs.

The client spins for its answer, so that only the server's awakening is in the figure.
"""

import json

from .lib.compare import Case, Metric
from .lib.testbed import Testbed, sides_of

ABOUT = "round trip when the server slept (a request every 5 ms)"

METRICS = [Metric("p50", "us", False), Metric("p99", "us", False)]
PORT = 7000


def slept(options):
    def run(side, case):
        with Testbed(side, options) as bed:
            notes = {"offloads": bed.offloads()}
            bed.server(f"{options.tools}/echo", bed.address, str(PORT), ready="ready")
            bed.answers(PORT)
            found = json.loads(bed.client(f"{options.tools}/ask", "ping", bed.address, str(PORT),
                                          "--interval", "5000", "--spin",
                                          "--seconds", str(options.seconds),
                                          seconds=options.seconds))
            return {**found, "conditions": {**bed.conditions(), **case.parameters},
                    "notes": notes}
    return run


def cases(options):
    return [Case(f"{link}: 64 B", sides_of(link, options), METRICS, slept(options), {"size": 64})
            for link in options.links if link != "loop"]
