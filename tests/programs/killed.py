#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Servers that are killed under load, and their peers, each with one port of its own for all time.

    killed.py serve PORT WORKERS TIMES        so many workers are killed, some of them at once
    killed.py ask ADDRESS PORT WORKERS TIMES LOG

A worker serves one connection and kills itself (SIGKILL) when it reads a "!" among what it echoes.
A peer says so once the log tells that the connection is borrowed, and goes on sending until it
learns of the end. Then it connects with the same port again. It prints "all have learned".
"""
import os
import signal
import socket
import sys
import threading

FIRST_PORT = 20000


def work(listener):
    connection = listener.accept()[0]
    connection.sendall(b"%09d\n" % os.getpid())
    while data := connection.recv(4096):
        if b"!" in data:
            os.kill(os.getpid(), signal.SIGKILL)
        connection.sendall(data)
    os._exit(1)


def serve(port, workers, times):
    listener = socket.create_server(("0.0.0.0", port))
    for number in range(times):
        if number >= workers:
            assert os.wait()[1] == signal.SIGKILL
        if os.fork() == 0:
            work(listener)
    for _ in range(workers):
        assert os.wait()[1] == signal.SIGKILL


def is_borrowed(log, process):
    with open(log, errors="replace") as lines:
        return any(line.endswith(f": borrowed [python3 {process}]\n") for line in lines)


def talk(connection, log):
    connection.settimeout(None)
    process = int(connection.recv(10, socket.MSG_WAITALL))
    while not is_borrowed(log, process):
        for _ in range(20):
            connection.sendall(b"x" * 100)
            assert len(connection.recv(100, socket.MSG_WAITALL)) == 100
    try:
        connection.sendall(b"!")
        while True:
            connection.sendall(b"x" * 100)
    except (ConnectionResetError, BrokenPipeError):
        return


def ask(address, port, own_port, times, log, learned):
    for _ in range(times):
        with socket.create_connection((address, port), 30, ("", own_port)) as connection:
            talk(connection, log)
        learned.append(own_port)


def ask_all(address, port, workers, times, log):
    learned = []
    threads = [threading.Thread(target=ask, args=(address, port, FIRST_PORT + i, times // workers,
                                                  log, learned)) for i in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(learned) == times, learned
    print("all have learned")


if sys.argv[1] == "serve":
    serve(*map(int, sys.argv[2:5]))
else:
    ask_all(sys.argv[2], *map(int, sys.argv[3:6]), sys.argv[6])
