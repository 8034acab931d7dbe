# SPDX-License-Identifier: BSD-3-Clause
"""One connection that asks an echo server again and again: asks_on.py ADDRESS PORT SECONDS"""
import socket
import sys
import time

connection = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=60)
connection.settimeout(60)
print("connected", flush=True)
end = time.monotonic() + float(sys.argv[3])
asked = 0
while time.monotonic() < end:
    asked += 1
    text = b"%8d" % asked
    connection.sendall(text)
    assert connection.recv(8, socket.MSG_WAITALL) == text
    time.sleep(0.02)
print("answered", flush=True)
