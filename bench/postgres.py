# SPDX-License-Identifier: BSD-3-Clause
"""PostgreSQL asked by pgbench -S: a process for each connection, and all of them on one core.

Of melin's links only host serves several processes at one address.
"""

import glob
import os
import re
import shutil
import subprocess

from .lib.compare import Case, Metric
from .lib.machine import Unlike
from .lib.testbed import Testbed, sides_of, tail

ABOUT = "postgres asked by pgbench -S, 1 and 8 connections"

METRICS = [Metric("transactions", "1/s", True), Metric("latency", "ms", False)]
PORT = 5432

# It does not run as root; what melin needs is handed on as ambient capabilities.
RIGHTS = "+net_admin,+net_raw,+ipc_lock,+sys_admin,+bpf,+perfmon"
AS_POSTGRES = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
WITH_RIGHTS = [*AS_POSTGRES, f"--inh-caps={RIGHTS}", f"--ambient-caps={RIGHTS}"]


def programs():
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
    if not found:
        raise Unlike("postgres is missing (Debian: postgresql)")
    return found[-1]


def make_cluster(bed, folder):
    """A new data folder, and a log that the server may write to."""
    os.chmod(bed.folder, 0o755)
    os.makedirs(folder, mode=0o700)
    shutil.chown(folder, "postgres", "postgres")
    done = subprocess.run([*AS_POSTGRES, f"{programs()}/initdb", "-D", folder, "-A", "trust",
                           "-U", "postgres", "--no-sync"], cwd="/", capture_output=True,
                          text=True, timeout=60, check=False)
    if done.returncode:
        raise Unlike("initdb:\n" + tail(done.stderr))
    with open(f"{folder}/pg_hba.conf", "a", encoding="ascii") as file:
        file.write("host all all 198.18.0.0/16 trust\n")
    with open(f"{bed.folder}/server.melin", "w", encoding="ascii"):
        pass
    shutil.chown(f"{bed.folder}/server.melin", "postgres")


def asked(options):
    def run(side, case):
        with Testbed(side, options) as bed:
            notes = {"offloads": bed.offloads()}
            folder = f"{bed.folder}/data"
            make_cluster(bed, folder)
            bed.server(*WITH_RIGHTS, f"{programs()}/postgres", "-D", folder, "-p", str(PORT),
                       "-h", "*", "-k", folder, ready="ready to accept connections")
            bed.answers(PORT)
            where = ["-h", bed.address, "-p", str(PORT), "-U", "postgres", "postgres"]
            bed.client("pgbench", "-i", "-q", "-s", "1", *where, name="fill", under_melin=False)
            text = bed.client("pgbench", "-n", "-S", "-c", str(case.parameters["connections"]),
                              "-T", str(max(1, round(options.seconds))), *where,
                              seconds=options.seconds)
            return {**parse(text), "conditions": {**bed.conditions(), **case.parameters},
                    "notes": notes}
    return run


def parse(text):
    rate = re.search(r"tps = ([\d.]+)", text)
    latency = re.search(r"latency average = ([\d.]+) ms", text)
    if not rate or not latency:
        raise Unlike(f"pgbench: no good result:\n{text[-800:]}")
    return {"transactions": float(rate.group(1)), "latency": float(latency.group(1))}


def cases(options):
    return [Case(f"{link}: {number} connection{'s' if number > 1 else ''}",
                 sides_of(link, options), METRICS, asked(options), {"connections": number})
            for link in options.links if link == "host" for number in (1, 8)]
