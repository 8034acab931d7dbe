# SPDX-License-Identifier: BSD-3-Clause
# usage: moved.py
# Changes its root folder, after which a start of the stack needs a thread that stays where the
# module is, and enters a user namespace, which the kernel allows only to a process of one thread.
# A child of it filters its system calls (all are allowed): the same thread must not be left there,
# since a filter may kill the thread that makes a wrong call and leave the others. Another child may
# not have a filter: the thread stays.
import ctypes
import errno
import os

CLONE_NEWUSER = 0x10000000
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
BPF_RETURN, SECCOMP_RET_ALLOW = 0x06, 0x7FFF0000

libc = ctypes.CDLL(None, use_errno=True)


class Instruction(ctypes.Structure):
    _fields_ = [("code", ctypes.c_ushort), ("jt", ctypes.c_ubyte), ("jf", ctypes.c_ubyte),
                ("k", ctypes.c_uint)]


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.POINTER(Instruction))]


def checked(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def threads():
    return len(os.listdir("/proc/self/task"))


def child():
    os.chroot("/")
    program = Program(1, ctypes.pointer(Instruction(BPF_RETURN, 0, 0, SECCOMP_RET_ALLOW)))
    checked(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    checked(libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program)))
    print("threads behind the filter:", threads(), flush=True)
    os._exit(0)


def child_without_rights():
    os.chroot("/")
    os.setresuid(65534, 65534, 65534)
    before = threads()
    program = Program(1, ctypes.pointer(Instruction(BPF_RETURN, 0, 0, SECCOMP_RET_ALLOW)))
    assert libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program)) < 0
    assert ctypes.get_errno() == errno.EACCES
    print("threads before and after a filter is refused:", before, threads(), flush=True)
    os._exit(0)


for work in child, child_without_rights:
    process = os.fork()
    if process == 0:
        work()
    assert os.waitpid(process, 0)[1] == 0
os.chroot("/")
checked(libc.unshare(CLONE_NEWUSER))
print("threads in the namespace:", threads(), flush=True)
