"""The JSON lines of gpu_bench and of peers.py as one table, in ms a batch: python3 gpu_table.py FILE…"""

import json
import sys
from pathlib import Path

COLUMNS = {
    "(n, m, q) × batch": lambda r: "({}, {}, {}) × {}".format(*r["shape"], r["batch"]),
    "solver": lambda r: r["program"] + (f", {r['tier']}" if "tier" in r else ""),
    "precision": lambda r: r["precision"],
    "forward": lambda r: number(r.get("forward")),
    "and backward": lambda r: number(r.get("both")),
    "in flight": lambda r: number(r.get("flight")),
    "from the host": lambda r: number(r.get("host")),
    "kernels": lambda r: number(r.get("kernelForward")) + " / " + number(r.get("kernelBoth")),
    "iterations": lambda r: number(r.get("iterations")),
    "solved": lambda r: str(r.get("solved", r.get("error", "")[:40])),
    "residual": lambda r: number(max((r[k] for k in ("primal", "dual", "gap", "residual") if k in r), default=None)),
}


def number(value):
    if not value:
        return "–"
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"


def main():
    rows = {}
    for name in sys.argv[1:]:
        path = Path(name)
        for line in path.read_text().splitlines() if path.exists() else []:
            if line.startswith("{"):
                row = json.loads(line)
                # A tier that was asked for and could not serve gives the line of the one that did again.
                rows.setdefault((tuple(row["shape"]), row["batch"], row["program"], row.get("tier"), row["precision"]), row)
    if not rows:
        print("No figures.")
        return
    order = sorted(rows.values(), key=lambda r: (r["shape"][0] * r["shape"][1] * r["batch"], r["shape"], r["precision"]))
    cells = [list(COLUMNS)] + [[column(row) for column in COLUMNS.values()] for row in order]
    widths = [max(len(line[i]) for line in cells) for i in range(len(COLUMNS))]
    for k, line in enumerate(cells):
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |")
        if k == 0:
            print("| " + " | ".join("-" * width for width in widths) + " |")


main()
