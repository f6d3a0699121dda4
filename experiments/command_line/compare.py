"""The commands `compare` and `temperature`: gradients measured at one point of a problem."""

import argparse

from experiments import problems
from experiments.command_line import options, unused
from experiments.command_line.output import completed, conclude
from experiments.running.user_code import parse_estimators, parse_problem
from experiments.studies.comparison.settings import CompareSettings, check
from experiments.studies.comparison.study import comparison
from experiments.studies.temperature.study import TEMPERATURES, has_temperature, temperature_sweep
from experiments.system.errors import UsageError


def add(commands) -> None:
    """Add both commands to the parser."""
    command = commands("compare", _compare, "Measure bias, variance, error and cost at a point.")
    _add_options(command)
    command = commands(
        "temperature", _temperature, "Measure bias, variance and error against temperature."
    )
    _add_options(command)
    command.add_argument(
        "--temperatures",
        nargs="+",
        type=options.positive_number,
        default=TEMPERATURES,
        metavar="T",
        help="the temperatures (default: 13 from 0.05 to 5)",
    )


def _add_options(command: argparse.ArgumentParser) -> None:
    options.add_problem(command)
    options.add_estimators(command)
    options.add_group(command)
    command.add_argument(
        "--samples",
        type=options.positive,
        metavar="N",
        help="gradients per estimator, rounded up to a multiple of 32 (default: 2048, "
        "fewer for a problem with expensive gradients)",
    )
    options.add_numbers(
        command,
        CompareSettings(problems.VAE(), []),
        ("seed", options.seed, "N", "random seed"),
        ("train-steps", options.count, "N", "training steps before measuring"),
        ("tuning-steps", options.count, "N", "maximum tuning steps of learned estimators"),
        ("budget", options.positive_number, "N", "evaluations of f for the error at equal cost"),
    )
    options.add_output(command)


def _compare(given: argparse.Namespace) -> None:
    study = comparison(_settings(given))
    with completed(given, study) as results:
        conclude(results)


def _temperature(given: argparse.Namespace) -> None:
    settings = _settings(given)
    if not any(map(has_temperature, settings.estimators)):
        raise UsageError("none of the named estimators has a temperature")
    study = temperature_sweep(settings, sorted(set(given.temperatures)))
    with completed(given, study) as results:
        conclude(results)


def _settings(given: argparse.Namespace) -> CompareSettings:
    problem = parse_problem(given.problem)
    chosen = parse_estimators(given.estimators)
    settings = CompareSettings(
        problem,
        chosen.estimators,
        group=given.group,
        samples=given.samples or problem.default_samples,
        seed=given.seed,
        train_steps=given.train_steps,
        tuning_steps=given.tuning_steps,
        budget=given.budget,
    )
    check(settings, chosen.named)
    unused.of_estimators(given, chosen)
    unused.of_problem(given, problem)
    return settings
