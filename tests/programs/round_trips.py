# SPDX-License-Identifier: BSD-3-Clause
#
# A client that says something and waits until it has come back, so many times in all, on all of its
# connections in turn. Prints that it was always the same. With a file, it goes on with the first
# half until there is such a file, prints "half" and pauses until it is removed.
#
# usage: round_trips.py ADDRESS PORT CONNECTIONS TRIPS [FILE]
import os
import socket
import sys
import time

address, port = sys.argv[1], int(sys.argv[2])
connections = [socket.create_connection((address, port), timeout=60)
               for _ in range(int(sys.argv[3]))]
trips = int(sys.argv[4])
file = sys.argv[5] if len(sys.argv) > 5 else None


def go(trip):
    for number, connection in enumerate(connections):
        said = f"{number} says {trip};".encode() * 5
        connection.sendall(said)
        heard = b""
        while len(heard) < len(said):
            more = connection.recv(65536)
            if not more:
                sys.exit(f"connection {number} ended at trip {trip}")
            heard += more
        if heard != said:
            sys.exit(f"connection {number}, trip {trip}: {heard!r}")


for trip in range(trips // 2):
    go(trip)
if file:
    while not os.path.exists(file):
        go("more")
    print("half", flush=True)
    while os.path.exists(file):
        time.sleep(0.01)
for trip in range(trips // 2, trips):
    go(trip)
print(f"{trips} round trips", flush=True)
