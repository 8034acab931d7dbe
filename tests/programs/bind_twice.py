# SPDX-License-Identifier: BSD-3-Clause
"""Listens twice on one address and port: the second time must be EADDRINUSE. usage: ADDRESS PORT"""
import errno
import socket
import sys

name = (sys.argv[1], int(sys.argv[2]))
first = socket.socket()
first.bind(name)
first.listen(5)
second = socket.socket()
try:
    second.bind(name)
    second.listen(5)
except OSError as error:
    sys.exit(0 if error.errno == errno.EADDRINUSE else f"wrong error: {error}")
sys.exit("the second listener got the port as well")
