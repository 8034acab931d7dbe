#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""
Makes each call that the trace shows, once at least, over a connection to itself:
every_call.py ADDRESS. Prints the descriptors of the listener, the client and the accepted socket.
"""
import array
import fcntl
import os
import select
import socket
import sys
import termios
import threading


def all_of(connection, size):
    """Receives exactly so many bytes."""
    data = b""
    while len(data) < size:
        data += connection.recv(size - len(data))
    return data


def connected(address):
    """A listener, and both ends of a connection to it."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, 0))
    listener.listen(5)
    accepted = []
    thread = threading.Thread(target=lambda: accepted.append(listener.accept()[0]))
    thread.start()
    client = socket.socket(family, socket.SOCK_STREAM)
    client.connect(listener.getsockname())
    thread.join()
    return listener, client, accepted[0]


def bytes_by_every_call(near, far):
    """Sends by each call that sends, receives by each that receives."""
    near.send(b"a" * 11)
    all_of(far, 11)
    near.sendmsg([b"b" * 6, b"b" * 6])
    buffer = bytearray(12)
    far.recvmsg_into([buffer])
    os.write(near.fileno(), b"c" * 13)
    os.read(far.fileno(), 13)
    os.writev(near.fileno(), [b"d" * 7, b"d" * 7])
    os.readv(far.fileno(), [bytearray(14)])
    with open("/dev/zero", "rb") as zeros:
        zeros.read(100)  # no socket: not in the trace
    with open(sys.argv[0], "rb") as file:
        os.sendfile(near.fileno(), file.fileno(), 0, 15)
    all_of(far, 15)
    far.setblocking(False)
    try:
        far.recv(16)
    except BlockingIOError:
        pass
    far.setblocking(True)


def readiness_by_every_call(near, far):
    """Asks for it by select, poll and epoll."""
    near.send(b"x")
    select.select([far], [], [], 5)
    poll = select.poll()
    poll.register(far, select.POLLIN)
    poll.poll(5000)
    with select.epoll() as epoll:
        epoll.register(far, select.EPOLLIN)
        epoll.poll(5)
    fcntl.ioctl(far, termios.FIONREAD, array.array("i", [0]))
    far.recv(1)


def main():
    listener, client, accepted = connected(sys.argv[1])
    print(listener.fileno(), client.fileno(), accepted.fileno(), flush=True)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    client.getpeername()
    bytes_by_every_call(client, accepted)
    readiness_by_every_call(client, accepted)
    one, other = socket.socketpair()
    one.send(b"unix")
    other.recv(4)
    child = os.fork()
    if not child:
        one.send(b"child")
        os._exit(0)
    os.waitpid(child, 0)
    duplicate = os.dup(client.fileno())
    os.close(duplicate)
    client.shutdown(socket.SHUT_WR)
    accepted.close()
    client.close()
    listener.close()
    print(child)


main()
