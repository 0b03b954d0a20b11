"""The JSON lines of the GPU's benchmarks as tables for docs/gpu-results.md, in ms a batch: python3 gpu_table.py [--brief] FILE…

They come from gpu_bench, gpu-javascript.cjs, first-call.cjs and peers.py. --brief: float64 alone, without the libraries' path
where there is a faster one, and without empty columns.
"""

import json
import sys
from pathlib import Path

FIGURES = {
    "(n, m, q) × batch": lambda r: "({}, {}, {}) × {}".format(*r["shape"], r["batch"]),
    "solver": lambda r: r["program"] + (f", {r['tier']}" if "tier" in r else ""),
    "precision": lambda r: r["precision"],
    "forward": lambda r: number(r.get("forward")),
    "and backward": lambda r: number(r.get("both")),
    "shared": lambda r: number(r.get("shared")),
    "in flight": lambda r: number(r.get("flight")),
    "from the host": lambda r: number(r.get("host")),
    "kernels": lambda r: pair(r.get("kernelForward"), r.get("kernelBoth")),
    "iterations": lambda r: number(r.get("iterations")),
    "solved": lambda r: str(r["solved"]) if "solved" in r else r.get("error", "–")[:40],
    "residual": lambda r: number(max((r[k] for k in ("primal", "dual", "gap", "residual") if k in r), default=None)),
}
COPIES = {
    "(n, m, q) × batch": lambda r: "({}, {}, {}) × {}".format(*r["copies"], r["batch"]),
    "Q and G, MB": lambda r: number(r.get("megabytes")),
    "new array": lambda r: number(r.get("allocate")),
    "copy": lambda r: number(r.get("copy")),
    "toDevice": lambda r: number(r.get("toDevice")),
    "toHost": lambda r: number(r.get("toHost")),
    "solve": lambda r: number(r.get("solve")),
    "backward": lambda r: number(r.get("backward")),
    "on the GPU": lambda r: number(r.get("backwardStays")),
    "of p and h": lambda r: number(r.get("backwardVectors")),
}
FIRST = {
    "from": lambda r: {"optnet": "C++"}.get(r["program"], r["program"]),
    "part": lambda r: r["first"],
    "ms": lambda r: number(r.get("ms")),
}


def number(value):
    if not value:
        return "–"
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"


def pair(first, second):
    return number(first) + " / " + number(second) if first or second else "–"


def read(names):
    for name in names:
        path = Path(name)
        for line in path.read_text().splitlines() if path.exists() else []:
            if line.startswith("{"):
                try:
                    yield json.loads(line)
                except json.JSONDecodeError:  # a program that was ended in the middle of it
                    pass


def figures(rows, brief):
    found = {}
    for row in rows:
        # What was measured twice counts once.
        found.setdefault((tuple(row["shape"]), row["batch"], row["program"], row.get("tier"), row["precision"]), row)
    order = sorted(found.values(), key=lambda r: (r["shape"][0] * r["shape"][1] * r["batch"], r["shape"], r["precision"]))
    if not brief:
        return order
    fused = {tuple(row["shape"]) for row in order if row.get("tier") in ("lanes", "block")}
    return [r for r in order if r["precision"] == "float64" and not (r.get("tier") == "library" and tuple(r["shape"]) in fused)]


def show(columns, rows, brief):
    cells = [list(columns)] + [[column(row) for column in columns.values()] for row in rows]
    if brief:
        kept = [i for i in range(len(columns)) if any(line[i] != "–" for line in cells[1:])]
        cells = [[line[i] for i in kept] for line in cells]
    widths = [max(len(line[i]) for line in cells) for i in range(len(cells[0]))]
    for k, line in enumerate(cells):
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |")
        if k == 0:
            print("| " + " | ".join("-" * width for width in widths) + " |")


def main():
    brief = "--brief" in sys.argv
    rows = list(read(name for name in sys.argv[1:] if name != "--brief"))
    tables = [
        (FIGURES, figures([row for row in rows if "shape" in row], brief)),
        (COPIES, [row for row in rows if "copies" in row]),
        (FIRST, [row for row in rows if "first" in row]),
    ]
    tables = [table for table in tables if table[1]]
    for k, (columns, found) in enumerate(tables):
        if k > 0:
            print()
        show(columns, found, brief)
    if not tables:
        print("No figures.")


main()
