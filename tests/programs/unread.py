# SPDX-License-Identifier: BSD-3-Clause
#
# unread.py serve PORT COUNT: takes so many connections, writes to each what it takes at once,
# prints by how many MB its own memory has grown, and then writes on until each has got 300,000
# bytes or has ended.
# unread.py ask ADDRESS PORT COUNT: connects so often and reads nothing for 3 seconds; then it reads
# all from the first, the middle and the last, and prints how many bytes came.
import resource
import selectors
import socket
import sys
import time

SIZE = 300000
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))


def resident():
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:")) // 1024


def serve(port, count):
    listener = socket.create_server(("", port), backlog=1024)
    print("ready", flush=True)
    connections = [listener.accept()[0] for _ in range(count)]
    data = memoryview(bytes(SIZE))
    sent = {}
    before = resident()
    for s in connections:
        s.setblocking(False)
        sent[s] = 0
        try:
            while sent[s] < SIZE:
                sent[s] += s.send(data[sent[s]:])
        except BlockingIOError:
            pass
    print("grown by", resident() - before, flush=True)
    selector = selectors.DefaultSelector()
    for s in connections:
        selector.register(s, selectors.EVENT_WRITE)
    while selector.get_map():
        for key, _ in selector.select(20):
            s = key.fileobj
            try:
                sent[s] += s.send(data[sent[s]:])
            except BlockingIOError:
                continue
            except OSError:
                sent[s] = SIZE
            if sent[s] == SIZE:
                selector.unregister(s)
                s.close()


def ask(address, port, count):
    connections = []
    end = time.monotonic() + 60
    while len(connections) < count:
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        try:
            s.connect((address, port))
        except ConnectionRefusedError:
            # A listener of the stack's is there when the stack has started.
            if connections or time.monotonic() > end:
                raise
            time.sleep(0.05)
            continue
        connections.append(s)
    time.sleep(3)
    for s in connections[0], connections[count // 2], connections[-1]:
        s.settimeout(60)
        size = 0
        while data := s.recv(1 << 20):
            size += len(data)
        print(size)


if sys.argv[1] == "serve":
    serve(int(sys.argv[2]), int(sys.argv[3]))
else:
    ask(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
