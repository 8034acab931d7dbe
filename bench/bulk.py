# SPDX-License-Identifier: BSD-3-Clause
"""iperf3: as many bytes as go, in both directions, with one stream and with eight."""

import json

from .lib.compare import Case, Metric
from .lib.machine import Unlike
from .lib.testbed import LARGEST_MTU, Testbed, sides_of

ABOUT = "bulk transfer with iperf3"

METRICS = [Metric("throughput", "Gbit/s", True)]


def iperf3(options):
    def run(side, case):
        # melin is the server on af_xdp; -R lets the server send.
        reverse = ["-R"] if case.parameters["direction"] == "from the server" else []
        with Testbed(side, options, mtu=case.parameters["mtu"],
                     cable=case.parameters.get("cable", ())) as bed:
            notes = {"offloads": bed.offloads()}
            bed.server("iperf3", "-s", "-p", "5201", "--forceflush", ready="Server listening")
            text = bed.client("iperf3", "-c", bed.address, "-p", "5201", "-J",
                              "-P", str(case.parameters["streams"]), *reverse,
                              "-t", str(max(1, round(options.seconds))), seconds=options.seconds)
            try:
                bits = json.loads(text)["end"]["sum_received"]["bits_per_second"]
            except (ValueError, KeyError):
                raise Unlike(f"iperf3 printed no result:\n{text[-500:]}") from None
            return {"throughput": bits / 1e9,
                    "conditions": {**bed.conditions(), **case.parameters}, "notes": notes}
    return run


def cases(options):
    found = []
    for link in options.links:
        if link == "loop":
            continue
        for mtu in (1500, LARGEST_MTU):
            for direction in ("to the server", "from the server"):
                for streams in (1, 8):
                    name = (f"{link}: MTU {mtu}, {direction}, {streams} "
                            f"stream{'s' if streams > 1 else ''}")
                    found.append(Case(name, sides_of(link, options, plain=True), METRICS,
                                      iperf3(options),
                                      {"mtu": mtu, "direction": direction, "streams": streams}))
    return found
