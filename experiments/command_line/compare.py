"""The command `compare`: gradients of estimators measured at one point of a problem."""

import argparse
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from experiments import problems
from experiments.command_line import jobs, options, rough, unused
from experiments.command_line.output import drawing
from experiments.problems import Problem
from experiments.running.user_code import (
    Chosen,
    parse_estimator,
    parse_estimators,
    parse_problem,
)
from experiments.studies.comparison.default import NAMES, default_estimators
from experiments.studies.comparison.settings import CompareSettings, Place, check
from experiments.studies.comparison.study import comparison
from experiments.studies.training.kept import places

COLUMNS = (
    "equal_cost_error",
    "equal_time_error",
    "squared_bias",
    "variance",
    "unbiased",
    "evaluations",
    "mse",
    "seconds",
    "cosine_mean",
    "cosine_sample",
    "signal_to_noise",
)
"""The columns that `analysis.comparison_table` can show."""


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_measurement(command, "those of the best-known papers")
    default = options.listed("default estimators, where they fit the problem", NAMES)
    command.epilog = f"{command.epilog}\n{default}"
    _add_table(command)


def add_measurement(command: argparse.ArgumentParser, default: str) -> None:
    """Add the options of what is measured, which the command `temperature` shares."""
    command.epilog = options.names()
    options.add_problem(command)
    options.add_estimators(command, default)
    options.add_groups(command)
    options.add_coordinates(command)
    command.add_argument(
        "--samples",
        type=options.positive,
        metavar="N",
        help="gradients per estimator, rounded up to a multiple of 32 (default: 1024, "
        "fewer for a problem with expensive gradients)",
    )
    options.add_numbers(
        command,
        CompareSettings(problems.VAE(), []),
        ("seed", options.seed, "N", "first random seed"),
        (
            "seeds",
            options.positive,
            "N",
            "number of seeds; each trains a point of its own, and the table has their means",
        ),
        ("train-steps", options.count, "N", "training steps before measuring"),
        *options.MEASURING,
    )
    options.add_precision(command, CompareSettings(problems.VAE(), []))
    options.add_at(command)
    options.add_output(command)
    options.add_drawing(command)


def _add_table(command: argparse.ArgumentParser) -> None:
    """Add the options of what the table shows; they do not change what is measured."""
    read = options.choice(*COLUMNS)
    names = ", ".join(COLUMNS)
    command.add_argument(
        "--columns",
        nargs="+",
        type=read,
        default=(),
        metavar="COLUMN",
        help=f"columns of the table, the most important first: {names}",
    )
    command.add_argument(
        "--sort",
        type=read,
        metavar="COLUMN",
        help="column to sort the table by (default: the error at equal cost)",
    )
    command.add_argument(
        "--cost",
        type=options.choice("evaluations", "time"),
        default="evaluations",
        metavar="{evaluations,time}",
        help="unit of cost where errors are compared: evaluations of f, or measured time "
        "(default: evaluations)",
    )


def run(given: argparse.Namespace) -> None:
    """Run the command."""
    jobs.run(given, job(given))


def job(given: argparse.Namespace) -> jobs.Job:
    """Return what the arguments ask for."""
    settings = settings_from(given, default_estimators)
    shown_as = {"cost": given.cost, "columns": given.columns, "sort": given.sort}
    drawn = drawing(given, settings.estimators)
    study = comparison(settings)
    times = functools.partial(rough.seconds, study, settings.problem)
    return jobs.Job(study, drawn, shown_as, rough=times)


def settings_from(
    given: argparse.Namespace,
    default: Callable[[Problem], Chosen],
    required: Mapping[str, Any] = {},
) -> CompareSettings:
    """Return the settings of the arguments, checked.

    Args:
        given: the arguments.
        default: returns the estimators of a problem if none are named.
        required: values of fields without a default that the names of estimators do not give.

    Raises:
        UsageError: if nothing can be measured with them.
    """
    options.check_seeds(given.seed, given.seeds)
    problem, at = _where(given)
    names = given.estimators
    chosen = parse_estimators(names, required) if names else default(problem)
    settings = CompareSettings(
        problem,
        chosen.estimators,
        group=given.group,
        samples=given.samples or problem.default_samples,
        seed=at[0].seed if at else given.seed,
        seeds=1 if at else given.seeds,
        train_steps=given.train_steps,
        tuning_steps=given.tuning_steps,
        budget=given.budget,
        precision=given.precision,
        most_samples=given.most_samples,
        coordinates=given.coordinates,
        at=at,
    )
    check(settings, chosen.named)
    unused.of_estimators(given, chosen)
    unused.of_problem(given, problem)
    return settings


def _where(given: argparse.Namespace) -> tuple[Problem, Sequence[Place]]:
    """Return the problem, and the parameters that `--at` names."""
    if not given.at:
        unused.without_effect(given, "without --at", "step", "trained_with")
        return parse_problem(given.problem), ()
    unused.without_effect(given, "with --at", "train_steps")
    return places(
        given.at,
        parse_problem(given.problem) if "problem" in given.options else None,
        steps=given.step,
        trained_with=given.trained_with and str(parse_estimator(given.trained_with)),
        seed=given.seed if "seed" in given.options else None,
        seeds=given.seeds,
    )
