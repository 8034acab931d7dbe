# SPDX-License-Identifier: BSD-3-Clause
#
# Gives up root without a socket, waits for SIGUSR1, and enters a user namespace, for which it must
# be the only thread.
import ctypes
import os
import signal
import sys

CLONE_NEWUSER = 0x10000000
libc = ctypes.CDLL(None, use_errno=True)

signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
os.setgid(65534)
os.setuid(65534)
print("ready", flush=True)
signal.sigwait([signal.SIGUSR1])
if libc.unshare(CLONE_NEWUSER) < 0:
    sys.exit(os.strerror(ctypes.get_errno()))
print("alone", flush=True)
