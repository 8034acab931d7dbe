# SPDX-License-Identifier: BSD-3-Clause
"""Runs a program with what the [Service] section of a systemd unit sets for it, where there is no
systemd: user and groups, capabilities, mounts, limits, filters of system calls (systemd.exec(5)).

as_unit.py UNIT [NAME=VALUE...] -- PROGRAM [ARGUMENT...]

The settings given are read after the file's. One that is not known here is an error: so nothing of
a unit is left out unseen. Which calls belong to a group is asked of systemd-analyze. The network
namespace and the environment are the caller's.
"""

import ctypes
import errno
import grp
import os
import pwd
import resource
import socket
import struct
import subprocess
import sys

# For the manager of services, not for the process.
OTHERS = set("""ExecReload ExecStart ExecStartPre ExecStop KillMode OOMScoreAdjust PIDFile Restart
    TimeoutStopSec Type""".split())
# Restricts what takes capabilities, or files of /proc and /sys that are root's. IPAddressDeny is a
# program on packets of the control group, and there is none here.
LESSER = set("""DevicePolicy IPAddressDeny KeyringMode PrivateMounts ProtectClock
    ProtectControlGroups ProtectHostname ProtectKernelLogs ProtectKernelModules
    ProtectKernelTunables RemoveIPC RestrictRealtime RuntimeDirectory RuntimeDirectoryMode
    UMask""".split())
LISTS = set("""AmbientCapabilities BindReadOnlyPaths CapabilityBoundingSet ExecPaths NoExecPaths
    ReadWriteDirectories ReadWritePaths RestrictAddressFamilies SupplementaryGroups
    SystemCallFilter""".split())
WORDS = set("""DynamicUser Group LimitNOFILE LockPersonality MemoryDenyWriteExecute NoNewPrivileges
    PrivateDevices PrivateTmp PrivateUsers ProtectHome ProtectProc ProtectSystem RestrictNamespaces
    RestrictSUIDSGID SystemCallArchitectures SystemCallErrorNumber User""".split())

libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
ALL_NAMESPACES = 0x7E020080
MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 32, 4096, 16384, 1 << 18
RDONLY, NOEXEC = 1, 8
CAPABILITIES = {"CAP_NET_BIND_SERVICE": 10, "CAP_NET_ADMIN": 12, "CAP_NET_RAW": 13, "CAP_BPF": 39}


def call(function, *arguments):
    result = function(*arguments)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{function.__name__}{arguments}: {os.strerror(number)}")
    return result


# ---- the unit ----


def read_unit(path, more):
    settings = {name: [] for name in LISTS}
    lines, section = [], ""
    with open(path, encoding="utf-8") as file:
        for line in map(str.strip, file):
            if line.startswith("["):
                section = line
            elif section == "[Service]" and line and not line.startswith("#"):
                lines.append(line)
    for line in lines + more:
        name, value = line.split("=", 1)
        if name in LISTS:
            settings[name].append(value.strip())
        elif name in WORDS:
            settings[name] = value.strip()
        elif name not in OTHERS | LESSER:
            sys.exit(f"as_unit.py: {line}: not known here")
    return settings


def is_set(settings, name):
    return settings.get(name, "no") not in ("no", "false", "0")


def words(settings, name):
    return " ".join(settings[name]).split()


# ---- mounts ----


def mount(source, target, kind="", flags=0, data=""):
    call(libc.mount, source.encode(), target.encode(), kind.encode(), flags, data.encode())


def set_mounts(path, set_flags, clear_flags):
    """All below the path: mount_setattr(2) with AT_RECURSIVE."""
    attributes = struct.pack("QQQQ", set_flags, clear_flags, 0, 0)
    call(libc.syscall, 442, -100, path.encode(), 0x8000, attributes, len(attributes))


def except_path(path, flag):
    path = os.path.realpath(path.lstrip("-+"))
    if os.path.exists(path):
        mount(path, path, flags=MS_BIND | MS_REC)
        set_mounts(path, 0, flag)


def private_devices():
    kept = "null zero full random urandom tty".split()
    held = {name: os.open(f"/dev/{name}", os.O_PATH) for name in kept}
    mount("tmpfs", "/dev", "tmpfs", data="mode=755")
    for name, descriptor in held.items():
        open(f"/dev/{name}", "w", encoding="utf-8").close()
        mount(f"/proc/self/fd/{descriptor}", f"/dev/{name}", flags=MS_BIND)
        os.close(descriptor)
    os.mkdir("/dev/shm")
    mount("tmpfs", "/dev/shm", "tmpfs", data="mode=1777")
    os.symlink("/proc/self/fd", "/dev/fd")


