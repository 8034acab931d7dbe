# SPDX-License-Identifier: BSD-3-Clause
#
# busy_server.py PORT BACKLOG SECONDS: takes one connection, then none for so long; then greets each
# that comes, until SIGTERM. Prints "ready" when it listens.
import signal
import socket
import sys
import time

signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
listener = socket.create_server(("", int(sys.argv[1])), backlog=int(sys.argv[2]))
print("ready", flush=True)
listener.accept()[0].close()
time.sleep(float(sys.argv[3]))
while True:
    connection = listener.accept()[0]
    connection.sendall(b"hello")
    connection.close()
