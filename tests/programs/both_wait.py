# SPDX-License-Identifier: BSD-3-Clause
#
# Two programs that send before they receive, so that both windows close; the client then reads.
# usage: both_wait.py server|client ADDRESS PORT
import socket
import sys
import time

AMOUNT = 20 << 20  # more than the two buffers of a connection hold
PATIENCE = 1.5  # seconds that the windows stay closed: some probes come and go

role, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])


def received(connection):
    total = 0
    while data := connection.recv(1 << 20):
        total += len(data)
    return total


if role == "server":
    listener = socket.create_server((address, port))
    print("ready", flush=True)
    connection, _ = listener.accept()
    connection.sendall(b"s" * AMOUNT)
    connection.shutdown(socket.SHUT_WR)
    print("received", received(connection), flush=True)
else:
    connection = socket.create_connection((address, port))
    connection.setblocking(False)
    sent, end = 0, time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            sent += connection.send(b"c" * 100000)
        except BlockingIOError:
            time.sleep(0.05)
    connection.setblocking(True)
    assert received(connection) == AMOUNT
    print("sent", sent, flush=True)
