# SPDX-License-Identifier: BSD-3-Clause
#
# A server that says one word to each client, and that waits for them in one of three ways.
# usage: say_server.py PORT accept|poll|epoll
import select
import signal
import socket
import sys

port, way = int(sys.argv[1]), sys.argv[2]
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
listener = socket.create_server(("", port))
if way == "poll":
    poller = select.poll()
elif way == "epoll":
    poller = select.epoll()
if way != "accept":
    listener.setblocking(False)
    poller.register(listener, select.POLLIN)
while True:
    if way != "accept":
        poller.poll()
    try:
        client, _ = listener.accept()
    except BlockingIOError:
        continue
    client.sendall(way.encode())
    client.close()
