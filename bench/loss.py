# SPDX-License-Identifier: BSD-3-Clause
"""iperf3 over a cable that loses one frame in a hundred, each way, with a round trip of 1 ms.

The cable is a program (tests/programs/cable.c), and on the client's core: what it can carry bounds
both sides. Segments are cut by the senders.
"""

from .bulk import METRICS, iperf3
from .lib.compare import Case
from .lib.testbed import sides_of

ABOUT = "bulk transfer with iperf3, 1 % of the frames lost, round trips of 1 ms"

CABLE = ("loss=1", "delay=0.5")


def cases(options):
    return [Case(f"{link}: {direction}, {streams} stream{'s' if streams > 1 else ''}",
                 sides_of(link, options, offloads=False), METRICS, iperf3(options),
                 {"mtu": 1500, "direction": direction, "streams": streams, "cable": CABLE})
            for link in options.links if link not in ("loop", "memif")
            for direction in ("to the server", "from the server") for streams in (1, 8)]
