"""The lines that show the parts of a study as they finish."""

import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from analysis import formats
from experiments.measurement.rows import Row
from experiments.running.progress import Lines
from experiments.running.study import Study
from experiments.studies.comparison.settings import name_of, varied

_WIDE = 100
"""Width from which numbers have their intervals."""

_LONGEST_NAME = 40
_METRICS = {
    "equal_cost_error": ("error at equal cost", "error"),
    "squared_bias": ("squared bias", "bias^2"),
    "variance": ("variance", "var."),
}
"""The titles of the columns, long and short."""

_SCORES = {
    ("loss", "train"): ("training loss", "loss"),
    ("exact_loss", ""): ("exact loss", "exact"),
    ("negative_bound", "test"): ("negative test bound", "test"),
    ("accuracy", "test"): ("test accuracy", "accuracy"),
    ("negative_bound", "validation"): ("negative val. bound", "val."),
    ("accuracy", "validation"): ("val. accuracy", "val. acc."),
}
"""The titles of the metrics and splits of a training run."""

_MOST_SCORES = 3
_WORDS = {"learning_rate": "rate", "seed": "seed"}
"""What the settings that runs differ in are called."""


def of_study(study: Study[Any]) -> Lines:
    """Return the lines of a study; none of one that has no natural ones."""
    kind = study.configuration["study"]
    if kind in ("compare", "temperature", "diagnose"):
        several = isinstance(study.configuration.get("group"), list)
        names = varied(study.configuration)
        return Lines(_title, functools.partial(_estimators, names, several))
    if kind == "train":
        settings = study.configuration
        differ = ["learning_rate"] if len(settings["learning_rates"]) > 1 else []
        differ += ["seed"] if settings["seeds"] > 1 else []
        return Lines(_run_title, functools.partial(_runs, differ))
    if kind == "reproduce":
        return Lines(of=functools.partial(_cell, study.first_rows))
    if kind == "atlas":
        return Lines(of=_atlas)
    return Lines(of=_claims) if kind == "claims" else Lines()


def _title(rows: Sequence[Row], width: int | None) -> str:
    del rows
    return _titles(_METRICS.values(), width)


def _estimators(
    names: Sequence[str], several: bool, rows: Sequence[Row], width: int | None
) -> list[str]:
    """Return a line for each estimator and group, or the reason for which it is skipped.

    Args:
        names: the columns that tell apart the points of the study.
        several: whether there are several groups of parameters.
        rows: the rows.
        width: the width of the terminal.
    """
    found: dict[tuple[str, str], dict[str, Row]] = {}
    for row in rows:
        about = name_of("", row, names)
        if several and row["metric"] != "skipped":  # which an estimator is for all groups
            about += f", {row['group']}"
        key = row["short_name"], about
        found.setdefault(key, {})[row["metric"]] = row
    lines = []
    for name, by_metric in found.items():
        if skipped := by_metric.get("skipped"):
            lines.append(_cut(f"{''.join(name)}  skipped: {skipped['note']}", width))
        elif by_metric.keys() >= _METRICS.keys():  # not of times alone
            cells = [_cell_of(metric, by_metric[metric], width) for metric in _METRICS]
            lines.append(_aligned(name, cells, width))
    return lines


def _cell_of(metric: str, row: Row, width: int | None) -> str:
    value, low, high = row["value"], row["low"], row["high"]
    if metric == "squared_bias" and min(value, low) <= 0 and not math.isnan(high):
        return formats.below(high)
    return formats.scientific(value, 2) if _is_narrow(width) else formats.relative(value, low, high)


def _run_title(rows: Sequence[Row], width: int | None) -> str:
    return _titles([_SCORES[score] for score in _scores(rows)], width)


def _runs(differ: Sequence[str], rows: Sequence[Row], width: int | None) -> list[str]:
    """Return a line for each run: its last training loss and evaluation, or its divergence."""
    found: dict[tuple[str, str], dict[tuple[str, str], Row]] = {}
    for row in rows:
        if not row["measured"]:
            about = "".join(f", {_WORDS[name]} {row[name]:g}" for name in differ)
            found.setdefault((row["short_name"], about), {})[row["metric"], row["split"]] = row
    scores = _scores(rows)
    lines = []
    for name, last in found.items():
        if diverged := last.get(("diverged", "")):
            lines.append(_cut(f"{''.join(name)}  {diverged['note']}", width))
        else:
            lines.append(
                _aligned(name, [_score(last.get(score), width) for score in scores], width)
            )
    return lines


