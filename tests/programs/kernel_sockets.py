#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
#
# Sockets that are the kernel's, whatever a rule says of the addresses used on them.
#
# kernel_sockets.py again PEER PORT   calls connect(), bind() and listen() again on what it accepted
#                                     over 127.0.0.1, on what it connected, and on what an executed
#                                     program was left, with an address of the peer's
# kernel_sockets.py own PORT ADDRESS...  a server of the kernel's at each of this host's own
#                                     addresses, and a client of each
import errno
import os
import socket
import subprocess
import sys


def name(error):
    return errno.errorcode.get(error, str(error))


def call(function, *arguments):
    try:
        function(*arguments)
        return "good"
    except OSError as error:
        return name(error.errno)


def whole(here, there):
    """Both ends of a connection still reach each other."""
    here.sendall(b"there")
    there.sendall(b"here")
    return here.recv(9) == b"here" and there.recv(9) == b"there"


def try_again(kind, s, other, peer):
    errors = name(s.connect_ex(peer)), name(s.connect_ex(other.getsockname()))
    print(kind, "connect", *errors, end=" ")
    print("bind", call(s.bind, ("0.0.0.0", 0)), "listen", call(s.listen), end=" ")
    print("whole" if whole(s, other) else "broken", flush=True)
    s.close()
    other.close()


EXECUTED = """import socket, sys
s = socket.socket(fileno=int(sys.argv[1]))
print(s.connect_ex((sys.argv[2], int(sys.argv[3]))))"""

SERVER = """import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
listener = socket.create_server((sys.argv[1], int(sys.argv[2])), family=family)
print(flush=True)
connection = listener.accept()[0]
connection.sendall(b"hello")
connection.recv(1)"""


def inherited(descriptor, peer):
    """In the executed program nobody has seen where the descriptor came from."""
    answer = subprocess.run(
        [sys.executable, "-c", EXECUTED, str(descriptor), *map(str, peer)],
        pass_fds=[descriptor],
        capture_output=True,
        text=True,
    )
    return name(int(answer.stdout))


def again(host, port):
    peer = host, port
    listener = socket.create_server(("", 0))
    here = "127.0.0.1", listener.getsockname()[1]
    client = socket.create_connection(here)
    try_again("accepted", listener.accept()[0], client, peer)
    client = socket.create_connection(here)
    server = listener.accept()[0]
    print("executed", inherited(client.fileno(), peer), inherited(server.fileno(), peer))
    try_again("connected", client, server, peer)
    client = socket.socket()
    client.setblocking(False)
    client.connect_ex(here)
    server = listener.accept()[0]
    errors = [name(client.connect_ex(to)) for to in (here, here, peer)]
    print("not blocking", *errors)
    # dissolved, a socket is as new, and the rule holds again
    print("dissolved", dissolve(client), name(client.connect_ex(peer)))
    pair = socket.socketpair()
    print("pair", name(pair[0].connect_ex("/nowhere")), "whole" if whole(*pair) else "broken")


def dissolve(s):
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    unspecified = ctypes.create_string_buffer(16)
    return libc.connect(s.fileno(), unspecified, 16)


def own(port, addresses):
    for address in addresses:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        # a server that a rule leaves to the kernel: in a child without libmelin
        environment = {key: value for key, value in os.environ.items() if key != "LD_PRELOAD"}
        server = subprocess.Popen(
            [sys.executable, "-c", SERVER, address.replace("::ffff:", ""), str(port)],
            env=environment,
            stdout=subprocess.PIPE,
        )
        server.stdout.readline()
        with socket.socket(family) as s:
            s.settimeout(5)
            error = s.connect_ex((address, port))
            print(address, name(error) if error else s.recv(5).decode(), flush=True)
        server.kill()
        server.wait()


if sys.argv[1] == "again":
    again(sys.argv[2], int(sys.argv[3]))
else:
    own(int(sys.argv[2]), sys.argv[3:])
