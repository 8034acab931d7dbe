# SPDX-License-Identifier: BSD-3-Clause
"""An echo server and its clients, threads of one process. usage: ADDRESS CLIENTS MESSAGES"""
import random
import select
import socket
import sys
import threading

address, clients, messages = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
family = socket.AF_INET6 if ":" in address else socket.AF_INET
done = []


def serve(connection):
    with connection:
        while data := connection.recv(65536):
            connection.sendall(data)


def accept(server):
    for _ in range(clients):
        connection, _ = server.accept()
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


def client(number, port):
    source = random.Random(number)
    with socket.create_connection((address, port), timeout=20) as connection:
        for _ in range(messages):
            message = source.randbytes(source.choice((1, 100, 1460, 5000, 30000)))
            connection.sendall(message)
            got = b""
            while len(got) < len(message):
                more = connection.recv(65536)
                if not more:
                    raise EOFError
                got += more
            if got != message:
                raise ValueError("the echo is not what was sent")
        connection.shutdown(socket.SHUT_WR)
        if connection.recv(1):
            raise ValueError("more came back than was sent")
    done.append(messages)


server = socket.socket(family)
server.bind((address, 0))
server.listen(clients)
port = server.getsockname()[1]
# A stack's listener begins with the first wait on it, not with listen(2): before there are clients.
select.select([server], [], [], 0)
acceptor = threading.Thread(target=accept, args=(server,), daemon=True)
acceptor.start()
threads = [threading.Thread(target=client, args=(n, port), daemon=True) for n in range(clients)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join(40)
print(f"{len(done)} clients, {sum(done)} echoes")