def make_mounts(settings):
    call(libc.unshare, CLONE_NEWNS)
    mount("none", "/", flags=MS_REC | MS_PRIVATE)
    binds = {path: os.open(path, os.O_PATH) for path in words(settings, "BindReadOnlyPaths")}
    dynamic = is_set(settings, "DynamicUser")
    if is_set(settings, "PrivateTmp") or dynamic:
        for path in ("/tmp", "/var/tmp"):
            mount("tmpfs", path, "tmpfs", data="mode=1777")
    if is_set(settings, "ProtectHome"):
        for path in ("/home", "/root"):
            mount("tmpfs", path, "tmpfs", data="mode=0")
    for path, descriptor in binds.items():
        os.makedirs(path, exist_ok=True)
        mount(f"/proc/self/fd/{descriptor}", path, flags=MS_BIND)
        os.close(descriptor)
    if settings.get("ProtectProc") == "invisible":
        mount("proc", "/proc", "proc", data="hidepid=invisible")
    if is_set(settings, "PrivateDevices"):
        private_devices()
    if settings.get("ProtectSystem") == "strict" or dynamic:
        set_mounts("/", RDONLY, 0)
        for path in words(settings, "ReadWritePaths") + words(settings, "ReadWriteDirectories") + \
                ["/dev", "/proc", "/tmp", "/var/tmp"]:
            except_path(path, RDONLY)
    if "/" in words(settings, "NoExecPaths"):
        set_mounts("/", NOEXEC, 0)
        for path in words(settings, "ExecPaths"):
            except_path(path, NOEXEC)


# ---- users and capabilities ----


def private_users(user, group):
    """Maps root, the user and the group alone, from outside."""
    ready, done, parent = os.pipe(), os.pipe(), os.getpid()
    child = os.fork()
    if child == 0:
        os.read(ready[0], 1)
        for name, number in (("uid_map", user), ("gid_map", group)):
            with open(f"/proc/{parent}/{name}", "w", encoding="utf-8") as file:
                file.write(f"0 0 1\n{number} {number} 1\n")
        os.write(done[1], b"x")
        os._exit(0)
    call(libc.unshare, CLONE_NEWUSER)
    os.write(ready[1], b"x")
    os.read(done[0], 1)
    os.waitpid(child, 0)
    for end in ready + done:
        os.close(end)


def become(settings):
    ambient = [CAPABILITIES[name] for name in words(settings, "AmbientCapabilities")]
    bounding = [CAPABILITIES[name] for name in words(settings, "CapabilityBoundingSet")]
    user = group = 64123 if is_set(settings, "DynamicUser") else 0
    if "User" in settings:
        user, group = pwd.getpwnam(settings["User"])[2:4]
    if "Group" in settings:
        group = grp.getgrnam(settings["Group"]).gr_gid
    os.setgroups([int(number) for number in words(settings, "SupplementaryGroups")])
    if is_set(settings, "PrivateUsers"):
        private_users(user, group)
    if settings["CapabilityBoundingSet"]:
        for number in set(range(int(open("/proc/sys/kernel/cap_last_cap").read()) + 1)) - \
                set(bounding):
            call(libc.prctl, 24, number, 0, 0, 0)  # PR_CAPBSET_DROP
    call(libc.prctl, 8, 1, 0, 0, 0)  # PR_SET_KEEPCAPS
    os.setresgid(group, group, group)
    os.setresuid(user, user, user)
    mask = sum(1 << number for number in ambient)
    header = struct.pack("Ii", 0x20080522, 0)
    data = struct.pack("IIIIII", *[mask & 0xFFFFFFFF] * 3, *[mask >> 32] * 3)
    call(libc.capset, header, data)
    for number in ambient:
        call(libc.prctl, 47, 2, number, 0, 0)  # PR_CAP_AMBIENT_RAISE


# ---- filters of system calls ----

ALLOW, KILL, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
LOAD, EQUAL, AND, RETURN = 0x20, 0x15, 0x54, 0x06


def numbers_of_calls():
    text = subprocess.run(["cc", "-E", "-dM", "-include", "sys/syscall.h", "-x", "c", "/dev/null"],
                          check=True, capture_output=True, text=True).stdout
    pairs = [line.split() for line in text.splitlines() if line.startswith("#define __NR_")]
    return {pair[1][5:]: int(pair[2]) for pair in pairs if pair[2].isdigit()}


