# SPDX-License-Identifier: BSD-3-Clause
# unserved.py ADDRESS PORT accept|poll|select|epoll|edge: a server that goes on after errors, with a
# listener that nothing can serve. Prints how often in one second its wait was over and its accept()
# failed, and with what.
import collections
import errno
import select
import socket
import sys
import time

SECONDS = 1
ADDRESS, PORT, WAY = sys.argv[1], int(sys.argv[2]), sys.argv[3]

listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind((ADDRESS, PORT))
try:
    listener.listen()
except OSError as error:
    print("listen", errno.errorcode[error.errno])
    sys.exit()

end = time.monotonic() + SECONDS
if WAY == "accept":
    listener.settimeout(None)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, b"\1" + bytes(15))
else:
    listener.setblocking(False)
poll = select.poll()
poll.register(listener, select.POLLIN)
epoll = select.epoll()
if WAY in ("epoll", "edge"):
    epoll.register(listener, select.EPOLLIN | (select.EPOLLET if WAY == "edge" else 0))


def wait():
    left = max(end - time.monotonic(), 0)
    if WAY == "poll":
        return poll.poll(left * 1000)
    if WAY == "select":
        return select.select([listener], [], [], left)[0]
    if WAY == "accept":
        return True
    return epoll.poll(left)


errors = collections.Counter()
waits = 0
while time.monotonic() < end:
    if not wait():
        continue
    waits += 1
    try:
        listener.accept()
    except OSError as error:
        if error.errno != errno.EAGAIN:
            errors[errno.errorcode[error.errno]] += 1
print("accept", *(f"{name} {count}" for name, count in errors.items()), "of", waits, flush=True)
