# SPDX-License-Identifier: BSD-3-Clause
"""Whether a file is right by Prometheus's text exposition format, version 0.0.4.

usage: exposition.py FILE
  Each metric has a HELP and a TYPE line, once, in front of its samples, which stand together; names
  and labels are of the allowed characters; no sample is there twice; counters end with _total.
"""
import re
import sys

SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)'
                    r'(\{((?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (\d+)$')


def main():
    current, kind, done, seen = None, None, set(), set()
    for line in open(sys.argv[1], encoding="ascii").read().splitlines():
        if line.startswith("# HELP "):
            current = line.split()[2]
            assert current not in done, f"{current} is there twice"
            done.add(current)
            kind = None
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            assert name == current, f"{name}: TYPE without HELP"
            assert kind in ("counter", "gauge")
            assert (kind == "counter") == name.endswith("_total"), name
        else:
            sample = SAMPLE.match(line)
            assert sample, f"no sample: {line}"
            assert sample[1] == current and kind, f"{line}: not below its metric"
            assert sample[0].rsplit(" ", 1)[0] not in seen, f"twice: {line}"
            seen.add(sample[0].rsplit(" ", 1)[0])
    assert len(done) > 20 and len(seen) >= len(done) - 1


main()
