# SPDX-License-Identifier: BSD-3-Clause
#
# call.py OWN-ADDRESS OWN-PORT ADDRESS PORT FILE LATER WORD: connects from one to the other so many
# seconds after the time in the file (time(2), with fractions), says the word and prints what the
# other end says, or the error. Before that it tries a port where nobody listens, so that each end
# knows the other's hardware address and has a stack, prints "ready" and waits for the file.
import errno
import os
import socket
import sys
import time

own, own_port, address, port, file, later, word = sys.argv[1:]
with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as trial:
    trial.connect_ex((address, 9))
print("ready", flush=True)
while not os.path.exists(file):
    time.sleep(0.01)
with open(file) as text:
    when = float(text.read()) + float(later)
s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind((own, int(own_port)))
s.settimeout(60)
time.sleep(max(0, when - time.time()))
try:
    s.connect((address, int(port)))
    s.sendall(word.encode())
    s.shutdown(socket.SHUT_WR)
    print(s.recv(100).decode())
except OSError as error:
    print(errno.errorcode.get(error.errno, error))
