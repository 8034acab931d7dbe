# SPDX-License-Identifier: BSD-3-Clause
"""Attaches programs to the tcx ingress of an interface, which do nothing, until it is ended:
crowd_ingress.py INTERFACE COUNT. Prints "ready", or what bpf(2) has refused.
"""

import ctypes
import os
import socket
import struct
import sys
import time

SYS_BPF = {"x86_64": 321, "aarch64": 280}[os.uname().machine]
PROG_LOAD, LINK_CREATE = 5, 28
SCHED_CLS, TCX_INGRESS = 3, 46
libc = ctypes.CDLL(None, use_errno=True)


def bpf(command, attributes):
    attributes = ctypes.create_string_buffer(attributes.ljust(128, b"\0"), 128)
    result = libc.syscall(SYS_BPF, command, attributes, 128)
    if result < 0:
        sys.exit(f"bpf({command}): {os.strerror(ctypes.get_errno())}")
    return result


# r0 = TCX_NEXT; exit
code = ctypes.create_string_buffer(struct.pack("<BBhiBBhi", 0xB7, 0, 0, -1, 0x95, 0, 0, 0))
licence = ctypes.create_string_buffer(b"BSD")
index = socket.if_nametoindex(sys.argv[1])
for _ in range(int(sys.argv[2])):
    loaded = bpf(PROG_LOAD, struct.pack("IIQQ", SCHED_CLS, 2, ctypes.addressof(code),
                                        ctypes.addressof(licence)))
    bpf(LINK_CREATE, struct.pack("IIII", loaded, index, TCX_INGRESS, 0))
print("ready", flush=True)
time.sleep(600)
