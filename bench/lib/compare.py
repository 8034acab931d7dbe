# SPDX-License-Identifier: BSD-3-Clause
"""The same work on each side in turn, A B A B, and what comes of it: table, JSON file, plot.

A benchmark gives a list of Case. Each case is measured on all of its sides in every round, so
that whatever else the machine does falls on all of them alike. Ratios are taken within a round and
then their median, for the same reason.

Not for how a measurement is made: that is each benchmark's own run().
"""

import dataclasses
import json
import os
import shutil
import statistics
import subprocess
import sys
from typing import Callable

from . import machine
from .machine import Unlike

# More foreign work than this (share of a core) and a measurement is made again, so often at most.
FOREIGN_LIMIT, REPEATS = 0.15, 2


@dataclasses.dataclass(frozen=True)
class Metric:
    name: str
    unit: str
    higher_is_better: bool


@dataclasses.dataclass(frozen=True)
class Case:
    """run(side, case) gives {metric name: value, "conditions": {...}, "notes": {...}}."""
    name: str
    sides: list
    metrics: list
    run: Callable
    parameters: dict = dataclasses.field(default_factory=dict)


def measure(case, side, options):
    """One measurement, again if the machine was busy with something else."""
    for attempt in range(REPEATS + 1):
        with machine.Watch() as watch:
            result = case.run(side, case)
        result["foreign"] = round(watch.foreign, 3)
        if watch.foreign <= FOREIGN_LIMIT or attempt == REPEATS or options.no_repeat:
            return result
        print(f"    {side.name}: others used {watch.foreign:.0%} of a core: again",
              file=sys.stderr)
    raise AssertionError("not reached")


def check_alike(case, results):
    """All measurements of a case must have been made under the same conditions."""
    first_side, first = next((side, runs[0]) for side, runs in results.items())
    for side, runs in results.items():
        for run in runs:
            if run.get("conditions") != first.get("conditions"):
                raise Unlike(f"{case.name}: not comparable: {first_side}: "
                             f"{first.get('conditions')}, {side}: {run.get('conditions')}")
            missing = [metric.name for metric in case.metrics if metric.name not in run]
            if missing:
                raise Unlike(f"{case.name}: {side} has no {', '.join(missing)}")


def run_case(case, options):
    results = {side.name: [] for side in case.sides}
    for number in range(options.rounds):
        # Every other round backwards: what drifts within a round falls on both.
        for side in case.sides if number % 2 == 0 else reversed(case.sides):
            result = measure(case, side, options)
            results[side.name].append(result)
            values = ", ".join(f"{metric.name} {number_text(result[metric.name])} {metric.unit}"
                               for metric in case.metrics)
            print(f"  {case.name}: round {number + 1}/{options.rounds}, {side.name}: {values}",
                  file=sys.stderr, flush=True)
    check_alike(case, results)
    return results


# ---- figures -----------------------------------------------------------------------------------


def spread(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values),
            "values": values}


def ratios(base, other):
    """Of each round, other to base; None where base is nothing."""
    pairs = [b / a for a, b in zip(base, other) if a]
    return spread(pairs) if pairs else None


def summarize(case, results):
    rows = []
    base = case.sides[0].name
    for metric in case.metrics:
        for side in case.sides:
            values = [run[metric.name] for run in results[side.name]]
            row = {"case": case.name, "metric": metric.name, "unit": metric.unit,
                   "higher_is_better": metric.higher_is_better, "side": side.name,
                   **spread(values)}
            row["foreign"] = max(run["foreign"] for run in results[side.name])
            row["disturbed"] = row["foreign"] > FOREIGN_LIMIT
            row["ratios"] = {}
            for other in case.sides:
                if other.name == side.name:
                    break
                found = ratios([run[metric.name] for run in results[other.name]], values)
                if found:
                    row["ratios"][other.name] = found
            row["base"] = base
            rows.append(row)
    return rows


def number_text(value):
    size = abs(value)
    if size >= 10000:
        return f"{value:,.0f}"
    for limit, digits in ((100, 0), (10, 1), (1, 2)):
        if size >= limit:
            return f"{value:.{digits}f}"
    return f"{value:.3f}"


def table(rows):
    """As Markdown, so that it can go into a document as it is."""
    lines = ["| work | figure | side | median | min .. max | ratio | min .. max |",
             "| --- | --- | --- | --- | --- | --- | --- |"]
    for row in rows:
        ratio, ratio_range = [], []
        for other, found in row["ratios"].items():
            name = "" if len(row["ratios"]) == 1 else f" to {other}"
            ratio.append(f"{found['median']:.2f}{name}")
            ratio_range.append(f"{found['min']:.2f} .. {found['max']:.2f}")
        mark = " (!)" if row["disturbed"] else ""
        arrow = "more" if row["higher_is_better"] else "less"
        lines.append(f"| {row['case']} | {row['metric']}, {row['unit']} ({arrow} is better) "
                     f"| {row['side']} | {number_text(row['median'])}{mark} "
                     f"| {number_text(row['min'])} .. {number_text(row['max'])} "
                     f"| {'; '.join(ratio)} | {'; '.join(ratio_range)} |")
    if any(row["disturbed"] for row in rows):
        lines.append("")
        lines.append("(!) other programs used more than "
                     f"{FOREIGN_LIMIT:.0%} of a core during one of these measurements")
    return "\n".join(lines)


