# SPDX-License-Identifier: BSD-3-Clause
"""Many bytes on several connections, both ways, with checksums and slow readers.
usage: serve PORT COUNT        as many connections, each in a thread
       ask ADDRESS PORT COUNT MEGABYTES

  On each connection the client asks for so many bytes, which the server sends, with their checksum
  behind them; then the client sends as many, and the server says whether they are right. Readers
  are of four kinds: quick ones, ones that take little at a time, ones that make pauses, and ones
  that let the whole window fill first."""
import hashlib
import os
import socket
import sys
import threading
import time

PIECE = 1 << 16
READERS = 4  # kinds of them
DIGEST = hashlib.sha256().digest_size


def send(connection, size):
    """Pieces of a block of random bytes, each from another place, and then their checksum."""
    block = os.urandom(2 * PIECE)
    digest = hashlib.sha256()
    for turn in range(0, size, PIECE):
        piece = block[turn // PIECE % PIECE:][:min(PIECE, size - turn)]
        digest.update(piece)
        connection.sendall(piece)
    connection.sendall(digest.digest())


def read(connection, size, most=PIECE):
    data = bytearray()
    while len(data) < size:
        piece = connection.recv(min(most, size - len(data)))
        if not piece:
            raise EOFError(f"after {len(data)} of {size} bytes")
        data += piece
    return bytes(data)


def is_right(connection, size, kind):
    digest = hashlib.sha256()
    if kind == 3:
        time.sleep(0.5)
    for turn in range(0, size, PIECE):
        if kind == 2 and turn % (16 * PIECE) == 0:
            time.sleep(0.01)
        digest.update(read(connection, min(PIECE, size - turn), 2000 if kind == 1 else PIECE))
    return read(connection, DIGEST) == digest.digest()


def answer(connection, number, failures):
    try:
        size = int.from_bytes(read(connection, 8), "big")
        send(connection, size)
        connection.sendall(b"right" if is_right(connection, size, number % READERS) else b"wrong")
        assert connection.recv(1) == b"", "more than was to come"
        connection.close()
    except BaseException as error:
        failures.append(error)
        raise


def ask(connection, number, failures, size):
    try:
        connection.sendall(size.to_bytes(8, "big"))
        assert is_right(connection, size, number % READERS), "other bytes have come"
        send(connection, size)
        assert read(connection, 5) == b"right", "other bytes have arrived"
        connection.close()
    except BaseException as error:
        failures.append(error)
        raise


def run(work, connections, *arguments):
    failures = []
    threads = [threading.Thread(target=work, args=(connection, number, failures, *arguments))
               for number, connection in enumerate(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        sys.exit(1)
    print("all is well", flush=True)


if sys.argv[1] == "serve":
    listener = socket.create_server(("::", int(sys.argv[2])), family=socket.AF_INET6,
                                    dualstack_ipv6=True)
    print("ready", flush=True)
    run(answer, [listener.accept()[0] for _ in range(int(sys.argv[3]))])
else:
    address, port, count, megabytes = sys.argv[2], *map(int, sys.argv[3:])
    run(ask, [socket.create_connection((address, port), 60) for _ in range(count)],
        megabytes << 20)
