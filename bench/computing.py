# SPDX-License-Identifier: BSD-3-Clause
"""Round trips while another program computes on the server's core all the time.

Who polls there uses up the time that Linux would give its answers. The two share the core, so a
server that is asked without a pause soon has its half of it, and waits for 4 ms some 90 times a
second, with melin and without. Those are about one in a hundred of the round trips: p99 is one of
them, or not, by chance. How many round trips there were tells more.
"""

from .lib.compare import Case, Metric
from .lib.ping import pinged
from .lib.testbed import sides_of

ABOUT = "round trip of 64 bytes while another program computes on the server's core"

METRICS = [Metric("rate", "1/s", True), Metric("p50", "us", False), Metric("p99", "us", False),
           Metric("p99.9", "us", False)]


def cases(options):
    run = pinged(options, lambda case: [], beside=("sh", "-c", "while :; do :; done"))
    return [Case(f"{link}: 64 B", sides_of(link, options), METRICS, run, {"size": 64})
            for link in options.links if link != "loop"]
