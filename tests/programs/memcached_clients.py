# SPDX-License-Identifier: BSD-3-Clause
"""memcached clients, a thread each, that set and get values of many sizes and compare.
usage: ADDRESS PORT CLIENTS ROUNDS"""
import random
import socket
import sys
import threading

address, port, clients, rounds = sys.argv[1], *map(int, sys.argv[2:5])
done = []


def exactly(connection, size):
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise EOFError("memcached closed the connection")
        data += more
    return data


def client(number):
    source = random.Random(number)
    with socket.create_connection((address, port), timeout=20) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for turn in range(rounds):
            key = b"key-%d-%d" % (number, turn % 10)
            value = source.randbytes(source.choice((0, 1, 100, 2000, 20000)))
            connection.sendall(b"set %s 0 0 %d\r\n%s\r\n" % (key, len(value), value))
            assert exactly(connection, 8) == b"STORED\r\n"
            connection.sendall(b"get %s\r\n" % key)
            wanted = b"VALUE %s 0 %d\r\n%s\r\nEND\r\n" % (key, len(value), value)
            assert exactly(connection, len(wanted)) == wanted
        done.append(rounds)


threads = [threading.Thread(target=client, args=(n,), daemon=True) for n in range(clients)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join(50)
print(f"{len(done)} clients, {sum(done)} sets, {sum(done)} gets")
