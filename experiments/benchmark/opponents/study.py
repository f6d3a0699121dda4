"""The study of other libraries' gradients: the same estimators of the same two quadratics."""

import contextlib
import dataclasses
import os
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

import experiments
from estimators import Bernoulli, Categorical, Exact, frozen, parse
from experiments.benchmark import process
from experiments.benchmark.opponents import agreement, jax_rounds
from experiments.benchmark.opponents.agreement import Sample
from experiments.benchmark.opponents.environments import (
    LIBRARIES,
    CannotInstall,
    Library,
    python_of,
)
from experiments.benchmark.process import Ended, Process
from experiments.benchmark.rounds import in_turn, ratios, summarise
from experiments.measurement.rows import Row, estimator_columns
from experiments.running.progress import Progress
from experiments.running.results import Results
from experiments.running.study import Study, found_in

STUDY = "opponents"

VARIABLES = {
    "bits": {"logits": [-1.0, 0.5, 1.5], "weights": [1.0, -0.7, 0.5], "centre": 0.45},
    "classes": {"logits": [-1.0, 0.0, 0.5, 1.5], "weights": [0.2, 1.1, -0.6, 0.8], "centre": 0.3},
}
"""Three bits, and one variable of four classes: f(z) = (w . z - c)^2."""

_LAWS = {"bits": Bernoulli, "classes": Categorical}
_OURS = 10**6
"""The first seed of our keys: other libraries in JAX draw the same noise from the same key."""

Command = Callable[[Library, Callable[[str], None]], Sequence[str]]
"""Installs a library, and returns the command of its process."""


@dataclasses.dataclass(frozen=True)
class OpponentsSettings:
    """Settings of the comparison; every field is part of the run's identity.

    Attributes:
        gradients: gradients of a round.
        rounds: rounds, each of ours and of the library's in turn.
        patience: seconds within which a library must answer.
    """

    gradients: int = 2000
    rounds: int = 7
    patience: float = 600.0


QUICK = OpponentsSettings(gradients=100, rounds=2)
"""A smoke test."""


def server(library: Library, report: Callable[[str], None]) -> Sequence[str]:
    """Install a library and return the command of its process.

    Raises:
        CannotInstall: if it cannot be installed.
    """
    module = f"{experiments.__name__}.benchmark.opponents.server"
    return [str(python_of(library, report)), "-m", module]


def opponents(
    settings: OpponentsSettings,
    libraries: Collection[str] = (),
    estimators: Collection[str] = (),
    command: Command = server,
) -> Study[Library]:
    """Return the study of other libraries' gradients compared with ours.

    Args:
        settings: its settings.
        libraries: names of libraries; by default all.
        estimators: identities of our estimators that are compared; by default all that a library
            has.
        command: installs a library, and returns the command of its process.
    """
    parts = {name: one for name, one in LIBRARIES.items() if name in (libraries or LIBRARIES)}
    configuration = {
        "study": STUDY,
        "problem": "Quadratic",
        "variables": VARIABLES,
        "libraries": {name: list(one.requirements) for name, one in parts.items()},
        "estimators": sorted(estimators),
        **dataclasses.asdict(settings),
    }

    def rows(
        parts: Mapping[str, Library], results: Results, progress: Progress
    ) -> Iterator[list[Row]]:
        del results
        for name, library in parts.items():
            with progress.task(name):
                yield compared(library, settings, estimators, command, progress.note)

    return Study(STUDY, configuration, {__name__}, parts, rows, found_in("opponent"))


def compared(
    library: Library,
    settings: OpponentsSettings,
    estimators: Collection[str],
    command: Command,
    report: Callable[[str], None],
) -> list[Row]:
    """Return the rows of a library; if it cannot be run, one with the reason."""
    shared = {"study": STUDY, "opponent": library.name, "version": "", "problem": ""}
    try:
        with _started(library, settings, command, report) as other:
            about = other.wait(report)
            shared["version"] = about["version"]
            tasks = [task for task in other.tasks if not estimators or task[1] in estimators]
            rows = _measured(other, tasks, settings, shared, report)
    except (CannotInstall, Ended) as error:
        nothing = dict.fromkeys(("call", "estimator", "short_name", "unbiased"), "")
        return [shared | nothing | {"metric": "skipped", "value": np.nan, "note": str(error)}]
    for variable, estimator, call, reason in about["failed"]:
        if not estimators or estimator in estimators:
            row = _names(shared, variable, estimator, call)
            rows.append(row | {"metric": "skipped", "value": np.nan, "note": reason})
    return rows


