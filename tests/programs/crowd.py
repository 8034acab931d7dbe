# SPDX-License-Identifier: BSD-3-Clause
#
# crowd.py ADDRESS PORT COUNT GAP: connects once, and then COUNT times without waiting for an
# answer, GAP seconds between two; prints what became of these, as in "1998 hello, 2 ECONNRESET".
# Each must be greeted within a minute.
import collections
import errno
import resource
import select
import socket
import sys
import time

address, port, count, gap = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
resource.setrlimit(resource.RLIMIT_NOFILE, (count + 100, count + 100))
end = time.monotonic() + 60
while True:
    try:
        socket.create_connection((address, port)).recv(1)
        break
    except ConnectionRefusedError:
        # A listener of the stack's is there when the stack has started.
        if time.monotonic() > end:
            raise
        time.sleep(0.05)
ends = collections.Counter()
waiting = {}
epoll = select.epoll()


def look(seconds):
    for number, _ in epoll.poll(seconds):
        s = waiting.pop(number)
        try:
            ends[s.recv(16).decode() or "nothing"] += 1
        except OSError as error:
            ends[errno.errorcode[error.errno]] += 1
        s.close()


for _ in range(count):
    s = socket.socket()
    s.setblocking(False)
    s.connect_ex((address, port))
    waiting[s.fileno()] = s
    epoll.register(s, select.EPOLLIN)
    look(gap)
end = time.monotonic() + 60
while waiting and time.monotonic() < end:
    look(0.2)
if waiting:
    ends["silence"] = len(waiting)
print(", ".join(f"{number} {what}" for what, number in ends.items()))
