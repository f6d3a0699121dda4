"""What a command would do: its parts, which are done, and the time that the others take."""

import enum
import statistics
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from experiments.command_line import earlier
from experiments.command_line.output import terminal_width
from experiments.command_line.rough import Rough
from experiments.running.study import Study
from experiments.studies.comparison.point_study import TIMES
from experiments.system.folder import Folder


class Basis(enum.Enum):
    """What an expected time rests on."""

    NEAR = "about: by earlier runs in this folder and its neighbours"
    STORED = "roughly: by runs on two cores of a CPU, whose times come with estimax"
    GRADIENT = (
        "roughly: by the time of a gradient, measured now, and how many are to be computed, "
        "in proportion to parts of known time if there are any; evaluations of trained models are "
        "not counted"
    )


class Part(NamedTuple):
    """A part of a study.

    Attributes:
        name: its name.
        is_done: whether its rows are there.
        seconds: the time that it is expected to take; None if that is unknown.
        basis: what that time rests on.
    """

    name: str
    is_done: bool
    seconds: float | None
    basis: Basis = Basis.NEAR


def parts_of(
    study: Study[Any], path: Path, *, force: bool, rough: Rough | None = None
) -> list[Part]:
    """Return the parts of a study; none is run, and nothing is written.

    The time expected is that which the part, of any seed or step, took in runs of the same study
    and problem in the folder and its neighbours, in proportion to samples or steps; else in a run
    whose times are stored with estimax; else by the time of a gradient, in proportion
    to the parts whose time is known.

    Args:
        study: the study.
        path: its results folder, which need not exist.
        force: whether all parts are run again.
        rough: returns times of parts by that of a gradient; None if there are none.

    Raises:
        UsageError: if the folder holds another run.
    """
    done = set() if force else study.done(study.open(Folder(path)).rows)
    known = {name: (one, Basis.NEAR) for name, one in earlier.near(study, path).items()}
    if study.parts.keys() - done - known.keys():
        stored = earlier.stored(study)
        known = {name: (one, Basis.STORED) for name, one in stored.items()} | known
    if study.parts.keys() - done - known.keys():
        guessed = _guessed(rough)
        took = [one / guessed[name] for name, (one, _) in known.items() if guessed.get(name)]
        factor = statistics.median(took) if took else 1.0
        rest = {name: (one * factor, Basis.GRADIENT) for name, one in guessed.items()}
        known = rest | known
    unknown = None, Basis.NEAR
    return [Part(name, name in done, *known.get(name, unknown)) for name in study.parts]


def _guessed(rough: Rough | None) -> Mapping[str, float]:
    if rough is None:
        return {}
    try:
        return rough()
    except (Exception, SystemExit):  # an estimator or a problem of the user's; the study says so
        return {}


def repeated(parts: Sequence[Part], times: int) -> list[Part]:
    """Return the parts of a study at one of several places, to do at each; times are taken once."""
    return [one for one in parts for _ in range(1 if one.name == TIMES else times)]


def lines(title: str, parts: Sequence[Part]) -> list[str]:
    """Return a line for each part below a title, and one for their total."""
    shown = [f"  {'done ' if one.is_done else 'to do'}  {one.name}{_time(one)}" for one in parts]
    return [f"{title}:", *shown, f"  {total(parts)}"]


def show(lines: Iterable[str]) -> None:
    """Print lines, continued below themselves where the terminal is too narrow."""
    width = terminal_width()
    for line in lines:
        print(textwrap.fill(line, width, subsequent_indent=" " * 9, break_long_words=False))


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
    word = "about" if all(one.basis is Basis.NEAR for one in known) else "roughly"
    unknown = f" and unknown for {rest} of them" if rest else ""
    return f"{word} {_seconds(sum(one.seconds or 0 for one in known))}{unknown}"


def basis(parts: Sequence[Part]) -> list[str]:
    """Return what the expected times of parts rest on, a line for each kind."""
    known = {one.basis for one in parts if not one.is_done and one.seconds is not None}
    return [one.value for one in Basis if one in known]


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
