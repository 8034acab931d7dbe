# SPDX-License-Identifier: BSD-3-Clause
"""A client that asks an echo server until it has SIGUSR1, and then only waits: it has no segment to
send that would be answered. It says "waits", and then what it has heard of.

usage: only_waits.py ADDRESS PORT [end]
end: it closes its end before it waits.
"""
import signal
import socket
import sys
import time


def main():
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    peer = socket.create_connection((sys.argv[1], int(sys.argv[2])))
    while signal.SIGUSR1 not in signal.sigpending():  # sigtimedwait() may end by a SIGCONT
        peer.sendall(b"word")
        assert peer.recv(100) == b"word"
    if "end" in sys.argv:
        peer.shutdown(socket.SHUT_WR)
    time.sleep(0.5)  # until nothing is owed to the other end any more
    print("waits", flush=True)
    try:
        print("heard of", peer.recv(100), flush=True)
    except ConnectionResetError:
        print("heard of a reset", flush=True)


main()
