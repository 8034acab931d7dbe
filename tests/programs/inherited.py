# SPDX-License-Identifier: BSD-3-Clause
"""A child of fork() tries its parent's connection; the parent's goes on. Prints what each sees."""
import os
import socket

listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(5)
client = socket.create_connection(listener.getsockname())
server, _ = listener.accept()
child = os.fork()
if child == 0:
    try:
        server.recv(1)
        print("child: received", flush=True)
    except OSError as error:
        print("child:", os.strerror(error.errno), flush=True)
    os._exit(0)
os.waitpid(child, 0)
client.sendall(b"x")
print("parent:", server.recv(1).decode())
