# SPDX-License-Identifier: BSD-3-Clause
#
# call.py OWN-ADDRESS OWN-PORT ADDRESS PORT TIME WORD: connects from one to the other at that time
# (time(2), with fractions), says the word and prints what the other end says, or the error.
import errno
import socket
import sys
import time

own, own_port, address, port, when, word = sys.argv[1:]
s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind((own, int(own_port)))
s.settimeout(10)
time.sleep(max(0, float(when) - time.time()))
try:
    s.connect((address, int(port)))
    s.sendall(word.encode())
    s.shutdown(socket.SHUT_WR)
    print(s.recv(100).decode())
except OSError as error:
    print(errno.errorcode.get(error.errno, error))
