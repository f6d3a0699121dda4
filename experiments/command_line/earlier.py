"""The time that parts of a study took in earlier runs."""

import csv
import re
import statistics
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from experiments.running.identity import identity
from experiments.running.results import FILE
from experiments.running.study import Study
from experiments.studies.comparison.point_study import TIMES

STORED = "seconds.csv"
"""The file of this package with the seconds of parts in runs on two CPU cores, which
`python -m tests.stored_seconds` writes."""

_MOST_FILES = 100
_START = 5.0
"""Seconds of a part that are taken for compilation, which its samples or steps do not change."""

_PLACE = re.compile(r"(, (trained with .*|step \d+|seed \d+))+$")
"""What a part's name says of its point."""

_DETERMINES = {"reproduce": ("study", "table", "spent"), "claims": ("study", "budget")}
"""The settings that the time of a part depends on, by kind of study; else its problem."""

_OWN = ("figure", "opponents")
"""Kinds of studies with settings of their own, all but `_DESCRIBE` of which determine the time."""

_DESCRIBE = {"title", "drawn_by", "tasks", "predictions", "libraries"}


class Took(NamedTuple):
    """The seconds that a part took, and the work that it was, as `_work`."""

    seconds: float
    work: float


def near(study: Study[Any], path: Path) -> dict[str, float]:
    """Return the times of parts by runs in a study's folder and its neighbours, on such a machine.

    Each is that of the part, of any seed or step, in the runs that were nearest as much work.

    Args:
        study: the study.
        path: its results folder, which need not exist.
    """
    from analysis import reading

    took: dict[str, list[Took]] = {}
    about, like = study.configuration, settings_hash(study.configuration)
    # A run of a study file is in OUTPUT/runs, which has neighbours too.
    folders = [path.parent, *path.parents[2:3]] if path.parent.name == "runs" else [path.parent]
    files = {
        file
        for folder in folders
        if folder.is_dir()
        for pattern in (f"*/{FILE}", f"*/runs/*/{FILE}")
        for file in folder.glob(pattern)
    }
    for file in sorted(files, key=lambda one: -one.stat().st_mtime)[:_MOST_FILES]:
        try:
            attrs = reading.read(file).attrs
        except (OSError, ValueError):
            continue
        other, platform = attrs["configuration"], attrs.get("environment", {}).get("platform")
        if settings_hash(other) == like and platform == study.environment["platform"]:
            for name, seconds in attrs.get("seconds", {}).items():
                # Gradients are timed as often whatever the samples.
                one = Took(seconds, _work(about if name == TIMES else other))
                took.setdefault(_PLACE.sub("", name), []).append(one)
    each = {name: took.get(_PLACE.sub("", name)) for name in study.parts}
    return {name: _expected(found, _work(about)) for name, found in each.items() if found}


def stored(study: Study[Any]) -> dict[str, float]:
    """Return the times of parts in runs on two CPU cores, which come with estimax."""
    if study.environment["platform"] != "cpu":
        return {}
    settings = settings_hash(study.configuration)
    with (resources.files("experiments.command_line") / STORED).open() as file:
        rows = [row for row in csv.DictReader(file) if row["settings"] == settings]
    return {row["part"]: float(row["seconds"]) for row in rows}


def determining(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that the time of a part depends on, besides samples and steps."""
    kind = configuration.get("study")
    if kind in _OWN:
        return {name: one for name, one in configuration.items() if name not in _DESCRIBE}
    names = _DETERMINES.get(str(kind), ("study", "problem"))
    return {name: configuration.get(name) for name in names}


def settings_hash(configuration: Mapping[str, Any]) -> str:
    """Return the hash of the settings that the time of a part depends on."""
    return identity(determining(configuration), {})


def _work(configuration: Mapping[str, Any]) -> float:
    """Return what the time of a part is in proportion to: its samples or steps."""

    def count(key: str) -> int:
        value = configuration.get(key)
        return max(len(value), 1) if isinstance(value, list | tuple) else 1

    try:
        if configuration["study"] == "train":
            runs = count("learning_rates") * count("temperatures") * configuration["seeds"]
            return float(configuration["steps"] * runs)
        return float(configuration.get("samples", 1)) * count("temperatures")
    except (KeyError, TypeError, ValueError):  # of a damaged file
        return 1.0


def _expected(took: Sequence[Took], work: float) -> float:
    """Return the time of a part by those that took nearest as much work."""
    ratios = [max(work / one.work, one.work / work) for one in took]
    nearest = [one for one, ratio in zip(took, ratios, strict=True) if ratio == min(ratios)]
    seconds = statistics.median(one.seconds for one in nearest)
    start = min(seconds, _START)
    return start + (seconds - start) * work / nearest[0].work