def _scores(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """Return the metrics and splits that are shown of runs: the first of those that they have."""
    found = {(row["metric"], row["split"]) for row in rows if not row["measured"]}
    return [score for score in _SCORES if score in found][:_MOST_SCORES]


def _score(row: Row | None, width: int | None) -> str:
    if row is None:
        return "-"
    value, low, high = row["value"], row["low"], row["high"]
    return formats.plain(value) if _is_narrow(width) else formats.uncertain(value, low, high)


def _titles(titles: Iterable[tuple[str, str]], width: int | None) -> str:
    return _aligned(("estimator", ""), [each[_is_narrow(width)] for each in titles], width)


def _aligned(name: tuple[str, str], cells: Sequence[str], width: int | None) -> str:
    """Return a line of cells below each other; of a long name, the first part is shortened."""
    first, about = name
    each = 8 if _is_narrow(width) else 19
    room = _LONGEST_NAME if width is None else width - len(cells) * (2 + each)
    room = min(room, _LONGEST_NAME)
    shown = first if width is None else _cut(first, room - len(about))
    return "  ".join([f"{shown + about:<{room}}", *(f"{cell:<{each}}" for cell in cells)]).rstrip()


def _is_narrow(width: int | None) -> bool:
    return width is not None and width < _WIDE


def _cut(text: str, width: int | None) -> str:
    return text if width is None or len(text) <= width else f"{text[: width - 1]}…"


def _cell(published: Sequence[Row], rows: Sequence[Row], width: int | None) -> list[str]:
    """Return a line for each published number of a cell, with ours."""
    final = [row for row in rows if row["stage"] == "final"]
    lines = []
    for target in published:
        if target["stage"] != "published" or target["cell"] != rows[-1]["cell"]:
            continue
        keys = "metric", "split"
        own = [row for row in final if all(row[key] == target[key] for key in keys)]
        last = [row["value"] for row in own if row.get("step") == own[-1].get("step")]
        if last:
            said = f"{target['scale'] * sum(last) / len(last):.6g}"
            if not math.isnan(target["value"]):
                said += f", published {target['value']:.6g}"
            said += f" ({_measure(target)})"
            lines.append(_cut(f"{target['cell']}: {said}", width))
    if not lines:
        notes = [row["note"] for row in rows if row.get("note")]
        lines.append(_cut(f"{rows[-1]['cell']}: {rows[-1]['stage']}; {'; '.join(notes)}", width))
    return lines


def _atlas(rows: Sequence[Row], width: int | None) -> list[str]:
    """Return a line for each cell: its error at equal cost, or why it is skipped."""
    lines = []
    for row in rows:
        cell = f"{row['problem']}, step {row['step']}, {row['short_name']}"
        if row["metric"] == "skipped":
            lines.append(_cut(f"{cell}: skipped: {row['note']}", width))
        elif row["metric"] == "equal_cost_error":
            error = formats.relative(row["value"], row["low"], row["high"])
            lines.append(_cut(f"{cell}: {error}", width))
    return lines


def _measure(target: Mapping[str, Any]) -> str:
    return ", ".join(filter(None, (target["metric"], target["split"])))


def _claims(rows: Sequence[Row], width: int | None) -> list[str]:
    """Return a line for each claim of a study; verdicts need all studies."""
    lines = []
    for row in rows:
        half = 1.96 * row["error"]
        value = formats.uncertain(row["value"], row["value"] - half, row["value"] + half)
        ends = [(name, row[f"region_{end}"]) for name, end in (("above", "low"), ("below", "high"))]
        claimed = " and ".join(f"{name} {end:.3g}" for name, end in ends if math.isfinite(end))
        said = f"{value}, claimed {claimed} ({row['metric']})"
        lines.append(_cut(f"{row['deciding']}: {said}", width))
    return lines
