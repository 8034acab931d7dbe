# SPDX-License-Identifier: BSD-3-Clause
#
# A client that says something and waits until it has come back, so many times in all, on all of its
# connections in turn. Prints that it was always the same. With a pause, that many seconds between
# the first half and the second, when it prints "half".
#
# usage: round_trips.py ADDRESS PORT CONNECTIONS TRIPS [PAUSE]
import socket
import sys
import time

address, port = sys.argv[1], int(sys.argv[2])
connections = [socket.create_connection((address, port), timeout=20)
               for _ in range(int(sys.argv[3]))]
trips = int(sys.argv[4])
for trip in range(trips):
    if trip == trips // 2 and len(sys.argv) > 5:
        print("half", flush=True)
        time.sleep(float(sys.argv[5]))
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
print(f"{trips} round trips", flush=True)
