"""Tables for people, JSON for programs."""

import json
import os
import platform
import time
from pathlib import Path

from . import cases, namespace, stats

OURS = ("bifrost", "bifrost+limits", "bifrost+content")
PEERS = ("nginx", "haproxy", "portkey")
# What a run is made of, in the order of columns: (figure, heading, digits)
COLUMNS = [("cpu_us", "CPU us", 1), ("cpu_all_us", "all processes", 1), ("rate", "per second", 0), ("p50_us", "P50 us", 0),
           ("p99_us", "P99 us", 0), ("p999_us", "P99.9 us", 0)]
SINGLE = {"idle_node": ("memory of an idle node, all processes", 1e6, "MB"),
          "idle_connections": (f"memory per idle connection, {cases.IDLE_CONNECTIONS} of them", 1e3, "KB"),
          "open_streams": (f"memory per open stream, {cases.OPEN_STREAMS} of them", 1e3, "KB"),
          "syscalls64": ("system calls per request, 64 connections", 1, ""),
          "syscalls1": ("system calls per request, 1 connection", 1, ""),
          "steps1k": ("user instructions per request, 1 KB", 1, ""),
          "steps50k": ("user instructions per request, 50 KB", 1, "")}


def machine():
    model = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.machine())
    control = namespace.CONGESTION.read_text().strip()
    return f"{model}, {os.cpu_count()} CPUs, Linux {platform.release()}, {control}, {time.strftime('%Y-%m-%d %H:%M %z')}"


def table(rows):
    """Columns as wide as they need to be; the first to the left, the others to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  " + "  ".join(cell.ljust(w) if i == 0 else cell.rjust(w)
                             for i, (cell, w) in enumerate(zip(row, widths))).rstrip() for row in rows]


def spread(values, digits, scale=1.0):
    """median [smallest-largest]"""
    if not values:
        return "-"
    median, low, high = (v / scale for v in stats.summary(list(values.values())))
    return f"{median:.{digits}f} [{low:.{digits}f}-{high:.{digits}f}]"


def ratio_line(results, case, ours, figure, peer, limit):
    pairs = stats.paired(results.of(case, ours, figure), results.of(case, peer, "cpu_us"))
    return stats.Compared(stats.ratios(pairs), limit)


def ratio_rows(results, case, limits):
    """Every ratio of CPU that this case has, ours being the worker alone and all processes."""
    rows = []
    for ours in OURS:
        for figure, what in (("cpu_us", "worker"), ("cpu_all_us", "all processes")):
            for peer in PEERS:
                found = ratio_line(results, case, ours, figure, peer, limits.get(peer, 1.0))
                if found.values:
                    low, high = found.interval
                    rows.append([f"{ours} ({what}) / {peer}", f"{found.median:.3f}", f"{low:.3f}-{high:.3f}",
                                 f"<= {found.limit:g}", found.verdict])
    for figure, what in (("cpu_us", "worker"), ("cpu_all_us", "all processes")):
        pairs = stats.paired(results.of(case, cases.LIMITS, figure), results.of(case, OURS[0], figure))
        found = stats.Compared(stats.ratios(pairs))
        if found.values:
            low, high = found.interval
            rows.append([f"{cases.LIMITS} / {OURS[0]} (both: {what})", f"{found.median:.3f}", f"{low:.3f}-{high:.3f}", "", ""])
    return [["ratio of CPU", "median", "95 % interval", "goal", "verdict"], *rows] if rows else []


def timed_case(results, case):
    figures = results.figures.get(case.name)
    if not figures:
        return []
    columns = [c for c in COLUMNS if c[0] != "rate" or not case.half_load]
    rows = [["", *(heading for _, heading, _ in columns), "errors", "disturbed runs"]]
    for proxy, found in figures.items():
        cells = [spread(found.get(figure), digits) for figure, _, digits in columns]
        if proxy == "direct":
            cells[:2] = ["-", "-"]
        rows.append([proxy, *cells, f"{sum(found.get('errors', {}).values()):.0f}",
                     f"{sum(found.get('disturbed', {}).values())} of {len(found.get('disturbed', {}))}"])
    limits = {g.peer: g.limit for g in cases.GOALS if g.case == case.name and g.figure == "cpu_us"}
    return [f"{case.title} (CPU {case.figure})", *table(rows), *table_or_nothing(ratio_rows(results, case.name, limits)), ""]


def table_or_nothing(rows):
    return table(rows) if rows else []


def single(results, name):
    title, scale, unit = SINGLE[name]
    figures = results.figures.get(name)
    if not figures:
        return []
    rows = []
    for proxy, found in figures.items():
        values = next(iter(found.values()))
        detail = results.details.get(f"{name} {proxy}", {}) if name.startswith("syscalls") else {}
        rows.append([proxy, spread(values, 0 if name.startswith("steps") else 2, scale) + (f" {unit}" if unit else ""),
                     ", ".join(f"{call} {n:.2f}" for call, n in detail.items())])
    return [title, *table(rows), ""]


def judge(results, goal, ours):
    mine = results.of(goal.case, ours, goal.figure)
    if goal.kind == "value":
        return stats.Compared(list(mine.values()), goal.limit)
    pairs = stats.paired(mine, results.of(goal.case, goal.peer, goal.figure))
    return stats.Compared(stats.ratios(pairs) if goal.kind == "ratio" else stats.differences(pairs), goal.limit)


def goals(results):
    rows = [["goal", "of", "found", "95 % interval", "limit", "verdict"]]
    for goal in cases.GOALS:
        for ours in sorted(OURS, key=lambda name, goal=goal: name != goal.of):
            found = judge(results, goal, ours)
            if ours != goal.of and not found.values:
                continue
            digits = 3 if goal.kind == "ratio" else 1
            against = f"{goal.peer} {'x' if goal.kind == 'ratio' else '+'} " if goal.peer else ""
            rows.append([goal.text, ours, "-" if not found.values else f"{found.median:.{digits}f}",
                         "-" if not found.values else "-".join(f"{v:.{digits}f}" for v in found.interval),
                         f"<= {against}{goal.limit:g} {goal.unit}".strip(),
                         found.verdict if ours == goal.of else f"({found.verdict})"])
    return ["goals (ours: the worker's CPU; what writerd adds stands in the tables; in parentheses: variants that the goal is "
            "not about)", *table(rows), ""]


def text(results, options):
    lines = [machine(), f"{options.rounds} rounds, order reversed each time; fresh processes per round; median [range]; "
             "intervals: bootstrap of the median of paired ratios", ""]
    for case in cases.TIMED:
        lines += timed_case(results, case)
    for name in SINGLE:
        lines += single(results, name)
    return "\n".join(lines + goals(results) + [f"note: {n}" for n in results.notes])


def as_json(results, options):
    return json.dumps({
        "machine": machine(), "rounds": options.rounds, "figures": results.figures, "details": results.details,
        "notes": results.notes,
        "goals": [{"goal": g.text, "of": ours, "decides": ours == g.of, **judge(results, g, ours).as_json()}
                  for g in cases.GOALS for ours in OURS],
    }, indent=1)
