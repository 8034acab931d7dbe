#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Fetches a URL several times at once and prints how often and the checksum, if all are the same.

usage: http_clients.py threads|asyncio|selectors HOST PORT PATH COUNT
"""

import asyncio
import hashlib
import http.client
import selectors
import socket
import sys
from concurrent.futures import ThreadPoolExecutor

way, host, port, path, count = sys.argv[1:]
port, count = int(port), int(count)
request = f"GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n".encode()


def body_sum(answer):
    """The checksum of what follows the head."""
    return hashlib.sha256(answer.partition(b"\r\n\r\n")[2]).hexdigest()


def with_threads():
    def one(_):
        connection = http.client.HTTPConnection(host, port, timeout=20)
        connection.request("GET", path)
        return hashlib.sha256(connection.getresponse().read()).hexdigest()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def with_asyncio():
    async def one():
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(request)
        answer = await reader.read()
        writer.close()
        return body_sum(answer)

    async def every():
        return await asyncio.wait_for(asyncio.gather(*(one() for _ in range(count))), 20)

    return asyncio.run(every())


def with_selectors():
    sums = []
    selector = selectors.DefaultSelector()
    for _ in range(count):
        each = socket.socket()
        each.setblocking(False)
        each.connect_ex((host, port))
        selector.register(each, selectors.EVENT_WRITE, bytearray())
    while selector.get_map():
        ready = selector.select(20)
        if not ready:
            sys.exit("nothing for 20 s")
        for key, events in ready:
            if events & selectors.EVENT_WRITE:
                error = key.fileobj.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if error:
                    sys.exit(f"connect: error {error}")
                key.fileobj.sendall(request)
                selector.modify(key.fileobj, selectors.EVENT_READ, key.data)
                continue
            data = key.fileobj.recv(65536)
            key.data.extend(data)
            if not data:
                selector.unregister(key.fileobj)
                key.fileobj.close()
                sums.append(body_sum(bytes(key.data)))
    return sums


ways = {"threads": with_threads, "asyncio": with_asyncio, "selectors": with_selectors}
results = ways[way]()
print(len(results), *sorted(set(results)))
