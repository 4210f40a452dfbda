#!/usr/bin/env python3
"""Puts what kernels took into the table of predictions: predictions.py KERNELS.csv PREDICTIONS.md

KERNELS.csv is what a run writes. A row of the table is a kernel of a network at a shape; it is the launches with its
entry point, in its network, at its batch (the first number of the shape) and with its number of blocks. The last cell
becomes the microseconds of one of them and how that compares with the prediction; of a pass, those of all its kernels.
Kernels that no row predicts, because the tuner chose other blocks or nobody thought of them, are listed behind the
table. The file is changed in place.
"""

import csv
import math
import pathlib
import re
import sys

HEAD = "## Measured, not predicted"
OF_KERNELS = ("kernel", "network", "shape", "blocks", "prediction us", "measured us")
OF_PASSES = ("pass", "batch", "prediction us", "measured us")


def cells(line):
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def is_row(line):
    return line.startswith("|") and not set(line) <= set("|-: ")


def number(text):
    found = re.match(r"[0-9.]+", text)
    return float(found.group()) if found else None


def places(names):
    """Where the columns are whose names begin so, units may follow; nothing in a table of something else."""
    for kind in (OF_KERNELS, OF_PASSES):
        found = [next((place for place, name in enumerate(names) if name.startswith(wanted)), None) for wanted in kind]
        if None not in found:
            return found
    return []


def key(network, batch, kernel, blocks):
    return network, int(batch), kernel, int(blocks)


def measured(rows):
    """Launches and microseconds of all of them, by network, batch, entry point and blocks."""
    times = {}
    for row in rows:
        blocks = math.prod(int(extent) for extent in row["grid"].split("x"))
        of = key(row["network"], row["batch"], row["kernel"], blocks)
        launches, us = times.get(of, (0, 0.0))
        times[of] = launches + int(row["launches"]), us + float(row["us"])
    return times


def compared(us, prediction):
    predicted = number(prediction)
    return f"{us:.1f}" if not predicted else f"{us:.1f} ({us / predicted:.2f} times)"


def of_kernel(row, names, times):
    """Microseconds of a launch, and what they were measured of."""
    kernel, networks, shape, blocks = (row[place] for place in names[:4])
    found = [
        of for network in networks.split(",")
        if (of := key(network.strip(), number(shape), kernel, number(blocks))) in times
    ]
    launches = sum(times[of][0] for of in found)
    return (sum(times[of][1] for of in found) / launches if found else None), found


def of_pass(row, names, times):
    """Microseconds of all kernels of a pass, one after the other."""
    us = [time for (network, batch, _, _), (_, time) in times.items() if (network, batch) == (row[names[0]], int(row[names[1]]))]
    return (sum(us) if us else None), []


def update(text, rows):
    """The text with measured cells, and the kernels that it does not predict."""
    times = measured(rows)
    used = set()
    lines = []
    names = None
    for line in text.split(HEAD)[0].rstrip().splitlines():
        if not line.startswith("|"):
            names = None
        elif is_row(line) and names is None:
            names = places(cells(line))
        elif is_row(line) and names:
            row = cells(line)
            us, found = of_pass(row, names, times) if len(names) == len(OF_PASSES) else of_kernel(row, names, times)
            used.update(found)
            if us is not None:
                row[names[-1]] = compared(us, row[names[-2]])
                line = "| " + " | ".join(row) + " |"
        lines.append(line)
    others = {of: times[of] for of in times if of not in used}
    if others:
        lines += ["", HEAD, "", "| kernel | network | batch | blocks | launches | us of all |", "| --- | --- | ---: | ---: | ---: | ---: |"]
        for (network, batch, kernel, blocks), (launches, us) in sorted(others.items(), key=lambda item: -item[1][1]):
            lines.append(f"| {kernel} | {network} | {batch} | {blocks} | {launches} | {us:.1f} |")
    return "\n".join(lines) + "\n", others


def main():
    source, table = map(pathlib.Path, sys.argv[1:])
    with open(source, encoding="utf-8", newline="") as file:
        text, others = update(table.read_text(encoding="utf-8"), list(csv.DictReader(file)))
    table.write_text(text, encoding="utf-8")
    print(f"{table}: {len(others)} kernels without a prediction")


if __name__ == "__main__":
    main()
