# SPDX-License-Identifier: BSD-3-Clause
"""Connects and listens by TCP, and ends: tcp_flows.py [connect|listen]:ADDRESS:PORT...

What comes of a connection does not matter; after half a second it is given up. "close" closes
standard error and opens a file in its place, whose name follows.
"""

import os
import socket
import sys

kept = []
for word in sys.argv[1:]:
    verb, rest = word.split(":", 1)
    if verb == "close":
        os.close(2)
        assert os.open(rest, os.O_CREAT | os.O_WRONLY, 0o600) == 2
        continue
    address, port = rest.rsplit(":", 1)
    one = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    one.settimeout(0.5)
    kept.append(one)
    if verb == "connect":
        one.connect_ex((address, int(port)))
    else:
        one.bind((address, int(port)))
        one.listen()
