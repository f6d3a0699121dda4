"""Runs of a study file that measure where earlier ones train, checked before any is run."""

import argparse
from collections.abc import Collection, Sequence
from pathlib import Path

from experiments.command_line import parser, study_words
from experiments.command_line.study_file import Run
from experiments.running.user_code import parse_estimator, parse_estimators
from experiments.system.errors import UsageError
from experiments.system.folder import Folder
from experiments.training import saved


def check(run: Run, given: argparse.Namespace, earlier: Run, path: Path) -> None:
    """Check that an earlier run trains what another measures.

    Args:
        run: the other.
        given: its arguments.
        earlier: the run at whose checkpoints it measures.
        path: the results folder of that run, which may hold further checkpoints.

    Raises:
        UsageError: if it does not train, or not with that estimator and seed, or does not keep a
            step.
    """
    if earlier.command != "train":
        raise UsageError(f"at: the part {earlier.part!r} is one of {earlier.command}, not of train")
    trained = parser.parsed(study_words.parser_of("train"), earlier.arguments)
    if run.command == "diagnose":  # its checkpoints are those of any pytree
        return
    if given.trained_with and not trained.temperatures:
        name = str(parse_estimator(given.trained_with))
        names = [str(one) for one in parse_estimators(trained.estimators).estimators]
        if name not in names:
            raise UsageError(
                f"trained-with: {earlier} does not train with {name}, but {', '.join(names)}"
            )
    first = given.seed if "seed" in given.options else trained.seed
    seeds = range(trained.seed, trained.seed + trained.seeds)
    if missing := [seed for seed in range(first, first + given.seeds) if seed not in seeds]:
        raise UsageError(
            f"seed: {earlier} does not train seed {missing[0]}, but {saved.listed(seeds)}"
        )
    kept = sorted({*(trained.keep_steps or ()), trained.steps, *_on_disk(path)})
    if missing := [step for step in given.step or () if step not in kept]:
        raise UsageError(
            f"step: {earlier} keeps no checkpoint of step {missing[0]}, but of "
            f"{saved.listed(kept)}; its keep-steps name them"
        )


def places(given: argparse.Namespace, earlier: Sequence[Run]) -> int:
    """Return the number of places at which a run measures, of earlier runs that train."""
    each = 0
    for one in earlier:
        trained = parser.parsed(study_words.parser_of("train"), one.arguments)
        names = parse_estimators(trained.estimators).estimators
        each += (
            len(set(trained.learning_rates))
            * max(len(set(trained.temperatures)), 1)
            * (1 if getattr(given, "trained_with", None) else len(names))
        )
    return each * max(len(set(given.step or ())), 1) * getattr(given, "seeds", 1)


def _on_disk(path: Path) -> Collection[int]:
    """Return the steps with a checkpoint in a results folder."""
    folder = Folder(path).checkpoints
    batches = folder.iterdir() if folder.is_dir() else ()
    return {step for batch in batches for step in saved.steps(batch)}
