# SPDX-License-Identifier: BSD-3-Clause
"""
A server with one connection, which a thread answers, while another thread sets options and flags of
it and looks whether they are what it has set. The client asks until it has had enough answers.

    set_meanwhile.py serve PORT
    set_meanwhile.py ask HOST PORT
"""
import fcntl
import os
import socket
import sys
import threading
import time

TURNS = 5000
SECONDS = 20

OPTIONS = [
    (socket.IPPROTO_TCP, socket.TCP_NODELAY),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE),
    (socket.SOL_SOCKET, socket.SO_OOBINLINE),
]


def answer(connection, over):
    poll_for = connection.fileno()
    while True:
        try:
            said = os.read(poll_for, 100)
        except BlockingIOError:
            time.sleep(0)
            continue
        if not said:
            break
        os.write(poll_for, said)
    over.set()


def blocks(descriptor):
    """Whether a call with nothing to read would wait, as far as the flags say."""
    return not fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_NONBLOCK


def set_and_look(connection, over):
    turn = wrong = 0
    descriptor = connection.fileno()
    while not over.is_set():
        level, name = OPTIONS[turn % len(OPTIONS)]
        wanted = turn // len(OPTIONS) % 2
        connection.setsockopt(level, name, wanted)
        if bool(connection.getsockopt(level, name)) != bool(wanted):
            wrong += 1
            print("option", level, name, "is not", wanted, flush=True)
        os.set_blocking(descriptor, not wanted)
        if blocks(descriptor) != (not wanted):
            wrong += 1
            print("it does not block, or does:", wanted, flush=True)
        turn += 1
    return wrong


def serve(port):
    with socket.create_server(("0.0.0.0", port)) as listener:
        print("ready", flush=True)
        connection = listener.accept()[0]
    over = threading.Event()
    thread = threading.Thread(target=answer, args=(connection, over))
    thread.start()
    if set_and_look(connection, over) == 0:
        print("all as set", flush=True)
    thread.join()


def ask(host, port):
    end = time.monotonic() + SECONDS
    with socket.create_connection((host, port)) as connection:
        connection.settimeout(60)
        for _ in range(TURNS):
            connection.sendall(b"ping")
            assert connection.recv(100) == b"ping"
            if time.monotonic() > end:
                break


if sys.argv[1] == "serve":
    serve(int(sys.argv[2]))
else:
    ask(sys.argv[2], int(sys.argv[3]))
