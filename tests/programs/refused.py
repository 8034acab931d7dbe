# SPDX-License-Identifier: BSD-3-Clause
#
# refused.py ADDRESS...: connects to port 80 of each, blocking and then not, and prints the error's
# name. Both must say the same within half a minute.
import errno
import select
import socket
import sys


def waited_for(address, family):
    s = socket.socket(family)
    s.setblocking(False)
    if s.connect_ex((address, 80)) != errno.EINPROGRESS:
        return -1
    poll = select.poll()
    poll.register(s, select.POLLIN | select.POLLOUT)
    events = poll.poll(30000)
    # A kernel that is told within its connect() says POLLERR alone, and ends a second later.
    if not events or not events[0][1] & select.POLLERR:
        return -2
    return s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)


for address in sys.argv[1:]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    s = socket.socket(family)
    error = s.connect_ex((address, 80))
    polled = waited_for(address, family)
    print(errno.errorcode[error] if error == polled else f"{error}, and {polled} when polled")
