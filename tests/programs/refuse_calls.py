# SPDX-License-Identifier: BSD-3-Clause
"""Runs a program for which some system calls are refused, as a service manager or a container does
it: refuse_calls.py RULE[,RULE...] PROGRAM [ARGUMENT...]. A rule is

  AF_XDP                                   socket(2) of that family is EAFNOSUPPORT
  bpf=EPERM                                every call of that name
  socket/0:16/2:12=EPROTONOSUPPORT         those whose arguments 0 and 2 have these values

The filter is seccomp's, in classic BPF.
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
CALLS = {"x86_64": {"socket": 41, "connect": 42, "setsockopt": 54, "bpf": 321},
         "aarch64": {"socket": 198, "connect": 203, "setsockopt": 208, "bpf": 280},
         }[os.uname().machine]
FAMILIES = {"AF_XDP": 44}


def instruction(code, true, false, value):
    return struct.pack("HBBI", code, true, false, value)


def compiled(rule):
    """What falls through to the end where the call is another one."""
    if rule.startswith("AF_"):
        rule = f"socket/0:{FAMILIES.get(rule) or getattr(socket, rule):d}=EAFNOSUPPORT"
    call, error = rule.split("=")
    name, *arguments = call.split("/")
    # Offsets of struct seccomp_data: 0 is the call's number, 16 its first argument.
    wanted = [(0, CALLS[name])]
    for argument in arguments:
        place, value = argument.split(":")
        wanted.append((16 + 8 * int(place), int(value)))
    block = []
    for number, (offset, value) in enumerate(wanted):
        behind = 2 * (len(wanted) - number - 1) + 1
        block += [instruction(LOAD, 0, 0, offset), instruction(JUMP_EQUAL, 0, behind, value)]
    return block + [instruction(RETURN, 0, 0, RET_ERRNO | getattr(errno, error))]


program = [part for rule in sys.argv[1].split(",") for part in compiled(rule)]
program.append(instruction(RETURN, 0, 0, RET_ALLOW))
code = ctypes.create_string_buffer(b"".join(program))
whole = ctypes.create_string_buffer(struct.pack("HP", len(program), ctypes.addressof(code)))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
assert libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, whole, 0, 0) == 0
os.execvp(sys.argv[2], sys.argv[2:])
