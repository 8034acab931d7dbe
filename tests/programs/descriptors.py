# SPDX-License-Identifier: BSD-3-Clause
"""Which numbers descriptors get around a connection, and what the process's surroundings are:
to be compared between a plain run and one under melin. usage: ADDRESS PORT"""
import os
import signal
import socket
import sys

before = os.open("/dev/null", os.O_RDONLY)
connection = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=60)
after = os.open("/dev/null", os.O_RDONLY)
copy = os.dup(connection.fileno())
print("numbers", before, connection.fileno(), after, copy)
connection.close()
again = os.open("/dev/null", os.O_RDONLY)
print("reused", again)
os.close(copy)
print("affinity", sorted(os.sched_getaffinity(0)))
print("blocked", sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])))
print("handlers", [signal.getsignal(n) == signal.SIG_DFL for n in (signal.SIGUSR1, signal.SIGUSR2)])
print("pipe", signal.getsignal(signal.SIGPIPE))
print("limit", __import__("resource").getrlimit(__import__("resource").RLIMIT_MEMLOCK))
print("umask", os.umask(0o22))
