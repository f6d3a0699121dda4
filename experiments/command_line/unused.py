"""Notes on given options that have no effect."""

import argparse

import jax

from experiments.command_line.output import say
from experiments.problems import Problem
from experiments.running.user_code import Chosen
from experiments.studies.temperature.study import has_temperature
from experiments.training import is_tuned


def without_effect(given: argparse.Namespace, because: str, *names: str) -> None:
    """Print which of these options were given although they have no effect, and why."""
    if found := [given.options[name] for name in names if name in given.options]:
        say(f"note: {', '.join(found)}: no effect {because}")


def of_estimators(given: argparse.Namespace, chosen: Chosen) -> None:
    """Print which options have no effect on these estimators."""
    for estimator in chosen.estimators:
        if str(estimator) in chosen.named and not has_temperature(estimator):
            without_effect(given, f"on {estimator}, which has no temperature", "temperatures")
    if not any(map(is_tuned, chosen.estimators)):
        without_effect(
            given, "on estimators without learned parameters", "tuning_steps", "tuning_rate"
        )


def of_problem(given: argparse.Namespace, problem: Problem) -> None:
    """Print which options have no effect on this problem."""
    if not problem.trainable:
        without_effect(given, f"on {problem}, which is not trained first", "train_steps")
    if problem.data() is None:
        names = "data", "bound_samples", "evaluation_examples"
        without_effect(given, f"on {problem}, which has no data", *names)


def of_training(given: argparse.Namespace) -> None:
    """Print which options have no effect without another option."""
    if not given.measure:
        without_effect(given, "without --measure", "measure_at", "group", "samples")
    if jax.process_count() == 1:
        without_effect(given, "on one process", "distributed")


def of_listing(given: argparse.Namespace) -> None:
    """Print which options have no effect when names are only listed."""
    without_effect(given, "with --list", "output", "force", "save", "dry_run", "device", "data")
