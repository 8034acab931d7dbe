# SPDX-License-Identifier: BSD-3-Clause
"""Runs melin top in a terminal, looks at what it shows, changes the size, and ends it by q.

usage: terminal.py PROGRAM [ARGUMENT...]
  Everything is waited for: a frame that shows a borrowed connection, one that fits the smaller
  terminal, the end with status 0 after q, the terminal as it was.
"""
import fcntl
import os
import pty
import re
import select
import struct
import sys
import termios


def set_size(descriptor, rows, columns):
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def read_until(descriptor, good):
    """Reads until good(all that was read)."""
    text = b""
    while not good(text):
        ready, _, _ = select.select([descriptor], [], [], 60)
        assert ready, f"nothing more is shown after {text[-500:]!r}"
        text += os.read(descriptor, 65536)
    return text


def last_frame(text):
    """The last whole frame's lines, without sequences."""
    frames = text.split(b"\033[H")[1:]
    whole = [frame for frame in frames if frame.endswith(b"\033[J")]
    if not whole:
        return []
    return re.sub(rb"\033\[[0-9;?]*[A-Za-z]", b"", whole[-1]).decode().split("\r\n")


def main():
    master, slave = pty.openpty()
    set_size(slave, 24, 200)
    before = termios.tcgetattr(slave)
    child = os.fork()
    if child == 0:
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        for descriptor in range(3):
            os.dup2(slave, descriptor)
        os.execv(sys.argv[1], sys.argv[1:])
    read_until(master, lambda text: any("borrowed" in line and "redis-server" in line
                                        for line in last_frame(text)))
    set_size(master, 10, 40)
    read_until(master, lambda text: last_frame(text) and len(last_frame(text)) <= 10 and
               max(map(len, last_frame(text))) == 40)
    os.write(master, b"s")
    set_size(master, 10, 120)
    read_until(master, lambda text: any("by rtt" in line for line in last_frame(text)))
    os.write(master, b"q")
    read_until(master, lambda text: b"\033[?1049l" in text)
    assert os.waitpid(child, 0)[1] == 0
    assert termios.tcgetattr(slave) == before, "the terminal is not as it was"


main()