def plot(name, rows, folder):
    """One panel for each metric: medians as bars, min..max as whiskers. Needs gnuplot."""
    if not shutil.which("gnuplot"):
        print("  no plot: gnuplot is missing (Debian: gnuplot-nox)", file=sys.stderr)
        return None
    metrics = list(dict.fromkeys((row["metric"], row["unit"]) for row in rows))
    sides = list(dict.fromkeys(row["side"] for row in rows))
    target = os.path.join(folder, f"{name}.png")
    script = [f'set terminal pngcairo size 1100,{380 * len(metrics) + 40} font "sans,10"',
              f'set output "{target}"', f"set multiplot layout {len(metrics)},1 title '{name}'",
              "set style data histograms", "set style histogram errorbars gap 1 lw 1",
              "set style fill solid 0.7 border -1", "set grid ytics", "set yrange [0:*]",
              "set key outside right top", "set bmargin 5", "set xtics nomirror noenhanced"]
    for metric, unit in metrics:
        here = [row for row in rows if row["metric"] == metric]
        cases = list(dict.fromkeys(row["case"] for row in here))
        parts = []
        for index, side in enumerate(sides):
            script.append(f"$data{index} << END")
            for case in cases:
                found = [row for row in here if row["case"] == case and row["side"] == side]
                values = (f'{found[0]["median"]} {found[0]["min"]} {found[0]["max"]}'
                          if found else "NaN NaN NaN")
                script.append(f'"{case}" {values}')
            script.append("END")
            parts.append(f'$data{index} using 2:3:4:xtic(1) title "{side}" noenhanced')
        script.append(f'set ylabel "{metric}, {unit}" noenhanced')
        script.append("plot " + ", ".join(parts))
    script.append("unset multiplot")
    done = subprocess.run(["gnuplot"], input="\n".join(script) + "\n", text=True, timeout=60,
                          capture_output=True, check=False)
    if done.returncode:
        print(f"  no plot: gnuplot: {done.stderr.strip()[:300]}", file=sys.stderr)
        return None
    return target


def self_check(rows):
    """Kernel against kernel: 1.0 must lie within what the rounds gave, or the set-up is unfair."""
    unfair = []
    for row in rows:
        for found in row["ratios"].values():
            if not found["min"] <= 1.0 <= found["max"]:
                unfair.append(f"{row['case']}, {row['metric']}: "
                              f"{found['min']:.2f} .. {found['max']:.2f}")
    return unfair


def header(facts, options, notes):
    virtual = " (virtual)" if facts["virtual"] else ""
    lines = [f"machine: {facts['cpu']}{virtual}, {facts['cores']} cores, "
             f"{facts['memory_mb']} MB, Linux {facts['kernel']}, governor {facts['governor']}, "
             f"TCP {facts['congestion_control']}",
             f"pinning: server on core {facts['server_core']}, client on core "
             f"{facts['client_core']}, checked for every thread; both with nice -20",
             f"hugepages: {facts['hugepages']}, "
             f"MELIN_SPIN_US: {options.spin or 'default'}, melin {facts['melin']}",
             f"rounds: {options.rounds}, {options.seconds} s each; ratios are medians of the "
             "ratios within a round"]
    lines += [f"{key}: {value}" for key, value in notes.items()]
    return lines


def run(name, about, cases, options):
    """Measures all cases and writes NAME.json, NAME.md and NAME.png. 0, or 1 if unfair."""
    facts = machine.facts(os.path.dirname(options.library))
    print(f"== {name}: {about}", file=sys.stderr)
    if options.only:
        cases = [case for case in cases if options.only in case.name]
    rows, raw, notes = [], {}, {}
    try:
        for case in cases:
            results = run_case(case, options)
            raw[case.name] = {"parameters": case.parameters, "sides": results}
            for side, runs in results.items():
                for key, value in runs[0].get("notes", {}).items():
                    notes[f"{key} ({side})"] = value
            rows += summarize(case, results)
    finally:
        if rows:
            report(name, about, rows, raw, facts, options, notes)
    if options.self_check:
        unfair = self_check(rows)
        for line in unfair:
            print(f"self-check: 1.0 is not within the rounds' ratios: {line}")
        return 1 if unfair else 0
    return 0


def report(name, about, rows, raw, facts, options, notes):
    os.makedirs(options.out, exist_ok=True)
    text = "\n".join([f"## {name}: {about}", "", *(f"- {line}" for line in
                                                  header(facts, options, notes)),
                      "", table(rows), ""])
    print(text, flush=True)
    base = os.path.join(options.out, name)
    with open(base + ".md", "w", encoding="utf-8") as file:
        file.write(text)
    with open(base + ".json", "w", encoding="utf-8") as file:
        json.dump({"benchmark": name, "about": about, "machine": facts, "notes": notes,
                   "options": {key: str(value) for key, value in vars(options).items()},
                   "rows": rows, "measurements": raw}, file, indent=1)
        file.write("\n")
    picture = plot(name, rows, options.out)
    print(f"written: {base}.md, {base}.json" + (f", {picture}" if picture else ""), flush=True)
