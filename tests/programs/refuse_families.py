# SPDX-License-Identifier: BSD-3-Clause
"""Runs a program for which sockets of some families are refused, as RestrictAddressFamilies= of
systemd does it: refuse_families.py FAMILY[,FAMILY...] PROGRAM [ARGUMENT...], for example AF_XDP.

The filter is seccomp's, in classic BPF: socket(2) with one of the families is EAFNOSUPPORT.
"""

import ctypes
import errno
import os
import socket
import struct
import sys

PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 22, 38
SECCOMP_MODE_FILTER = 2
RET_ALLOW, RET_ERRNO = 0x7FFF0000, 0x00050000
LOAD, JUMP_EQUAL, RETURN = 0x20, 0x15, 0x06
SOCKET = {"x86_64": 41, "aarch64": 198}[os.uname().machine]
NUMBERS = {"AF_XDP": 44}


def instruction(code, true, false, value):
    return struct.pack("HBBI", code, true, false, value)


families = [NUMBERS.get(name) or getattr(socket, name) for name in sys.argv[1].split(",")]
# Offsets of struct seccomp_data: 0 is the call's number, 16 its first argument.
program = [instruction(LOAD, 0, 0, 0), instruction(JUMP_EQUAL, 0, len(families) + 1, SOCKET),
           instruction(LOAD, 0, 0, 16)]
for left in range(len(families), 0, -1):
    program.append(instruction(JUMP_EQUAL, left, 0, families[-left]))
program += [instruction(RETURN, 0, 0, RET_ALLOW),
            instruction(RETURN, 0, 0, RET_ERRNO | errno.EAFNOSUPPORT)]
code = ctypes.create_string_buffer(b"".join(program))
whole = ctypes.create_string_buffer(struct.pack("HP", len(program), ctypes.addressof(code)))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
assert libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, whole, 0, 0) == 0
os.execvp(sys.argv[2], sys.argv[2:])