def calls_of(name):
    """The names of a group's calls, @name; without their arguments."""
    if not name.startswith("@"):
        return {name.split(":")[0]}
    found = set()
    text = subprocess.run(["systemd-analyze", "syscall-filter", "--no-pager", name], check=True,
                          capture_output=True, text=True).stdout
    for line in text.splitlines()[1:]:
        word = line.strip()
        if word and not word.startswith("#"):
            found |= calls_of(word)
    return found


def install(instructions):
    code = b"".join(struct.pack("HBBI", *each) for each in instructions)
    memory = ctypes.create_string_buffer(code)
    whole = ctypes.create_string_buffer(
        struct.pack("HP", len(instructions), ctypes.addressof(memory)))
    call(libc.prctl, 22, 2, whole, 0, 0)  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER


def filter_of(settings, numbers):
    allowed = calls_of("@default")
    for line in settings["SystemCallFilter"]:
        groups = set().union(*map(calls_of, line.lstrip("~ ").split()))
        allowed = allowed - groups if line.startswith("~") else allowed | groups
    number = settings.get("SystemCallErrorNumber")
    program = [(LOAD, 0, 0, 0)]
    for name in allowed & set(numbers):
        program += [(EQUAL, 0, 1, numbers[name]), (RETURN, 0, 0, ALLOW)]
    return program + [(RETURN, 0, 0, ERRNO | getattr(errno, number) if number else KILL)]


def refuse(number, argument, tests, error):
    """The call fails if one of the tests of an argument's lower half is true."""
    program = [(LOAD, 0, 0, 0), (EQUAL, 1, 0, number), (RETURN, 0, 0, ALLOW)]
    for mask, value in tests:
        program += [(LOAD, 0, 0, 16 + 8 * argument), (AND, 0, 0, mask), (EQUAL, 0, 1, value),
                    (RETURN, 0, 0, ERRNO | error)]
    install(program + [(RETURN, 0, 0, ALLOW)])


def restrict(settings, numbers):
    if settings["RestrictAddressFamilies"]:
        kept = [getattr(socket, name) for name in words(settings, "RestrictAddressFamilies")]
        refuse(numbers["socket"], 0, [(0xFFFFFFFF, family) for family in range(64)
                                      if family not in kept], errno.EAFNOSUPPORT)
    if is_set(settings, "MemoryDenyWriteExecute"):
        refuse(numbers["mmap"], 2, [(6, 6)], errno.EPERM)
        refuse(numbers["mprotect"], 2, [(4, 4)], errno.EPERM)
        refuse(numbers["pkey_mprotect"], 2, [(4, 4)], errno.EPERM)
    if is_set(settings, "RestrictNamespaces"):
        single = [1 << bit for bit in range(32) if ALL_NAMESPACES & 1 << bit]
        for name in ("clone", "unshare"):
            refuse(numbers[name], 0, [(bit, bit) for bit in single], errno.EPERM)
        refuse(numbers["setns"], 0, [(0, 0)], errno.EPERM)
        refuse(numbers["clone3"], 0, [(0, 0)], errno.ENOSYS)
    if is_set(settings, "RestrictSUIDSGID"):
        for name, argument in (("chmod", 1), ("fchmod", 1), ("fchmodat", 2), ("mkdir", 1)):
            if name in numbers:
                refuse(numbers[name], argument, [(0o4000, 0o4000), (0o2000, 0o2000)], errno.EPERM)
    if is_set(settings, "LockPersonality"):
        refuse(numbers["personality"], 0, [(0x4FFFF, 0x40000)], errno.EPERM)


# ---- all of it ----


def main():
    end = sys.argv.index("--")
    settings = read_unit(sys.argv[1], sys.argv[2:end])
    numbers = numbers_of_calls()
    filter_of_calls = filter_of(settings, numbers)
    if "LimitNOFILE" in settings:
        # A container may have less.
        most = min(int(settings["LimitNOFILE"]), resource.getrlimit(resource.RLIMIT_NOFILE)[1])
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    make_mounts(settings)
    become(settings)
    if is_set(settings, "NoNewPrivileges") or is_set(settings, "DynamicUser"):
        call(libc.prctl, 38, 1, 0, 0, 0)
    restrict(settings, numbers)
    if settings["SystemCallFilter"]:
        install(filter_of_calls)
    os.execvp(sys.argv[end + 1], sys.argv[end + 1:])


main()
