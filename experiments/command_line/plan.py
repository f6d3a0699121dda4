"""What a command would do: its parts, which are done, and the time that the others take."""

import re
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from experiments.command_line import rough
from experiments.problems import Problem
from experiments.running.results import FILE
from experiments.running.study import Study
from experiments.studies.comparison.point_study import TIMES
from experiments.studies.diagnosis.model import Model
from experiments.system.folder import Folder

_MOST_FILES = 100
_START = 5.0
"""Seconds of a part that are taken for compilation, which its samples or steps do not change."""

_PLACE = re.compile(r"(, (trained with .*|step \d+|seed \d+))+$")
"""What a part's name says of its point."""


class Part(NamedTuple):
    """A part of a study.

    Attributes:
        name: its name.
        is_done: whether its rows are there.
        seconds: the time that it is expected to take; None if that is unknown.
        is_rough: whether that time is by a timing of a gradient, not by earlier runs.
    """

    name: str
    is_done: bool
    seconds: float | None
    is_rough: bool = False


class Took(NamedTuple):
    """The seconds that a part took, and the work that it was, as `_work`."""

    seconds: float
    work: float


def parts_of(
    study: Study[Any], path: Path, *, force: bool, problem: Problem | Model | None = None
) -> list[Part]:
    """Return the parts of a study; none is run, and nothing is written.

    The time expected is that which the part, of any seed or step, took in runs of the same study
    and problem in the folder and its neighbours, in proportion to samples or steps; else a rough
    one, as `rough.seconds`.

    Args:
        study: the study.
        path: its results folder, which need not exist.
        force: whether all parts are run again.
        problem: the problem, or the user's model, whose gradients are timed if there are no earlier
            runs; None for none.

    Raises:
        UsageError: if the folder holds another run.
    """
    done = set() if force else study.done(study.open(Folder(path)).rows)
    took = _took(study, path)
    work = _work(study.configuration)
    expected = {name: _expected(took.get(_PLACE.sub("", name), ()), work) for name in study.parts}
    unknown = [name for name in study.parts if name not in done and expected[name] is None]
    guessed = _rough(study, problem) if problem is not None and unknown else {}
    known = guessed | {name: one for name, one in expected.items() if one is not None}
    return [
        Part(name, name in done, known.get(name), expected[name] is None) for name in study.parts
    ]


def _rough(study: Study[Any], problem: Problem | Model) -> dict[str, float]:
    try:
        return rough.seconds(study, problem)
    except (Exception, SystemExit):  # an estimator or a problem of the user's; the study says so
        return {}


def repeated(parts: Sequence[Part], times: int) -> list[Part]:
    """Return the parts of a study at one of several places, to do at each; times are taken once."""
    return [one for one in parts for _ in range(1 if one.name == TIMES else times)]


def lines(title: str, parts: Sequence[Part]) -> list[str]:
    """Return a line for each part below a title, and one for their total."""
    shown = [f"  {'done ' if one.is_done else 'to do'}  {one.name}{_time(one)}" for one in parts]
    return [f"{title}:", *shown, f"  {total(parts)}"]


def total(parts: Sequence[Part]) -> str:
    """Return how many parts are to do, and the time that they are expected to take."""
    missing = [one for one in parts if not one.is_done]
    if not missing:
        return "nothing to do"
    return f"{len(missing)} of {counted(len(parts), 'part')} to do, {time_of(missing)}"


def time_of(missing: Sequence[Part]) -> str:
    """Return the time that parts are expected to take together."""
    known = [one for one in missing if one.seconds is not None]
    if not known:
        return "time unknown"
    rest = len(missing) - len(known)
    word = "roughly" if any(one.is_rough for one in known) else "about"
    unknown = f" and unknown for {rest} of them" if rest else ""
    return f"{word} {_seconds(sum(one.seconds or 0 for one in known))}{unknown}"


def basis(parts: Sequence[Part]) -> list[str]:
    """Return what the expected times of parts rest on, a line for each kind."""
    known = {one.is_rough for one in parts if not one.is_done and one.seconds is not None}
    lines = {
        False: "about: by earlier runs in this folder and its neighbours",
        True: "roughly: by the time of a gradient, measured now, and how many are to be computed; "
        "evaluations of trained models are not counted",
    }
    return [lines[kind] for kind in sorted(known)]


def counted(number: int, what: str) -> str:
    """Return a number of things whose plural ends in s, as in `1 run` or `2 runs`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _time(part: Part) -> str:
    return "" if part.is_done else f", {time_of([part])}"


def _seconds(seconds: float) -> str:
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.2g} {unit}"
    return f"{seconds:.1f} seconds" if seconds < 10 else f"{seconds:.0f} seconds"


def _took(study: Study[Any], path: Path) -> dict[str, list[Took]]:
    """Return the times of parts in runs of the same study and problem, on such a machine."""
    from analysis import reading

    found: dict[str, list[Took]] = {}
    about = study.configuration
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
        other, machine = attrs["configuration"], attrs.get("environment", {})
        same = all(other.get(key) == about.get(key) for key in ("study", "problem", "table"))
        if about["study"] in ("claims", "reproduce", "figure"):
            same = same and other.get("budget") == about.get("budget")
        if same and machine.get("platform") == study.environment["platform"]:
            for name, seconds in attrs.get("seconds", {}).items():
                # Gradients are timed as often whatever the samples.
                took = Took(seconds, _work(about if name == TIMES else other))
                found.setdefault(_PLACE.sub("", name), []).append(took)
    return found


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


def _expected(took: Sequence[Took], work: float) -> float | None:
    """Return the time of a part by those that took nearest as much work, None without any."""
    if not took:
        return None
    ratios = [max(work / one.work, one.work / work) for one in took]
    nearest = [one for one, ratio in zip(took, ratios, strict=True) if ratio == min(ratios)]
    seconds = statistics.median(one.seconds for one in nearest)
    start = min(seconds, _START)
    return start + (seconds - start) * work / nearest[0].work
