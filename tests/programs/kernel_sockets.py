#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
#
# Sockets that are the kernel's, whatever a rule says of the addresses used on them.
#
# kernel_sockets.py again PEER PORT   a server; calls connect(), bind() and listen() again on what
# it
#                                     accepted over 127.0.0.1, on what it connected, and on what
#                                     another process left it, with an address of the peer's
# kernel_sockets.py own PORT ADDRESS...  greets itself: a server of the kernel's at each of this
#                                     host's own addresses, and a client of each
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
    print(kind, "connect", name(s.connect_ex(peer)), name(s.connect_ex(other.getsockname())),
          end=" ")
    print("bind", call(s.bind, ("0.0.0.0", 0)), "listen", call(s.listen), end=" ")
    print("whole" if whole(s, other) else "broken", flush=True)
    s.close()
    other.close()


def inherited(descriptor, peer):
    """In the executed program nobody has seen where the descriptor came from."""
    program = ("import os, socket, sys; s = socket.socket(fileno=int(sys.argv[1])); "
               "print(s.connect_ex((sys.argv[2], int(sys.argv[3]))))")
    answer = subprocess.run([sys.executable, "-c", program, str(descriptor), *map(str, peer)],
                            pass_fds=[descriptor], capture_output=True, text=True)
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
    print("not blocking", name(client.connect_ex(here)), name(client.connect_ex(here)),
          name(client.connect_ex(peer)))
    # dissolved, a socket is as new, and the rule holds again
    print("dissolved", dissolve(client), name(socket.socket.connect_ex(client, peer)))
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
        program = ("import socket, sys; s = socket.create_server(('%s', %d), "
                   "family=socket.AF_INET6 if ':' in '%s' else "
                   "socket.AF_INET); print(flush=True); c = s.accept()[0]; c.sendall(b'hello'); c.recv(1)"
                   % (address.replace("::ffff:", ""), port, address.replace("::ffff:", "")))
        server = subprocess.Popen([sys.executable, "-c", program], env=environment,
                                  stdout=subprocess.PIPE)
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
