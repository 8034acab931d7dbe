#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""An echo server in many manners, and a client that checks every byte.

    host_echo.py serve PORT HOW [ARGUMENT]   one process that listens on PORT at all addresses
    host_echo.py ask ADDRESS PORT [CONNECTIONS [ROUNDS [LOG]]]
    host_echo.py share ADDRESS PORT HOW LOG  a client that shares its connection with a child

HOW: block, info, select, poll, epoll, edge, oneshot, threads, fork, family, workers, handed,
limited, exec, exec-fails, pass, fetch, fetch-own, setuid, unsent; each ends with its last
connection, of which there are as many as ARGUMENT says (1). The client prints "all is well". With
the log of a process under melin, it waits after a few rounds until that process's stack has
started.

Ways to share: pass, fetch, fetch-duplicate and fork before the socket connects; fetch-thread, by a
pidfd of a thread, while it is borrowed. The two processes ask by turns, and neither closes it.
"""
import array
import ctypes
import errno
import mmap
import os
import resource
import select
import socket
import struct
import sys
import tempfile
import threading
import time

ROUNDS = 60


def size_of(turn):
    return 1 + turn * 37 % 3000


def receive(connection, size):
    data = b""
    while len(data) < size:
        piece = connection.recv(size - len(data))
        assert piece, f"the end after {len(data)} of {size} bytes"
        data += piece
    return data


def answer(connection, turns):
    """Blocking: so many messages."""
    for turn in range(turns):
        connection.sendall(receive(connection, size_of(turn)))


def talk(connection):
    """Blocking: until the peer closes."""
    while True:
        data = connection.recv(65536)
        if not data:
            break
        connection.sendall(data)
    connection.close()


def serve_block(listener, count):
    for _ in range(count):
        talk(listener.accept()[0])


def serve_info(listener, count):
    """Asks for TCP_INFO before each message: it counts from the beginning, whoever carries it."""
    for _ in range(count):
        connection = listener.accept()[0]
        # Otherwise the end of an answer may wait, and is not sent yet when it is counted.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        got, before = 0, None
        while True:
            info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 232)
            assert info[0] in (1, 8), info[0]  # TCP_ESTABLISHED, TCP_CLOSE_WAIT
            acked, received, segments_out, segments_in = struct.unpack_from("=QQII", info, 120)
            busy, = struct.unpack_from("=Q", info, 168)
            sent, again = struct.unpack_from("=QQ", info, 200)
            assert received >= got and sent - again == got, (received, sent, again, got)
            assert acked <= sent, (acked, sent)
            now = acked, received, segments_out, segments_in, busy, sent
            assert before is None or all(a <= b for a, b in zip(before, now)), (before, now)
            before = now
            data = connection.recv(65536)
            if not data:
                break
            connection.sendall(data)
            got += len(data)
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 232)
        received, = struct.unpack_from("=Q", info, 128)
        assert received == got + 1, (received, got)  # the FIN is counted, and no byte twice
        connection.close()


def serve_threads(listener, count):
    """One thread reads and another one writes, for each connection."""
    def read(connection, pipe):
        while data := connection.recv(65536):
            os.write(pipe, data)
        os.close(pipe)

    def write(connection, pipe):
        while data := os.read(pipe, 65536):
            connection.sendall(data)
        os.close(pipe)
        connection.close()

    threads = []
    for _ in range(count):
        connection = listener.accept()[0]
        out, into = os.pipe()
        threads += [threading.Thread(target=read, args=(connection, into)),
                    threading.Thread(target=write, args=(connection, out))]
        for thread in threads[-2:]:
            thread.start()
    for thread in threads:
        thread.join()


def serve_events(listener, count, wait, add, again):
    """One thread for all; what wait() gives is ready to be read."""
    open_ones, ended = {}, 0
    add(listener.fileno())
    while ended < count:
        for number in wait():
            if number == listener.fileno():
                connection = listener.accept()[0]
                connection.setblocking(False)
                open_ones[connection.fileno()] = connection
                add(connection.fileno())
                again(number)
                continue
            connection = open_ones[number]
            while True:
                try:
                    data = connection.recv(1000)
                except BlockingIOError:
                    again(number)
                    break
                if not data:
                    del open_ones[number]
                    connection.close()
                    ended += 1
                    break
                connection.setblocking(True)
                connection.sendall(data)
                connection.setblocking(False)


def serve_select(listener, count):
    numbers = set()

    def wait():
        numbers.difference_update([n for n in numbers if not os.path.exists(f"/proc/self/fd/{n}")])
        return select.select(list(numbers), [], [])[0]
    serve_events(listener, count, wait, numbers.add, lambda number: None)


def serve_poll(listener, count):
    poll = select.poll()

    def wait():
        events = poll.poll()
        for number, what in events:
            if what & select.POLLNVAL:
                poll.unregister(number)
        return [number for number, what in events if not what & select.POLLNVAL]
    serve_events(listener, count, wait, lambda n: poll.register(n, select.POLLIN), lambda n: None)


def serve_epoll(listener, count, flags=0):
    epoll = select.epoll()
    serve_events(listener, count, lambda: [number for number, _ in epoll.poll()],
                 lambda n: epoll.register(n, select.EPOLLIN | (n != listener.fileno() and flags)),
                 lambda n: flags == select.EPOLLONESHOT and n != listener.fileno() and
                 epoll.modify(n, select.EPOLLIN | flags))


def serve_fork(listener, count):
    """A child for each; the parent has it open for the first half of the talk."""
    for _ in range(count):
        connection = listener.accept()[0]
        answer(connection, ROUNDS // 3)
        child = os.fork()
        if child == 0:
            listener.close()
            talk(connection)
            os._exit(0)
        connection.close()
        assert os.waitpid(child, 0)[1] == 0


def serve_family(listener, count):
    """A connection for the process, one for its child, one for the child's child, and so on."""
    talk(listener.accept()[0])
    if count > 1:
        child = os.fork()
        if child == 0:
            serve_family(listener, count - 1)
            sys.exit(0)
        assert os.waitpid(child, 0)[1] == 0


