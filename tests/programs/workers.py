# SPDX-License-Identifier: BSD-3-Clause
#
# A server whose workers give up root, as most do: echoes, one connection for each worker. Prints
# what its parent process saw of children. With "late" it becomes another user before it forks.
#
# usage: workers.py ADDRESS PORT COUNT [late]
import os
import signal
import socket
import sys

NOBODY = 65534


def drop():
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)


def work(listener):
    connection, _ = listener.accept()
    try:
        while data := connection.recv(65536):
            connection.sendall(data)
    except PermissionError:  # of a socket in repair mode
        print("a connection was aborted", flush=True)
    connection.close()


address, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
family = socket.AF_INET6 if ":" in address else socket.AF_INET
signals = []
signal.signal(signal.SIGCHLD, lambda number, frame: signals.append(number))
listener = socket.create_server((address, port), family=family)
if "late" in sys.argv:
    drop()
children = set()
for _ in range(count):
    child = os.fork()
    if child == 0:
        if "late" not in sys.argv:
            drop()
        work(listener)
        sys.exit(0)
    children.add(child)
print("ready", flush=True)
strangers = 0
while True:
    try:
        child, status = os.wait()
    except ChildProcessError:
        break
    strangers += child not in children or status != 0
print(f"{count} workers have ended, {strangers} others", flush=True)
