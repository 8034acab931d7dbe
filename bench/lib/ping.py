# SPDX-License-Identifier: BSD-3-Clause
"""The small echo server of bench/tools, asked by one connection: what several benchmarks vary."""

import json

from .testbed import Testbed

PORT = 7000


def pinged(options, words_of, beside=()):
    """
    A case's run(). words_of(case): more words for "ask ping"; beside: a program that runs on the
    server's core meanwhile.
    """
    def run(side, case):
        with Testbed(side, options) as bed:
            notes = {"offloads": bed.offloads()}
            bed.server(f"{options.tools}/echo", bed.address, str(PORT), ready="ready")
            bed.answers(PORT)
            if beside:
                bed.server(*beside, name="beside", under_melin=False)
            found = json.loads(bed.client(f"{options.tools}/ask", "ping", bed.address, str(PORT),
                                          *words_of(case), "--seconds", str(options.seconds),
                                          seconds=options.seconds))
            return {**found, "conditions": {**bed.conditions(), **case.parameters},
                    "notes": notes}
    return run
