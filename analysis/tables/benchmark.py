"""The tables of a benchmark as text."""

import math
import re
import textwrap
from typing import Any

from analysis.names import wrap
from analysis.render.text import aligned, column_widths

Table = list[list[str]]

Figures = dict[str, Any]
"""Sections of the file written by `estimax benchmark --json`."""

_TITLES = {
    "gradients": (
        "Seconds for 1,000 gradient samples of all {parameters:,} parameters of {problem}, batch "
        "{batch}: mean and variance of each (below, the sum of the variances)"
    ),
    "steps": "Training steps per second of the same VAE, batch {batch}, Adam",
    "toy": "Million gradients per second of {problem}, with their mean and variance",
}


def benchmark_text(figures: Figures, width: int = 100) -> str:
    """Return the tables of a benchmark as text.

    Every entry is a median over rounds with the minimum and maximum, where the width has room.
    Ratios above one mean that estimax is faster.

    Args:
        figures: the content of a file of `estimax benchmark --json`.
        width: line width in characters, 60 or more.
    """
    parts: list[Table | str] = [_machine(figures)]
    for kind in _TITLES:
        parts += _contest(kind, figures[kind])
    parts += [*_batches(figures["batches"]), *_evaluation(figures["evaluation"])]
    parts += _cost(figures["cost"])
    if figures["quick"]:
        parts.append("A smoke test (--quick): these figures are not a measurement.")
    return "\n\n".join(
        _filled(part, width) if isinstance(part, str) else _aligned(part, width) for part in parts
    )


def _machine(figures: Figures) -> str:
    machine, torch = figures["machine"], figures["torch"]
    before, after = machine["load"]
    lines = [
        f"{machine['processor']}, {machine['cores']} cores, load {before} before and {after} after",
        f"estimax {machine['versions']['estimax']}, jax {machine['versions']['jax']} "
        f"on {machine['device']}",
    ]
    if "missing" in torch:
        return "\n".join([*lines, torch["missing"]])
    lines.append(f"PyTorch {torch['version']} on {torch['device']}, {torch['threads']} threads")
    for kind, estimator, variant, reason in torch["failed"]:
        lines.append(f"PyTorch failed at {kind} of {estimator}, {variant}: {reason}")
    return "\n".join(lines)


def _contest(kind: str, contest: Figures) -> list[Table | str]:
    moments = _moments(contest)
    parts = [_TITLES[kind].format(**contest), _figures(kind, contest)]
    return [*parts, *([moments] * bool(moments))]


def _figures(kind: str, contest: Figures) -> Table:
    scale = 1e-6 if kind == "toy" else 1.0
    table = [["estimator", "estimax", "PyTorch at its best", "", "ratio"]]
    for name, row in contest["rows"].items():
        best = row["best"]
        theirs = [_range(row["torch"][best], scale), best] if best else ["-", ""]
        ratio = _range(row["ratio"]) if best else "-"
        table.append([_short(name), _range(row["estimax"], scale), *theirs, ratio])
    return table


def _moments(contest: Figures) -> Table:
    """Return the sampled moments, ours and PyTorch's, which show that the work is the same."""
    rows = contest["rows"]
    names = [
        name for name in ("mean", "variance") if any(name in r["estimax"] for r in rows.values())
    ]
    table = [["estimator", *names, *(f"PyTorch's {name}" for name in names)]]
    for identity, row in rows.items():
        sides = row["estimax"], row["torch"].get(row["best"], {})
        cells = [f"{side[name]:.4g}" if side else "-" for side in sides for name in names]
        table.append([_short(identity), *cells])
    return table if names else []


def _batches(batches: Figures) -> list[Table | str]:
    seeds = batches["seeds"]
    title = (
        f"Training steps per second of all runs together, one run and {seeds} seeds mapped over; "
        f"and seconds that a study of {batches['runs']} runs takes to compile"
    )
    table = [["estimator", "one run", f"{seeds} seeds", "ratio", "compiles in"]]
    for name, row in batches["rows"].items():
        cells = [_range(row[key]) for key in ("alone", "together", "ratio")]
        table.append([_short(name), *cells, f"{row['compile_seconds']:.1f} s"])
    return [title, table]


def _evaluation(evaluation: Figures) -> list[Table | str]:
    title = (
        f"Images per second of the {evaluation['samples']:,}-sample bound of "
        f"{evaluation['problem']}, compared with the floor: its matrix products alone"
    )
    cells = [_range(evaluation[key]) for key in ("images", "floor", "ratio")]
    return [title, [["images per second", "floor", "ratio"], cells]]


def _cost(cost: Figures) -> list[Table | str]:
    unit = cost["unit"]["median"] * 1e6
    title = (
        f"Time per gradient of every parameter of {cost['problem']}; "
        f"the ratio is to its evaluations of f, each forward and backward ({unit:.0f} us)"
    )
    table = [["estimator", "us per gradient", "evaluations", "ratio"]]
    for name, row in cost["rows"].items():
        time = _range(row["seconds"], 1e6)
        table.append([_short(name), time, str(row["evaluations"]), f"{row['ratio']:.2f}"])
    return [title, table]


def _short(name: str) -> str:
    """Return an identity without field names that are evident from the values."""
    return re.sub(r"\b(baseline|estimator|num_samples|temperature)=", "", name)


def _range(summary: Figures, scale: float = 1.0) -> str:
    median, low, high = (_number(summary[name] * scale) for name in ("median", "min", "max"))
    return f"{median} ({low}-{high})"


def _number(value: float) -> str:
    """Return a number with at least three significant digits, or two if below one."""
    if value == 0:
        return "0"
    digits = 2 - math.floor(math.log10(abs(value))) - (abs(value) < 1)
    return f"{value:.{max(0, digits)}f}"


def _filled(text: str, width: int) -> str:
    lines = (textwrap.wrap(line, width, break_on_hyphens=False) for line in text.splitlines())
    return "\n".join(line for found in lines for line in found)


def _aligned(table: Table, width: int) -> str:
    """Return a table in lines of at most `width`.

    Where there is no room, ranges are left out, then names have lines of their own.
    """
    plain = [[re.sub(r" \([^)]*\)$", "", cell) for cell in row] for row in table]
    for rows in (table, plain):
        if (found := _lines(rows)) and max(map(len, found)) <= width:
            break
    else:
        found = _lines([["", *row[1:]] for row in plain])
        names = [row[0] for row in plain]
        found = [line for pair in zip(names, found, strict=True) for line in pair]
        found = [line for one in found for line in wrap(one, width)]
    head = found[: len(found) // len(table)]
    rule = "-" * max(map(len, found))
    return "\n".join([*head, rule, *found[len(head) :]])


def _lines(rows: Table) -> list[str]:
    widths = column_widths(rows)
    return [aligned(row, widths, [False] * len(row)) for row in rows]
