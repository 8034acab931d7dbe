# SPDX-License-Identifier: BSD-3-Clause
"""One connection, one request at a time: how long until the answer is there.

sockperf does it for 64 and 1024 bytes. It sends no less than 14 bytes, and cannot be both ends of a
link within one process: for 1 byte and for the loop link our own program (tools/ask.c) is used.
"""

import json
import re
import signal

from .lib.compare import Case, Metric
from .lib.machine import Unlike
from .lib.ping import PORT, pinged
from .lib.testbed import Testbed, sides_of

ABOUT = "round trip of small messages, one connection"

METRICS = [Metric("p50", "us", False), Metric("p99", "us", False), Metric("p99.9", "us", False)]


def sockperf(options):
    def run(side, case):
        words = ["--tcp", "-p", str(PORT)]
        if case.parameters["client"] == "spins":
            client = ["--nonblocked", "--timeout", "0"]
        else:
            client = []
        with Testbed(side, options) as bed:
            notes = {"offloads": bed.offloads()}
            # Its default is a non-blocking epoll loop with time-outs; a server that serves one
            # connection and blocks is the simplest there is.
            bed.server("sockperf", "server", "-i", bed.address, *words,
                       ready="using recvfrom|press CTRL|listening", stop_signal=signal.SIGINT)
            bed.answers(PORT)
            text = bed.client("sockperf", "ping-pong", "-i", bed.address, *words, *client,
                              "-m", str(case.parameters["size"]), "--full-rtt",
                              "-t", str(max(1, round(options.seconds))), seconds=options.seconds)
            found = {share: float(value) for share, value in
                     re.findall(r"percentile (\d+\.\d+) =\s+([\d.]+)", text)}
            try:
                return {"p50": found["50.000"], "p99": found["99.000"], "p99.9": found["99.900"],
                        "conditions": {**bed.conditions(), **case.parameters}, "notes": notes}
            except KeyError:
                raise Unlike(f"sockperf printed no percentiles:\n{text[-800:]}") from None
    return run


def ask(options):
    def words(case):
        spin = ["--spin"] if case.parameters["client"] == "spins" else []
        return ["--size", str(case.parameters["size"]), *spin]
    return pinged(options, words)


def pair(options):
    """Client and server are two threads of one process, on a core each."""
    def run(side, case):
        spin = ["--spin"] if case.parameters["client"] == "spins" else []
        with Testbed(side, options) as bed:
            cores = f"{bed.server_core},{bed.client_core}"
            # The process may use both cores; it pins its threads itself.
            program = bed.server(f"{options.tools}/ask", "pair", "127.0.0.1", str(PORT),
                                 "--size", str(case.parameters["size"]), *spin,
                                 "--seconds", str(options.seconds), "--cores", cores, cores=cores)
            found = json.loads(program.wait(options.seconds + 30))
            return {**found, "conditions": {**bed.conditions(), **case.parameters}}
    return run


def cases(options):
    found = []
    for link in options.links:
        for client in ("blocks", "spins"):
            for size in (1, 64, 1024):
                if link == "loop":
                    how = pair
                else:
                    how = ask if size == 1 else sockperf
                found.append(Case(f"{link}: {size} B, client {client}", sides_of(link, options),
                                  METRICS, how(options),
                                  {"size": size, "client": client, "program": how.__name__}))
    return found