def serve_workers(listener, count):
    """The process serves the first connection, and workers of its all others, one each."""
    talk(listener.accept()[0])
    children = []
    for _ in range(count - 1):
        children.append(os.fork())
        if children[-1] == 0:
            talk(listener.accept()[0])
            sys.exit(0)
    for child in children:
        assert os.waitpid(child, 0)[1] == 0


def serve_handed(listener, count):
    """A child for each connection, which the process itself does not use."""
    for _ in range(count):
        connection = listener.accept()[0]
        child = os.fork()
        if child == 0:
            talk(connection)
            os._exit(0)
        connection.close()
        assert os.waitpid(child, 0)[1] == 0


LIMIT = 200 << 20  # vsftpd's; a stack takes more


def limit_memory():
    """All below the limits can be had, and they are what was set."""
    for which in resource.RLIMIT_AS, resource.RLIMIT_DATA:
        resource.setrlimit(which, (LIMIT, LIMIT))
        assert resource.getrlimit(which) == (LIMIT, LIMIT), resource.getrlimit(which)
        resource.setrlimit(which, (LIMIT - 4096, LIMIT))
        assert resource.getrlimit(which) == (LIMIT - 4096, LIMIT), resource.getrlimit(which)
    mmap.mmap(-1, LIMIT // 2, flags=mmap.MAP_PRIVATE)
    try:
        mmap.mmap(-1, 4 * LIMIT, flags=mmap.MAP_PRIVATE)
        raise AssertionError("there is no limit")
    except OSError:
        pass


def serve_limited(listener, count):
    """As workers, each with limits of its memory."""
    talk(listener.accept()[0])
    for _ in range(count - 1):
        child = os.fork()
        if child == 0:
            limit_memory()
            talk(listener.accept()[0])
            sys.exit(0)
        assert os.waitpid(child, 0)[1] == 0


def serve_exec(listener, count):
    """cat(1) goes on, with the connection as standard input and output."""
    for _ in range(count):
        connection = listener.accept()[0]
        answer(connection, ROUNDS // 3)
        child = os.fork()
        if child == 0:
            os.dup2(connection.fileno(), 0)
            os.dup2(connection.fileno(), 1)
            os.execvp("cat", ["cat"])
        connection.close()
        assert os.waitpid(child, 0)[1] == 0


def serve_exec_fails(listener, count):
    """The process tries to become what is no program, and goes on."""
    for _ in range(count):
        connection = listener.accept()[0]
        answer(connection, ROUNDS // 3)
        with tempfile.NamedTemporaryFile(delete=False) as file:
            os.chmod(file.name, 0o755)
        try:
            os.execv(file.name, [file.name])
        except OSError as error:
            assert error.errno == errno.ENOEXEC, error
        os.unlink(file.name)
        talk(connection)


def serve_by_other(listener, count, take, hand_over):
    """
    Another process, which was there before, goes on with each connection: hand_over() tells of it
    by one end of a pair of sockets, and take() makes it of what comes out of the other end, or
    nothing at the end.
    """
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        ours.close()
        listener.close()
        while connection := take(theirs):
            talk(connection)
            theirs.send(b"x")
        os._exit(0)
    theirs.close()
    for _ in range(count):
        connection = listener.accept()[0]
        answer(connection, ROUNDS // 3)
        hand_over(ours, connection)
        ours.recv(1)
        connection.close()
    ours.close()
    assert os.waitpid(child, 0)[1] == 0


def serve_pass(listener, count):
    """The other process gets the descriptor, and is the only one that has it then."""
    def take(channel):
        numbers = array.array("i")
        _, messages, _, _ = channel.recvmsg(1, socket.CMSG_LEN(numbers.itemsize))
        if not messages:
            return None
        numbers.frombytes(messages[0][2][:numbers.itemsize])
        return socket.socket(fileno=numbers[0])

    def hand_over(channel, connection):
        channel.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                                  array.array("i", [connection.fileno()]))])
        connection.close()
    serve_by_other(listener, count, take, hand_over)


def fetch(process, number):
    """pidfd_getfd(2)"""
    fetched = ctypes.CDLL(None, use_errno=True).syscall(438, os.pidfd_open(process), number, 0)
    assert fetched >= 0, os.strerror(ctypes.get_errno())
    return socket.socket(fileno=fetched)


def serve_fetch(listener, count):
    """The other process fetches the connection by its number."""
    def take(channel):
        number = channel.recv(100)
        return fetch(os.getppid(), int(number)) if number else None

    serve_by_other(listener, count, take,
                   lambda channel, connection: channel.send(b"%d" % connection.fileno()))


def serve_fetch_own(listener, count):
    """The connection goes on by a number that the process has fetched from itself."""
    for _ in range(count):
        connection = listener.accept()[0]
        answer(connection, ROUNDS // 3)
        fetched = fetch(os.getpid(), connection.fileno())
        connection.close()
        talk(fetched)


def serve_unsent(listener, count):
    """Ends by _exit(2) while much of the last answer is not sent."""
    for turn in range(count):
        connection = listener.accept()[0]
        answer(connection, ROUNDS)
        connection.setblocking(False)
        connection.send(b"end" * 100000)
        if turn == count - 1:
            os._exit(0)


def serve(port, how, count):
    listener = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
    if how == "setuid":
        os.setgid(65534)
        os.setuid(65534)
    print("ready", flush=True)
    {"block": serve_block, "info": serve_info, "setuid": serve_block,
     "select": serve_select, "poll": serve_poll, "epoll": serve_epoll,
     "threads": serve_threads, "fork": serve_fork,
     "family": serve_family, "workers": serve_workers, "limited": serve_limited,
     "handed": serve_handed,
     "exec": serve_exec,
     "exec-fails": serve_exec_fails,
     "pass": serve_pass, "fetch": serve_fetch, "fetch-own": serve_fetch_own,
     "unsent": serve_unsent,
     "edge": lambda a, b: serve_epoll(a, b, select.EPOLLET),
     "oneshot": lambda a, b: serve_epoll(a, b, select.EPOLLONESHOT)}[how](listener, count)
    print("ended", flush=True)


def wait_for_stack(log):
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with open(log, errors="replace") as lines:
            if "can be borrowed from now on" in lines.read():
                return
        time.sleep(0.02)
    raise TimeoutError("no stack has started")


def ask_one(address, port, rounds, log, failures):
    try:
        connection = socket.create_connection((address, port), 60)
        for turn in range(rounds):
            data = os.urandom(size_of(turn))
            connection.sendall(data)
            assert receive(connection, len(data)) == data, "other bytes"
            if turn == 4 and log:
                wait_for_stack(log)
        connection.shutdown(socket.SHUT_WR)
        rest = b""
        while piece := connection.recv(65536):
            rest += piece
        assert rest == (b"end" * len(rest))[:len(rest)], "other bytes at the end"
        print("left:", len(rest))
    except BaseException as error:
        failures.append(error)
        raise


def ask(address, port, count, rounds, log):
    failures = []
    threads = [threading.Thread(target=ask_one, args=(address, port, rounds, log, failures))
               for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        sys.exit(1)
    print("all is well")


def some_rounds(connection):
    for turn in range(10):
        data = os.urandom(size_of(turn))
        connection.sendall(data)
        assert receive(connection, len(data)) == data, "other bytes"


def helper(pipe, how, inherited):
    """The child: gets the socket, in its way, and uses it whenever it is asked to."""
    what = pipe.recv(100)
    if how == "fork":
        shared = inherited
    elif how == "pass":
        numbers = array.array("i")
        numbers.frombytes(pipe.recvmsg(1, socket.CMSG_LEN(4))[1][0][2][:4])
        shared = socket.socket(fileno=numbers[0])
    else:
        process, number, flags = map(int, what.split())
        opened = ctypes.CDLL(None, use_errno=True).syscall(434, process, flags)
        assert opened >= 0, os.strerror(ctypes.get_errno())
        fetched = ctypes.CDLL(None, use_errno=True).syscall(438, opened, number, 0)
        assert fetched >= 0, os.strerror(ctypes.get_errno())
        shared = socket.socket(fileno=fetched)
    pipe.send(b"has it")
    while pipe.recv(1):
        some_rounds(shared)
        pipe.send(b"x")
    os._exit(0)


def share(address, port, how, log):
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    made = socket.socket() if how == "fork" else None
    child = os.fork()
    if child == 0:
        ours.close()
        helper(theirs, how, made)
    theirs.close()
    made = made or socket.socket()
    # A connection for which a stack starts, before that one connects.
    with socket.create_connection((address, port), 60) as first:
        some_rounds(first)
        wait_for_stack(log)
        some_rounds(first)
    if how == "fetch-thread":
        made.connect((address, port))
        some_rounds(made)
        is_there = threading.Event()
        thread = threading.Thread(target=is_there.wait)
        thread.start()
        ours.send(b"%d %d %d" % (thread.native_id, made.fileno(), os.O_EXCL))
    else:
        ours.send(b"%d %d 0" % (os.getpid(), made.fileno()))
    if how == "pass":
        ours.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                               array.array("i", [made.fileno()]))])
    assert ours.recv(100) == b"has it"
    if how == "fetch-thread":
        is_there.set()
    if how == "fetch-duplicate":
        duplicate = made.dup()
        made.close()
        made = duplicate
    if how != "fetch-thread":
        made.connect((address, port))
    for _ in range(3):
        some_rounds(made)
        ours.send(b"x")
        assert ours.recv(1) == b"x"
    ours.close()
    assert os.waitpid(child, 0)[1] == 0
    made.close()
    print("all is well")


if sys.argv[1] == "share":
    share(sys.argv[2], int(sys.argv[3]), *sys.argv[4:])
elif sys.argv[1] == "serve":
    serve(int(sys.argv[2]), sys.argv[3], int((sys.argv[4:] or [1])[0]))
else:
    ask(sys.argv[2], int(sys.argv[3]), int((sys.argv[4:] or [1])[0]),
        int((sys.argv[5:] or [ROUNDS])[0]), (sys.argv[6:] or [None])[0])
