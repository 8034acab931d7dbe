# SPDX-License-Identifier: BSD-3-Clause
# waiting.py ADDRESS PORT recv|poll|epoll|threads|sleep: connects, says hello and waits for ever.
import select
import socket
import sys
import threading
import time

s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
s.sendall(b"hello\n")
way = sys.argv[3]
print("ready", flush=True)
if way == "recv":
    s.recv(1)
elif way == "poll":
    poll = select.poll()
    poll.register(s, select.POLLIN)
    poll.poll()
elif way == "epoll":
    epoll = select.epoll()
    epoll.register(s, select.EPOLLIN)
    epoll.poll()
elif way == "threads":
    for _ in range(3):
        threading.Thread(target=s.recv, args=(1,)).start()
    s.recv(1)
else:
    time.sleep(1000)
