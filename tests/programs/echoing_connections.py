# SPDX-License-Identifier: BSD-3-Clause
"""Connections to a redis-server that carry data without a pause, for what happens meanwhile.

usage: echoing_connections.py ADDRESS PORT CONNECTIONS STOP
  On each connection random bytes of random length are sent and asked back (ECHO), and compared,
  until there is a file STOP. Then prints "all is well" and how many bytes there were in each
  direction; or what was wrong, with exit status 1.
"""
import os
import random
import socket
import sys
import threading


def receive(connection, length):
    data = bytearray()
    while len(data) < length:
        part = connection.recv(length - len(data))
        if not part:
            raise EOFError("the server has closed the connection")
        data += part
    return bytes(data)


def echo(connection, stop, totals, errors):
    randomness = random.Random(len(totals))
    try:
        while not os.path.exists(stop):
            data = randomness.randbytes(randomness.choice((1, 10, 100, 1000, 20000)))
            head = b"$%d\r\n" % len(data)
            connection.sendall(b"*2\r\n$4\r\nECHO\r\n" + head + data + b"\r\n")
            if receive(connection, len(head)) != head:
                raise ValueError("the answer begins in a wrong way")
            if receive(connection, len(data) + 2) != data + b"\r\n":
                raise ValueError("the answer has other bytes than were sent")
            totals.append(len(data))
    except (OSError, EOFError, ValueError) as error:
        errors.append(f"{connection.getsockname()}: {error!r}")


def main():
    address, port, count, stop = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    connections = [socket.create_connection((address, port), timeout=60) for _ in range(count)]
    totals, errors = [], []
    threads = [threading.Thread(target=echo, args=(connection, stop, totals, errors))
               for connection in connections]
    for thread in threads:
        thread.start()
    print("ready", flush=True)
    for thread in threads:
        thread.join()
    if errors:
        sys.exit("\n".join(errors))
    print("all is well", sum(totals))


main()
