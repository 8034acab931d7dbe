# SPDX-License-Identifier: BSD-3-Clause
"""Connections to a redis-server that are used and then held, for who looks at them meanwhile.

usage: held_connections.py ADDRESS PORT CONNECTIONS ROUNDS
  Opens so many connections and sends so many PINGs on each, one after the other. Prints "ready".
  With each line on standard input it does the same on the same connections, and says "ready" again;
  it ends at the end of the input.
"""
import socket
import sys


def ping(connection, rounds):
    for _ in range(rounds):
        connection.sendall(b"PING\r\n")
        answer = b""
        while len(answer) < 7:
            part = connection.recv(64)
            if not part:
                sys.exit("the server has closed the connection")
            answer += part
        if answer != b"+PONG\r\n":
            sys.exit(f"the server has answered {answer!r}")


def main():
    address, port, count, rounds = sys.argv[1], *map(int, sys.argv[2:])
    connections = [socket.create_connection((address, port), timeout=60) for _ in range(count)]
    while True:
        for connection in connections:
            ping(connection, rounds)
        print("ready", flush=True)
        if not sys.stdin.readline():
            return


main()
