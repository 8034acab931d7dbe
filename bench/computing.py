# SPDX-License-Identifier: BSD-3-Clause
"""Round trips while another program computes on the server's core all the time.

Who polls there uses up the time that Linux would give its answers.
"""

import json

from .lib.compare import Case, Metric
from .lib.testbed import Testbed, sides_of

ABOUT = "round trip of 64 bytes while another program computes on the server's core"

METRICS = [Metric("p50", "us", False), Metric("p99", "us", False)]
PORT = 7000


def answered(options):
    def run(side, case):
        with Testbed(side, options) as bed:
            notes = {"offloads": bed.offloads()}
            bed.server(f"{options.tools}/echo", bed.address, str(PORT), ready="ready")
            bed.answers(PORT)
            bed.server("sh", "-c", "while :; do :; done", name="computing", under_melin=False)
            found = json.loads(bed.client(f"{options.tools}/ask", "ping", bed.address, str(PORT),
                                          "--seconds", str(options.seconds),
                                          seconds=options.seconds))
            return {**found, "conditions": {**bed.conditions(), **case.parameters},
                    "notes": notes}
    return run


def cases(options):
    return [Case(f"{link}: 64 B", sides_of(link, options), METRICS, answered(options),
                 {"size": 64})
            for link in options.links if link != "loop"]
