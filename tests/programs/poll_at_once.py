# SPDX-License-Identifier: BSD-3-Clause
#
# An epoll instance with a connection of the stack's and a pipe that can be read, asked without
# waiting. Prints in how many of a thousand calls the pipe was named: in each, as Linux does it.
import os
import select
import socket

listener = socket.create_server(("127.0.0.1", 7000))
client = socket.create_connection(listener.getsockname())
server, _ = listener.accept()
reader, writer = os.pipe()
epoll = select.epoll()
epoll.register(server, select.EPOLLIN)
epoll.register(reader, select.EPOLLIN)
os.write(writer, b"x")
named = sum((reader, select.EPOLLIN) in epoll.poll(0) for _ in range(1000))
print(f"named in {named} calls")
