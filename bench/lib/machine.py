# SPDX-License-Identifier: BSD-3-Clause
"""What the machine is, which core does what, and what else it was doing meanwhile.

Not for making networks or starting programs: that is testbed.py.
"""

import os
import platform
import re
import resource
import subprocess


class Unlike(Exception):
    """Two measurements that must not be compared, or one that is not what it claims to be."""


def read(path, default=""):
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read()
    except OSError:
        return default


def output_of(*words):
    """What a command prints, or "" if there is none such."""
    try:
        return subprocess.run(words, capture_output=True, text=True, timeout=30).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def cores():
    """The server's core and the client's. Both on one would measure the scheduler."""
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise Unlike("two cores are needed, one for the server and one for the client; "
                     f"this process may use {len(usable)}")
    return usable[0], usable[1]


def package_version(package):
    return output_of("dpkg-query", "-W", "-f", "${Version}", package).strip() or "unknown"


def facts(build):
    """What a reader must know to judge the figures."""
    model = re.search(r"model name\s*:\s*(.*)", read("/proc/cpuinfo"))
    hypervisor = re.search(r"^flags.*\bhypervisor\b", read("/proc/cpuinfo"), re.M)
    memory = re.search(r"MemTotal:\s*(\d+)", read("/proc/meminfo"))
    server, client = cores()
    packages = ("redis-server", "memcached", "libmemcached-tools", "nginx", "wrk", "iperf3",
                "sockperf", "dpdk-dev")
    source = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    commit = output_of("git", "-C", source, "describe", "--always", "--dirty").strip()
    return {
        "cpu": model.group(1) if model else platform.machine(),
        "virtual": bool(hypervisor),
        "cores": os.cpu_count(),
        "server_core": server,
        "client_core": client,
        "memory_mb": int(memory.group(1)) // 1024 if memory else 0,
        "kernel": platform.release(),
        "congestion_control": read("/proc/sys/net/ipv4/tcp_congestion_control").strip(),
        "mitigations": read("/sys/devices/system/cpu/vulnerabilities/spectre_v2").strip(),
        "governor": read(f"/sys/devices/system/cpu/cpu{server}/cpufreq/scaling_governor",
                         "none visible").strip(),
        "hugepages": int(read("/proc/sys/vm/nr_hugepages", "0")),
        "packages": {name: package_version(name) for name in packages},
        "melin": commit or "unknown",
        "build": build,
    }


# ---- who used the processors -------------------------------------------------------------------

TICK = os.sysconf("SC_CLK_TCK")


def busy_seconds():
    """Processor seconds that the whole machine has worked: (tasks, interrupts, stolen)."""
    fields = [int(word) / TICK for word in read("/proc/stat").splitlines()[0].split()[1:]]
    user, nice, system, _idle, _wait, irq, softirq, stolen = fields[:8]
    return user + nice + system, irq + softirq, stolen


def own_seconds():
    """Processor seconds of this process and of all it has started that have ended."""
    total = 0.0
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        usage = resource.getrusage(who)
        total += usage.ru_utime + usage.ru_stime
    return total


def process_seconds(pid):
    """User and system seconds of a process and its threads, as exact as the kernel has them."""
    fields = read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    if not fields:
        raise Unlike(f"process {pid} has ended before it could be measured")
    return (int(fields[11]) + int(fields[12])) / TICK


def descendants(pid):
    """A process and all it has started, as far as they live."""
    found = [pid]
    for each in found:
        tasks = f"/proc/{each}/task"
        for thread in os.listdir(tasks) if os.path.isdir(tasks) else []:
            found += [int(word) for word in read(f"/proc/{each}/task/{thread}/children").split()]
    return found


def check_pinned(pid, core, what):
    """All threads of a program and of what it has started must be on its core and no other."""
    for each in descendants(pid):
        try:
            threads = os.listdir(f"/proc/{each}/task")
        except OSError:
            continue
        for thread in threads:
            status = read(f"/proc/{each}/task/{thread}/status")
            allowed = re.search(r"Cpus_allowed_list:\s*(\S+)", status)
            if allowed and allowed.group(1) != str(core):
                name = re.search(r"Name:\s*(\S+)", status).group(1)
                raise Unlike(f"{what}: its thread {name} may run on core {allowed.group(1)}, "
                             f"wanted only {core}")


class Watch:
    """How much the rest of the machine worked while we measured, as a share of one core."""

    def __enter__(self):
        self.clock = os.times().elapsed
        self.busy, self.own = busy_seconds(), own_seconds()
        return self

    def __exit__(self, *_exception):
        tasks, _interrupts, stolen = (now - then for now, then in zip(busy_seconds(), self.busy))
        elapsed = max(os.times().elapsed - self.clock, 0.01)
        foreign = tasks - (own_seconds() - self.own) + stolen
        self.foreign = max(foreign, 0.0) / elapsed
