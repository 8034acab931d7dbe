# SPDX-License-Identifier: BSD-3-Clause
"""Asks an echo server some times, then ends the connection in one of these ways.
usage: ADDRESS PORT fin|words|reset|wait
fin: closes; words: says more and that it is all in one segment, and wants it back; reset: resets;
wait: prints "waiting", and asks on each time that it is sent SIGUSR1"""
import signal
import socket
import struct
import sys


def ask(connection, text):
    connection.sendall(text)
    got = b""
    while len(got) < len(text):
        part = connection.recv(65536)
        if not part:
            raise SystemExit("the end came too early")
        got += part
    if got != text:
        raise SystemExit(f"not what was said: {got[:20]}")


def main():
    address, port, way = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    connection = socket.create_connection((address, port))
    connection.settimeout(60)
    for number in range(10):
        ask(connection, b"message %d" % number)
    if way == "words":
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        connection.sendall(b"last words")
        connection.shutdown(socket.SHUT_WR)
        got = b""
        while part := connection.recv(100):
            got += part
        print(f"got {got.decode()}")
    elif way == "reset":
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    elif way == "wait":
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
        print("waiting", flush=True)
        for number in range(1, 10000):
            signal.sigwait([signal.SIGUSR1])
            ask(connection, b"and more" * 1000)
            print(f"asked {number}", flush=True)
    connection.close()


main()
