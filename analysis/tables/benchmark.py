"""The tables of a benchmark as text, at most 100 columns wide."""

import math
import re
from typing import Any

from analysis.render.text import aligned, column_widths

Figures = dict[str, Any]
"""Sections of the file written by `estimax benchmark --json`."""

_TITLES = {
    "gradients": (
        "Seconds for the mean and variance of 1,000 gradients of all {parameters:,} parameters\n"
        "of {problem}, batch {batch}\n"
        "(below: the sum of the variances)"
    ),
    "steps": "Training steps per second of the same VAE, batch {batch}, Adam",
    "toy": "Million gradients per second of {problem}, with their mean and variance",
}


def benchmark_text(figures: Figures) -> str:
    """Return the tables of a benchmark as text.

    Each entry is a median over rounds with the minimum and maximum. Ratios above one mean that
    estimax is faster.

    Args:
        figures: the content of a file written by `estimax benchmark --json`.
    """
    parts = [_machine(figures)]
    parts += [_contest(kind, figures[kind]) for kind in _TITLES]
    parts += [_batches(figures["batches"]), _evaluation(figures["evaluation"])]
    parts.append(_cost(figures["cost"]))
    if figures["quick"]:
        parts.append("A smoke test (--quick): these numbers are not a measurement.")
    return "\n\n".join(parts)


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


def _contest(kind: str, contest: Figures) -> str:
    parts = [_TITLES[kind].format(**contest), _figures(kind, contest)]
    if moments := _moments(contest):
        parts.append(moments)
    return "\n\n".join(parts)


def _figures(kind: str, contest: Figures) -> str:
    scale = 1e-6 if kind == "toy" else 1.0
    table = [["estimator", "estimax", "PyTorch at its best", "", "ratio"]]
    for name, row in contest["rows"].items():
        best = row["best"]
        theirs = [_range(row["torch"][best], scale), best] if best else ["-", ""]
        ratio = _range(row["ratio"]) if best else "-"
        table.append([_short(name), _range(row["estimax"], scale), *theirs, ratio])
    return _aligned(table)


def _moments(contest: Figures) -> str:
    """Return our and PyTorch's sample moments, which show that both do the same work."""
    rows = contest["rows"]
    names = [
        name for name in ("mean", "variance") if any(name in r["estimax"] for r in rows.values())
    ]
    table = [["estimator", *names, *(f"PyTorch's {name}" for name in names)]]
    for identity, row in rows.items():
        sides = row["estimax"], row["torch"].get(row["best"], {})
        cells = [f"{side[name]:.4g}" if side else "-" for side in sides for name in names]
        table.append([_short(identity), *cells])
    return _aligned(table) if names else ""


def _batches(batches: Figures) -> str:
    seeds = batches["seeds"]
    title = (
        f"Training steps per second, summed over runs: one run, and {seeds} seeds in one vmap;\n"
        f"seconds to compile a study of {batches['runs']} runs"
    )
    table = [["estimator", "one run", f"{seeds} seeds", "ratio", "compiles in"]]
    for name, row in batches["rows"].items():
        cells = [_range(row[key]) for key in ("alone", "together", "ratio")]
        table.append([_short(name), *cells, f"{row['compile_seconds']:.1f} s"])
    return title + "\n\n" + _aligned(table)


def _evaluation(evaluation: Figures) -> str:
    title = (
        f"Images per second of the {evaluation['samples']:,}-sample bound of "
        f"{evaluation['problem']}, compared with\nthe floor, its matrix products alone"
    )
    cells = [_range(evaluation[key]) for key in ("images", "floor", "ratio")]
    return title + "\n\n" + _aligned([["images per second", "floor", "ratio"], cells])


def _cost(cost: Figures) -> str:
    unit = cost["unit"]["median"] * 1e6
    title = (
        f"Time per gradient of all parameters of {cost['problem']};\n"
        f"the ratio is to the time of its evaluations of f, forward and backward ({unit:.0f} us)"
    )
    table = [["estimator", "us per gradient", "evaluations", "ratio"]]
    for name, row in cost["rows"].items():
        time = _range(row["seconds"], 1e6)
        table.append([_short(name), time, str(row["evaluations"]), f"{row['ratio']:.2f}"])
    return title + "\n\n" + _aligned(table)


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


def _aligned(rows: list[list[str]]) -> str:
    widths = column_widths(rows)
    head, *lines = (aligned(row, widths, [False] * len(row)) for row in rows)
    return "\n".join([head, "-" * max(map(len, [head, *lines])), *lines])
