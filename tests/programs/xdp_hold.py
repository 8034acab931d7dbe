#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Holds queue 0 of an interface with an AF_XDP socket: xdp_hold.py INTERFACE SECONDS

What the kernel does for a moment after the death of a process that used the queue.
"""

import ctypes
import errno
import mmap
import os
import socket
import struct
import sys
import time

AF_XDP, SOL_XDP = 44, 283
XDP_RX_RING, XDP_UMEM_REG, XDP_UMEM_FILL_RING, XDP_UMEM_COMPLETION_RING = 2, 4, 5, 6
FRAMES, FRAME_SIZE = 64, 4096

memory = mmap.mmap(-1, FRAMES * FRAME_SIZE)
start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
holder = socket.socket(AF_XDP, socket.SOCK_RAW, 0)
holder.setsockopt(SOL_XDP, XDP_UMEM_REG,
                  struct.pack("=QQIIII", start, len(memory), FRAME_SIZE, 0, 0, 0))
for ring in (XDP_UMEM_FILL_RING, XDP_UMEM_COMPLETION_RING, XDP_RX_RING):
    holder.setsockopt(SOL_XDP, ring, FRAMES)
# Python's own bind() does not know this family.
address = struct.pack("=HHIII", AF_XDP, 0, socket.if_nametoindex(sys.argv[1]), 0, 0)
libc = ctypes.CDLL(None, use_errno=True)
end = time.monotonic() + 10
while libc.bind(holder.fileno(), address, len(address)) < 0:
    if ctypes.get_errno() != errno.EBUSY or time.monotonic() > end:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    time.sleep(0.01)
print("held", flush=True)
time.sleep(float(sys.argv[2]))
