# SPDX-License-Identifier: BSD-3-Clause
"""Round trips while another program computes on the server's core all the time.

Who polls there uses up the time that Linux would give its answers.
"""

from .lib.compare import Case, Metric
from .lib.ping import pinged
from .lib.testbed import sides_of

ABOUT = "round trip of 64 bytes while another program computes on the server's core"

METRICS = [Metric("p50", "us", False), Metric("p99", "us", False)]


def cases(options):
    run = pinged(options, lambda case: [], beside=("sh", "-c", "while :; do :; done"))
    return [Case(f"{link}: 64 B", sides_of(link, options), METRICS, run, {"size": 64})
            for link in options.links if link != "loop"]
