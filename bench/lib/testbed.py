# SPDX-License-Identifier: BSD-3-Clause
"""Two hosts with a link between them, a server on one and a client on the other.

A host is a network namespace; "near" is the server's, "far" the client's. Each side of a
comparison (class Side) says who carries TCP on which host and over which link. A testbed is made
anew for each measurement and is gone after it, also after Ctrl-C.

Not for what is measured (the benchmarks) nor for judging it (compare.py).
"""

import contextlib
import dataclasses
import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from . import machine
from .machine import Unlike

NEAR_KERNEL, NEAR_STACK = "198.18.0.1", "198.18.0.10"
FAR_KERNEL, FAR_STACK = "198.18.0.2", "198.18.0.20"

# An AF_XDP frame is a page, less headroom and the buffer's own header: more cannot be had.
LARGEST_MTU = 3328


@dataclasses.dataclass(frozen=True)
class Side:
    """One way to carry the same work."""
    name: str
    link: str = "veth"         # veth: kernel on both hosts; the others: melin
    offloads: bool = True      # TSO, GSO and GRO of the veth as Linux sets them, or all off
    spin: str = ""             # MELIN_SPIN_US; "": melin's default

    @property
    def near_melin(self):
        return self.link != "veth"

    @property
    def near_stack(self):
        """Whether the server is reached at an address of the stack's own."""
        return self.near_melin and self.link != "host"

    @property
    def far_melin(self):
        return self.link == "memif"


KERNEL = Side("kernel")
KERNEL_PLAIN = Side("kernel, no TSO/GSO", offloads=False)
KERNEL_AGAIN = Side("kernel again")


def sides_of(link, options, plain=False, offloads=True):
    """
    The sides of a comparison, the kernel first. plain: the kernel without TSO and GSO too.
    offloads=False: none of them has TSO and GSO.
    """
    sides = [KERNEL, KERNEL_AGAIN]
    if not options.self_check:
        sides = [KERNEL, KERNEL_PLAIN] if plain else [KERNEL]
        sides.append(Side(f"melin, {link}", link=link, spin=options.spin))
    return sides if offloads else [dataclasses.replace(side, offloads=False) for side in sides]


