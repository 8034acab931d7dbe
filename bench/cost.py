# SPDX-License-Identifier: BSD-3-Clause
"""What a request costs the server's side: processor time without the other host's half.

A veth delivers within the sender's call, so the server's core also does the client's receiving:
samples in whose chain net_rx_action is are the other side's and do not count. Over a wire they
would be another machine's.
"""

import subprocess

from . import redis
from .lib.compare import Case, Metric
from .lib.machine import Unlike
from .lib.testbed import Testbed, sides_of, tail

ABOUT = "the server's side of a redis GET: processor time without the client's half"

METRICS = [Metric("server's side", "s/million", False), Metric("all of it", "s/million", False)]
# Many requests, so that what a start costs once is not what is measured.
CONNECTIONS, RATE = 50, 250_000

# Samples a second, with the processor's clock: a virtual machine may have no counters.
FREQUENCY = 5000


class Profile:
    """with Profile(bed, pid) as profile: samples of the process, with their chains."""

    def __init__(self, bed, pid):
        self.file = f"{bed.folder}/perf.data"
        self.words = ["perf", "record", "-q", "-e", "cpu-clock", "-F", str(FREQUENCY), "-g",
                      "-o", self.file, "-p", str(pid)]

    def __enter__(self):
        try:
            self.perf = subprocess.Popen(self.words, stdin=subprocess.DEVNULL,
                                         stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        except FileNotFoundError:
            raise Unlike("perf is missing (Debian: linux-perf)") from None
        try:
            self.perf.wait(0.5)
        except subprocess.TimeoutExpired:
            return self
        raise Unlike("perf: " + tail(self.perf.stderr.read().decode(errors="replace")))

    def __exit__(self, *_):
        self.perf.terminate()
        self.perf.communicate(timeout=30)

    def seconds(self):
        """Of the server's side, and of all samples."""
        done = subprocess.run(["perf", "script", "-i", self.file, "-F", "comm,ip,sym"],
                              capture_output=True, text=True, errors="replace", timeout=120,
                              check=False)
        chains = [chain for chain in done.stdout.split("\n\n") if chain.strip()]
        if not chains:
            raise Unlike("perf: no samples:\n" + tail(done.stderr))
        others = sum("net_rx_action" in chain for chain in chains)
        return (len(chains) - others) / FREQUENCY, len(chains) / FREQUENCY


def costs(options):
    def run(side, case):
        number = int(RATE * options.seconds)
        with Testbed(side, options) as bed:
            notes = {"offloads": bed.offloads()}
            server = redis.serve(bed)
            with Profile(bed, server.pid) as profile:
                text = redis.ask(bed, CONNECTIONS, number, options.seconds)
            own, whole = profile.seconds()
            return {"server's side": own / number * 1e6, "all of it": whole / number * 1e6,
                    "requests": redis.parse(text)["requests"],
                    "conditions": {**bed.conditions(), **case.parameters}, "notes": notes}
    return run


def cases(options):
    return [Case(f"{link}: redis GET, {CONNECTIONS} connections", sides_of(link, options), METRICS,
                 costs(options), {"connections": CONNECTIONS, "rate": RATE})
            for link in options.links if link != "loop"]
