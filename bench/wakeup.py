# SPDX-License-Identifier: BSD-3-Clause
"""A request every 5 ms to a server that has gone to sleep meanwhile: what waking it costs.

The client spins for its answer, so that only the server's awakening is in the figure.
"""

from .lib.compare import Case, Metric
from .lib.ping import pinged
from .lib.testbed import sides_of

ABOUT = "round trip when the server slept (a request every 5 ms)"

METRICS = [Metric("p50", "us", False), Metric("p99", "us", False)]


def cases(options):
    run = pinged(options, lambda case: ["--interval", "5000", "--spin"])
    return [Case(f"{link}: 64 B", sides_of(link, options), METRICS, run, {"size": 64})
            for link in options.links if link != "loop"]
