#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""A server as inetd(8) starts it, for one connection, and its client, which checks each answer.

    inetd.py serve PORT PROGRAM [ARGUMENT...]   becomes PROGRAM, with the connection as 0, 1 and 2
    inetd.py aside                           answers itself, as sshd(8): by another number, with
                                             /dev/null as 0, 1 and 2
    inetd.py ask ADDRESS PORT FILE           sends lines and looks at the answers, until there is
                                             such a file, and 100 lines more

The client prints "all is well".
"""
import os
import socket
import sys


def serve(port, program):
    listener = socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    print("ready", flush=True)
    connection = listener.accept()[0]
    for number in range(3):
        os.dup2(connection.fileno(), number)
    connection.close()
    listener.close()
    os.execvp(program[0], program)


def aside():
    connection = os.dup(0)
    null = os.open("/dev/null", os.O_RDWR)
    for number in range(3):
        os.dup2(null, number)
    while lines := os.read(connection, 1000):
        os.write(connection, lines)
    os.write(connection, b"the end\n")


def lines_until(path):
    number = 0
    while not os.path.exists(path):
        yield number
        number += 1
    yield from range(number, number + 100)


def ask(address, port, path):
    connection = socket.create_connection((address, port), 60)
    answers = connection.makefile()
    for number in lines_until(path):
        connection.sendall(f"line {number}\n".encode())
        answer = answers.readline()
        assert answer.endswith(f"line {number}\n") or answer.startswith(f"line {number}: "), answer
    connection.shutdown(socket.SHUT_WR)
    rest = answers.read()
    assert rest == "the end\n", rest
    print("all is well")


if sys.argv[1] == "serve":
    serve(int(sys.argv[2]), sys.argv[3:])
elif sys.argv[1] == "aside":
    aside()
else:
    ask(sys.argv[2], int(sys.argv[3]), sys.argv[4])
