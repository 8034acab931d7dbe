# SPDX-License-Identifier: BSD-3-Clause
"""Tells each client the address that it comes from, on one dual-stack socket. usage: PORT"""
import signal
import socket
import sys

signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
server = socket.socket(socket.AF_INET6)
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
server.bind(("::", int(sys.argv[1])))
server.listen(16)
while True:
    connection, peer = server.accept()
    try:
        if connection.getpeername()[0] != peer[0]:
            raise SystemExit("accept and getpeername differ")
        connection.sendall(peer[0].encode())
    except OSError:
        pass
    connection.close()
