# SPDX-License-Identifier: BSD-3-Clause
"""nginx and wrk: connections that are kept, and a connection for each request."""

import re

from .lib.compare import Case, Metric
from .lib.machine import Unlike
from .lib.testbed import Testbed, sides_of

ABOUT = "nginx asked by wrk, a 1 KB file"

METRICS = [Metric("requests", "1/s", True), Metric("p50", "us", False), Metric("p99", "us", False)]
PORT = 8000
UNITS = {"us": 1, "ms": 1e3, "s": 1e6, "m": 6e7}

CONFIGURATION = """
daemon off; master_process off; worker_processes 1; user root;
pid {folder}/nginx.process; error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
	access_log off; sendfile on; keepalive_requests 100000000; keepalive_timeout 600s;
	client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
	fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
	scgi_temp_path {folder}/scgi;
	server {{ listen {port} backlog=4096; root {folder}; }}
}}
"""


def nginx(options):
    def run(side, case):
        with Testbed(side, options) as bed:
            notes = {"offloads": bed.offloads()}
            with open(f"{bed.folder}/nginx.conf", "w", encoding="ascii") as file:
                file.write(CONFIGURATION.format(folder=bed.folder, port=PORT))
            with open(f"{bed.folder}/file", "w", encoding="ascii") as file:
                file.write("x" * 1024)
            bed.server("nginx", "-c", f"{bed.folder}/nginx.conf", "-e", "stderr")
            bed.answers(PORT)
            bed.serves("wrk", "-t", "1", "-c", "1", "-d", "1s", f"http://{bed.address}:{PORT}/file")
            close = ["-H", "Connection: close"] if case.parameters["per request"] else []
            text = bed.client("wrk", "-t", "1", "-c", str(case.parameters["connections"]),
                              "-d", f"{max(1, round(options.seconds))}s", "--latency", *close,
                              f"http://{bed.address}:{PORT}/file", seconds=options.seconds)
            return {**parse(text), "conditions": {**bed.conditions(), **case.parameters},
                    "notes": notes}
    return run


def parse(text):
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    shares = {share: float(value) * UNITS[unit] for share, value, unit in
              re.findall(r"\s(50|99)%\s+([\d.]+)(us|ms|s|m)", text)}
    errors = re.search(r"Socket errors: (.*)", text)
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    if not rate or "50" not in shares or bad:
        raise Unlike(f"wrk: no good result:\n{text[-800:]}")
    return {"requests": float(rate.group(1)), "p50": shares["50"], "p99": shares["99"],
            "errors": errors.group(1) if errors else ""}


def cases(options):
    found = []
    for link in options.links:
        if link == "loop":
            continue
        for name, connections, per_request in (("keep-alive, 50 connections", 50, False),
                                               ("keep-alive, 1 connection", 1, False),
                                               ("a connection for each request, 50 at a time",
                                                50, True)):
            found.append(Case(f"{link}: {name}", sides_of(link, options), METRICS, nginx(options),
                              {"connections": connections, "per request": per_request}))
    return found