class Program:
    """A started program: pinned, in a process group of its own, its output in a file."""

    def __init__(self, bed, name, namespace, cores, words, environment):
        self.name, self.cores = name, cores
        self.stop_signal = signal.SIGTERM
        self.log = os.path.join(bed.folder, f"{name}.out")
        # Before everything else that runs on this machine, on all sides alike.
        command = ["ip", "netns", "exec", namespace,
                   "nice", "-n", "-20", "taskset", "-c", str(cores)]
        command += ["env", *environment, *words]
        with open(self.log, "wb") as output:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output,
                                            stderr=subprocess.STDOUT, start_new_session=True)
        self.pid = self.process.pid
        # Linux shares the processor between sessions first (sched_autogroup), then by nice.
        with contextlib.suppress(OSError), open(f"/proc/{self.pid}/autogroup", "w",
                                                encoding="ascii") as file:
            file.write("-20")

    def output(self):
        return machine.read(self.log)

    def check(self):
        machine.check_pinned(self.pid, self.cores, self.name)

    def wait(self, seconds):
        """Its output, when it has ended by itself and well."""
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Unlike(f"{self.name} did not end within {seconds:.0f} s:\n"
                         + tail(self.output())) from None
        if status:
            raise Unlike(f"{self.name} ended with status {status}:\n" + tail(self.output()))
        return self.output()

    def stop(self):
        """Ends it and all it has started. False if it had to be killed."""
        obeyed = False
        for what in (self.stop_signal, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                if self.process.poll() is None:
                    os.killpg(self.pid, what)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(5)
                obeyed = what != signal.SIGKILL
                break
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        return obeyed


def tail(text, lines=15):
    return "\n".join("    " + line for line in text.splitlines()[-lines:])


def command(*words):
    done = subprocess.run(words, capture_output=True, text=True, timeout=30)
    if done.returncode:
        raise Unlike(f"{' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


class Testbed:
    """with Testbed(side, options) as bed: bed.server(...); bed.client(...)"""

    def __init__(self, side, options, mtu=1500, log_level="info", cable=()):
        """cable: in place of the veth pair one that loses and delays, tests/programs/cable.c."""
        self.side, self.options, self.mtu, self.cable = side, options, mtu, cable
        self.log_level = log_level
        self.server_core, self.client_core = machine.cores()
        self.programs = []
        self.near, self.far, self.middle = (f"melin-bench-{os.getpid()}-{name}"
                                            for name in ("near", "far", "middle"))
        self.address = NEAR_STACK if side.near_stack else NEAR_KERNEL

    # ---- making and removing ----

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="melin-bench.")
        try:
            self._make()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, kind, reason, _trace):
        if kind is Unlike:
            print(f"{self.side.name}:\n{self.logs()}", file=sys.stderr)
        try:
            killed = [each.name for each in reversed(self.programs) if not each.stop()]
            if kind is None and killed:
                raise Unlike(f"{', '.join(killed)} had to be killed")
            if kind is None:
                self._check_melin()
        finally:
            self._remove()

    def _make(self):
        for name in (self.near, self.far):
            command("ip", "netns", "add", name)
            command("ip", "-n", name, "link", "set", "lo", "up")
            # Otherwise a run of many short connections ends with the last free port.
            for setting in ("ip_local_port_range=1024 65535", "tcp_max_syn_backlog=65535"):
                command("ip", "netns", "exec", name, "sysctl", "-qw", f"net.ipv4.{setting}")
            command("ip", "netns", "exec", name, "sysctl", "-qw", "net.core.somaxconn=65535")
        if self.cable:
            command("ip", "netns", "add", self.middle)
            self._connect(self.near, "veth0", self.middle, "near")
            self._connect(self.far, "veth0", self.middle, "far")
        else:
            self._connect(self.near, "veth0", self.far, "veth0")
        for name, address in ((self.near, NEAR_KERNEL), (self.far, FAR_KERNEL)):
            command("ip", "-n", name, "address", "add", f"{address}/24", "dev", "veth0")
            command("ip", "-n", name, "link", "set", "veth0", "up")
            state = "on" if self.side.offloads else "off"
            # What leaves for the cable, which is a program, must be complete.
            complete = ("tx", "off") if self.cable else ()
            command("ip", "netns", "exec", name, "ethtool", "-K", "veth0", *complete,
                    "tso", state, "gso", state)
        if self.cable:
            self._lay_cable()

    def _connect(self, name, interface, other_name, other_interface):
        command("ip", "link", "add", interface, "mtu", str(self.mtu), "netns", name,
                "type", "veth", "peer", "name", other_interface, "mtu", str(self.mtu),
                "netns", other_name)
        command("ip", "-n", other_name, "link", "set", other_interface, "up")

    def _lay_cable(self):
        words = [f"{self.options.build}/tests/programs/cable", "near", "far", *self.cable]
        program = Program(self, "cable", self.middle, self.client_core, words, [])
        self.programs.append(program)
        self._until(lambda: "ready" in program.output(), program, "begin")

    def _remove(self):
        for program in reversed(self.programs):
            program.stop()
        for name in (self.near, self.far, self.middle):
            if os.path.exists(f"/run/netns/{name}"):
                subprocess.run(["ip", "netns", "delete", name], timeout=30, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    # ---- programs ----

    def _environment(self, name, under_melin, host):
        if not under_melin:
            return []
        words = [f"LD_PRELOAD={self.options.library}",
                 f"MELIN_LOG={self.log_level}:{self.folder}/{name}.melin"]
        if self.side.spin:
            words.append(f"MELIN_SPIN_US={self.side.spin}")
        if self.side.link == "host":
            return [*words, "MELIN_FLOWS=any:198.18.0.0/24:*"]
        stack = NEAR_STACK if host == "near" else FAR_STACK
        device = "veth0"
        if self.side.link == "packet":
            device = "packet:veth0"
        if self.side.link == "loop":
            device = "loop"
        if self.side.link == "memif":
            role = "server" if host == "near" else "client"
            device = (f"net_memif0,role={role},socket={self.folder}/memif.sock,"
                      "socket-abstract=no")
        words.append(f"MELIN_DEV={device}")
        if device == "loop":
            # MELIN_REQUIRED would also refuse the loopback flows that are to stay outside.
            words += ["MELIN_FLOWS=any:127.0.0.0/8:*"]
        else:
            words += [f"MELIN_ADDR={stack}/24", "MELIN_FLOWS=any:198.18.0.0/24:*",
                      "MELIN_REQUIRED=1", f"MELIN_MTU={self.mtu}"]
        return words

    def server(self, *words, name="server", ready=None, under_melin=None, extra=(), cores=None,
               stop_signal=signal.SIGTERM):
        """Starts a server on near. ready: what it prints when it can serve."""
        if under_melin is None:
            under_melin = self.side.near_melin
        environment = [*self._environment(name, under_melin, "near"), *extra]
        program = Program(self, name, self.near, cores or self.server_core, words, environment)
        program.stop_signal = stop_signal
        self.programs.append(program)
        if ready:
            self._until(lambda: re.search(ready, program.output()), program, f'print "{ready}"')
        return program

    def start_client(self, *words, name="client", under_melin=None, extra=()):
        if under_melin is None:
            under_melin = self.side.far_melin
        environment = [*self._environment(name, under_melin, "far"), *extra]
        program = Program(self, name, self.far, self.client_core, words, environment)
        self.programs.append(program)
        return program

    def client(self, *words, seconds=30, **more):
        """Runs a client on far to its end, checks pinning half-way, gives its output."""
        program = self.start_client(*words, **more)
        time.sleep(0.3)
        for each in self.programs:
            if each.process.poll() is None:
                each.check()
        return program.wait(seconds + 30)

    def answers(self, port):
        """Waits until a connection is taken: from far's kernel, for memif the server's word."""
        if self.side.link == "memif":
            time.sleep(0.5)
            return
        words = ["ip", "netns", "exec", self.far, "bash", "-c",
                 f"exec 2>/dev/null; : </dev/tcp/{self.address}/{port}"]
        end = time.monotonic() + 15
        while subprocess.run(["timeout", "2", *words], check=False).returncode:
            self._alive()
            if time.monotonic() > end:
                raise Unlike(f"nobody answers on {self.address} port {port}")
            time.sleep(0.05)

    def serves(self, *words):
        """
        A client's first requests, which are not measured: in host mode the stack starts when the
        first connection pays, once in the server's life ("startup" measures starts).
        """
        if self.side.link != "memif": # which takes one client
            self.client(*words, name="first")

    def _until(self, condition, program, what, seconds=20):
        end = time.monotonic() + seconds
        while not condition():
            if program.process.poll() is not None:
                raise Unlike(f"{program.name} ended with status {program.process.returncode}")
            if time.monotonic() > end:
                raise Unlike(f"{program.name} did not {what} within {seconds} s")
            time.sleep(0.02)

    def _alive(self):
        for program in self.programs:
            if program.process.poll() not in (None, 0):
                raise Unlike(f"{program.name} ended with status {program.process.returncode}")

    def logs(self):
        names = sorted(name for name in os.listdir(self.folder)
                       if name.endswith((".out", ".melin")))
        return "\n".join(f"  {name}:\n" + tail(machine.read(os.path.join(self.folder, name)))
                         for name in names)

    # ---- is it what it claims to be? ----

    def summary(self, name="server"):
        """melin's summary of a program that has ended, as numbers."""
        text = machine.read(os.path.join(self.folder, f"{name}.melin"))
        fields = re.findall(r"melin: summary: (.*)", text)
        if not fields:
            raise Unlike(f"{name}: melin wrote no summary:\n" + tail(text))
        total = {}
        for line in fields:
            for key, value in re.findall(r"(\w+)=(\d+)", line):
                total[key] = total.get(key, 0) + int(value)
        return total

    def _check_melin(self):
        """What melin was to carry went through melin, with the MTU that the kernel had too."""
        if self.side.link in ("veth", "loop"):
            return
        names = ["server"] + (["client"] if self.side.far_melin else [])
        for name in names:
            path = os.path.join(self.folder, f"{name}.melin")
            if not os.path.exists(path):
                continue
            text = machine.read(path)
            opened = re.search(r"device \S+: .*?MTU (\d+)", text)
            # A tap has frames of all interfaces, each connection the MTU of its own.
            if opened and self.side.link != "host" and int(opened.group(1)) != self.mtu:
                raise Unlike(f"{name}: melin's MTU is {opened.group(1)}, the kernel's {self.mtu}")
            taken = self.summary(name)
            if not taken.get("taken_accept", 0) + taken.get("taken_connect", 0):
                raise Unlike(f"{name}: melin carried no connection:\n" + tail(text))

    def conditions(self):
        """What has to be equal on both sides of a comparison."""
        return {"mtu": self.mtu, "server core": self.server_core, "client core": self.client_core}

    def offloads(self):
        """What the veth really does now, for the report."""
        text = command("ip", "netns", "exec", self.far, "ethtool", "-k", "veth0")
        names = {"tcp-segmentation-offload": "tso", "generic-segmentation-offload": "gso",
                 "generic-receive-offload": "gro", "tx-checksumming": "tx checksum"}
        found = {short: bool(re.search(rf"^{name}: on", text, re.M))
                 for name, short in names.items()}
        if self.side.link != "memif" and found["tso"] != self.side.offloads:
            raise Unlike(f"{self.side.name}: TSO is {found['tso']}, wanted {self.side.offloads}")
        return found


def clean_leftovers():
    """Namespaces of benchmarks that were killed with SIGKILL."""
    for line in command("ip", "netns", "list").splitlines():
        found = re.match(r"(melin-bench-(\d+)-\w+)", line)
        if found and not os.path.exists(f"/proc/{found.group(2)}"):
            subprocess.run(["ip", "netns", "delete", found.group(1)], timeout=30, check=False)


@contextlib.contextmanager
def only_one():
    """Two benchmarks at a time would measure each other."""
    with open("/run/melin-bench.lock", "w", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Unlike("another benchmark is running (/run/melin-bench.lock)") from None
        clean_leftovers()
        yield
