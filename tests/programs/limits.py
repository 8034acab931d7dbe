# SPDX-License-Identifier: BSD-3-Clause
"""The numbers of descriptors around a connection are the program's own: all below its limit can be
had, none is taken that it did not open. To be compared between a plain run and one under melin.
usage: ADDRESS PORT [SOFT [HARD]], with an echo server there; HARD is SOFT unless given"""
import array
import ctypes
import errno
import fcntl
import os
import resource
import select
import socket
import subprocess
import sys

os.closerange(3, 1 << 16)  # what the shell before had open
libc = ctypes.CDLL(None, use_errno=True)
pair = socket.socketpair()
epoll = select.epoll()
END = 6000  # melin keeps below that


def error(call, *arguments):
    try:
        call(*arguments)
    except OSError as problem:
        return errno.errorcode[problem.errno]
    except ValueError:  # of setrlimit()
        return "EPERM"
    return "done"


def poll(number):
    watched = select.poll()
    watched.register(number, select.POLLIN)
    if watched.poll(0) == [(number, select.POLLNVAL)]:
        raise OSError(errno.EBADF, "")


def fail():
    raise OSError(ctypes.get_errno(), "")


def terminal(call, *arguments):
    if call(*arguments, ctypes.create_string_buffer(200)) < 0:
        fail()


def system_call(number):
    if libc.syscall(72, number, 1, 0) < 0:  # fcntl
        fail()


CALLS = {
    "read": lambda n: os.read(n, 1),
    "write": lambda n: os.write(n, b"x"),
    "fstat": os.fstat,
    "lseek": lambda n: os.lseek(n, 0, 0),
    "fcntl": lambda n: fcntl.fcntl(n, fcntl.F_GETFD),
    "ioctl": lambda n: fcntl.ioctl(n, 0x541b, array.array("i", [0])),
    "dup": os.dup,
    "dup2": lambda n: os.dup2(n, 70),
    "epoll_ctl": lambda n: epoll.register(n, select.EPOLLIN),
    "poll": poll,
    "send": lambda n: libc.send(n, b"x", 1, 0) < 0 and system_call(n),
    "sendfile": lambda n: os.sendfile(1, n, 0, 1),
    "splice": lambda n: os.splice(n, pair[0].fileno(), 1),
    "SCM_RIGHTS": lambda n: socket.send_fds(pair[0], [b"x"], [n]),
    "syscall": system_call,
    "sendfile to the connection": lambda n: os.sendfile(connection.fileno(), n, 0, 1),
    "isatty": lambda n: libc.isatty(n) or fail(),
    "ttyname": os.ttyname,
    "tcgetattr": lambda n: terminal(libc.tcgetattr, n),
    "tcsetattr": lambda n: terminal(libc.tcsetattr, n, 0),
    "close": os.close,
}


def talk(byte):
    connection.sendall(byte)
    waiting = select.poll()
    waiting.register(connection, select.POLLIN)
    waiting.register(pair[0], select.POLLIN)  # a sleep in the kernel takes another descriptor
    waiting.poll(20000)
    return connection.recv(1) == byte


def fill(limit):
    """How many numbers below the limit there are, and where dup2() does not reach."""
    unreached = [n for n in range(first, limit) if error(os.dup2, 0, n) != "done"]
    os.closerange(first, limit)
    count = 0
    while error(os.dup, 0) == "done":
        count += 1
    os.closerange(first, limit)
    return count, unreached


SOFT, HARD = resource.getrlimit(resource.RLIMIT_NOFILE)
if len(sys.argv) > 3:
    SOFT = int(sys.argv[3])
    HARD = int(sys.argv[4]) if len(sys.argv) > 4 else SOFT
    resource.setrlimit(resource.RLIMIT_NOFILE, (SOFT, HARD))
connection = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=20)
first = connection.fileno() + 1
print("talk", talk(b"a"))
print("not the program's:", [(n, name) for n in range(first, END) for name, call in CALLS.items()
                             if error(call, n) != "EBADF"])
print("talk", talk(b"b"))
if len(sys.argv) > 3:
    print("limit", SOFT, fill(SOFT), "talk", talk(b"c"))
    print("limit", resource.getrlimit(resource.RLIMIT_NOFILE))
    print("higher", error(resource.setrlimit, resource.RLIMIT_NOFILE, (SOFT, HARD + 1)))
    print("child", subprocess.check_output(["sh", "-c", "ulimit -Sn; ulimit -Hn"]).split())
    resource.setrlimit(resource.RLIMIT_NOFILE, (SOFT - 5, SOFT - 5))
    print("limit", resource.getrlimit(resource.RLIMIT_NOFILE), fill(SOFT - 5), "talk", talk(b"d"))
os.closerange(first, 1 << 16)
print("talk", talk(b"e"))
