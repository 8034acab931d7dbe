# SPDX-License-Identifier: BSD-3-Clause
"""An echo server that waits in the way it is told. usage: WAY PORT [ADDRESS]
WAY: asyncio, threads, select, poll, epoll-edge. Ends with status 0 on SIGTERM."""
import asyncio
import select
import signal
import socket
import sys
import threading


def listener(port):
    address = sys.argv[3] if len(sys.argv) > 3 else "0.0.0.0"
    server = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((address, port))
    server.listen(256)
    return server


async def with_asyncio(port):
    async def serve(reader, writer):
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        writer.close()

    server = await asyncio.start_server(serve, "0.0.0.0", port, backlog=256)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, server.close)
    try:
        await server.serve_forever()
    except asyncio.CancelledError:
        pass


def with_threads(port):
    def serve(connection):
        with connection:
            while data := connection.recv(65536):
                connection.sendall(data)

    server = listener(port)
    while True:
        connection, _ = server.accept()
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


class Loop:
    """Connections by descriptor, and what is still to be sent on each."""

    def __init__(self, port):
        self.server = listener(port)
        self.server.setblocking(False)
        self.connections = {}
        self.waiting = {}

    def accept_all(self):
        new = []
        while True:
            try:
                connection, _ = self.server.accept()
            except BlockingIOError:
                return new
            connection.setblocking(False)
            self.connections[connection.fileno()] = connection
            self.waiting[connection.fileno()] = b""
            new.append(connection.fileno())

    def serve(self, descriptor):
        """Until it would block. False: the connection is over."""
        connection = self.connections[descriptor]
        while True:
            try:
                if self.waiting[descriptor]:
                    sent = connection.send(self.waiting[descriptor])
                    self.waiting[descriptor] = self.waiting[descriptor][sent:]
                    continue
                data = connection.recv(65536)
            except BlockingIOError:
                return True
            except ConnectionError:
                data = b""
            if not data:
                del self.connections[descriptor], self.waiting[descriptor]
                connection.close()
                return False
            self.waiting[descriptor] = data


def with_select(port):
    loop = Loop(port)
    while True:
        wanting = [d for d, data in loop.waiting.items() if data]
        readable, writable, _ = select.select(
            [loop.server.fileno(), *loop.connections], wanting, [])
        for descriptor in {*readable, *writable}:
            if descriptor == loop.server.fileno():
                loop.accept_all()
            elif descriptor in loop.connections:
                loop.serve(descriptor)


def with_poll(port):
    loop = Loop(port)
    poller = select.poll()
    poller.register(loop.server, select.POLLIN)
    while True:
        for descriptor, _ in poller.poll():
            if descriptor == loop.server.fileno():
                for new in loop.accept_all():
                    poller.register(new, select.POLLIN)
            elif not loop.serve(descriptor):
                poller.unregister(descriptor)
            elif loop.waiting[descriptor]:
                poller.modify(descriptor, select.POLLIN | select.POLLOUT)
            else:
                poller.modify(descriptor, select.POLLIN)


def with_epoll_edge(port):
    loop = Loop(port)
    poller = select.epoll()
    poller.register(loop.server, select.EPOLLIN | select.EPOLLET)
    while True:
        for descriptor, _ in poller.poll():
            if descriptor == loop.server.fileno():
                for new in loop.accept_all():
                    poller.register(new, select.EPOLLIN | select.EPOLLOUT | select.EPOLLET)
            elif descriptor in loop.connections:
                loop.serve(descriptor)


def main():
    way, port = sys.argv[1], int(sys.argv[2])
    if way == "asyncio":
        asyncio.run(with_asyncio(port))
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    {
        "threads": with_threads,
        "select": with_select,
        "poll": with_poll,
        "epoll-edge": with_epoll_edge,
    }[way](port)


main()
