# SPDX-License-Identifier: BSD-3-Clause
# filtered.py URL: has its system calls filtered (all are allowed), then gets the URL.
import ctypes
import struct
import sys
import urllib.request

PR_SET_SECCOMP, SECCOMP_MODE_FILTER, SECCOMP_RET_ALLOW = 22, 2, 0x7FFF0000

allow = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, SECCOMP_RET_ALLOW))
program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", 1, ctypes.addressof(allow)))
if ctypes.CDLL(None, use_errno=True).prctl(
    PR_SET_SECCOMP, ctypes.c_ulong(SECCOMP_MODE_FILTER), program, ctypes.c_ulong(0),
    ctypes.c_ulong(0)
):
    sys.exit("prctl fails")
print(urllib.request.urlopen(sys.argv[1]).read().decode(), end="")