@contextlib.contextmanager
def _started(
    library: Library,
    settings: OpponentsSettings,
    command: Command,
    report: Callable[[str], None],
) -> Iterator[Process]:
    line = command(library, report)
    request = {"adapter": library.adapter, "package": library.package, **VARIABLES}
    request["count"] = settings.gradients
    with tempfile.TemporaryDirectory() as folder:
        # The process sees this package, and nothing else that is installed beside it.
        (Path(folder) / "experiments").symlink_to(Path(experiments.__file__).parent)
        environment = {name: os.environ[name] for name in os.environ if "PYTHON" not in name}
        environment |= {"PYTHONPATH": folder, "JAX_PLATFORMS": "cpu"}
        started = process.start(library.name, line, environment, request, settings.patience)
        with started as other:
            yield other


def _measured(
    other: Process,
    tasks: Sequence[tuple[str, str, str]],
    settings: OpponentsSettings,
    shared: Row,
    report: Callable[[str], None],
) -> list[Row]:
    """Return the rows of tasks, whose rounds alternate with ours."""
    rounds: dict[tuple[str, ...], Callable[[jax.Array], dict[str, Any]]] = {}
    for task in tasks:
        ours = _ours(*task[:2], settings.gradients)
        report(f"compiling {task[1]}")
        ours()
        rounds["ours", *task[:2]] = lambda _, ours=ours: ours()
        rounds["theirs", *task] = lambda _, task=task: other.round(*task)
    found = in_turn(rounds, settings.rounds, shared["opponent"], report)
    rows = []
    for variable, estimator, call in tasks:
        pair = found["theirs", variable, estimator, call], found["ours", variable, estimator]
        theirs, ours = map(_sample, pair)
        columns = _names(shared, variable, estimator, call) | {"samples": len(theirs.losses)}
        times = [[one["value"] for one in side] for side in pair]
        for metric, (value, low, high) in _metrics(theirs, ours, _truth(variable), times).items():
            estimate = {"metric": metric, "value": value, "low": low, "high": high, "note": ""}
            rows.append(columns | estimate)
    return rows


def _metrics(
    theirs: Sample, ours: Sample, truth: Sample, times: Sequence[list[float]]
) -> dict[str, tuple[float, float, float]]:
    """Return each metric with its interval, NaN where there is none."""
    scores = {
        "loss_z": agreement.z_score(theirs.losses, truth.losses),
        "mean_z": agreement.z_score(theirs.gradients, ours.gradients),
        "truth_z": agreement.z_score(theirs.gradients, truth.gradients),
        "own_truth_z": agreement.z_score(ours.gradients, truth.gradients),
    }
    found = {name: (value, np.nan, np.nan) for name, value in scores.items()}
    ratio = agreement.variance_ratio(theirs.gradients, ours.gradients)
    if ratio is not None:
        found["variance_ratio"] = ratio
    speeds = ratios(times[1], times[0], more_is_better=False)
    for name, rounds in {"seconds": times[0], "time_ratio": speeds}.items():
        summary = summarise(rounds)
        found[name] = summary["median"], summary["min"], summary["max"]
    return found


def _names(shared: Row, variable: str, estimator: str, call: str) -> Row:
    return shared | {"problem": variable, "call": call} | estimator_columns(parse(estimator))


def _ours(variable: str, identity: str, count: int) -> Callable[[], dict[str, Any]]:
    estimator, law = parse(identity), _LAWS[variable]

    def loss(key: jax.Array, logits: jax.Array, f: Callable[[jax.Array], jax.Array]) -> jax.Array:
        with frozen():
            return estimator(key, law(logits), f)

    return jax_rounds.rounds(loss, VARIABLES[variable], count, _OURS)


def _truth(variable: str) -> Sample:
    """Return E f and its gradient, enumerated."""
    return _sample([_ours(variable, str(Exact()), 1)()])


def _sample(rounds: Sequence[Mapping[str, Any]]) -> Sample:
    losses, gradients = (
        np.concatenate([np.asarray(one[name], float) for one in rounds])
        for name in ("losses", "gradients")
    )
    return Sample(losses, gradients)
